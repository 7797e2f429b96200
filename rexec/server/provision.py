"""What a server needs on the disk: read, or at a first start made."""

from __future__ import annotations

import os
import pwd
from hashlib import sha256

from rexec import files
from rexec.auth.private import PrivateKey, generate, parse_private, serialize_private
from rexec.errors import ConfigError
from rexec.limits import KEY_FILE_MAX
from rexec.server.certificate import certified_key, certified_spki, self_signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.auth.keys import PublicKey
    from rexec.server.config import Settings

CLIENT_KEY = "id_ed25519"
HOST_KEY = "host_ed25519"
HOST_CERTIFICATE = "host_cert.pem"
AUTHORIZED_KEYS = "authorized_keys"


class Material:
    """The keys of one server: PEM pairs for TLS, the host key, and its public side as clients pin it."""

    __slots__ = ("certificate", "key", "key_pem", "name", "public", "spki_hash")

    def __init__(self, name: str, key: PrivateKey | None, public: PublicKey, spki: bytes) -> None:
        self.name = name
        self.key = key
        self.public = public
        self.spki_hash = sha256(spki).digest()
        self.certificate = b""
        self.key_pem = b""


def user_name(uid: int | None = None) -> str:
    """Return the name of a user, by default of the one who runs this process; the number, if it has none."""
    number = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def authorized_keys(settings: Settings, log: Log) -> str:
    """Return the path of the keys that may come in; at a first start, authorise the user's own key."""
    path = settings.authorized_keys or os.path.join(settings.home, AUTHORIZED_KEYS)
    if files.stamp(path) is None:
        if not settings.provision:
            raise ConfigError(
                f"{path}: no such file", hint="rexec-server authorize NAME PUBKEY-FILE makes the first line"
            )
        _authorize_own(settings.home, path, log)
    return path


def _authorize_own(home: str, path: str, log: Log) -> None:
    own = os.path.join(home, CLIENT_KEY)
    if files.stamp(own) is None:
        make_pair(own, f"{user_name()}@{os.uname().nodename}")
        log.text(f"rexec-server: made {own} for {user_name()}\n")
    public = read_key(own).public
    files.append_line(path, public.line(user_name()))
    log.text(f"rexec-server: authorised {public.fingerprint()} as {user_name()} in {path}\n")


def host_material(settings: Settings, log: Log) -> Material:
    """Return what the server proves itself with."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        return _own_certificate(settings.tls_cert, settings.tls_key)
    path = settings.host_key or os.path.join(settings.home, HOST_KEY)
    if files.stamp(path) is None:
        if settings.host_key is not None:
            raise ConfigError(f"{path}: no such file", hint=f"rexec-keygen -f {path} makes one")
        make_pair(path, f"host {os.uname().nodename}")
        log.text(f"rexec-server: made the host key {path}\n")
    key = read_key(path)
    material = Material(path, key, key.public, key.public.spki())
    if not settings.no_tls:
        material.certificate = _certificate(settings, key, path)
        material.key_pem = key.pkcs8_pem()
    return material


def _certificate(settings: Settings, key: PrivateKey, key_path: str) -> bytes:
    """Return the self-signed certificate of a host key; in the home it is kept, and made when missing."""
    if settings.host_key is not None:
        return self_signed(key)
    path = os.path.join(settings.home, HOST_CERTIFICATE)
    if files.stamp(path) is None:
        files.create_public(path, self_signed(key))
    pem: bytes = files.read_trusted(path, KEY_FILE_MAX).encode()
    if certified_spki(pem, path) != key.public.spki():
        raise ConfigError(f"{path}: not the certificate of {key_path}", hint=f"rm {path} (it is made again)")
    return pem


def _own_certificate(certificate: str, key: str) -> Material:
    pem = files.read_trusted(certificate, KEY_FILE_MAX).encode()
    public = certified_key(pem, certificate)
    material = Material(certificate, None, public, certified_spki(pem, certificate))
    material.certificate = pem
    material.key_pem = files.read_private(key)
    return material


def read_key(path: str) -> PrivateKey:
    """Return a private key that has no passphrase."""
    return parse_private(files.read_private(path), None, path)


def make_pair(path: str, comment: str) -> PrivateKey:
    """Make a key pair: `path` with mode 0600, `path.pub` beside it. An existing file is never replaced."""
    key = generate(comment)
    files.create_private(path, serialize_private(key, None))
    files.create_public(f"{path}.pub", (key.public.line(comment) + "\n").encode())
    return key

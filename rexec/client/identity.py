"""Our keys, in the order in which they are offered, each read only when its turn has come."""

from __future__ import annotations

from rexec import files
from rexec.auth.private import PassphraseNeeded, load_library, parse_private
from rexec.errors import ConfigError
from rexec.limits import PROOFS_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rexec.auth.keys import PublicKey

    Sign = Callable[[bytes], bytes]
    Passphrase = Callable[[str], bytes | None]  # the key's file -> what was typed; None: nobody to ask


class Signer:
    """A public key and who can sign for it."""

    __slots__ = ("name", "public", "sign")

    def __init__(self, public: PublicKey, sign: Sign, name: str) -> None:
        self.public = public
        self.sign = sign
        self.name = name


def get_ready(chosen: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """Import what will sign, where no agent does, before its turn has come."""
    if chosen or not environ.get("SSH_AUTH_SOCK"):
        load_library()


def signers(
    home: str, chosen: tuple[str, ...], environ: Mapping[str, str], passphrase: Passphrase
) -> Iterator[Signer]:
    """Yield the keys of `-i`, or else the agent's and then the home's, at most `PROOFS_MAX`."""
    if chosen:
        for path in chosen[:PROOFS_MAX]:
            yield from_file(files.expanded(path), passphrase)
        return
    own = files.beneath(home, "id_ed25519")
    has_own = files.stamp(own) is not None
    if socket := environ.get("SSH_AUTH_SOCK"):
        from rexec.client import agent

        for count, signer in enumerate(agent.signers(socket), 1):
            if count > PROOFS_MAX - has_own:  # an agent full of keys leaves room for our own
                break
            yield signer
    if has_own:
        yield from_file(own, passphrase)


def from_file(path: str, passphrase: Passphrase) -> Signer:
    """Return the key of a file; its passphrase is asked for where it has one."""
    try:
        data = files.read_private(path)
    except ConfigError as error:
        if error.hint is None or not path.endswith(".pub"):
            raise
        raise ConfigError(  # to close it to others would lead nowhere
            f"{path}: a public key proves nothing", hint=f"its private half does: {path.removesuffix('.pub')}"
        ) from None
    try:
        key = parse_private(data, None, path)
    except PassphraseNeeded:
        given = passphrase(path)
        if given is None:
            raise
        key = parse_private(data, given, path)
    return Signer(key.public, key.sign, path)


def no_passphrase(path: str) -> bytes | None:
    """Ask nobody."""
    return None

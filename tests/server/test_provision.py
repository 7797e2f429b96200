"""What a server needs on the disk: read, or at a first start made, and never replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rexec.audit.log import Log
from rexec.auth.authorized import parse_authorized
from rexec.auth.private import generate, serialize_private
from rexec.errors import ConfigError
from rexec.server import provision
from rexec.server.certificate import self_signed
from rexec.server.config import Settings


@pytest.fixture
def log() -> Log:
    return Log(os.open("/dev/null", os.O_WRONLY))


def settings(home: Path, **more: object) -> Settings:
    return Settings("cmds.txt", str(home), **more)  # type: ignore[arg-type]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_start_makes_a_host_key_and_its_certificate(tmp_path: Path, log: Log) -> None:
    """security.md, Protocol: "Key files: created 0600 with O_EXCL under any umask"."""
    before = os.umask(0)
    try:
        first = provision.host_material(settings(tmp_path), log)
    finally:
        os.umask(before)
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
        "host_ed25519": 0o600,
        "host_ed25519.pub": 0o644,
        "host_cert.pem": 0o644,
    }
    second = provision.host_material(settings(tmp_path), log)
    assert (second.public, second.spki_hash) == (first.public, first.public.spki_sha256())
    assert second.certificate == first.certificate
    assert second.key_pem


def test_in_the_clear_no_certificate_is_made(tmp_path: Path, log: Log) -> None:
    assert provision.host_material(settings(tmp_path, no_tls=True), log).certificate == b""
    assert not (tmp_path / "host_cert.pem").exists()


def test_a_certificate_of_another_key_is_refused_and_kept(tmp_path: Path, log: Log) -> None:
    provision.host_material(settings(tmp_path), log)
    certificate = tmp_path / "host_cert.pem"
    certificate.write_bytes(self_signed(generate()))
    with pytest.raises(ConfigError, match="not the certificate of"):
        provision.host_material(settings(tmp_path), log)
    certificate.write_text("nothing")
    with pytest.raises(ConfigError, match="no certificate in PEM"):
        provision.host_material(settings(tmp_path), log)


def test_a_named_host_key_is_never_made(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "key"
    with pytest.raises(ConfigError, match="no such file"):
        provision.host_material(settings(tmp_path, host_key=str(path)), log)
    provision.make_pair(str(path), "x")
    material = provision.host_material(settings(tmp_path, host_key=str(path)), log)
    assert material.certificate
    assert not (tmp_path / "host_cert.pem").exists()


def test_a_lax_host_key_is_refused(tmp_path: Path, log: Log) -> None:
    """security.md, Protocol: "refused when others may read or write them"."""
    provision.host_material(settings(tmp_path), log)
    (tmp_path / "host_ed25519").chmod(0o640)
    with pytest.raises(ConfigError, match="others may read or write it"):
        provision.host_material(settings(tmp_path), log)


def test_a_certificate_of_ones_own_is_used_as_it_is(tmp_path: Path, log: Log) -> None:
    key = generate()
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(self_signed(key))
    private.write_bytes(key.pkcs8_pem())
    private.chmod(0o600)
    named = settings(tmp_path, tls_cert=str(certificate), tls_key=str(private))
    material = provision.host_material(named, log)
    assert (material.public, material.key) == (key.public, None)
    certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match="not a certificate"):
        provision.host_material(named, log)


def test_a_first_start_lets_its_own_user_in(tmp_path: Path, log: Log) -> None:
    path = provision.authorized_keys(settings(tmp_path), log)
    own = provision.read_key(str(tmp_path / "id_ed25519"))
    assert mode(Path(path)) == 0o600
    keys = parse_authorized(Path(path).read_text(), path, "me")
    assert keys.judge(own.public, "", None, 0.0) is not None
    assert provision.authorized_keys(settings(tmp_path), log) == path
    assert len(Path(path).read_text().splitlines()) == 1


def test_a_key_that_is_there_is_authorised_and_not_replaced(tmp_path: Path, log: Log) -> None:
    """cli.md: "an existing `id_ed25519` is used, never replaced"."""
    own = generate("mine")
    path = tmp_path / "id_ed25519"
    path.write_bytes(serialize_private(own, None))
    path.chmod(0o600)
    before = path.read_bytes()
    keys = provision.authorized_keys(settings(tmp_path), log)
    assert path.read_bytes() == before
    assert own.public.line().split()[1] in Path(keys).read_text()


@pytest.mark.parametrize("named", [{"authorized_keys": "keys"}, {"host_key": "key"}, {"provision": False}])
def test_where_something_was_named_nobody_is_let_in(
    tmp_path: Path, log: Log, named: dict[str, object]
) -> None:
    """cli.md: "a file named by an option and missing is exit 2; an empty `authorized_keys` counts as
    there"."""
    made = {key: str(tmp_path / value) if isinstance(value, str) else value for key, value in named.items()}
    with pytest.raises(ConfigError, match="no such file"):
        provision.authorized_keys(settings(tmp_path, **made), log)
    assert list(tmp_path.iterdir()) == []
    empty = tmp_path / "authorized_keys"
    empty.touch(mode=0o600)
    assert provision.authorized_keys(settings(tmp_path), log) == str(empty)
    assert empty.read_text() == ""


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    assert provision.user_name() == "4000000001"

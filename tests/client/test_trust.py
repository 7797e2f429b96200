"""Whether a server is who it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.auth.keys import PublicKey
from rexec.auth.private import generate
from rexec.client.config import Target
from rexec.client.trust import check_server
from rexec.errors import ConfigError, TrustError
from rexec.transport.address import parse_address


def check(home: Path, key: PublicKey, address: str = "web1:7", **more: object) -> list[str]:
    """Look at a server's key; return what was said."""
    target = Target("web1", parse_address(address), "", str(home))
    target.accept_new = bool(more.get("accept_new"))
    said: list[str] = []
    check_server(target, key, more.get("ask"), said.append)  # type: ignore[arg-type]
    return said


def test_a_new_server_is_refused_where_nobody_can_be_asked(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="is not known") as refused:
        check(tmp_path, generate().public)
    assert "--accept-new" in (refused.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_a_person_decides_about_a_new_server_once(tmp_path: Path) -> None:
    key = generate().public
    asked: list[tuple[str, str]] = []

    def ask(host: str, fingerprint: str) -> bool:
        asked.append((host, fingerprint))
        return len(asked) > 1

    with pytest.raises(TrustError, match="was not accepted"):
        check(tmp_path, key, ask=ask)
    check(tmp_path, key, ask=ask)
    check(tmp_path, key, ask=ask)
    assert asked == [("web1", key.fingerprint())] * 2
    assert oct((tmp_path / "known_hosts").stat().st_mode & 0o777) == "0o600"


def test_accept_new_takes_a_new_key_and_never_another(tmp_path: Path) -> None:
    key, other = generate().public, generate().public
    assert check(tmp_path, key, accept_new=True) == [f"web1: new key {key.fingerprint()} is now known"]
    assert check(tmp_path, key) == []
    with pytest.raises(TrustError, match="has changed") as refused:
        check(tmp_path, other, accept_new=True, ask=lambda *_: True)
    assert key.fingerprint() in str(refused.value)
    assert other.fingerprint() in str(refused.value)
    assert f"sed -i '1d' {tmp_path}/known_hosts" in (refused.value.hint or "")


def test_a_key_that_cannot_be_kept_is_not_said_to_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, line: str) -> None:
        raise ConfigError(f"{path}: no space left on device")

    monkeypatch.setattr("rexec.files.append_line", full)
    target = Target("web1", parse_address("web1:7"), "", str(tmp_path))
    target.accept_new = True
    said: list[str] = []
    with pytest.raises(ConfigError, match="no space left"):
        check_server(target, generate().public, None, said.append)
    assert said == []


def test_a_revoked_key_is_refused(tmp_path: Path) -> None:
    key = generate().public
    known = tmp_path / "known_hosts"
    known.write_text(f"@revoked * {key.line()}\n")
    known.chmod(0o600)
    with pytest.raises(TrustError, match="is revoked"):
        check(tmp_path, key, accept_new=True)


def test_the_users_own_server_is_trusted_here_and_nowhere_else(tmp_path: Path) -> None:
    """cli.md: "for a loopback address or `unix:` it accepts the public key in its own home's
    `host_ed25519.pub`, whatever the port; for any other host only `known_hosts` counts"."""
    key = generate().public
    own = tmp_path / "host_ed25519.pub"
    own.write_text(key.line() + "\n")
    for address in ("127.0.0.1:1", "[::1]:2", "unix:/run/s"):
        assert check(tmp_path, key, address) == []
        with pytest.raises(TrustError):
            check(tmp_path, generate().public, address)
    with pytest.raises(TrustError):
        check(tmp_path, key, "web1:1")
    own.write_text("nonsense\n")
    with pytest.raises(TrustError):
        check(tmp_path, key, "127.0.0.1:1")


def test_a_list_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    key = generate().public
    check(tmp_path, key, accept_new=True)
    (tmp_path / "known_hosts").chmod(0o666)
    with pytest.raises(ConfigError, match="others may write it"):
        check(tmp_path, key)

"""The keys that may come in, as the disk has them now; and proofs that were seen before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rexec.audit.log import Log
from rexec.auth.private import PrivateKey, generate
from rexec.errors import ConfigError
from rexec.limits import BINDINGS_MAX
from rexec.server.keyring import Bindings, Keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authorized_keys"


def write(path: Path, text: str) -> None:
    """Replace a file by a new one, as an editor does; its inode tells."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.chmod(0o600)
    beside.replace(path)


def line(key: PrivateKey, front: str = "") -> str:
    return f"{front} {key.public.line('x')}\n".lstrip()


def ring(path: Path) -> Keyring:
    return Keyring(str(path), "runner", Log(os.open("/dev/null", os.O_WRONLY)))


def test_a_key_is_admitted_as_its_line_says(path: Path) -> None:
    own, alice, other = generate(), generate(), generate()
    write(path, line(own) + line(alice, 'user="alice,bob"'))
    keys = ring(path)
    assert getattr(keys.admit(own.public, "", "127.0.0.1"), "user", None) == "runner"
    assert getattr(keys.admit(alice.public, "bob", ""), "user", None) == "bob"
    assert keys.admit(alice.public, "root", "") is None
    assert keys.admit(other.public, "", "") is None


def test_a_change_takes_effect_at_once_and_at_every_command(path: Path) -> None:
    """security.md, Protocol: "Revoked or expired keys with a session still open: judged again at every
    command"."""
    old, new = generate(), generate()
    write(path, line(old))
    keys = ring(path)
    seated = keys.admit(old.public, "", "")
    assert seated is not None
    assert keys.still(seated, "") == seated
    write(path, line(new))
    assert keys.still(seated, "") is None
    assert keys.admit(old.public, "", "") is None
    assert keys.admit(new.public, "", "") is not None


@pytest.mark.parametrize("bad", ["nonsense\n", 'command="x" ssh-ed25519 AAAA\n', "missing", "lax"])
def test_while_the_file_is_bad_nobody_new_gets_in(path: Path, bad: str) -> None:
    """Issue: "while it is bad nobody new gets in"; who is in goes on by the last good one."""
    key = generate()
    write(path, line(key))
    keys = ring(path)
    seated = keys.admit(key.public, "", "")
    assert seated is not None
    if bad == "missing":
        path.unlink()
    elif bad == "lax":
        path.chmod(0o666)
    else:
        write(path, line(key) + bad)
    assert keys.admit(key.public, "", "") is None
    assert keys.still(seated, "") == seated
    write(path, line(key))
    assert keys.admit(key.public, "", "") == seated


def test_a_server_does_not_start_with_a_bad_file(path: Path) -> None:
    with pytest.raises(ConfigError):
        ring(path)
    write(path, "nonsense\n")
    with pytest.raises(ConfigError, match=r"authorized_keys:1: "):
        ring(path)


def test_a_binding_belongs_to_one_connection() -> None:
    """security.md, Protocol: "replayed proof"."""
    seen = Bindings()
    assert seen.is_fresh(b"a", 1)
    assert seen.is_fresh(b"a", 1)  # another key on the same connection
    assert not seen.is_fresh(b"a", 2)
    assert seen.is_fresh(b"b", 2)


def test_bindings_are_a_bounded_table() -> None:
    """security.md, Protocol: "bounded tables"."""
    seen = Bindings()
    for number in range(BINDINGS_MAX + 10):
        assert seen.is_fresh(number.to_bytes(4, "big"), number)
    assert len(seen._seen) == BINDINGS_MAX
    assert not seen.is_fresh((BINDINGS_MAX + 9).to_bytes(4, "big"), 0)

"""What a client would like a command to inherit, by raw frames, and what the server itself has."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.regress.test_inheritance import HOSTILE, spoil
from tests.rogue import wire
from tests.rogue.conftest import Target

NEVER = (
    "LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "BASH_FUNC_x%%", "PYTHONPATH", "PERL5OPT", "NODE_OPTIONS",
    "IFS", "PATH", "GCONV_PATH",
)  # fmt: skip
NAMED = ("GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "PAGER", "LESSOPEN", "EDITOR", "TZ", "TERMINFO")
LETTERS = " ".join(f"{letter}*" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
RULES = """\
echo ...
env []
printenv {{name}}
    env pass {names}
touch {canary}
sh ...
    env pass {letters}
dash ...
    noexec
"""
TERMINAL = wire.string(b"xterm") + b"\0\x50\0\x18" + bytes(4) + wire.string(b"")
# by built-in commands alone: under a fence nothing else is started
SHOWN = (
    'for name in /proc/self/fd/*; do echo "$name"; done; umask; while read -r line; do echo "$line"; done < '
)


class Spoiled(Target):
    """A server that inherited the worst, and that has a terminal of its own, its operator's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        rules = RULES.format(canary=self.canary, names=" ".join(NAMED), letters=LETTERS)
        self.allow_list.write_text(rules)
        self.screen, self.operators = pty.openpty()

    def take_terminal(self) -> None:
        """Be a session with the operator's terminal, before the server is started in it."""
        os.setsid()
        fcntl.ioctl(self.operators, termios.TIOCSCTTY, 0)
        spoil()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoiled]:
    made = Spoiled(tmp_path_factory.mktemp("spoiled"))
    handed = os.pipe()
    made.start(env=HOSTILE, preexec_fn=made.take_terminal, pass_fds=(made.operators, *handed))
    for descriptor in handed:
        os.close(descriptor)
    yield made
    assert made.works()
    assert made.has_no_traceback()
    made.end()
    os.close(made.screen)
    os.close(made.operators)


@pytest.mark.parametrize("name", [*NEVER, *NAMED])
def test_a_variable_that_no_rule_names_is_denied(spoiled: Spoiled, name: str) -> None:
    """security.md, Environment: "LD_PRELOAD, ... GCONV_PATH from the client: not passed unless a rule names
    them": denied, with the variable named, and nothing started."""
    asked = [(name.encode(), b"/tmp/x")]
    with spoiled.friend() as friend:
        kind, body, _ = friend.run(*spoiled.touch, env=asked, stdin=0)
        assert kind == wire.DENIED
        assert name.rstrip("%").encode() in body
        assert friend.is_alive()
    assert not spoiled.sang()


@pytest.mark.parametrize("name", NEVER)
def test_some_variables_pass_by_no_rule(spoiled: Spoiled, name: str) -> None:
    """security.md, Environment: "some never": not by a rule that passes whatever begins with any letter."""
    with spoiled.friend() as friend:
        kind, _, output = friend.run(b"sh", b"-c", b"echo started", env=[(name.encode(), b"x")], stdin=0)
    assert (kind, output) == (wire.DENIED, b"")


@pytest.mark.parametrize("name", NAMED)
def test_others_pass_where_a_rule_names_them(spoiled: Spoiled, name: str) -> None:
    """security.md, Environment: "not passed unless a rule names them": then bytes arrive unchanged."""
    value = bytes(range(1, 256))
    with spoiled.friend() as friend:
        kind, _, output = friend.run(b"printenv", name.encode(), env=[(name.encode(), value)], stdin=0)
    assert (kind, output) == (wire.EXIT, value + b"\n")


def test_nothing_of_the_servers_own_environment_arrives(spoiled: Spoiled) -> None:
    """security.md, Environment: "The server's own ... environment ... must not reach a child"."""
    with spoiled.friend() as friend:
        _, _, output = friend.run(b"env", stdin=0)
    names = {line.partition(b"=")[0].decode() for line in output.splitlines()}
    assert names == {
        "PATH", "LANG", "HOME", "USER", "LOGNAME", "SHELL", "PAGER",
        "REXEC_USER", "REXEC_CONNECTION", "REXEC_RULE",
    }  # fmt: skip


def test_a_variable_twice_is_one(spoiled: Spoiled) -> None:
    """security.md, Environment: what was judged is what arrives, though it is said twice."""
    twice = [(b"TZ", b"first"), (b"TZ", b"second")]
    with spoiled.friend() as friend:
        kind, _, output = friend.run(b"printenv", b"TZ", env=twice, stdin=0)
    assert kind == wire.DENIED or output.count(b"\n") == 1


@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
@pytest.mark.parametrize("shell", [b"sh", b"dash"], ids=["plain", "fenced"])
def test_nothing_else_is_inherited(spoiled: Spoiled, shell: bytes, terminal: bytes | None) -> None:
    """security.md, Environment: "The server's own descriptors, ... umask, signal mask and ignored signals
    must not reach a child", however it is started."""
    script = SHOWN.encode() + b"/proc/self/status"
    with spoiled.friend() as friend:
        kind, _, output = friend.run(shell, b"-c", script, pty=terminal, stdin=0)
    assert kind == wire.EXIT
    lines = output.replace(b"\r", b"").splitlines()
    assert {line for line in lines if line.startswith(b"/proc/self/fd/")} <= {
        b"/proc/self/fd/0", b"/proc/self/fd/1", b"/proc/self/fd/2", b"/proc/self/fd/3",  # 3 is the listing
    }  # fmt: skip
    assert b"0022" in lines
    reserved = 1 << 31 | 1 << 32  # of the C library
    for name in (b"SigIgn", b"SigBlk"):
        (found,) = (line.split()[1] for line in lines if line.startswith(name))
        assert int(found, 16) & ~reserved == 0, name


def test_a_pipeline_ends_when_its_reader_does(spoiled: Spoiled) -> None:
    """security.md, Environment: "`yes | head` ends fast": SIGPIPE is not ignored."""
    with spoiled.friend() as friend:
        kind, body, output = friend.run(b"sh", b"-c", b"yes | head -n 1", stdin=0)
    assert (kind, wire.Exit(body).status, output) == (wire.EXIT, 0, b"y\n")


@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
def test_nothing_is_typed_at_the_operators_terminal(spoiled: Spoiled, terminal: bytes | None) -> None:
    """security.md, Environment: "TIOCSTI into the operator's terminal: every command has its own session"."""
    script = """import fcntl, os, termios
here = [0, 1, 2]
try: here.append(os.open('/dev/tty', os.O_RDWR))
except OSError: pass
for descriptor in here:
    for typed in (b'!', b'\\n'):
        try: fcntl.ioctl(descriptor, termios.TIOCSTI, typed)
        except OSError: pass
print(os.getsid(0) == os.getpid())"""
    with spoiled.friend() as friend:
        words = (b"sh", b"-c", b'exec "$0" -c "$1"', os.fsencode(sys.executable), script.encode())
        _, _, output = friend.run(*words, pty=terminal, stdin=0)
    assert b"True" in output
    fcntl.ioctl(spoiled.operators, termios.FIONREAD, waiting := bytearray(4))
    assert int.from_bytes(waiting, "little") == 0

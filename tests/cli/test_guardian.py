"""A terminal is given back as it was, whatever happens to the one who took it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from rexec.cli.guardian import Guardian

ENDS = [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGABRT, 0]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: what a person types into, and what a program has."""
    master, slave = os.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


@pytest.fixture
def guardian(terminal: tuple[int, int]) -> Iterator[Guardian]:
    guardian = Guardian(terminal[1])
    guardian.post()
    yield guardian
    guardian.dismiss()


def shown(master: int, end: bytes) -> bytes:
    """What came on a terminal, up to some last bytes."""
    found = b""
    while not found.endswith(end):
        found += os.read(master, 100)
    return found


def test_raw_lets_every_byte_pass_and_dismiss_restores(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    before = termios.tcgetattr(slave)
    guardian = Guardian(slave)
    guardian.post()
    guardian.raw()
    os.write(master, b"\x03\x04\r\x1a")
    assert os.read(slave, 10) == b"\x03\x04\r\x1a"
    os.write(slave, b"\n")
    assert os.read(master, 10) == b"\n"
    guardian.dismiss()
    guardian.dismiss()
    assert termios.tcgetattr(slave) == before


def test_what_was_typed_ahead_is_kept(terminal: tuple[int, int], guardian: Guardian) -> None:
    master, slave = terminal
    os.write(master, b"early\n")
    guardian.raw()
    assert os.read(slave, 10) == b"early\n"
    os.write(master, b"late\r")
    guardian.dismiss()
    os.write(master, b"\n")
    assert b"late" in os.read(slave, 20)


def test_a_guardian_that_was_killed_is_no_reason_to_fail(terminal: tuple[int, int]) -> None:
    before = termios.tcgetattr(terminal[1])
    guardian = Guardian(terminal[1])
    guardian.post()
    guardian.raw()
    os.kill(guardian.pid, signal.SIGKILL)
    os.waitid(os.P_PID, guardian.pid, os.WEXITED | os.WNOWAIT)
    guardian.watch(b"\x1b[?1049h")
    guardian.dismiss()
    assert termios.tcgetattr(terminal[1]) == before


def test_a_guardian_that_does_not_listen_keeps_nobody_waiting(guardian: Guardian) -> None:
    os.kill(guardian.pid, signal.SIGSTOP)
    for _ in range(20_000):
        guardian.watch(b"\x1b[?1049h")
        guardian.watch(b"\x1b[?1049l")
    os.kill(guardian.pid, signal.SIGCONT)


def test_what_was_watched_is_undone_once(terminal: tuple[int, int], guardian: Guardian) -> None:
    master, slave = terminal
    guardian.hold(b"never written here")
    guardian.watch(b"\x1b[?1049h\x1b[?25l")
    guardian.give_back()
    guardian.give_back()
    os.write(slave, b".")
    assert shown(master, b".") == b"\x1b[?25h\x1b[?1049l."


HOLDER = """\
import sys
from rexec.cli.guardian import Guardian
guardian = Guardian(0)
guardian.post()
guardian.raw()
guardian.hold(b"held")
guardian.watch(b"\\x1b[?1000h")
guardian.watch(b"\\x1b[?1000l\\x1b[?1049h")
print("raw", flush=True)
sys.stdin.read(1)
raise RuntimeError
"""


@pytest.mark.parametrize("number", ENDS)
def test_the_terminal_is_restored_however_the_holder_ends(terminal: tuple[int, int], number: int) -> None:
    """security.md, People's terminals: "A terminal is always restored: after a crash, a kill, a lost
    line"."""
    master, slave = terminal
    before = termios.tcgetattr(slave)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"raw\n"
    assert termios.tcgetattr(slave) != before
    with open(f"/proc/{holder.pid}/task/{holder.pid}/children") as children:
        guardian = os.pidfd_open(int(children.read()))
    if number:
        holder.send_signal(number)
    else:
        os.write(master, b"x")
    holder.wait(60)
    holder.stdout.close()
    assert select.select([guardian], [], [], 60)[0]  # it has ended, too
    os.close(guardian)
    assert termios.tcgetattr(slave) == before
    assert shown(master, b"l") == b"held\x1b[?1049l"

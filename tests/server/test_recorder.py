"""The recorder: what stands in the file is what it says in the end."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.audit import asciicast
from rexec.audit.log import Log
from rexec.server.orders import Recording
from rexec.server.recorder import Recorder

HEADER = asciicast.header("x")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def recorder(
    path: Path, failures: list[str], *, input: bool = True, required: bool = False, terminal: bool = False
) -> Recorder:
    path.write_bytes(HEADER)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    log = Log(os.open(os.devnull, os.O_WRONLY))
    about = Recording(HEADER, input, required)
    return Recorder(descriptor, about, terminal=terminal, log=log, fail=failures.append)


def test_the_hash_is_of_what_stands_in_the_file(tmp_path: Path) -> None:
    made = recorder(tmp_path / "x", [])
    made.output("STDOUT", memoryview(b"out\n"))
    made.input(b"in")
    done = made.close()
    data = (tmp_path / "x").read_bytes()
    assert (done.size, done.sha256, done.whole) == (len(data), hashlib.sha256(data).digest(), True)
    assert [json.loads(line)[1:] for line in data.splitlines()[1:]] == [["o", "out\r\n"], ["i", "in"]]


def test_what_is_typed_without_echo_is_not_seen(tmp_path: Path, terminal: tuple[int, int]) -> None:
    master, slave = terminal
    made = recorder(tmp_path / "x", [], terminal=True)
    assert made.sees_input(master)
    modes = termios.tcgetattr(slave)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    assert not made.sees_input(master)
    made.close()


def test_input_is_seen_only_where_the_rule_says_so(tmp_path: Path, terminal: tuple[int, int]) -> None:
    made = recorder(tmp_path / "x", [], input=False, terminal=True)
    assert not made.sees_input(terminal[0])
    made.close()
    made = recorder(tmp_path / "x", [])
    assert made.sees_input(-1)
    made.close()


def test_a_terminal_that_is_gone_echoes_nothing(tmp_path: Path) -> None:
    made = recorder(tmp_path / "x", [], terminal=True)
    reading, writing = os.pipe()
    assert not made.sees_input(reading)
    os.close(reading)
    os.close(writing)
    made.close()


@pytest.mark.parametrize("required", [True, False])
def test_a_full_disk_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: bool) -> None:
    failures: list[str] = []
    made = recorder(tmp_path / "x", failures, required=required)
    made.output("STDOUT", memoryview(b"kept"))
    size = (tmp_path / "x").stat().st_size

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        made.output("STDOUT", memoryview(b"lost"))
        made.output("STDOUT", memoryview(b"lost"))
    made.output("STDOUT", memoryview(b"too late"))
    done = made.close()
    assert (done.size, done.whole) == (size, False)
    assert len(failures) == required
    assert all("no space left on device" in text for text in failures)

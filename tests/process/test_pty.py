"""Commands with a terminal: what the fork gives them, and how a failed exec is told."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.process.child import Child, NotStarted
from rexec.process.launch import Launch, begin
from rexec.process.modes import encode_modes
from rexec.process.pty import eof_character, set_size
from rexec.protocol.frames import Pty
from tests.process.test_child import permit_of

PYTHON = sys.executable
Run = Callable[..., Child | NotStarted]


def finished(launch: Launch | NotStarted) -> Child | NotStarted:
    """Wait until it is known how the exec went."""
    if isinstance(launch, NotStarted):
        return launch
    assert select.select([launch.error], [], [], 60)[0]
    return launch.finish()


@pytest.fixture
def run() -> Iterator[Run]:
    """Start commands with a terminal, and leave nothing of them behind."""
    begun: list[Child] = []

    def one(rules: str, *words: str, pty: Pty | None = None) -> Child | NotStarted:
        terminal = pty or Pty("xterm", 80, 24)
        child = finished(begin(permit_of(rules, *words, pty=terminal.term), terminal))
        if isinstance(child, Child):
            begun.append(child)
        return child

    yield one
    for child in begun:
        child.signal(signal.SIGKILL)
        child.reap()
        os.close(child.streams[0])


def output_of(child: Child | NotStarted) -> str:
    """Read what the command shows, up to the end of its terminal."""
    assert isinstance(child, Child), child
    data = b""
    try:
        while piece := os.read(child.streams[0], 4096):
            data += piece
    except OSError:
        pass  # EIO: nobody has it open any more
    return data.decode().replace("\r\n", "\n")


def children() -> str:
    """The processes that this one started and has not reaped."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def python(code: str) -> tuple[str, str, str, str]:
    return f"{PYTHON} ...\n", PYTHON, "-c", code


def test_all_three_streams_are_the_terminal_and_nothing_else_is_open(run: Run) -> None:
    """security.md, Environment and inheritance: "The server's own descriptors ... must not reach a
    child"."""
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    code = (
        "import os; print([os.isatty(n) for n in (0, 1, 2)], len({os.ttyname(n) for n in (0, 1, 2)}));"
        "print([n for n in range(3, 200) if os.path.exists(f'/proc/self/fd/{n}')])"
    )
    try:
        assert output_of(run(*python(code))) == "[True, True, True] 1\n[]\n"
    finally:
        os.close(leak)


def test_it_has_its_own_session_and_the_terminal_controls_it(run: Run) -> None:
    """security.md, Environment and inheritance: "TIOCSTI into the operator's terminal: every command
    has its own session"."""
    code = (
        "import os; me = os.getpid(); tty = os.open('/dev/tty', os.O_RDWR);"
        "print(os.getsid(0) == me, os.getpgrp() == me, os.tcgetpgrp(tty) == me)"
    )
    assert output_of(run(*python(code))) == "True True True\n"


def test_signals_are_default_and_unblocked_and_the_umask_is_the_rules(run: Run) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    code = (
        "import re; text = open('/proc/self/status').read();"
        "print(re.findall(r'^(?:SigBlk|Umask):\\s*(\\w+)', text, re.M),"
        " int(re.search(r'^SigIgn:\\s*(\\w+)', text, re.M)[1], 16) >> 9 & 1)"
    )
    try:
        assert output_of(run(*python(code))) == "['0022', '0000000000000000'] 0\n"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_size_and_modes_are_the_clients(run: Run) -> None:
    master, slave = os.openpty()
    import termios

    attributes = termios.tcgetattr(slave)
    attributes[6][termios.VERASE] = b"\x08"
    pty = Pty("vt100", 132, 43, modes=encode_modes(attributes))
    os.close(master)
    os.close(slave)
    code = (
        "import os, termios; size = os.get_terminal_size(0);"
        "print(os.environ['TERM'], size.columns, size.lines, termios.tcgetattr(0)[6][termios.VERASE])"
    )
    assert output_of(run(*python(code), pty=pty)) == "vt100 132 43 b'\\x08'\n"


def test_a_missing_program_is_127(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    permit = permit_of(f"{program}\n", str(program), pty="xterm")
    program.unlink()
    found = finished(begin(permit, Pty("xterm", 80, 24)))
    assert isinstance(found, NotStarted)
    assert found.exit_code == 127
    assert str(program) in found.message


def test_a_program_without_its_interpreter_is_told(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/nonexistent/interpreter\n")
    program.chmod(0o755)
    found = run(f"{program}\n", str(program))
    assert isinstance(found, NotStarted)
    assert found.exit_code == 127


def test_a_missing_directory_is_to_blame_and_not_the_program(run: Run, tmp_path: Path) -> None:
    found = run(f"true\n    cwd {tmp_path}/nowhere\n", "true")
    assert isinstance(found, NotStarted)
    assert "nowhere" in found.message


def test_a_failed_start_leaves_no_descriptor_and_no_zombie(run: Run, tmp_path: Path) -> None:
    """security.md, Processes: "zombies, descriptors left over after 10,000 commands"."""
    before, offspring = sorted(os.listdir("/proc/self/fd")), children()
    for _ in range(20):
        assert isinstance(run(f"true\n    cwd {tmp_path}/nowhere\n", "true"), NotStarted)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert children() == offspring


def test_what_ends_input_is_what_a_person_would_type() -> None:
    import termios
    import tty

    master, slave = os.openpty()
    assert eof_character(slave) == b"\x04"
    set_size(slave, 10, 5)
    assert tuple(os.get_terminal_size(slave)) == (10, 5)
    tty.setraw(slave, termios.TCSANOW)
    assert eof_character(slave) == b""
    os.close(master)
    os.close(slave)

"""security.md: "A terminal is always restored": its screen, mouse, keys and colours too, when a program
that had switched them on is cut off; and nothing else is written to it then."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.prompt.conftest import Terminal
from tests.regress.conftest import CLIENT, Host

SET = r"\033[?1049h\033[?1000;2004h\033[1;5r\033[?25l\033[31m\033="
UNDONE = "\x1b[m\x1b>\x1b[r\x1b[?1000l\x1b[?2004l\x1b[?25h\x1b[?1049l"
WAYS = ["TERM", "HUP", "KILL", "lost", "program", "tilde"]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_program_switched_on_is_switched_off(
    shared_host: Host, make_host: Callable[..., Host], way: str
) -> None:
    """cli.md: "a terminal is raw for the time of the command and always restored"."""
    host = make_host("sh ...\n").start() if way == "lost" else shared_host
    words = f"sh -c 'printf \"{SET}\"; echo $$ in; read x'"
    shell = at_a_shell(host, words)
    try:
        leader = int(shell.wait_for(r"(\d+) in")[1])
        seen = len(shell.seen)
        _cut_off(way, shell, host, leader)
        shell.child.expect_exact("\x1b[?1049l")
        if "end" not in shell.seen[seen:]:  # the guardian and the shell go on at the same time
            shell.wait_for("end")
        assert UNDONE in shell.seen[seen:]
        assert shell.seen[seen:].count("\x1b[") == UNDONE.count("\x1b[")
    finally:
        shell.end()


@pytest.mark.parametrize("code", [0, 1])
def test_a_program_that_ends_by_itself_has_its_way(shared_host: Host, code: int) -> None:
    """`tput smcup` and its like work as they do here."""
    shell = at_a_shell(shared_host, f"sh -c 'printf \"\\033[?25l\"; exit {code}'")
    try:
        shell.wait_for("end\r\n")
        assert "\x1b[?25l" in shell.seen
        assert "\x1b[?25h" not in shell.seen
    finally:
        shell.end()


def test_a_shell_that_reports_the_death_of_its_program_is_cut_off_too(shared_host: Host) -> None:
    inner = "sh -c \"printf '\\033[?25l'; kill -9 \\$\\$\"; exit $?"
    shell = at_a_shell(shared_host, f"sh -c '{inner.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'")
    try:
        shell.wait_for("end\r\n")
        assert "\x1b[?25l" in shell.seen
        assert "\x1b[?25h" in shell.seen
    finally:
        shell.end()


def at_a_shell(host: Host, words: str) -> Terminal:
    """Run a client with -t in a shell that keeps the terminal open after it."""
    line = f"{CLIENT} -t {host.address} {words}; echo end; read x"
    return Terminal(["/bin/sh", "-c", line], host.environment(TERM="xterm"))


def _cut_off(way: str, shell: Terminal, host: Host, leader: int) -> None:
    if way == "lost":
        host.stop(signal.SIGKILL)
    elif way == "program":
        os.kill(leader, signal.SIGKILL)
    elif way == "tilde":
        shell.type("\r~.")
    else:
        children = Path(f"/proc/{shell.child.pid}/task/{shell.child.pid}/children").read_text().split()
        os.kill(int(children[0]), getattr(signal, f"SIG{way}"))

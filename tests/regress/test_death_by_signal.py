"""A command that dies by a signal ends the client with 128 + n and the signal's name."""

from __future__ import annotations

import signal

import pytest

from tests.regress.conftest import Host

DEADLY = ("HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "ALRM", "KILL", "PIPE", "ABRT", "SEGV", "SYS")


@pytest.mark.parametrize("name", DEADLY)
def test_a_death_by_signal_is_told_as_number_and_name(shared_host: Host, name: str) -> None:
    """cli.md: "128 + n: it died by signal n"; "`signal` (a name: "TERM")"."""
    found = shared_host.object("sh", "-c", f"echo before; kill -{name} $$; echo after")
    number = signal.Signals[f"SIG{name}"]
    assert (found["state"], found["signal"], found["exit_code"]) == ("signal", name, 128 + number)
    assert found["stdout"] == "before\n"
    assert found["error"] is None


def test_a_real_time_signal_has_a_name_too(shared_host: Host) -> None:
    """cli.md: "128 + n: it died by signal n"."""
    program = "import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 3)"
    found = shared_host.object("python3", "-c", program)
    assert (found["state"], found["signal"]) == ("signal", "RTMIN+3")
    assert found["exit_code"] == 128 + signal.SIGRTMIN + 3


def test_the_code_of_a_shell_that_saw_a_death_is_no_death(shared_host: Host) -> None:
    """cli.md: "`failed` 1-255": what a program exits with is never taken for a signal."""
    found = shared_host.object("sh", "-c", "exit 143")
    assert (found["state"], found["signal"], found["exit_code"]) == ("failed", None, 143)

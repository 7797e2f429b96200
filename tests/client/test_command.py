"""The last frame of a command, and what it means: whole, or an error."""

from __future__ import annotations

import signal

import pytest

from rexec.client.command import Command, signal_number
from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause, Stream

ENDINGS: list[tuple[f.Frame | None, str, int]] = [
    (f.Exit(Cause.EXITED), "ok", 0),
    (f.Exit(Cause.EXITED, 1), "failed", 1),
    (f.Exit(Cause.EXITED, 255), "failed", 255),
    (f.Exit(Cause.SIGNALLED, 0, "TERM"), "signal", 143),
    (f.Exit(Cause.SIGNALLED, 0, "KILL"), "signal", 137),
    (f.Exit(Cause.TIMEOUT, 0, "TERM"), "timeout", 124),
    (f.Exit(Cause.IDLE), "timeout", 124),
    (f.Exit(Cause.OUTPUT_LIMIT), "ended", 255),
    (f.Exit(Cause.INPUT_LIMIT), "ended", 255),
    (f.Exit(Cause.DRAINED), "ended", 255),
    (f.Exit(Cause.LOST), "lost", 255),
    (f.Exit(Cause.ALREADY_RAN), "lost", 255),
    (f.Exit(Cause.EXITED, stdout=1), "lost", 255),
    (f.Exit(Cause.EXITED, stderr=1), "lost", 255),
    (f.Denied("no", "cmds.txt:1"), "denied", 126),
    (f.Failed(126, "argument list too long", "cmds.txt:1"), "denied", 126),
    (f.Failed(127, "not there", "cmds.txt:1"), "not_found", 127),
    (f.Failed(0, "odd", "cmds.txt:1"), "denied", 126),
    (None, "lost", 255),
]


@pytest.mark.parametrize(("last", "state", "code"), ENDINGS)
def test_an_ending_has_its_state_and_exit_code(last: f.Frame | None, state: str, code: int) -> None:
    command = Command(1, None, MemorySink(), MemorySink())
    command.take(f.Started("cmds.txt:1"))
    if last is not None:
        command.take(last)
    result = command.result()
    assert (result.state, result.exit_code) == (state, code)
    assert (result.error is None) == (state in ("ok", "failed", "signal"))


@pytest.mark.parametrize("cause", list(Cause))
def test_no_cause_but_a_whole_exit_is_a_success(cause: Cause) -> None:
    """cli.md: "no exit frame with matching byte counts means 255 and `rexec: output incomplete`"."""
    command = Command(1, None, MemorySink(), MemorySink())
    command.received[Stream.STDOUT] = 3
    command.take(f.Exit(cause, stdout=4))
    assert (command.result().exit_code, command.result().error) == (255, "output incomplete at byte 3")


def test_a_stream_that_we_stopped_ourselves_is_not_counted() -> None:
    command = Command(1, None, MemorySink(), MemorySink())
    command.stopped.add(Stream.STDOUT)
    command.take(f.Exit(Cause.EXITED, stdout=99))
    assert command.result().state == "ok"


def test_a_command_is_over_when_its_output_is_handed_on() -> None:
    sink = MemorySink()
    command = Command(1, None, sink, MemorySink())
    sink.pending = 1
    assert not command.is_over
    command.take(f.Exit(Cause.EXITED))
    assert not command.is_over
    sink.pending = 0
    assert command.is_over


NUMBERS = {
    "HUP": 1, "TERM": 15, "RTMIN": signal.SIGRTMIN, "RTMIN+1": signal.SIGRTMIN + 1, "RTMAX": signal.SIGRTMAX,
    "RTMIN+30": signal.SIGRTMAX, "RTMIN+31": 0, "RTMIN+94": 0, "RTMIN+" + "9" * 5_000: 0, "RTMIN+": 0,
    "RTMIN+\u0661": 0, "": 0, "_DFL": 0, "_IGN": 0, "term": 0, "SIGTERM": 0, "15": 0, "\x1b[2J": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_a_signal_of_this_system_has_its_number_and_any_other_none(name: str) -> None:
    assert signal_number(name) == NUMBERS[name]


@pytest.mark.parametrize("cause", list(Cause))
def test_what_is_gone_is_never_a_success(cause: Cause) -> None:
    command = Command(1, None, MemorySink(), MemorySink())
    command.take(f.Started("cmds.txt:1"))
    command.take(f.Exit(cause, output_kept=False))
    assert (command.result().state, command.result().exit_code) == ("lost", 255)
    assert "output incomplete" not in str(command.result().error)
    command.received[Stream.STDOUT] = 3
    assert str(command.result().error).endswith("; output incomplete at byte 3")


# --- asked for again ------------------------------------------------------------------------------

EXEC = f.Exec(7, f.Form.ARGV, (b"cat",))


def asked(frame: f.Exec | f.Query = EXEC) -> Command:
    command = Command(1, None, MemorySink(), MemorySink())
    command.asked = frame
    return command


def test_what_was_not_seen_is_asked_for_as_it_was() -> None:
    command = asked()
    assert command.again() == EXEC
    command.take(f.Started("cmds.txt:1"))
    assert command.again() == EXEC
    assert not command.started


def test_what_was_seen_is_only_asked_about() -> None:
    command = asked()
    command.take(f.Started("cmds.txt:1"))
    command.received[Stream.STDERR] = 3
    assert command.again() == EXEC.replace(stderr_from=3)
    command.received[Stream.STDOUT] = 2
    assert command.again() == EXEC.replace(stdout_from=2, stderr_from=3)
    assert command.is_only_asked_about


def test_input_that_was_sent_cannot_be_sent_again() -> None:
    command = asked()
    command.is_fed = True
    assert command.again() == EXEC.replace(stdout_from=1)


def test_nobody_asks_for_what_nobody_waits_for() -> None:
    command = asked()
    command.is_abandoned = True
    assert command.again() is None
    assert Command(1, None, MemorySink(), MemorySink()).again() is None


def test_a_question_is_asked_again_unless_half_of_the_answer_came() -> None:
    command = asked(f.Query("list"))
    assert command.again() == f.Query("list")
    command.received[Stream.STDOUT] = 1
    assert command.again() is None

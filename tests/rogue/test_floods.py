"""What somebody with a key can pour into the server: windows hold, and its memory stays flat."""

from __future__ import annotations

import os
import struct

import pytest

from tests.rogue import wire
from tests.rogue.client import Rogue
from tests.rogue.conftest import Target, until
from tests.rogue.sayings import shown_out

KIB = 1024


def running(target: Target, *words: bytes) -> Rogue:
    friend = target.friend()
    friend.exec(*words)
    friend.expect(wire.STARTED, 1)
    return friend


def test_data_beyond_the_window_ends_the_connection(target: Target) -> None:
    """security.md, Processes: "memory flat": nobody sends more than he was granted."""
    with running(target, b"sleep", b"100") as friend:
        piece = wire.frame(wire.STDIN, bytes(64 * KIB), channel=1)
        friend.try_to_send(piece * 4)
        friend.pong()
        # The pipe took some and was credited for it: one MiB at most, and no window is larger than four.
        friend.try_to_send(piece * 100)
        assert shown_out(friend) == b"data beyond the window"


STREAMS: dict[str, tuple[bytes, bytes]] = {
    "empty data": (wire.frame(wire.STDIN, channel=1), b"empty data frame"),
    "a second end": (wire.frame(wire.EOF, b"\0", channel=1) * 2, b"a stream ends twice"),
    "data after the end": (
        wire.frame(wire.EOF, b"\0", channel=1) + wire.frame(wire.STDIN, b"x", channel=1),
        b"data after the end of its stream",
    ),
    "the end of stdout": (wire.frame(wire.EOF, b"\1", channel=1), b"stdout is not the peer's to send"),
    "no such stream": (wire.frame(wire.EOF, b"\3", channel=1), b"unknown stream 3"),
    "credit for stdin": (
        wire.frame(wire.CREDIT, wire.credit(0, 1 << 20), channel=1),
        b"stdin is not the peer's to receive",
    ),
    "credit backwards": (wire.frame(wire.CREDIT, wire.credit(1, 0), channel=1), b"credit went backwards"),
    "credit without bounds": (
        wire.frame(wire.CREDIT, wire.credit(1, (1 << 64) - 1), channel=1),
        b"credit is beyond the maximum",
    ),
    "a second stop": (wire.frame(wire.STOP, b"\1", channel=1) * 2, b"a stream is stopped twice"),
    "the stop of stdin": (wire.frame(wire.STOP, b"\0", channel=1), b"stdin is not the peer's to receive"),
    "an ack of nothing": (wire.frame(wire.ACK, struct.pack("!Q", 1 << 40)), b"frames acknowledged"),
    "a pong of nothing": (wire.frame(wire.PONG, b""), b"field runs past"),
    "text that is none": (wire.frame(wire.SIGNAL, wire.string(b"\xff"), channel=1), b"text is not UTF-8"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_follow_their_rules_or_the_connection_ends(target: Target, name: str) -> None:
    """security.md, Protocol: "out of order, after the end"."""
    sent, message = STREAMS[name]
    with running(target, b"sleep", b"100") as friend:
        friend.send(sent)
        assert message in shown_out(friend)


def test_input_in_single_bytes_costs_no_more_than_input_at_once(target: Target) -> None:
    """security.md, Protocol: "a million empty frames ...: the server's memory stays flat"."""
    with running(target, b"sleep", b"100") as friend:
        before = target.memory()
        one = wire.frame(wire.STDIN, b"x", channel=1)
        for _ in range(80):
            friend.send(one * KIB)
        friend.pong()
        assert target.memory() - before < 8 << 20


def test_two_hundred_thousand_frames_that_say_nothing_leave_the_memory_flat(target: Target) -> None:
    """security.md, Protocol: "a million empty frames: the server's memory stays flat"."""
    with target.friend() as friend:
        assert friend.is_alive()
        before = target.memory()
        for kind, channel, flags in ((99, 1, 0x80), (11, 0, 0x80), (wire.RESIZE, 9, 0), (wire.EOF, 8, 0)):
            body = {wire.RESIZE: bytes(8), wire.EOF: b"\0"}.get(kind, b"")
            flood = wire.frame(kind, body, channel=channel, flags=flags) * 5_000
            for _ in range(10):
                friend.send(flood)
        friend.pong()
        assert target.memory() - before < 8 << 20
        assert friend.is_alive()


def test_a_client_that_pings_and_never_reads_is_not_read_any_more(target: Target) -> None:
    """security.md, Processes: "Output flood with a client that does not read: ... memory flat"."""
    with target.friend() as friend:
        before = target.memory()
        friend.socket.settimeout(0.5)
        flood = wire.frame(wire.PING, bytes(8)) * 20_000
        sent = 0
        while sent < 64 << 20 and friend.try_to_send(flood):
            sent += len(flood)
        assert sent < 64 << 20
        assert target.works()
        assert target.memory() - before < 16 << 20


def test_credits_and_stops_in_masses_cost_nothing(target: Target) -> None:
    with running(target, b"cat") as friend:
        before = target.memory()
        for offset in range(50):
            friend.send(wire.frame(wire.CREDIT, wire.credit(1, (256 + offset) * KIB), channel=1) * 500)
        friend.send(wire.frame(wire.EOF, b"\0", channel=1))
        assert friend.outcome()[0] == wire.EXIT
        assert target.memory() - before < 8 << 20


def test_odd_signals_reach_nobody(target: Target) -> None:
    """security.md, Processes: names are looked up in a list, and nowhere else."""
    with running(target, b"cat") as friend:
        for name in (
            b"",
            b"KILLX",
            b"SIGKILL",
            b"kill",
            b"9",
            b"SEGV",
            b"RTMIN+1",
            b"_DFL",
            b"\0",
            b"x" * 60_000,
        ):
            friend.send(wire.frame(wire.SIGNAL, wire.string(name), channel=1))
        friend.send(wire.frame(wire.STDIN, b"still here", channel=1), wire.frame(wire.EOF, b"\0", channel=1))
        kind, body, output = friend.outcome()
        assert (kind, wire.Exit(body).status, output) == (wire.EXIT, 0, b"still here")
    with running(target, b"cat") as friend:
        friend.send(wire.frame(wire.SIGNAL, wire.string(b"USR1"), channel=1))
        assert wire.Exit(friend.outcome()[1]).signal == b"USR1"


def test_an_offset_that_was_never_reached_starts_nothing(target: Target) -> None:
    """security.md, Protocol: "Resume: ... a counter ahead of the truth"."""
    with target.friend() as friend:
        for offset in (1, 1 << 40, (1 << 64) - 1):
            kind, body, output = friend.run(b"echo", b"whole", stdout_from=offset)
            assert (kind, wire.Exit(body).cause, output) == (wire.EXIT, 6, b"")  # LOST
            assert friend.is_alive()


def test_a_client_that_is_stopped_stops_its_own_command_alone(target: Target) -> None:
    """security.md, Processes: "Output flood with a client that does not read: the child blocks, memory
    flat"."""
    with running(target, b"sh", b"-c", b"echo $$; exec cat /dev/zero") as flooded:
        before = target.memory()
        child = int(flooded.expect(wire.STDOUT, 1).partition(b"\n")[0])
        assert until(lambda: _is_asleep(child))
        assert target.works()
        assert target.memory() - before < 8 << 20
    assert until(lambda: not os.path.exists(f"/proc/{child}"))


def _is_asleep(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"

"""Commands on a connection in memory: what the server sends, and what each command learns of it."""

from __future__ import annotations

import pytest

from rexec.client.command import Command
from rexec.client.dispatch import SIGNALS_KEPT, Dispatch, Farewell
from rexec.client.streams import HeldSink, MemorySink, MemorySource
from rexec.errors import ConnectionLost, RexecError
from rexec.limits import CHANNELS_PER_SESSION, NONCE, SESSION_ID
from rexec.protocol import frames as f
from rexec.protocol.connection import RESUME, Connection
from rexec.protocol.frames import Cause, Form, Stream
from rexec.protocol.state import Role

TRUE = f.Exec(0, Form.ARGV, (b"true",))


class Line(Dispatch):
    """A client in memory, and the server's core at the other end."""

    def __init__(self, *features: str) -> None:
        super().__init__(Connection(Role.CLIENT), "alice")
        self.clogged = False
        self.heard: list[tuple[int, f.Frame]] = []
        self.greet(features)

    def greet(self, features: tuple[str, ...]) -> None:
        self.server = Connection(Role.SERVER)
        self._queue(self.connection.send(f.ClientHello(bytes(SESSION_ID), features=features)))
        self.connection.receive_data(self.server.send(f.ServerHello(bytes(NONCE), features=features)))
        self._queue(self.connection.send(f.Proof("publickey", "", b"")))
        self.connection.receive_data(self.server.accept(f.Welcome("alice")))
        self.pump()
        self.heard.clear()

    def _queue(self, data: bytes) -> None:
        self.server.receive_data(data)
        while (event := self.server.next_event()) is not None:
            self.heard.append(event)

    def _is_clogged(self) -> bool:
        return self.clogged

    def pump(self) -> None:
        self._guard(self._events)

    def come_back(self, *features: str) -> None:
        """Lose the connection, and make another to a server that knows the session no more."""
        self.connection = Connection(Role.CLIENT, self.connection.session)
        self.greet(features)
        self._ask_again("connection lost")

    def say(self, frame: f.Frame, channel: int = 0) -> None:
        self.connection.receive_data(self.server.send(frame, channel))
        self.pump()

    def feed(self, command: Command) -> bool:
        return self._feed(command)

    def begin(self, source: MemorySource | None = None) -> Command:
        command = self.start(TRUE, source, MemorySink(), HeldSink())
        self.say(f.Started("cmds.txt:1"), command.channel)
        return command


def exit_frame(stdout: int = 0) -> f.Exit:
    return f.Exit(Cause.EXITED, stdout=stdout)


def test_a_ping_is_answered() -> None:
    line = Line()
    line.say(f.Ping(7))
    assert line.heard == [(0, f.Pong(7))]


def test_a_goodbye_is_the_end_of_every_command() -> None:
    line = Line()
    command = line.begin()
    line.say(f.Goodbye(f.Farewell.DRAINING, "the server is stopping"))
    assert command.result().error == "the server is stopping; output incomplete at byte 0"
    with pytest.raises(ConnectionLost, match="the server is stopping"):
        line.start(TRUE, None, MemorySink(), MemorySink())


def test_a_broken_protocol_is_the_end_of_every_command_and_the_server_is_told() -> None:
    line = Line()
    command = line.begin()
    line.connection.receive_data(b"\xff" * 64)
    line.pump()
    assert command.result().state == "lost"
    assert isinstance(line.heard[-1][1], f.Goodbye)


def test_what_is_for_a_person_is_told_and_is_no_output() -> None:
    line = Line()
    command = line.begin()
    line.say(f.Notice("nobody hears it"), command.channel)
    told: list[str] = []
    line.noticed = told.append
    line.say(f.Notice("cmds.txt:4 is noexec"), command.channel)
    assert told == ["cmds.txt:4 is noexec"]
    assert sum(command.received.values()) == 0


def test_more_commands_than_channels_are_refused_here() -> None:
    line = Line()
    commands = [line.start(TRUE, None, MemorySink(), MemorySink()) for _ in range(CHANNELS_PER_SESSION)]
    assert len({command.channel for command in commands}) == CHANNELS_PER_SESSION
    with pytest.raises(RexecError, match="commands at once"):
        line.start(TRUE, None, MemorySink(), MemorySink())
    line.say(f.Denied("no"), commands[0].channel)
    assert line.start(TRUE, None, MemorySink(), MemorySink()).channel not in range(
        2, CHANNELS_PER_SESSION + 1
    )


def test_channels_go_round_and_pass_over_those_in_use() -> None:
    line = Line()
    first = line.begin()
    line.adopt(Command(65_533, None, MemorySink(), MemorySink()))
    channels = [line.start(TRUE, None, MemorySink(), MemorySink()).channel for _ in range(3)]
    assert (first.channel, channels) == (1, [65_534, 65_535, 2])


def test_input_waits_for_the_start_the_window_and_the_wire() -> None:
    line = Line()
    command = line.start(TRUE, MemorySource(b"x"), MemorySink(), MemorySink())
    assert not line.feed(command)
    line.say(f.Started("cmds.txt:1"), command.channel)
    line.clogged = True
    assert not line.feed(command)
    line.clogged = False
    line.heard.clear()
    assert (line.feed(command), line.feed(command), line.feed(command)) == (True, True, False)
    assert [frame for _, frame in line.heard] == [f.Stdin(b"x"), f.Eof(Stream.STDIN)]


def test_output_that_is_short_is_lost_however_its_reader_ends() -> None:
    """security.md, Protocol, TLS, authentication: "a dropped tail"."""
    line = Line()
    command = line.begin()
    line.say(exit_frame(stdout=5), command.channel)
    assert command.result().error == "output incomplete at byte 0"
    line.discard(command, Stream.STDOUT)
    line.abandon(command)
    assert command.result().state == "lost"


def test_what_is_held_is_credited_when_it_is_taken() -> None:
    line = Line()
    command = line.begin()
    piece = b"e" * 200_000
    line.heard.clear()
    line.say(f.Stderr(piece), command.channel)
    assert line.heard == []
    assert command.is_held(Stream.STDERR)
    assert line.take(command, Stream.STDERR) == piece
    assert isinstance(line.heard[0][1], f.Credit)
    assert line.take(command, Stream.STDERR) == line.take(command, Stream.STDOUT) == b""


def test_an_abandoned_command_is_stopped_and_signalled_once() -> None:
    line = Line()
    command = line.begin(MemorySource(b"x"))
    line.heard.clear()
    line.abandon(command)
    assert {type(frame) for _, frame in line.heard} == {f.Stop, f.Signal}
    assert not line.feed(command)
    line.say(exit_frame(), command.channel)
    line.heard.clear()
    line.abandon(command)
    assert line.heard == []


# --- a server that knows the session no more ------------------------------------------------------


def test_what_has_no_end_is_asked_for_again_with_all_that_was_said_to_it() -> None:
    line = Line(RESUME)
    first = line.begin()
    line.say(f.Stdout(b"x"), first.channel)
    second = line.start(TRUE, None, MemorySink(), MemorySink())
    third = line.start(TRUE, None, MemorySink(), MemorySink())
    line.finish(second)
    line.stop(second, Stream.STDERR)
    line.resize(second, f.Resize(80, 24))
    line.resize(second, f.Resize(90, 30))
    for _ in range(2 * SIGNALS_KEPT):
        line.signal(second, "USR1")
    line.say(exit_frame(), third.channel)
    line.come_back(RESUME)
    signals = [f.Signal("USR1")] * SIGNALS_KEPT
    said = [f.Stop(Stream.STDERR), f.Eof(Stream.STDIN), f.Resize(90, 30), *signals]
    assert line.heard == [
        (first.channel, TRUE.replace(id=1, stdout_from=1)),
        (second.channel, TRUE.replace(id=2)),
        *((second.channel, frame) for frame in said),
    ]
    line.say(f.Exit(Cause.ALREADY_RAN, 3, output_kept=False), first.channel)
    assert first.result().error == "already ran, status 3; output incomplete at byte 1"
    line.say(f.Started("cmds.txt:1"), second.channel)
    line.say(f.Exit(Cause.EXITED, 4), second.channel)
    assert second.result().exit_code == 4
    assert line.start(TRUE, None, MemorySink(), MemorySink()) is not None
    assert line.heard[-1][1] == TRUE.replace(id=4)


def test_output_that_is_held_is_not_credited_to_what_is_only_asked_about() -> None:
    line = Line(RESUME)
    command = line.begin()
    line.say(f.Stderr(b"held"), command.channel)
    line.come_back(RESUME)
    line.heard.clear()
    assert line.take(command, Stream.STDERR) == b"held"
    assert line.heard == []


def test_a_server_that_tells_nothing_is_asked_nothing() -> None:
    line = Line(RESUME)
    command = line.begin()
    line.come_back()
    assert line.heard == []
    why = "connection lost; the server knows the session no more; output incomplete at byte 0"
    assert command.result().error == why


def test_who_comes_back_after_a_goodbye() -> None:
    """Only a server that is started anew is sought again, and only by who has something to ask."""
    line = Line(RESUME)
    draining, done = Farewell(""), Farewell("")
    draining.is_draining = True
    assert line._is_final(draining)
    assert not line._is_final(ConnectionLost(""))
    line.start(TRUE, None, MemorySink(), MemorySink())
    assert not line._is_final(draining)
    assert line._is_final(done)

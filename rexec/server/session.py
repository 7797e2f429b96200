"""One authenticated conversation: frames to commands, and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import FIRST_WORD, IDS_MAX, KEEPALIVE_IDLE, KEEPALIVE_TIMEOUT
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause, Farewell, Stream
from rexec.server import orders
from rexec.server.command import Command
from rexec.transport.link import mapped

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.protocol.connection import Connection
    from rexec.server.desk import Desk
    from rexec.server.listener import Listener
    from rexec.server.orders import Message
    from rexec.transport.link import Link


class Session:
    """The owner of a link whose client was welcomed."""

    def __init__(
        self, listener: Listener, link: Link, connection: Connection, number: int, user: str
    ) -> None:
        self.listener = listener
        self.desk: Desk = listener.desk
        self.log: Log = listener.log
        self.loop = asyncio.get_running_loop()
        self.link = link
        self.connection = connection
        self.number = number
        self.user = user
        self.gone = False
        self._commands: dict[int, Command] = {}
        self._asked: set[int] = set()  # channels whose question is with the runner
        self._answers: dict[int, tuple[memoryview, int]] = {}
        self._ids: dict[int, int] = {}  # Exec id -> hash of its contents, the latest IDS_MAX
        self._last_id = -1  # at and below it, what was asked is forgotten and only known to have been
        self._flowing = True
        self._heard = self._began = self.loop.time()
        self._has_asked = False
        self._pinged = False
        self._timer = self.loop.call_later(KEEPALIVE_IDLE, self._keepalive)
        self._first_word: asyncio.TimerHandle | None = None  # how long a stop waits for it
        link.owner = self

    # --- the link -----------------------------------------------------------------------------

    def opened(self) -> None:
        raise AssertionError("a session begins on an open link")

    def received(self, data: memoryview) -> None:
        self._heard = self.loop.time()
        self._pinged = False
        self.follow(data)

    def follow(self, data: bytes | memoryview = b"") -> None:
        """Take bytes and do what their frames say; a client that breaks the protocol is gone."""
        try:
            self.connection.receive_data(data)
            while not self.gone and (event := self.connection.next_event()) is not None:
                self._frame(*event)
        except RemoteProtocolError as error:
            self._part(Farewell.PROTOCOL_ERROR, str(error))

    def ended(self) -> None:
        self._leave("end of file")

    def writable(self, yes: bool) -> None:
        self._flowing = yes
        for command in tuple(self._commands.values()):
            command.writable(yes)

    def lost(self, error: Exception | None) -> None:
        self._leave(mapped(error))
        self.listener.link_gone(self.link)

    # --- for the commands ---------------------------------------------------------------------

    def may_send(self) -> bool:
        return self._flowing and not self.gone and not self.connection.session.full

    def room(self, channel: int, stream: Stream) -> int:
        return self.connection.session.room(channel, stream)

    def send(self, frame: f.Frame, channel: int = 0) -> None:
        self.link.write(self.connection.send(frame, channel))

    def send_data(self, channel: int, stream: Stream, view: memoryview) -> None:
        if self.connection.send_data(channel, stream, view):
            self.link.write(view)

    def consume(self, channel: int, stream: Stream, size: int) -> None:
        if not self.gone:
            self.link.write(self.connection.consume(channel, stream, size))

    def forget(self, command: Command) -> None:
        if self._commands.get(command.channel) is command:
            del self._commands[command.channel]
        self._one_less()

    def _one_less(self) -> None:
        """Look whether this was the last that a server on its way out waited for."""
        self.listener.look_again()

    # --- frames -------------------------------------------------------------------------------

    def _frame(self, channel: int, frame: f.Frame) -> None:
        match frame:
            case f.Exec():
                self._exec(channel, frame)
            case f.Query():
                self._query(channel, frame)
            case f.Ping():
                self.send(f.Pong(frame.token))
            case f.Pong():
                pass  # that it came is all it says
            case f.Goodbye():
                self._leave("goodbye")
            case f.Credit() if channel in self._answers:
                self._answer(channel)
            case f.Stop(stream=Stream.STDOUT) if channel in self._answers:
                self._answers.pop(channel)
                self.send(f.Exit(Cause.EXITED, truncated=True), channel)
                self._one_less()
            case _:
                command = self._commands.get(channel)
                if command is not None:
                    command.frame(frame)

    def _exec(self, channel: int, frame: f.Exec) -> None:
        answer = self._repeated(frame)
        if answer is not None:
            self.send(answer, channel)
            return
        if self.listener.draining and self._has_asked:
            self.send(f.Exit(Cause.DRAINED, message="the server is stopping"), channel)
            return
        if self.desk.is_clogged:
            self.send(f.Denied("the server is busy"), channel)
            return
        self._has_asked = True
        command = Command(self, channel, self.desk.number())
        self._commands[channel] = command
        order = orders.Start(
            self.number, command.child, frame.form, frame.words, frame.env, frame.cwd,
            frame.timeout_ms, frame.stdin, frame.pty, _unknown(frame), frame.receipt,
            frame.confirm, frame.offered,
        )  # fmt: skip
        self.desk.start(order, command)

    def _repeated(self, frame: f.Exec) -> f.Frame | None:
        """Return the answer to an Exec whose id was used before: nothing is ever started twice."""
        contents = hash(frame)
        known = self._ids.get(frame.id)
        if known is not None and known != contents:
            raise RemoteProtocolError(f"Exec {frame.id} came again with other contents")
        if known is not None or frame.id <= self._last_id:
            return f.Exit(Cause.ALREADY_RAN, output_kept=False)
        self._ids[frame.id] = contents
        if len(self._ids) > IDS_MAX:
            self._last_id = next(iter(self._ids))
            del self._ids[self._last_id]
        return None

    def _query(self, channel: int, frame: f.Query) -> None:
        question = orders.Ask(
            self.number, self.desk.number(), frame.subject, frame.words, frame.pty, frame.cwd, frame.env
        )
        self._has_asked = True
        self._asked.add(channel)
        self.desk.ask(question, lambda report: self._answered(channel, report))

    def _answered(self, channel: int, report: Message) -> None:
        assert isinstance(report, orders.Answer)
        self._asked.discard(channel)
        if self.gone:
            return
        if report.known:
            self._answers[channel] = (memoryview(report.body), 0)
            self._answer(channel)
        else:
            self.send(f.Denied(report.body.decode()), channel)
            self._one_less()

    def _answer(self, channel: int) -> None:
        """Send of an answer what the window takes; the Exit follows the last of it."""
        body, sent = self._answers[channel]
        while sent < len(body) and (room := min(self.room(channel, Stream.STDOUT), 64 * 1024)):
            chunk = bytes(body[sent : sent + room])
            self.send(f.Stdout(chunk), channel)
            sent += len(chunk)
        if sent < len(body):
            self._answers[channel] = (body, sent)
            return
        del self._answers[channel]
        self.send(f.Exit(Cause.EXITED, stdout=sent), channel)
        self._one_less()

    # --- the end ------------------------------------------------------------------------------

    def _keepalive(self) -> None:
        silence = self.loop.time() - self._heard
        if self._pinged and silence >= KEEPALIVE_IDLE + KEEPALIVE_TIMEOUT:
            self._part(Farewell.NO_ANSWER, "no answer")
            return
        if silence >= KEEPALIVE_IDLE and not self._pinged:
            self._pinged = True
            self.send(f.Ping(0))
        due = KEEPALIVE_TIMEOUT if self._pinged else KEEPALIVE_IDLE - silence
        self._timer = self.loop.call_later(max(due, 0.1), self._keepalive)

    def drain(self, *, now: bool) -> None:
        """Say goodbye to a client that waits for nothing; end its commands where it has to be `now`."""
        if now:
            self._asked.clear()
            self._answers.clear()
            for command in tuple(self._commands.values()):
                command.leave(Cause.DRAINED)
        elif self._may_speak_first():
            return
        if not self._commands and not self._asked and not self._answers:
            self._part(Farewell.DRAINING, "the server is stopping")

    def _may_speak_first(self) -> bool:
        """Whether a client came in so lately that its first command may be on its way: it is not lost."""
        left = 0.0 if self._has_asked else self._began + FIRST_WORD - self.loop.time()
        if left > 0 and self._first_word is None:
            self._first_word = self.loop.call_later(left, self.listener.check_drained)
        return left > 0

    def _part(self, reason: Farewell, message: str) -> None:
        """Say why, and end the connection."""
        if self.gone:
            return
        try:
            self.send(f.Goodbye(reason, message))
        except LocalProtocolError:
            pass  # the peer said goodbye first
        self.link.close()
        self._leave(message)

    def _leave(self, why: str) -> None:
        """The client is gone: so is every command of it."""
        if self.gone:
            return
        self.gone = True
        self._timer.cancel()
        if self._first_word is not None:
            self._first_word.cancel()
        self.log.event("left", user=self.user, running=len(self._commands), why=why)
        for command in tuple(self._commands.values()):
            command.abandon()
        self._commands.clear()
        self._answers.clear()
        self.desk.order(orders.Leave(self.number))
        self.link.close()
        self.listener.left(self)


def _unknown(frame: f.Exec) -> str:
    """Name what an Exec asks for that the runner is to deny."""
    if frame.detach:
        return "detach commands"
    return "attach to commands" if frame.stdout_from or frame.stderr_from else ""

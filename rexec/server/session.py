"""One authenticated conversation: frames to commands, and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import ACK_DELAY, ANSWERS_MAX, FIRST_WORD
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause, Farewell, Stream
from rexec.server import orders
from rexec.server.command import Command
from rexec.server.ids import Ids
from rexec.server.parking import Leaving, Nowhere, is_silence, patience
from rexec.transport.link import mapped
from rexec.transport.outbox import Outbox

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.protocol.connection import Connection
    from rexec.server.desk import Desk
    from rexec.server.listener import Listener
    from rexec.server.orders import Message
    from rexec.server.parking import Name
    from rexec.transport.link import Link


_NOTHING = memoryview(b"")
SILENCES = 2  # of the time before a ping, that a client has to answer it


class Session:
    """The owner of a link whose client was welcomed; one with a name can do without a link for a while."""

    def __init__(
        self,
        listener: Listener,
        link: Link,
        connection: Connection,
        number: int,
        user: str,
        name: Name | None = None,
    ) -> None:
        self.listener = listener
        self.desk: Desk = listener.desk
        self.log: Log = listener.log
        self.loop = asyncio.get_running_loop()
        self.link: Link | Nowhere = link
        self.connection = connection
        self.number = number
        self.user = user
        self.gone = False
        self.is_parked = False
        self._name = name
        self._outbox = Outbox(self.loop, lambda data: self.link.write(data))
        self._keepalive_after = listener.service.keepalive
        self._ack_timer: asyncio.TimerHandle | None = None
        self._parked_at = 0.0
        self._ends: list[asyncio.TimerHandle] = []  # of commands that wait less long than the session
        self._commands: dict[int, Command] = {}
        self._asked: set[int] = set()  # channels whose question is with the runner
        self._answers: dict[int, tuple[memoryview, int]] = {}
        self._ids = Ids(are_asked_again=name is not None)
        self._flowing = True
        self._heard = self._began = self.loop.time()
        self._has_asked = False
        self._pinged = False
        self._timer = self.loop.call_later(self._keepalive_after, self._keepalive)
        self._first_word: asyncio.TimerHandle | None = None  # how long a stop waits for it
        link.owner = self
        if name is not None:
            listener.parking.know(name, self)

    # --- the link -----------------------------------------------------------------------------

    def opened(self) -> None:
        raise AssertionError("a session begins on an open link")

    @property
    def place(self) -> memoryview | None:
        return self.connection.place

    def received(self, data: memoryview) -> None:
        self._heard = self.loop.time()
        self._pinged = False
        self.desk.gather()
        try:
            self.follow(data)
        finally:
            self.desk.send()

    def follow(self, data: memoryview = _NOTHING) -> None:
        """Take bytes and do what their frames say; a client that breaks the protocol is gone."""
        core = self.connection.session
        was_full = core.full
        try:
            self.connection.receive_here(data)
            while not self.gone and (event := self.connection.next_event()) is not None:
                self._frame(*event)
        except RemoteProtocolError as error:
            self.part(Farewell.PROTOCOL_ERROR, str(error))
            return
        if was_full and not core.full and self._flowing:
            self.writable(True)
        if core.ack_due:
            self._acknowledge()
        elif core.ack_pending and self._ack_timer is None:
            self._ack_timer = self.loop.call_later(ACK_DELAY, self._acknowledge)

    def _acknowledge(self) -> None:
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if not self.gone:
            self._outbox.put(self.connection.acknowledge())

    def ended(self) -> None:
        self._sever("end of file", silence=False)

    def writable(self, yes: bool) -> None:
        self._flowing = yes
        for command in tuple(self._commands.values()):
            command.writable(yes)
        for channel in tuple(self._answers) if yes else ():
            self._answer(channel)

    def lost(self, error: Exception | None) -> None:
        link = self.link
        self._sever(mapped(error), silence=is_silence(error))
        assert not isinstance(link, Nowhere)
        self.listener.link_gone(link)
        self.link = Nowhere()

    # --- for the commands ---------------------------------------------------------------------

    def may_send(self) -> bool:
        if self.is_parked and not self.listener.parking.has_room(self):
            return False
        return self._flowing and not self.gone and not self.connection.session.full

    def room(self, channel: int, stream: Stream) -> int:
        return self.connection.session.room(channel, stream)

    def send(self, frame: f.Frame, channel: int = 0, *, hurry: bool = True) -> None:
        """Send a frame; where only one command runs, a client that is awake is worth more than company."""
        self._outbox.put(self.connection.send(frame, channel), hurry=hurry or len(self._commands) == 1)

    def send_data(self, channel: int, stream: Stream, view: memoryview) -> None:
        if data := self.connection.send_data(channel, stream, view):
            if self.is_parked:
                self.listener.parking.keep(self, len(data))
            self._outbox.flush()
            self.link.write(data)

    def consume(self, channel: int, stream: Stream, size: int) -> None:
        if not self.gone:
            self._outbox.put(self.connection.consume(channel, stream, size))

    def forget(self, command: Command) -> None:
        if self._commands.get(command.channel) is command:
            del self._commands[command.channel]
        self._ids.over(command.number, self.connection.session.sent)
        self.listener.look_again()

    # --- frames -------------------------------------------------------------------------------

    def _frame(self, channel: int, frame: f.Frame) -> None:
        command = self._commands.get(channel)
        if command is not None and isinstance(frame, f.Data):
            command.take(frame)
            return
        match frame:
            case f.Exec():
                self._exec(channel, frame)
            case f.Query():
                self._query(channel, frame)
            case f.Ping():
                self.send(f.Pong(frame.token))
            case f.Goodbye():
                self.leave("goodbye", self._ids.all())
            case f.Credit() if channel in self._answers:
                self._answer(channel)
            case f.Stop(stream=Stream.STDOUT) if channel in self._answers:
                self._answers.pop(channel)
                self.send(f.Exit(Cause.EXITED, truncated=True), channel)
                self.listener.look_again()
            case _ if command is not None:
                command.frame(frame)
            case _:
                pass  # a Pong: that it came is all it says

    def _exec(self, channel: int, frame: f.Exec) -> None:
        is_known = self._ids.is_known(frame)
        if is_known and self._name is None:
            self.send(f.Exit(Cause.ALREADY_RAN, output_kept=False), channel)
            return
        if self.listener.draining and self._has_asked:
            self.send(f.Exit(Cause.DRAINED, message="the server is stopping"), channel)
            return
        if self.desk.is_clogged:
            self.send(f.Denied("the server is busy"), channel)
            return
        self._has_asked = True
        command = Command(self, channel, self.desk.number(), frame.id)
        self._commands[channel] = command
        begun = is_known or bool(frame.stdout_from or frame.stderr_from)
        settled = self._ids.settled(self.connection.session.confirmed)
        unknown = "give receipts for detached commands" if frame.detach and frame.receipt else ""
        order = orders.Start(
            self.number, command.child, frame.form, frame.words, frame.env, frame.cwd,
            frame.timeout_ms, frame.stdin, frame.pty, unknown, frame.receipt,
            frame.confirm, frame.offered, frame.id, begun, settled, frame.detach,
        )  # fmt: skip
        self.desk.start(order, command)

    def _query(self, channel: int, frame: f.Query) -> None:
        if self.desk.is_clogged:
            self.send(f.Denied("the server is busy"), channel)
            return
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
        waiting = sum([len(body) for body, _ in self._answers.values()])
        if report.known and waiting <= ANSWERS_MAX:
            self._answers[channel] = (memoryview(report.body), 0)
            self._answer(channel)
        else:
            why = "too many answers wait to be read" if report.known else report.body.decode()
            self.send(f.Denied(why), channel)
            self.listener.look_again()

    def _answer(self, channel: int) -> None:
        """Send of an answer what window and link take; the Exit follows the last of it."""
        body, sent = self._answers[channel]
        while sent < len(body) and self.may_send() and (room := self.room(channel, Stream.STDOUT)):
            chunk = bytes(body[sent : sent + min(room, 64 * 1024)])
            self.send(f.Stdout(chunk), channel)
            sent += len(chunk)
        if sent < len(body):
            self._answers[channel] = (body, sent)
            return
        del self._answers[channel]
        self.send(f.Exit(Cause.EXITED, stdout=sent), channel)
        self.listener.look_again()

    # --- without a link -----------------------------------------------------------------------

    def _sever(self, why: str, *, silence: bool) -> None:
        """Do without a link for a while, where the client may come back; else it is gone."""
        if self.gone or self.is_parked:
            return
        service = self.listener.service
        server = service.silence if silence else service.reset
        waits = {c: patience(c.resume, server, silence=silence) for c in self._commands.values()}
        longest = max((server, *waits.values()))
        why_not = "" if longest else "nobody is waited for"
        if self._name is not None and longest and not self.listener.draining:
            why_not = self.listener.parking.enter(self, self.connection.session.kept)
            if not why_not:
                self._park(why, waits, longest)
                return
        self.leave(f"{why}; {why_not}" if why_not and self._name is not None else why)

    def _park(self, why: str, waits: dict[Command, float], longest: float) -> None:
        self.is_parked = True
        self._parked_at = self.loop.time()
        self._unlink()
        self.log.event("parked", user=self.user, running=len(waits), why=why, seconds=round(longest, 3))
        self._timer = self.loop.call_later(longest, self.leave, "nobody came back")
        for command, seconds in waits.items():
            if not seconds:
                command.forsake()
            elif seconds < longest:
                self._ends.append(self.loop.call_later(seconds, command.forsake))
        self.writable(True)

    def _unlink(self) -> None:
        """Stop reading and writing the link, without a word."""
        link, self.link = self.link, Nowhere()
        self._outbox.clear()  # what may be asked for again is kept elsewhere
        self.connection.cut()  # a client that is away does not leave us with half a frame
        self._timer.cancel()
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        if not isinstance(link, Nowhere):
            link.owner = Leaving(self.listener, link)
            link.abort()

    def take_up(self, link: Link, connection: Connection, number: int, welcome: f.Welcome) -> None:
        """Go on over another link, in the place of the seat `number`, which the same key has earned.

        Raises `RemoteProtocolError` where the client's count is not ours; then all stays as it is.
        """
        # nothing is read of the old link from here
        data = connection.accept(welcome, self.connection.session)
        self._unlink()
        away = self.loop.time() - self._parked_at if self.is_parked else 0.0
        self.listener.parking.leave(self)
        self.is_parked = False
        for timer in self._ends:
            timer.cancel()
        self._ends.clear()
        self.desk.order(orders.Leave(self.number))
        self.number = number
        self.connection = connection
        self.link = link
        link.owner = self
        self._heard = self.loop.time()
        self._pinged = False
        self._timer = self.loop.call_later(self._keepalive_after, self._keepalive)
        self.log.event("resumed", user=self.user, running=len(self._commands), after=round(away, 3))
        self._flowing = True
        link.write(data)
        self.writable(self._flowing)
        self.follow()

    # --- the end ------------------------------------------------------------------------------

    def _keepalive(self) -> None:
        silence = self.loop.time() - self._heard
        idle = self._keepalive_after
        if self._pinged and silence >= idle + SILENCES * idle:
            if self._name is None:
                self.part(Farewell.NO_ANSWER, "no answer")
            else:
                self._sever("no answer", silence=True)
            return
        if silence >= idle and not self._pinged:
            self._pinged = True
            self.send(f.Ping(0))
        due = SILENCES * idle if self._pinged else idle - silence
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
            self.part(Farewell.DRAINING, "the server is stopping")

    def _may_speak_first(self) -> bool:
        """Whether a client came in so lately that its first command may be on its way: it is not lost."""
        left = 0.0 if self._has_asked else self._began + FIRST_WORD - self.loop.time()
        if left > 0 and self._first_word is None:
            self._first_word = self.loop.call_later(left, self.listener.check_drained)
        return left > 0

    def part(self, reason: Farewell, message: str) -> None:
        """Say why, and end the connection."""
        if self.gone:
            return
        try:
            self.send(f.Goodbye(reason, message))
        except LocalProtocolError:
            pass  # the peer said goodbye first
        self._outbox.flush()
        self.link.close()
        self.leave(message)

    def leave(self, why: str, settled: bytes = b"") -> None:
        """The client is gone: so is every command of it."""
        if self.gone:
            return
        self.gone = True
        self._timer.cancel()
        for timer in (*self._ends, self._ack_timer, self._first_word):
            if timer is not None:
                timer.cancel()
        if self._name is not None:
            self.listener.parking.forget(self._name, self)
        event = "gave-up" if self.is_parked else "left"
        self.log.event(event, user=self.user, running=len(self._commands), why=why)
        for command in tuple(self._commands.values()):
            command.abandon()
        self._commands.clear()
        self._answers.clear()
        settled = settled or self._ids.settled(self.connection.session.confirmed)
        self.desk.order(orders.Leave(self.number, settled))
        self.connection.session.set_keep(False)  # nobody asks for it again
        self._outbox.flush()
        self.link.close()
        self.listener.left(self)

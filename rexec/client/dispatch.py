"""The commands of one connection, without any I/O: frames to sinks, sources to frames.

Whoever has the wire says how bytes get there (`_queue`) and is told when something of a command
changed (`_changed`) or a command's channel is closed (`_closed`).
"""

from __future__ import annotations

from rexec.client.command import Command
from rexec.client.streams import HeldSink, NullSink
from rexec.errors import ConnectionLost, RemoteProtocolError, RexecError
from rexec.limits import CHANNEL_MAX, CHANNELS_PER_SESSION, DATA_MAX
from rexec.protocol import frames as f
from rexec.protocol.connection import RESUME
from rexec.protocol.frames import Farewell as Reason
from rexec.protocol.frames import Stream
from rexec.protocol.state import Handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.client.streams import Sink, Source
    from rexec.protocol.connection import Connection


SIGNALS_KEPT = 16  # to be sent again to a command that is asked for again


class Farewell(ConnectionLost):
    """The server said goodbye: nobody has to come back to it, unless it is only started anew."""

    is_draining = False


class Dispatch:
    """An authenticated connection as its commands see it; `user` is who the server says we are."""

    def __init__(self, connection: Connection, user: str) -> None:
        self.connection = connection
        self.user = user
        self.closed_sink: Command | None = None  # whose reader went away first
        self.noticed: Callable[[str], None] | None = None  # told what the server says to a person
        self.first: f.Exec | f.Query | None = None  # what was sent with the proof
        self._commands: dict[int, Command] = {}
        self._next_channel = 1
        self._next_id = 1
        self._lost: str | None = None

    def _queue(self, data: bytes) -> None:
        """Send bytes, now or as soon as the wire takes them."""
        raise NotImplementedError

    def _is_clogged(self) -> bool:
        """Whether so much waits for the wire that input has to wait too."""
        raise NotImplementedError

    def _changed(self, command: Command) -> None:
        """Hear that something of a command changed."""

    def _closed(self, command: Command) -> None:
        """Hear that the channel of a command is free again."""

    def _unplugged(self, sink: Sink) -> None:
        """Hear that nothing more goes to a sink."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be asked here."""
        return self._lost is not None

    # --- commands -----------------------------------------------------------------------------

    def adopt(self, command: Command) -> None:
        """Take charge of a command whose Exec has been sent already, and of what came for it."""
        command.asked = command.asked or self.first
        self._commands[command.channel] = command
        self._next_channel = max(self._next_channel, command.channel + 1)
        self._next_id += 1
        self._guard(self._events)

    def start(self, exec_: f.Exec, source: Source | None, stdout: Sink, stderr: Sink) -> Command:
        """Ask for a command; its id is set here. Raises `ConnectionLost`."""
        return self._open(exec_.replace(id=self._next_id), source, stdout, stderr)

    def ask(self, query: f.Query, stdout: Sink, stderr: Sink) -> Command:
        """Ask about the policy; the answer comes as the output of a command."""
        return self._open(query, None, stdout, stderr)

    def _open(self, frame: f.Exec | f.Query, source: Source | None, stdout: Sink, stderr: Sink) -> Command:
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        if len(self._commands) >= CHANNELS_PER_SESSION:
            raise RexecError(f"more than {CHANNELS_PER_SESSION} commands at once on one connection")
        channel = self._next_channel
        while channel > CHANNEL_MAX or channel in self._commands:
            channel = channel % CHANNEL_MAX + 1
        self._next_channel = channel
        command = Command(channel, source, stdout, stderr)
        command.asked = frame
        self._queue(self.connection.send(frame, channel))
        self.adopt(command)
        return command

    def plug(self, command: Command, source: Source | None) -> None:
        """Give a command that was started without input some from now on; None: no more for now."""
        if not command.is_deaf:
            command.source = source
            self._changed(command)

    def hold(self, command: Command, stream: Stream) -> None:
        """Keep what comes from now on to be taken by hand; what its sink has left is the caller's."""
        sink = command.sinks[stream]
        gone, sink.pending = sink.pending, 0
        self._unplug(command, stream)
        command.sinks[stream] = HeldSink()
        self._credit(command, stream, gone)

    def signal(self, command: Command, name: str) -> None:
        """Send a signal to a command's group."""
        if len(command.signals) < SIGNALS_KEPT:
            command.signals.append(name)
        self._queue(self._send(f.Signal(name), command.channel))

    def resize(self, command: Command, size: f.Resize) -> None:
        """Tell a command's terminal how large ours is now."""
        command.size = size
        self._queue(self._send(size, command.channel))

    def stop(self, command: Command, stream: Stream) -> None:
        """Read no more of a stream."""
        if stream not in command.stopped:
            command.stopped.add(stream)
            self._queue(self._send(f.Stop(stream), command.channel))

    def abandon(self, command: Command) -> None:
        """End a command that nobody waits for any more, as politely as TERM is."""
        if not self.is_running(command):
            return
        command.source = None
        command.is_abandoned = True
        for stream in command.sinks:
            self.stop(command, stream)
            self._unplug(command, stream)
        self.signal(command, "TERM")
        self._changed(command)

    def is_running(self, command: Command) -> bool:
        """Whether its channel is still open."""
        return self._commands.get(command.channel) is command

    # --- streams of a command, for those who read and write them by hand ----------------------

    def take(self, command: Command, stream: Stream) -> bytes:
        """Take a piece of the output that is held, and let the command write so much more."""
        sink = command.sinks[stream]
        data = sink.take() if isinstance(sink, HeldSink) else b""
        self._credit(command, stream, len(data))
        return data

    def discard(self, command: Command, stream: Stream) -> None:
        """Read no more of a stream, and drop what is held of it."""
        if self.is_running(command):
            self.stop(command, stream)
        self._unplug(command, stream)

    def may_write(self, command: Command) -> bool:
        """Whether input can be sent now."""
        return command.started and not self._is_clogged() and self._room(command) > 0

    def write(self, command: Command, data: memoryview) -> int:
        """Send some input; return how many bytes, 0 where it has to wait."""
        if command.is_deaf or not self.may_write(command):
            return 0
        size = min(len(data), self._room(command), DATA_MAX)
        if size:
            command.is_fed = True
            self._queue(self.connection.pack_data(command.channel, Stream.STDIN, bytes(data[:size])))
        return size

    def finish(self, command: Command) -> None:
        """Say that no more input comes."""
        if not command.is_deaf:
            command.is_deaf = True
            self._queue(self._send(f.Eof(Stream.STDIN), command.channel))

    def _room(self, command: Command) -> int:
        return self.connection.session.room(command.channel, Stream.STDIN)

    # --- frames -------------------------------------------------------------------------------

    def _guard(self, step: Callable[..., None], *given: object) -> None:
        """Do a step; what ends the connection ends its commands, and is no error here."""
        try:
            step(*given)
        except ConnectionLost as error:
            self._cut(error)
        except RemoteProtocolError as error:
            self._queue(self._send(f.Goodbye(Reason.PROTOCOL_ERROR, str(error))))
            self._lose(f"protocol error: {error}")

    def _events(self) -> None:
        while (event := self.connection.next_event()) is not None:
            self._frame(*event)

    def _frame(self, channel: int, frame: f.Frame) -> None:
        if isinstance(frame, f.Data):
            command = self._commands.get(channel)
            if command is not None:
                self._deliver(command, frame.stream, frame.data)
                self._changed(command)
            return
        match frame:
            case f.Ping():
                self._queue(self._send(f.Pong(frame.token)))
                return
            case f.Goodbye():
                farewell = Farewell(frame.message or "the server said goodbye")
                farewell.is_draining = frame.reason is Reason.DRAINING
                raise farewell
            case f.Notice():
                self._notice(channel, frame.message)
                return
            case _:
                pass
        command = self._commands.get(channel)
        if command is not None:
            command.take(frame)
            self._forget_if_over(command)
            self._changed(command)

    def _notice(self, channel: int, message: str) -> None:
        command = self._commands.get(channel)
        noticed = self.noticed if command is None else command.noticed or self.noticed
        if noticed is not None:
            noticed(message)

    def _deliver(self, command: Command, stream: Stream, data: bytes | memoryview) -> None:
        command.received[stream] += len(data)
        self._hand_on(command, stream, data)

    def _tend(self, command: Command) -> None:
        """Hand on what waited, and forget a command that waited for this alone."""
        for stream, sink in command.sinks.items():
            if sink.pending:
                self._hand_on(command, stream)
        if command.last is not None or command.error is not None:
            self._forget_if_over(command)

    def _hand_on(self, command: Command, stream: Stream, data: bytes | memoryview = b"") -> None:
        """Hand on what came, or what waited; credit what is gone."""
        sink = command.sinks[stream]
        try:
            gone = sink.put(data) if data else sink.flush()
        except (BrokenPipeError, ConnectionResetError):
            gone = self._give_up(command, stream)
            self.closed_sink = command
        except OSError as error:  # a full disk: what did not arrive whole is never a success
            gone = self._give_up(command, stream)
            command.error = f"{stream.name.lower()}: {(error.strerror or 'cannot be written').lower()}"
        self._credit(command, stream, gone)

    def _credit(self, command: Command, stream: Stream, size: int) -> None:
        """Let the server send so much more of a stream."""
        if size and self._lost is None and not command.is_only_asked_about:
            self._queue(self.connection.consume(command.channel, stream, size))

    def _give_up(self, command: Command, stream: Stream) -> int:
        """Read no more of a stream whose sink takes no more; return the bytes that are lost."""
        sink = command.sinks[stream]
        gone, sink.pending = sink.pending, 0
        self._unplug(command, stream)
        self.stop(command, stream)
        return gone

    def _unplug(self, command: Command, stream: Stream) -> None:
        """Drop what comes from now on."""
        command.sinks[stream].close()
        self._unplugged(command.sinks[stream])
        command.sinks[stream] = NullSink()

    def _wants_input(self, command: Command) -> bool:
        return self._room_for_input(command) > 0

    def _room_for_input(self, command: Command) -> int:
        """Return how many bytes of its source may be sent now."""
        if command.source is None or self._lost is not None or not command.started or self._is_clogged():
            return 0
        return self._room(command)

    def _feed(self, command: Command) -> bool:
        """Send some input of a source that has some; False where there was none to be had."""
        source = command.source
        room = self._room_for_input(command)
        if source is None or not room:
            return False
        try:
            data = source.read(min(room, DATA_MAX))
        except BlockingIOError:
            return False
        if data:
            command.is_fed = True
            self._queue(self.connection.pack_data(command.channel, Stream.STDIN, data))
        else:
            command.source = None
            self.finish(command)
            if source.ends_all:
                self.closed_sink = command
        return True

    # --- the end ------------------------------------------------------------------------------

    def _forget_if_over(self, command: Command) -> None:
        """Forget a command once its channel is closed and its output handed on."""
        over = command.last is not None and not command.is_pending
        unheard = self._lost is not None or command.channel not in self.connection.session.channels
        if (over or (unheard and command.is_over)) and self.is_running(command):
            del self._commands[command.channel]
            for sink in command.sinks.values():
                sink.close()
                self._unplugged(sink)
            self._closed(command)

    def _cut(self, error: ConnectionLost) -> None:
        """Go on without the connection, as far as that can be."""
        self._lose(str(error))

    def _lose(self, why: str) -> None:
        """Let nothing more be asked here."""
        self._lost = why
        self._fail(why)

    def _fail(self, why: str) -> None:
        """Tell every command that its result will not come; one that is told already keeps it."""
        for command in list(self._commands.values()):
            self._fail_one(command, why)

    def _fail_one(self, command: Command, why: str) -> None:
        if command.last is None and command.error is None:
            count = sum(command.received.values())
            command.error = f"{why}; output incomplete at byte {count}" if command.started else why
        self._forget_if_over(command)
        self._changed(command)

    # --- a new session ------------------------------------------------------------------------

    def _is_agreed(self) -> bool:
        """Whether a connection that is lost may be sought again."""
        states = (Handshake.OPEN, Handshake.CLOSED)  # by a goodbye
        return RESUME in self.connection.features and self.connection.state in states

    def _is_final(self, error: ConnectionLost) -> bool:
        """Whether nobody comes back after this; a server that is started anew has read nothing of some."""
        if not isinstance(error, Farewell):
            return False
        waits = any(not command.started and command.last is None for command in self._commands.values())
        return not (error.is_draining and waits)

    def _ask_again(self, why: str) -> None:
        """Ask a server that does not know the session any more about each command, by its id.

        What it has not started it starts now; of the rest it says what it knows.
        """
        for command in list(self._commands.values()):
            is_open = command.last is None and command.error is None
            frame = command.again() if is_open and RESUME in self.connection.features else None
            if frame is None:
                self._fail_one(command, f"{why}; the server knows the session no more")
                continue
            self._queue(self.connection.send(frame, command.channel))
            self._say_again(command)

    def _say_again(self, command: Command) -> None:
        """Say what was said to a command besides."""
        for stream in command.stopped:
            self._queue(self._send(f.Stop(stream), command.channel))
        if command.is_deaf:
            self._queue(self._send(f.Eof(Stream.STDIN), command.channel))
        if command.size is not None:
            self._queue(self._send(command.size, command.channel))
        for name in command.signals:
            self._queue(self._send(f.Signal(name), command.channel))

    def _send(self, frame: f.Frame, channel: int = 0) -> bytes:
        return self.connection.send(frame, channel) if self._lost is None or not channel else b""

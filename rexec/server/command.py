"""One command on its channel: the pump between a child's pipes and frames.

Output is read only as far as the client's window, the link and the session allow, so that a slow
reader stops that child and nothing else, and nobody buffers without bound.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rexec.limits import DATA_MAX, HEADER_SIZE, KIB
from rexec.process.pipes import capacity, grow, has_more
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause, Farewell, Stream
from rexec.server import orders
from rexec.server.intake import Intake
from rexec.server.meter import Meter
from rexec.server.recorder import Recorder

if TYPE_CHECKING:
    import asyncio

    from rexec.server.session import Session

_BULK = 64 * KIB  # a read that empties a whole default pipe shows bulk
_ROOM = memoryview(bytearray(HEADER_SIZE + DATA_MAX))  # one loop, one thread: one buffer for all reads


class Command:
    """A patron of the runner's desk, and the owner of a child's descriptors."""

    def __init__(self, session: Session, channel: int, child: int, number: int = 0) -> None:
        self.session = session
        self.channel = channel
        self.child = child
        self.number = number  # its id within the session
        self._loop = session.loop
        self._outputs: dict[Stream, int] = {}
        self._reading: set[Stream] = set()
        self._large: set[Stream] = set()
        self._read = {Stream.STDOUT: 0, Stream.STDERR: 0}  # bytes taken from the child
        self._intake = Intake(self._loop, self._consumed, self._refuse)
        self._begun = False
        self._drained = False
        self._truncated = False
        self._lingered = False
        self._linger = 0.0
        self._linger_timer: asyncio.TimerHandle | None = None
        self._left: dict[Stream, int] = {}  # bytes that are still taken of a stream whose linger is over
        self._is_cut_off = False  # by us, with output that was there
        self._leaving: Cause | None = None
        self._meter: Meter | None = None
        self._recorder: Recorder | None = None
        self._dropping = False  # what is read from now on goes no further
        self._message = ""  # for the client, where the end was not the command's own
        self.resume: float | None = (
            None  # seconds that its rule lets it wait for its client; None: the server's
        )

    # --- what the client says -----------------------------------------------------------------

    def take(self, frame: f.Data) -> None:
        """Take input."""
        self._intake.take(memoryview(frame.data))

    def frame(self, frame: f.Frame) -> None:
        """Take one frame of this channel that is no data."""
        match frame:
            case f.Eof():
                self._intake.finish()
            case f.Stop():
                self._stop(frame.stream)
            case f.Credit():
                self._resume(frame.stream)
            case f.Signal() if not self.session.desk.is_clogged:  # else it could wait with a million others
                self.session.desk.order(orders.Send(self.child, frame.name))
            case f.Resize():
                self._intake.resize(frame)
            case _:
                pass

    def writable(self, yes: bool) -> None:
        """The link took up speed again, or has to be spared."""
        for stream in tuple(self._outputs):
            if yes:
                self._resume(stream)
            else:
                self._pause(stream)

    def leave(self, cause: Cause) -> None:
        """End the command: nobody waits for it any more, or the server stops."""
        if self._leaving is None:
            self._leaving = cause
            self._intake.is_cut_off = True
            self.session.desk.order(orders.End(self.child, cause))

    def _end(self, cause: Cause, message: str) -> None:
        """End a command that has passed a bound of its rule."""
        self._message = self._message or message
        self.leave(cause)

    def forsake(self) -> None:
        """End a command whose client has been away for longer than its rule lets it wait."""
        self._end(Cause.LOST, "the connection was lost for longer than the rule lets a command wait")

    def abandon(self) -> None:
        """End the command of a client that is gone."""
        self.leave(Cause.LOST)
        for stream in tuple(self._outputs):
            self._close_output(stream)
        self._intake.close()
        self._settle()

    # --- what the runner says -----------------------------------------------------------------

    def begun(self, report: orders.Begun, descriptors: list[int]) -> None:
        self._begun = True
        self._linger = report.linger_ms / 1000
        self.resume = None if report.resume_ms is None else report.resume_ms / 1000
        wanted = (1 if report.terminal else 2 + report.stdin) + (report.recording is not None)
        if len(descriptors) < wanted:
            self._starved(descriptors)
            return
        if report.recording is not None:
            self._record(descriptors.pop(), report.recording, terminal=report.terminal)
        stdin = -1
        if report.terminal:
            try:
                stdin = os.dup(descriptors[0])
            except OSError:
                self._starved(descriptors)
                return
        elif report.stdin:
            stdin = descriptors.pop(0)
        self._outputs = dict(zip((Stream.STDOUT, Stream.STDERR), descriptors, strict=False))
        for descriptor in (stdin, *descriptors):
            if descriptor >= 0:
                os.set_blocking(descriptor, False)
        if self.session.gone:
            if stdin >= 0:
                os.close(stdin)
            self.abandon()
            return
        self._send(f.Started(report.rule, report.terminal), hurry=stdin >= 0)
        if report.bounds is not None:
            self._meter = self._intake.meter = Meter(report.bounds, report.rule, self._loop, self._end)
        for stream in tuple(self._outputs):
            self._resume(stream)
        self._intake.open(stdin, terminal=report.terminal)

    def _record(self, descriptor: int, recording: orders.Recording, *, terminal: bool) -> None:
        def fail(message: str) -> None:
            self._end(Cause.LOST, message)

        log = self.session.log
        self._recorder = self._intake.recorder = Recorder(
            descriptor, recording, terminal=terminal, log=log, fail=fail
        )

    def _starved(self, descriptors: list[int]) -> None:
        """Give a child up whose streams this process could not take: it has too many open already."""
        for descriptor in descriptors:
            os.close(descriptor)
        self._message = "the server has too many files open"
        self._is_cut_off = True  # also of one that has ended by itself meanwhile
        self.leave(Cause.LOST)
        self._settle()

    def rejected(self, report: orders.Rejected) -> None:
        self._send(f.Denied(report.message, report.rule, report.confirm))
        self.session.forget(self)

    def broken(self, report: orders.Broken) -> None:
        self._send(f.Failed(report.exit_code, report.message, report.rule))
        self.session.forget(self)

    def repeated(self, report: orders.Repeated) -> None:
        if report.is_other:
            self.session.part(Farewell.PROTOCOL_ERROR, f"Exec {self.number} came again with other contents")
            return
        told = (report.cause, report.status, report.signal, report.message)
        self._send(f.Exit(*told, output_kept=False))
        self.session.forget(self)

    def escaped(self, report: orders.Escaped) -> None:
        self._send(f.Notice(report.message))

    def over(self) -> None:
        """The leader is gone and somebody holds its pipes: they have until the linger."""
        if not self._drained:
            self._linger_timer = self._loop.call_later(self._linger, self._cut)

    def ended(self, report: orders.Ended) -> None:
        cause = report.cause
        if self._is_cut_off and self._leaving is not None and cause in (Cause.EXITED, Cause.SIGNALLED):
            cause = self._leaving  # it had ended by itself, and yet its output is not whole
        exit_frame = f.Exit(
            cause,
            report.status,
            report.signal,
            self._message,
            stdout=self._read[Stream.STDOUT],
            stderr=self._read[Stream.STDERR],
            truncated=self._truncated or report.truncated,
            lingered=self._lingered,
            user_us=report.user_us,
            system_us=report.system_us,
            max_rss_kib=report.max_rss_kib,
            wall_us=report.wall_us,
        )
        self._intake.close()
        if self._meter is not None:
            self._meter.stop()
        if report.receipt:
            self._send(f.Receipt(report.receipt))
        self._send(exit_frame)
        self.session.forget(self)

    # --- output -------------------------------------------------------------------------------

    def _resume(self, stream: Stream) -> None:
        if stream in self._outputs and stream not in self._reading and self._room(stream):
            self._reading.add(stream)
            self.session.desk.outlets.add(self._outputs[stream], self._readable, stream)

    def _pause(self, stream: Stream) -> None:
        if stream in self._reading:
            self._reading.discard(stream)
            self.session.desk.outlets.remove(self._outputs[stream])

    def _room(self, stream: Stream) -> int:
        """Return how many bytes may be read now."""
        if self._dropping:
            return DATA_MAX
        room = self.session.room(self.channel, stream) if self.session.may_send() else 0
        return room if room < DATA_MAX else DATA_MAX

    def _readable(self, stream: Stream) -> None:
        size = self._room(stream)
        if not size:
            self._pause(stream)
            return
        descriptor = self._outputs[stream]
        try:
            count = os.readv(descriptor, [_ROOM[HEADER_SIZE : HEADER_SIZE + size]])
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            count = 0
        if not count:
            self._close_output(stream)
            self._send(f.Eof(stream), hurry=False)
            self._settle()
            return
        if count >= _BULK and stream not in self._large:
            self._large.add(stream)
            grow(descriptor)
        read = count
        if self._meter is not None:
            count = self._measure(self._meter, count)
        if count:
            if self._recorder is not None:
                self._recorder.output(stream.name, _ROOM[HEADER_SIZE : HEADER_SIZE + count])
            self._read[stream] += count
            self.session.send_data(self.channel, stream, _ROOM[: HEADER_SIZE + count])
        if stream in self._left:
            self._left[stream] -= read
            if self._left[stream] <= 0:  # what comes now was written after the linger
                self._give_up(stream)
                self._settle()

    def _measure(self, meter: Meter, count: int) -> int:
        """Return how much of what was read goes to the client.

        What goes no further is read all the same: a program whose pipe was closed would die of SIGPIPE, and
        one whose pipe is full would wait for ever.
        """
        passed = meter.output(count)
        if passed < count and not self._dropping:
            self._dropping = self._truncated = True
            if self._leaving is None:
                self._send(f.Notice(meter.cut_off))
            for stream in tuple(self._outputs):
                self._resume(stream)
        return passed

    def _stop(self, stream: Stream) -> None:
        """The client reads no more of this: the child gets SIGPIPE where it goes on writing."""
        if stream in self._outputs:
            self._truncated = True
            self._close_output(stream)
            self._settle()

    def _close_output(self, stream: Stream) -> None:
        self._pause(stream)
        os.close(self._outputs.pop(stream))

    def _cut(self) -> None:
        """The linger is over: take what is there, and go without those who still hold the pipes.

        All that the leader wrote is in them by now, however slowly the client takes it: no stream is given
        up before it is empty, or so much was read of it as it could hold when the linger was over.
        """
        for stream, descriptor in tuple(self._outputs.items()):
            self._left.setdefault(stream, capacity(descriptor))
            there_is_more = has_more(descriptor)
            if self._leaving is not None or not there_is_more:
                self._is_cut_off = self._is_cut_off or there_is_more
                self._give_up(stream)
        if self._outputs:
            self._linger_timer = self._loop.call_later(self._linger, self._cut)
        self._settle()

    def _give_up(self, stream: Stream) -> None:
        self._lingered = True
        self._close_output(stream)

    def _settle(self) -> None:
        """Tell the runner once nothing more will be read."""
        if self._outputs or self._drained or not self._begun:
            return
        self._drained = True
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        read = self._read
        counts = (read[Stream.STDOUT], read[Stream.STDERR], self._intake.given)
        recorded = None if self._recorder is None else self._recorder.close()
        self._recorder = self._intake.recorder = None
        self.session.desk.order(orders.Drained(self.child, *counts, recorded))

    # --- input --------------------------------------------------------------------------------

    def _consumed(self, size: int) -> None:
        self.session.consume(self.channel, Stream.STDIN, size)

    def _refuse(self) -> None:
        self._send(f.Stop(Stream.STDIN))

    def _send(self, frame: f.Frame, *, hurry: bool = True) -> None:
        if not self.session.gone:
            self.session.send(frame, self.channel, hurry=hurry)

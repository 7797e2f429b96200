"""The warden of one detached command: starts it, holds it to its rule, keeps what it writes and how it ends.

It is forked from the runner and outlives it. It has no network and nothing of the server's but the directory
of its command and, until the end, the pipe on which it tells the runner how the start went. What it starts is
started and ended by the same code as every other command; in the place of a listener it takes the output
itself. Whatever its command leaves behind comes to it, since it is a subreaper.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from rexec.audit.log import Log
from rexec.process.descriptors import AS_GIVEN, close_all_but
from rexec.process.orphans import become_subreaper
from rexec.protocol.frames import Cause, Stream
from rexec.server import orders
from rexec.server.detached.clock import Clock
from rexec.server.detached.door import Door, Visitor
from rexec.server.detached.folder import END, MARK, Folder, boot
from rexec.server.detached.kept import PIECE, Writer
from rexec.server.detached.notes import Notes
from rexec.server.leftovers import Leftovers
from rexec.server.meter import Meter
from rexec.server.recorder import Recorder
from rexec.server.starting import Pending, Starting
from rexec.server.supervisor import Job, Supervisor
from rexec.server.tally import Tally
from rexec.server.watcher import Watcher

if TYPE_CHECKING:
    from typing import NoReturn

    from rexec.policy.rules import Permit
    from rexec.process.orphans import Mark
    from rexec.server.detached.folder import Jobs
    from rexec.server.orders import Message
    from rexec.server.ticket import Ticket

ANSWER_MAX = 4_000  # bytes of why a program could not be started: a pipe takes them at once
_NUMBER = 1  # of its one command
_LISTENED_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Charge(NamedTuple):
    """What a warden is given."""

    user: str
    permit: Permit
    ticket: Ticket
    bound: int  # bytes of output that are kept


class Marked(Leftovers):
    """The orphans of the command; their mark is written down, for who ends them if the warden cannot."""

    def __init__(self, folder: Folder) -> None:
        super().__init__()
        self._folder = folder

    def begin(self, pid: int, mark: Mark) -> None:
        super().begin(pid, mark)
        try:
            self._folder.write(MARK, {"mark": mark, "boot": boot()})
        except OSError:
            pass  # a full disk is no reason to end it


class Pipe:
    """One output of the command."""

    __slots__ = ("descriptor", "stream", "warden")

    def __init__(self, warden: Warden, stream: Stream, descriptor: int) -> None:
        self.warden = warden
        self.stream = stream
        self.descriptor = descriptor

    def attend(self) -> None:
        self.warden.take(self)


class Told:
    """The warden's own signals."""

    __slots__ = ("descriptor", "warden")

    def __init__(self, warden: Warden) -> None:
        self.warden = warden
        self.descriptor, written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)

    def attend(self) -> None:
        if signal.SIGTERM in os.read(self.descriptor, PIECE):
            self.warden.end()


class Warden:
    """Everything about one command."""

    def __init__(self, folder: Folder, charge: Charge, report: int) -> None:
        self._folder = folder
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._clock = Clock()
        self._kept = Writer(folder, charge.bound)
        self._notes = Notes(Log(), charge.ticket)
        leftovers, tally = Marked(folder), Tally()
        tally.admit(charge.permit, time.monotonic())  # it is the only one here; the runner counts them all
        self._leftovers = leftovers
        self._jobs = Supervisor(self._selector, self, Log(), self._notes, leftovers, tally)
        self._starting = Starting(  # it sends to the listener, whose part we take
            self._selector, self, Log(), self._notes, self._jobs, leftovers, tally
        )
        self._charge = charge
        self._pipes: dict[Stream, Pipe] = {}
        self._read = {Stream.STDOUT: 0, Stream.STDERR: 0}
        self._linger = 0.0
        self._meter: Meter | None = None
        self._recorder: Recorder | None = None
        self._is_cut_off = False
        self._is_over = False
        self._door = Door(folder, self._selector, self.order)
        told = Told(self)
        self._selector.register(told.descriptor, selectors.EVENT_READ, told)

    def run(self) -> None:
        """See to the command until nothing of it is left."""
        charge = self._charge
        self._starting.run(_NUMBER, charge.user, charge.permit, None, charge.ticket)
        while not self._is_over or self._leftovers.is_waiting:
            for key, _ in self._selector.select(self._wait()):
                if isinstance(key.data, Job):
                    self._jobs.exited(key.data)
                elif isinstance(key.data, Pending):
                    self._starting.launched(key.data)
                elif isinstance(key.data, Watcher | Pipe | Told | Door | Visitor):
                    key.data.attend()
            self._jobs.fire()
            self._starting.fire()
            self._clock.fire()

    def _wait(self) -> float | None:
        due = [wait for wait in (self._jobs.wait(), self._clock.wait()) if wait is not None]
        return min(due) if due else None

    # --- what is asked of it --------------------------------------------------------------------

    def order(self, word: str) -> None:
        """Obey a visitor: a signal by its name, or the word for the end."""
        if word == "end":
            self.end()
        else:
            self._jobs.signal(_NUMBER, word)

    def end(self) -> None:
        """End the command as somebody wants it who may."""
        self._notes.is_wanted = True
        self._starting.end(_NUMBER, Cause.LOST)
        self._jobs.end(_NUMBER, Cause.LOST)

    # --- what a listener would be told ----------------------------------------------------------

    def send(self, message: Message, descriptors: tuple[int, ...] = (), *, hurry: bool = True) -> bool:
        """Take a report of those who start and end commands."""
        match message:
            case orders.Begun():
                self._begin(message, list(descriptors))
            case orders.Broken():
                self._tell(bytes((message.exit_code,)) + message.message.encode()[:ANSWER_MAX])
                self._leave()
            case orders.Over():
                self._clock.call_later(self._linger, self._cut)
            case orders.Ended():
                self._end(message)
            case orders.Escaped():
                self._notes.notices.append(message.message)
            case _:
                raise AssertionError(f"{type(message).__name__} is no report")
        return True

    def _begin(self, report: orders.Begun, descriptors: list[int]) -> None:
        self._linger = report.linger_ms / 1000
        if report.recording is not None:
            self._recorder = Recorder(
                descriptors.pop(), report.recording, terminal=False, log=Log(), fail=self._fail
            )
        for stream, descriptor in zip((Stream.STDOUT, Stream.STDERR), descriptors, strict=True):
            os.set_blocking(descriptor, False)
            pipe = self._pipes[stream] = Pipe(self, stream, descriptor)
            self._selector.register(descriptor, selectors.EVENT_READ, pipe)
        if report.bounds is not None:
            self._meter = Meter(report.bounds, report.rule, self._clock, self._stop)
        self._tell(b"\0")

    def _fail(self, message: str) -> None:
        self._stop(Cause.LOST, message)

    def _stop(self, cause: Cause, message: str) -> None:
        """End a command that has passed a bound of its rule."""
        self._notes.message = self._notes.message or message
        self._jobs.end(_NUMBER, cause)

    def _tell(self, data: bytes) -> None:
        """Tell the runner how the start went, if it is still there."""
        try:
            os.write(self._report, data)
        except OSError:
            pass

    # --- output ---------------------------------------------------------------------------------

    def take(self, pipe: Pipe) -> None:
        """Keep what the command has written."""
        try:
            data = memoryview(os.read(pipe.descriptor, PIECE))
        except BlockingIOError:
            return
        if not data:
            self._close(pipe)
            self._settle()
            return
        if self._meter is not None:
            data = self._measured(self._meter, data)
        if data:
            if self._recorder is not None:
                self._recorder.output(pipe.stream.name, data)
            self._kept.write(pipe.stream, data)
            self._read[pipe.stream] += len(data)
            self._door.wake()

    def _measured(self, meter: Meter, data: memoryview) -> memoryview:
        """Return what is kept of some output; the rest is dropped, so that the program goes on."""
        passed = meter.output(len(data))
        if passed < len(data) and not self._is_cut_off:
            self._is_cut_off = True
            if not self._notes.message:  # else it is being ended for that
                self._notes.notices.append(meter.cut_off)
        return data[:passed]

    def _cut(self) -> None:
        """Go without those who hold the pipes of a command that is over."""
        for pipe in tuple(self._pipes.values()):
            self._close(pipe)
        self._settle()

    def _close(self, pipe: Pipe) -> None:
        self._selector.unregister(pipe.descriptor)
        os.close(pipe.descriptor)
        del self._pipes[pipe.stream]

    def _settle(self) -> None:
        if self._pipes:
            return
        recorded = None if self._recorder is None else self._recorder.close()
        self._recorder = None
        counts = (self._read[Stream.STDOUT], self._read[Stream.STDERR], 0)
        self._jobs.drained(orders.Drained(_NUMBER, *counts, recorded))

    # --- the end --------------------------------------------------------------------------------

    def _end(self, report: orders.Ended) -> None:
        if self._meter is not None:
            self._meter.stop()
        about = {
            **self._notes.told,
            "status": report.status,
            "user_us": report.user_us,
            "system_us": report.system_us,
            "max_rss_kib": report.max_rss_kib,
            "wall_us": report.wall_us,
            "ended": time.time(),
            "notices": self._notes.notices,
            "cut_off": self._is_cut_off,
            "dropped": self._kept.dropped,
            "lost": self._kept.lost,
            "why_lost": self._kept.why,
            "escapes": self._notes.escapes,
        }
        try:
            self._folder.write(END, about, lasting=True)
        except OSError:  # a full disk
            self._kept.make_room()
            self._folder.write(END, {**about, "dropped": self._kept.dropped}, lasting=True)
        self._leave()

    def _leave(self) -> None:
        """Let all know that nothing more comes."""
        self._is_over = True
        self._door.close()
        os.close(self._report)


def be_warden(jobs: Jobs, folder: Folder, name: str, charge: Charge, report: int) -> NoReturn:
    """Be the warden of the command `name`, in a process that was forked for it, and never return."""
    code = 1
    try:
        _settle(jobs, folder, charge, report)
        folder.lock()
        warden = Warden(folder, charge, report)
        jobs.settle(name)  # from now on others see it: whoever comes finds a warden
        jobs.close()
        warden.run()
        code = 0
    finally:
        os._exit(code)


def _settle(jobs: Jobs, folder: Folder, charge: Charge, report: int) -> None:
    """Leave all that is the server's: its session, its signals, its descriptors, its directory."""
    os.setsid()
    become_subreaper()
    for number in (*_LISTENED_TO, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # handlers, unlike ignored signals, do not reach the command
    os.chdir("/")
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in Stream:
        os.dup2(nothing, stream)
    close_all_but(3, (jobs.descriptor, folder.descriptor, report, *charge.ticket.descriptors))
    AS_GIVEN.renew()

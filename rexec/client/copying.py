"""One copy over a session: the session's thread moves bytes, the caller's is an end of the copy.

A session never waits for a disk, and an end of a copy may wait for whatever it likes: between them are
two pipes. The session belongs to the pump as long as a copy lasts, so that nothing here needs a lock.
"""

from __future__ import annotations

import os
import threading

from rexec.client.command import Command
from rexec.client.streams import FdSink, FdSource, MemorySink, NullSink
from rexec.copying.place import reason
from rexec.copying.stream import Reader, Writer
from rexec.errors import RexecError
from rexec.protocol import frames as f

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from rexec.client.result import Result
    from rexec.client.session import Session
    from rexec.copying.pace import Pace

    Work = Callable[[Reader, Writer], None]
else:
    import _signal as signal  # without enums


class PipeSource(FdSource):
    """Reads what an end of the copy writes; owns its end of the pipe."""

    def close(self) -> None:
        """Close the pipe: who still writes to it hears that nobody reads."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class PipeSink(FdSink):
    """Writes what an end of the copy reads; owns its end of the pipe, and closes it with the command."""

    def close(self) -> None:
        super().close()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Joint:
    """The two pipes between a session and an end of a copy."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace
        reading, self._writing = os.pipe2(os.O_CLOEXEC)
        self._reading, writing = os.pipe2(os.O_CLOEXEC)
        self.source = PipeSource(reading)
        self.sink = PipeSink(writing)

    def work(self, work: Work) -> RexecError | None:
        """Be an end of the copy; return what ended it too early, if anything did."""
        try:
            work(Reader(self._reading, self._pace), Writer(self._writing, self._pace))
        except RexecError as error:
            return error
        except BrokenPipeError:  # of our own stdout
            raise
        except OSError as error:
            return RexecError(reason(error))
        finally:
            self.part()
        return None

    def part(self) -> None:
        """Close the pipes on the side of the copy."""
        for descriptor in (self._reading, self._writing):
            if descriptor >= 0:
                os.close(descriptor)
        self._reading = self._writing = -1

    def tend(self, command: Command) -> bool:
        """Let the end of the copy hear that the server reads no more; return whether the command is over."""
        if command.source is not self.source:
            self.source.close()
        return command.is_over

    def close(self) -> None:
        self.part()
        self.source.close()
        self.sink.close()


def request(way: str, path: bytes, *options: bytes, cwd: bytes | None = None) -> f.Exec:
    """Return the frame that asks for a copy: `@get` or `@put`, options, and the path at the server."""
    return f.Exec(0, f.Form.COPY, (way.encode(), *options, path), cwd=cwd)


class Copy:
    """A copy that the server is asked for; `work` is to be done while its pump runs."""

    def __init__(self, session: Session, frame: f.Exec, pace: Pace | None, *, is_sent: bool = False) -> None:
        self.session = session
        self.joint = Joint(pace)
        self._is_stopped = False
        try:
            if is_sent:
                self.command = Command(1, self.joint.source, self.joint.sink, NullSink())
                session.adopt(self.command)
            else:
                self.command = session.start(frame, self.joint.source, self.joint.sink, NullSink())
        except BaseException:
            self.joint.close()
            raise
        self._wake = session.wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def work(self, work: Work) -> RexecError | None:
        return self.joint.work(work)

    def result(self) -> Result:
        """Wait until the server is done; return how it went."""
        self.joint.part()
        self._thread.join()
        self._close()
        return self.command.result()

    def stop(self) -> None:
        """Wait no more: the session is the caller's again, which may only close it."""
        self._is_stopped = True
        os.eventfd_write(self._wake, 1)
        self.joint.part()
        self._thread.join()
        self._close()

    def _close(self) -> None:
        if self._wake >= 0:
            self.session.wakeup = -1
            os.close(self._wake)
            self._wake = -1
        self.joint.close()

    def _pump(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        try:
            while not self.joint.tend(self.command) and not self._is_stopped:
                self.session.pump()
        finally:  # whatever ends it: nobody is to wait for bytes that never come
            self.joint.source.close()
            self.joint.sink.close()


def kind(session: Session, query: f.Query, *, is_sent: bool = False) -> bytes:
    """Return what the server says is at a path; empty where it does not say."""
    if is_sent:
        command = Command(1, None, MemorySink(), MemorySink())
        session.adopt(command)
    else:
        command = session.ask(query, MemorySink(), MemorySink())
    session.run(lambda: command.is_over)
    result = command.result()
    if result.state == "lost":
        raise RexecError(result.error or "connection lost")
    return result.stdout if result.ok else b""

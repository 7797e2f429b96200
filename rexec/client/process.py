"""A command that runs, and its streams, for a program that reads and writes them by hand.

What is not read stays in the window, and the command waits as it would at a full pipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rexec.client.unread import Unread
from rexec.errors import ConnectionLost
from rexec.limits import CLIENT_PATIENCE
from rexec.protocol.frames import Stream

if TYPE_CHECKING:
    from types import TracebackType

    from rexec.client.command import Command
    from rexec.client.engine import Engine
    from rexec.client.result import Result
    from rexec.client.session import Session


class Reader:
    """A command's output as it comes: read it, iterate its lines, or close it."""

    def __init__(self, engine: Engine, command: Command, stream: Stream) -> None:
        self._engine = engine
        self._command = command
        self._stream = stream
        self._unread = Unread()

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer at the end alone; all up to the end where it is negative."""
        parts: list[bytes] = []
        while size and self._fill():
            parts.append(self._unread.some(size))
            size -= len(parts[-1]) if size > 0 else 0
        return b"".join(parts)

    def read1(self, size: int = -1) -> bytes:
        """Return what there is, at most `size` bytes; wait for the first. None of them is the end."""
        return self._unread.some(size) if size and self._fill() else b""

    def readline(self) -> bytes:
        """Return a line with its end, which the last one may lack; nothing at the end."""
        parts: list[bytes] = []
        while not (parts and parts[-1].endswith(b"\n")) and self._fill():
            parts.append(self._unread.line())
        return b"".join(parts)

    def __iter__(self) -> Reader:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def close(self) -> None:
        """Read no more: a command that goes on writing gets SIGPIPE."""
        self._unread.fill(b"")
        self._engine.turn(lambda session: session.discard(self._command, self._stream))

    def _fill(self) -> bool:
        """Wait for bytes; False at the end. Raises `ConnectionLost` where it is not the true end."""
        if self._unread:
            return True
        command, stream = self._command, self._stream
        self._engine.until(lambda: command.is_held(stream) or command.has_ended(stream))
        self._unread.fill(self._engine.take(command, stream))
        if not self._unread and (why := command.broken_off(stream)):
            raise ConnectionLost(why)
        return bool(self._unread)


class Writer:
    """A command's input."""

    def __init__(self, engine: Engine, command: Command) -> None:
        self._engine = engine
        self._command = command

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send all of `data`, waiting while the command does not read; return its size.

        Raises `BrokenPipeError` when the command reads no more, `ConnectionLost`.
        """
        view = memoryview(data).cast("B")
        size = len(view)
        command, session = self._command, self._engine.session

        def write(session: Session) -> int:
            check_hears(command)
            return session.write(command, view)

        while True:
            view = view[self._engine.turn(write) :]
            if not view:
                return size
            self._engine.until(lambda: command.is_deaf or command.is_over or session.may_write(command))

    def close(self) -> None:
        """Say that no more comes: the command reads the end of its input."""
        self._engine.turn(lambda session: session.finish(self._command))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()


class Process:
    """A command that was asked for. Leaving its `with` block ends it, if it still runs."""

    def __init__(self, host: object, engine: Engine, command: Command, name: str) -> None:
        self._host = host  # whose connection ends when nobody holds it
        self.stdin = Writer(engine, command)
        self.stdout = Reader(engine, command, Stream.STDOUT)
        self.stderr = Reader(engine, command, Stream.STDERR)
        self._engine = engine
        self._command = command
        self._name = name

    def poll(self) -> Result | None:
        """Return the result if it is there."""
        return self._command.result() if self._engine.until(self._is_over, 0) else None

    def wait(self, timeout: float | None = None, *, check: bool = False) -> Result:
        """Wait for the end; raises `TimeoutError` after so many seconds here, and the command goes on.

        A command whose output is not read may never end, as with a pipe. `check`: as with `run`.
        """
        if not self._engine.until(self._is_over, timeout):
            raise TimeoutError(f"{self._name}: not over after {timeout} s")
        result = self._command.result()
        return result.check(self._name) if check else result

    def signal(self, name: str) -> None:
        """Send a signal to the command's process group, by name: ``TERM``."""
        self._engine.turn(lambda session: session.signal(self._command, name.removeprefix("SIG")))

    def kill(self) -> None:
        """End the command at once, with all its children."""
        self.signal("KILL")

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        end(self._engine, self._command)

    def _is_over(self) -> bool:
        return self._command.is_over


def check_hears(command: Command) -> None:
    """Raise what a writer has to know: the connection is lost, or nobody reads."""
    if command.error is not None:
        raise ConnectionLost(command.error)
    if command.is_deaf:
        raise BrokenPipeError("the command reads no more input")


def end(engine: Engine, command: Command) -> None:
    """End a command if it still runs: TERM, then KILL, and wait for it; output is dropped."""
    engine.turn(lambda session: session.abandon(command))
    if not engine.until(lambda: not engine.session.is_running(command), CLIENT_PATIENCE):
        engine.turn(lambda session: session.signal(command, "KILL"))
        engine.until(lambda: not engine.session.is_running(command), CLIENT_PATIENCE)

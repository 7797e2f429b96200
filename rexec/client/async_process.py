"""A command that runs, and its streams, for a coroutine that reads and writes them by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rexec.client.process import check_hears
from rexec.client.unread import Unread
from rexec.errors import ConnectionLost
from rexec.limits import CLIENT_PATIENCE
from rexec.protocol.frames import Stream

if TYPE_CHECKING:
    from types import TracebackType

    from rexec.client.async_session import AsyncSession
    from rexec.client.command import Command
    from rexec.client.result import Result


class AsyncReader:
    """A command's output as it comes: read it, iterate its lines, or close it."""

    def __init__(self, session: AsyncSession, command: Command, stream: Stream) -> None:
        self._session = session
        self._command = command
        self._stream = stream
        self._unread = Unread()

    async def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer at the end alone; all up to the end where it is negative."""
        parts: list[bytes] = []
        while size and await self._fill():
            parts.append(self._unread.some(size))
            size -= len(parts[-1]) if size > 0 else 0
        return b"".join(parts)

    async def read1(self, size: int = -1) -> bytes:
        """Return what there is, at most `size` bytes; wait for the first. None of them is the end."""
        return self._unread.some(size) if size and await self._fill() else b""

    async def readline(self) -> bytes:
        """Return a line with its end, which the last one may lack; nothing at the end."""
        parts: list[bytes] = []
        while not (parts and parts[-1].endswith(b"\n")) and await self._fill():
            parts.append(self._unread.line())
        return b"".join(parts)

    def __aiter__(self) -> AsyncReader:
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    def close(self) -> None:
        """Read no more: a command that goes on writing gets SIGPIPE."""
        self._unread.fill(b"")
        self._session.discard(self._command, self._stream)

    async def _fill(self) -> bool:
        """Wait for bytes; False at the end. Raises `ConnectionLost` where it is not the true end."""
        if self._unread:
            return True
        command, stream = self._command, self._stream
        await self._session.until(command, lambda: command.is_held(stream) or command.has_ended(stream))
        self._unread.fill(self._session.take(command, stream))
        if not self._unread and (why := command.broken_off(stream)):
            raise ConnectionLost(why)
        return bool(self._unread)


class AsyncWriter:
    """A command's input."""

    def __init__(self, session: AsyncSession, command: Command) -> None:
        self._session = session
        self._command = command

    async def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send all of `data`, waiting while the command does not read; return its size.

        Raises `BrokenPipeError` when the command reads no more, `ConnectionLost`.
        """
        view = memoryview(data).cast("B")
        size = len(view)
        session, command = self._session, self._command
        while True:
            check_hears(command)
            view = view[session.write(command, view) :]
            if not view:
                return size
            await session.until(
                command, lambda: command.is_deaf or command.is_over or session.may_write(command)
            )

    def close(self) -> None:
        """Say that no more comes: the command reads the end of its input."""
        self._session.finish(self._command)


class AsyncProcess:
    """A command that was asked for. Leaving its `async with` block ends it, if it still runs."""

    def __init__(self, session: AsyncSession, command: Command, name: str) -> None:
        self.stdin = AsyncWriter(session, command)
        self.stdout = AsyncReader(session, command, Stream.STDOUT)
        self.stderr = AsyncReader(session, command, Stream.STDERR)
        self._session = session
        self._command = command
        self._name = name

    def poll(self) -> Result | None:
        """Return the result if it is there."""
        return self._command.result() if self._command.is_over else None

    async def wait(self, *, check: bool = False) -> Result:
        """Wait for the end; a command whose output is not read may never end, as with a pipe."""
        await self._session.until(self._command, lambda: self._command.is_over)
        result = self._command.result()
        return result.check(self._name) if check else result

    def signal(self, name: str) -> None:
        """Send a signal to the command's process group, by name: ``TERM``."""
        self._session.signal(self._command, name.removeprefix("SIG"))

    def kill(self) -> None:
        """End the command at once, with all its children."""
        self.signal("KILL")

    async def __aenter__(self) -> AsyncProcess:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await end(self._session, self._command)


async def end(session: AsyncSession, command: Command) -> None:
    """End a command if it still runs: TERM, then KILL, and wait for it; output is dropped."""
    session.end(command)
    try:
        async with asyncio.timeout(2 * CLIENT_PATIENCE):
            await session.until(command, lambda: not session.is_running(command))
    except TimeoutError:
        pass

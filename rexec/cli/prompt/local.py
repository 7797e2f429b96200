"""What a line does on this machine: files in the place of streams, and commands of the user's own shell."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
from typing import TYPE_CHECKING

from rexec.client.streams import FdSink, FdSource
from rexec.errors import ConfigError, RexecError
from rexec.files import refused

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rexec.cli.prompt.words import Line

_AGAIN = 0.05  # seconds between looks at a named pipe that nobody reads yet


class NoReader(Exception):
    """A named pipe has nobody at its other end yet."""


class Files:
    """The files that a line names, open; raises `ConfigError`, `NoReader`.

    A named pipe to read from is opened without waiting (fifo(7)): poll(2) tells when somebody writes.
    """

    def __init__(self, line: Line) -> None:
        self.source: FdSource | None = None
        self.target: FileSink | None = None
        self.reader: subprocess.Popen[bytes] | None = None  # behind a |
        try:
            if line.source is not None:
                flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
                self.source = FdSource(_opened(line.source, flags))
            if line.target is not None:
                self.target = FileSink(line.target, append=line.append)
        except BaseException:
            self.close()
            raise

    @classmethod
    async def of(cls, line: Line, interrupted: asyncio.Event) -> Files:
        """Open them as soon as somebody reads what is to be written. Raises `ConfigError`."""
        while True:
            try:
                return cls(line)
            except NoReader:
                try:
                    await asyncio.wait_for(interrupted.wait(), _AGAIN)
                except TimeoutError:
                    continue
                raise ConfigError(f"{line.target}: nobody reads it") from None

    async def done(self) -> None:
        """Let the command behind a | come to its end; no thread waits for it, which could outlive us."""
        self.close()
        while self.reader is not None and self.reader.poll() is None:
            await asyncio.sleep(_AGAIN)

    def close(self) -> None:
        """Close them; closing twice is no error."""
        if self.reader is not None and self.reader.stdin is not None:
            self.reader.stdin.close()
        if self.target is not None:
            self.target.close()
        if self.source is not None and self.source.descriptor >= 0:
            os.close(self.source.descriptor)
            self.source.descriptor = -1


class FileSink(FdSink):
    """Output into a file, which is emptied when the command has been started and not before."""

    def __init__(self, path: str, *, append: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        flags |= os.O_APPEND if append else 0
        self._file = _opened(path, flags)
        self._fresh = append
        super().__init__(self._file)

    def begin(self) -> None:
        """Empty the file, once."""
        if not self._fresh:
            self._fresh = True
            try:
                os.ftruncate(self._file, 0)
            except OSError:
                pass  # a pipe or a device

    def put(self, data: bytes | memoryview) -> int:
        self.begin()
        return super().put(data)

    def close(self) -> None:
        super().close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _opened(path: str, flags: int) -> int:
    try:
        return os.open(path, flags, 0o666)  # less the user's umask
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise NoReader from None
        raise refused(path, error) from None
    except ValueError:
        raise ConfigError(f"{path}: is no path") from None


def start_local(text: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
    """Start a command of this machine in the user's own shell. Raises `RexecError`."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        return subprocess.Popen([shell, "-c", text], stdin=stdin)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise RexecError(f"{shell}: {why}") from None


def ended(child: subprocess.Popen[bytes]) -> Awaitable[int]:
    """Wait for a local command; return its exit code as a shell has it."""

    def wait() -> int:
        code = child.wait()
        return 128 - code if code < 0 else code

    return asyncio.get_running_loop().run_in_executor(None, wait)

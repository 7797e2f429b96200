"""The terminal as the prompt, its commands and its jobs share it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from prompt_toolkit.application import in_terminal

from rexec.cli.terminal import TerminalSink, line_end
from rexec.text import neutral

if TYPE_CHECKING:
    from collections.abc import Callable

_ESCAPE_MAX = 32  # bytes of a sequence that a full-screen program may end with


class Screen:
    """Where lines of ours and the output of jobs are put: above the prompt, never into a program's screen."""

    def __init__(self) -> None:
        self.free = asyncio.Event()  # no program has the terminal
        self.free.set()

    def say(self, text: str) -> None:
        """Print a line where the prompt is not shown now."""
        write_all(2, f"rexec: {neutral(text)}\n".encode())

    def say_over(self, text: str) -> None:
        """Print a line while a command has the terminal, which may be raw."""
        write_all(2, f"rexec: {neutral(text)}{line_end(2)}".encode())

    def say_here(self, text: str) -> None:
        """Print a line that is no complaint, where the prompt is not shown now."""
        show(f"{neutral(text)}\n")

    async def say_above(self, text: str) -> None:
        """Print a line at any time."""
        await self.write(f"{neutral(text)}\n".encode())

    async def write(self, data: bytes) -> None:
        """Write whole lines as soon as the screen is free, above the prompt where it stands."""
        await self.free.wait()
        async with in_terminal():
            write_all(1, data)


def show(text: str) -> None:
    """Print what was asked for."""
    write_all(1, text.encode("utf-8", "surrogateescape"))


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it; a terminal that is gone is no reason to fail."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        pass


class Shown(TerminalSink):
    """Output of a command in the foreground; `before` is done before the first of it."""

    def __init__(
        self, descriptor: int, watch: Callable[[bytes], None], before: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(descriptor, watch)
        self._before = before
        self.tail = b""

    def put(self, data: bytes | memoryview) -> int:
        before, self._before = self._before, lambda: None
        before()
        self.tail = (self.tail + bytes(data[-_ESCAPE_MAX:]))[-_ESCAPE_MAX:]
        return super().put(data)

    @property
    def is_mid_line(self) -> bool:
        """Whether the prompt would stand behind what was written last."""
        return bool(self.tail) and self.tail[-1:] not in (b"\n", b"\r") and b"\x1b" not in self.tail

"""The input of one command: from its client's frames into the child, no faster than the child takes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rexec.limits import KIB
from rexec.process.pipes import grow
from rexec.process.pty import eof_character, set_size

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rexec.protocol import frames as f
    from rexec.server.meter import Meter
    from rexec.server.recorder import Recorder

_BULK = 64 * KIB  # a write that fills a whole default pipe shows bulk


class Intake:
    """What came and was not given; `consumed` hears of bytes that are gone, `refused` that none are read."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, consumed: Callable[[int], None], refused: Callable[[], None]
    ) -> None:
        self.given = 0  # bytes that the child took
        self.meter: Meter | None = None
        self.recorder: Recorder | None = None
        self.is_cut_off = False  # the command is being ended: what came is not the whole
        self._loop = loop
        self._consumed = consumed
        self._refused = refused
        self._descriptor = -1
        self._terminal = False
        self._is_open = False  # the command has begun
        self._queue = bytearray()  # one piece of memory, in however many frames it came
        self._ended = False
        self._eof_typed = False
        self._large = False

    def open(self, descriptor: int, *, terminal: bool) -> None:
        """Begin to give what came: to a descriptor that does not block, or to nobody (-1)."""
        self._descriptor, self._terminal, self._is_open = descriptor, terminal, True
        self._measure(len(self._queue))
        self._write()

    def take(self, data: memoryview) -> None:
        """Give the child at once what it takes at once; the rest waits."""
        taken = 0
        if not self._queue and self._descriptor >= 0 and self.meter is None:
            taken = self._offer(data)
            if taken:
                self._consumed(taken)
        if taken < len(data):
            self._queue += data[taken:]
            self._measure(len(data))
            self._write()

    def finish(self) -> None:
        """Note that no more comes: the child sees the end behind what is left."""
        self._ended = True
        self._write()

    def resize(self, frame: f.Resize) -> None:
        """Give a terminal another size."""
        if self._terminal and self._descriptor >= 0:
            set_size(self._descriptor, frame.columns, frame.rows, frame.width, frame.height)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _measure(self, count: int) -> None:
        """Cut off what came last and is more than the rule lets the client send."""
        if self.meter is None or not self._is_open:
            return
        surplus = count - self.meter.input(count)
        if surplus:
            del self._queue[-surplus:]
            self._refused()

    def _write(self) -> None:
        """Give the child what it takes; credit what it took."""
        if not self._is_open:
            return
        consumed = 0
        if self._queue and self._descriptor >= 0:
            with memoryview(self._queue) as data:
                consumed = self._offer(data)
            del self._queue[:consumed]
        if self._descriptor < 0:
            consumed += len(self._queue)
            self._queue.clear()
        elif self._queue:
            self._loop.add_writer(self._descriptor, self._write)
        else:
            self._loop.remove_writer(self._descriptor)
            if self._ended and not self.is_cut_off:
                self._end()
        if consumed:
            self._consumed(consumed)

    def _offer(self, data: memoryview) -> int:
        """Return how many bytes the child takes now; one that reads no more has its input closed."""
        recorder, total = self.recorder, 0
        while total < len(data):
            seen = recorder is not None and recorder.sees_input(self._descriptor)
            try:
                count = os.write(self._descriptor, data[total:])
            except BlockingIOError:
                break
            except OSError:  # EPIPE: it closed its stdin, or is gone
                self.close()
                self._refused()
                break
            if count >= _BULK and not self._large:
                self._large = True
                grow(self._descriptor)
            if recorder is not None and seen:
                recorder.input(bytes(data[total : total + count]))
            if self.meter is not None:
                self.meter.given()
            self.given += count
            total += count
        return total

    def _end(self) -> None:
        """Let the child see the end: a pipe is closed, at a terminal its end-of-file character is typed."""
        if not self._terminal:
            self.close()
        elif not self._eof_typed:
            self._eof_typed = True
            try:
                os.write(self._descriptor, eof_character(self._descriptor))
            except OSError:
                pass  # gone, or so full that nobody reads it

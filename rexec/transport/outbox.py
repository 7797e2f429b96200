"""What leaves on a link together: the small frames of one turn of the loop, as one TLS record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rexec.limits import KIB, UNHURRIED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_FULL = 16 * KIB  # bytes: a TLS record, to which more company saves nothing


class Outbox:
    """Gathers frames, and writes them when the loop comes round or they fill a record: it holds little."""

    __slots__ = ("_due", "_frames", "_is_leaving", "_later", "_loop", "_size", "_write")

    def __init__(self, loop: asyncio.AbstractEventLoop, write: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._write = write
        self._frames: list[bytes] = []
        self._size = 0  # bytes in them
        self._is_leaving = False
        self._due = 0.0  # when what is in no hurry leaves, if nothing takes it along
        self._later: asyncio.TimerHandle | None = None

    def put(self, data: bytes, *, hurry: bool = True) -> None:
        """Take a frame; one that is in no hurry leaves with the next that is, or a moment later.

        A large one leaves at once: who writes has to hear when the link takes no more.
        """
        if not data:
            return
        if len(data) >= _FULL:
            self.flush()
            self._write(data)
            return
        is_first = not self._frames
        self._frames.append(data)
        self._size += len(data)
        if self._size >= _FULL:
            self.flush()
        elif hurry:
            if not self._is_leaving:
                self._is_leaving = True
                self._loop.call_soon(self._leave)
        elif is_first:
            self._due = self._loop.time() + UNHURRIED
            if self._later is None:
                self._later = self._loop.call_at(self._due, self._leave_late)

    def flush(self) -> None:
        """Write what there is now: what is written past us may not overtake it."""
        if self._frames:
            data = self._frames[0] if len(self._frames) == 1 else b"".join(self._frames)
            self.clear()
            self._write(data)

    def clear(self) -> None:
        """Drop what there is."""
        self._frames.clear()
        self._size = 0

    def _leave(self) -> None:
        self._is_leaving = False
        self.flush()

    def _leave_late(self) -> None:
        self._later = None
        if self._frames and self._due > self._loop.time():  # they came after those that it was set for
            self._later = self._loop.call_at(self._due, self._leave_late)
        else:
            self.flush()

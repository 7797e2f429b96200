"""What a person sees of a copy: a line for each file on a terminal, as scp draws it, and what failed."""

from __future__ import annotations

import os
import time

from rexec.copying.watching import Watch
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.copying.watching import Path

_DRAW = 0.5  # seconds between two drawings of one line
_NUMBERS = 44  # columns behind the name
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


class Told(Watch):
    """Counts and says what failed; `near` and `far` name the ends of the copy at hand."""

    def __init__(self, say: Callable[[str], None], note: Callable[[str], None]) -> None:
        self.failures = 0
        self.near = ""
        self.far = ""
        self._say = say
        self._note = note

    def aim(self, near: str, far: str) -> None:
        """Tell of another copy from now on: `near` is where it is read or written here, `far` where there."""
        self.near, self.far = near, far

    def failed(self, path: Path, message: str) -> None:
        self.failures += 1
        self._interrupt()
        self._say(f"{_joined(self.near, path)}: {message}")

    def refused(self, path: Path, message: str) -> None:
        self.failures += 1
        self._interrupt()
        self._say(f"{_joined(self.far, path)}: {message}")

    def grew(self, path: Path, size: int) -> None:
        self._interrupt()
        self._note(f"{_joined(self.near, path)}: grew while it was read; copied as it was, {size} bytes")

    def _interrupt(self) -> None:
        """Make room for a line."""


class Progress(Told):
    """Draws a line for each file too, on the terminal of a descriptor."""

    def __init__(
        self,
        say: Callable[[str], None],
        note: Callable[[str], None],
        descriptor: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(say, note)
        self._descriptor = descriptor
        self._clock = clock
        self._name = ""
        self._size: int | None = None
        self._done = 0
        self._begun = self._drawn = 0.0
        self._skipped = 0  # bytes that were there already
        self._is_mid_line = False

    def begin(self, path: Path, size: int | None) -> None:
        self._name = neutral(os.fsdecode(path[-1])) if path else neutral(os.path.basename(self.near))
        self._size, self._done = size, 0
        self._begun = self._drawn = self._clock()

    def moved(self, count: int) -> None:
        self._done += count
        now = self._clock()
        if now - self._drawn >= _DRAW:
            self._drawn = now
            self._draw(now, "")

    def end(self) -> None:
        self._size = self._done
        self._draw(self._clock(), "\n")

    def _interrupt(self) -> None:
        if self._is_mid_line:
            self._is_mid_line = False
            self._put("\n")

    def _draw(self, now: float, end: str) -> None:
        self._is_mid_line = not end
        width = max(10, self._columns() - _NUMBERS)
        name = self._name[:width]
        self._put(f"\r{name:<{width}} {self._numbers(now - self._begun, bool(end))}{end}")

    def _numbers(self, seconds: float, is_over: bool) -> str:
        rate = self._done / seconds if seconds > 0 else 0.0
        share = f"{100 * self._done // self._size:3d}%" if self._size else "100%" if is_over else "   -"
        if is_over:
            left = _clocked(seconds)
        elif self._size is None or rate <= 0:
            left = "--:-- ETA"
        else:
            left = f"{_clocked((self._size - self._done) / rate)} ETA"
        return f"{share} {amount(self._done):>8} {amount(rate):>8}/s  {left:<12}"

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._descriptor).columns
        except OSError:
            return 80

    def _put(self, text: str) -> None:
        try:
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # nobody looks at it any more


def amount(count: float) -> str:
    """Return a number of bytes as people say it."""
    unit = 0
    while count >= 10_000 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.1f}{_UNITS[unit]}" if unit and count < 100 else f"{count:.0f}{_UNITS[unit]}"


def _clocked(seconds: float) -> str:
    minutes, rest = divmod(int(min(seconds, 359_999)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _joined(top: str, path: Path) -> str:
    return os.fsdecode(os.path.join(os.fsencode(top), *path)) if path else top

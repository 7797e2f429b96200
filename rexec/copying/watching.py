"""What an end of a copy tells whoever sits at it; the base tells nobody."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Path = tuple[bytes, ...]  # names below the top; empty is the top itself


class Watch:
    """Hears how a copy goes."""

    def begin(self, path: Path, size: int | None) -> None:
        """Hear that a file begins; `size` is None where nobody knows."""

    def moved(self, count: int) -> None:
        """Hear that so many bytes of it went."""

    def end(self) -> None:
        """Hear that the file is whole."""

    def failed(self, path: Path, message: str) -> None:
        """Hear that an entry was not copied, and why."""

    def refused(self, path: Path, message: str) -> None:
        """Hear that the other end, which receives, did not take an entry."""
        self.failed(path, message)

    def grew(self, path: Path, size: int) -> None:
        """Hear that a file became longer meanwhile, and was copied as it was with this size."""

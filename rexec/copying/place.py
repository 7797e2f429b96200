"""Where a copy stands on this disk, and what the disk says about it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.copying.watching import Path


class Place:
    """A name in a directory, given by its descriptor; `may` judges whatever is below, and the top."""

    __slots__ = ("folder", "may", "name")

    def __init__(self, folder: int, name: bytes, may: Callable[[Path], bool] | None = None) -> None:
        self.folder = folder
        self.name = name
        self.may = may


def open_folder(path: bytes) -> int:
    """Open a directory to work in; one that may not be listed can still be passed through."""
    how = os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDONLY | how)
    except PermissionError:
        return os.open(path, os.O_PATH | how)


def reason(error: OSError) -> str:
    """Return what the disk said, in its own words."""
    return (error.strerror or "input/output error").lower()

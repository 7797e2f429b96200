"""The files of Unix sockets: the runner removes them, since the listener may have no right to."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SocketFiles:
    """Those of one server; nothing but a socket under a name of the settings is ever touched."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._bound: dict[str, object] = {}

    def note(self, name: str) -> None:
        """Note that a socket was bound to a name, if it is one of ours."""
        if name in self._names:
            self._bound[name] = _mark(name)

    def forget(self) -> None:
        """Leave them to another server."""
        self._bound.clear()

    def remove(self) -> None:
        """Remove those that are still what was noted, and not another server's by now."""
        for name, mark in self._bound.items():
            if mark is not None and _mark(name) == mark:
                try:
                    os.unlink(name)
                except OSError:
                    pass  # somebody else removed it, or the directory
        self._bound.clear()


def _mark(name: str) -> object:
    """Return what tells one socket from the next; its number alone is used again at once."""
    try:
        found = os.lstat(name)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns) if stat.S_ISSOCK(found.st_mode) else None

"""What the places of a rule give, told as Landlock would: for the record, while Landlock itself holds them.

Rights add up along the way from a file to the root. Names tell quickly that nothing is lacking; what seems
to lack something is looked at once more by the files themselves, whose names may have changed.
"""

from __future__ import annotations

import os
import stat

from rexec.process import landlock
from rexec.process.whereabouts import LOOK, real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEMBERED = 4096  # directories whose rights are known
_DEPTH = 512  # directories above one another that are looked at


class Bounds:
    """What a rule gives: the rights on files and on all below directories, as Landlock holds them."""

    def __init__(self, places: Iterable[tuple[str, int]], handled: int) -> None:
        self._handled = handled
        self._known: dict[bytes, int] = {}
        self._trees: list[tuple[bytes, int]] = []
        self._files: dict[bytes, int] = {}
        self._inodes: dict[tuple[int, int], int] = {}
        for place, rights in places:
            self._note(place, rights & handled)

    def _note(self, place: str, rights: int) -> None:
        try:
            descriptor = os.open(os.fsencode(place), LOOK)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        try:
            found, path = os.fstat(descriptor), real(descriptor)
        finally:
            os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._trees.append((path.rstrip(b"/") + b"/", rights))
        else:
            rights &= landlock.OF_FILES
            self._files[path] = self._files.get(path, 0) | rights
        key = found.st_dev, found.st_ino
        self._inodes[key] = self._inodes.get(key, 0) | rights

    def lacks(self, path: bytes, wanted: int) -> int:
        """Return which rights a real path seems not to have."""
        above = path[: path.rfind(b"/") + 1]
        given = self._known.get(above)
        if given is None:
            given = 0
            for tree, rights in self._trees:
                if above.startswith(tree):
                    given |= rights
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[above] = given
        lacking = wanted & self._handled & ~given
        if lacking:
            lacking &= ~self._files.get(path, 0)
            for tree, rights in self._trees:
                if path + b"/" == tree:
                    lacking &= ~rights
        return lacking

    def truly_lacks(self, path: bytes, descriptor: int, wanted: int) -> int:
        """Look at what is open and at all directories above it, as the kernel: names change, files do not."""
        found = os.fstat(descriptor)
        lacking = wanted & self._handled & ~self._inodes.get((found.st_dev, found.st_ino), 0)
        if stat.S_ISDIR(found.st_mode):
            here = os.open(b"..", LOOK, dir_fd=descriptor)
        else:
            here = os.open(os.path.dirname(path), LOOK | os.O_NOFOLLOW)
        try:
            before = found.st_dev, found.st_ino
            for _ in range(_DEPTH):
                found = os.fstat(here)
                key = found.st_dev, found.st_ino
                lacking &= ~self._inodes.get(key, 0)
                if not lacking or key == before:
                    break
                before = key
                there = os.open(b"..", LOOK, dir_fd=here)
                os.close(here)
                here = there
        finally:
            os.close(here)
        return lacking

"""Where a name leads, for the price of one look at most: most calls name what is where others just were.

What is remembered of a directory can be wrong for a moment, if somebody puts a link in its place: then an
attempt is refused and not told. So all is forgotten when the program makes or moves a link, and in any case
after a short time.
"""

from __future__ import annotations

import errno
import os
import time

from rexec.limits import SHORTCUTS_KEPT, SHORTCUTS_LAST
from rexec.process.whereabouts import locate, named_from

_GONE = b" (deleted)"


class Shortcuts:
    """The directories that were used lately, by their names, and where they really are."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}
        self._until = 0.0

    def forget(self) -> None:
        self._known.clear()

    def path(self, pid: int, directory: int | None, name: bytes, *, follow: bool) -> bytes | None:
        """Return the real path of a name; None: it takes more to say.

        `follow` says whether a link is followed if it is one: then one has to look whether it is. Raises
        `FileNotFoundError` where that shows that nothing is there.
        """
        above, slash, last = name.rpartition(b"/")
        if last in (b"", b".", b".."):
            return None
        if not slash:
            real = os.readlink(named_from(pid, directory))
        elif name.startswith(b"/"):
            real = self._directory(above or slash)
        else:
            real = self._directory(os.readlink(named_from(pid, directory)) + b"/" + above)
        if not real.startswith(b"/") or real.endswith(_GONE):
            return None
        path = real + b"/" + last if real != b"/" else b"/" + last
        if follow:
            try:
                os.readlink(path)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    raise
                if error.errno == errno.EINVAL:  # it is no link
                    return path
            return None
        return path

    def _directory(self, name: bytes) -> bytes:
        now = time.monotonic()
        if now > self._until or len(self._known) > SHORTCUTS_KEPT:
            self._known.clear()
            self._until = now + SHORTCUTS_LAST
        real = self._known.get(name)
        if real is None:
            if not name.startswith(b"/"):
                return b""
            try:
                real, descriptor = locate(0, None, name, follow=True, magic=False)
            except OSError:  # a link of /proc, such as that to a root; or it is not there
                return b""
            os.close(descriptor)
            if real.startswith(b"/proc"):  # which differs for each that looks
                return b""
            self._known[name] = real
        return real

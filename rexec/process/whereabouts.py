"""Where a name leads that another process uses: found with its eyes, without opening anything (O_PATH).

Its working directory and descriptors are had by /proc. A link that means something else to each process
that follows it, such as /proc/self, is followed by hand. Nothing here blocks on a FIFO or wakes a device.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from functools import cache

from rexec.process.abi import open_how

_NO_MAGIC = 2  # RESOLVE_NO_MAGICLINKS
_LINKS_MAX = 40  # as the kernel
LOOK = os.O_PATH | os.O_CLOEXEC
_EITHER = 0xFFFFFFFF
_HERE = -100 & _EITHER  # AT_FDCWD; the kernel looks at the low half


def named_from(pid: int, directory: int | None) -> bytes:
    """Return where names of a process start that have no root: at a descriptor, or where it works."""
    number = _HERE if directory is None else directory & _EITHER
    return b"/proc/%d/cwd" % pid if number == _HERE else b"/proc/%d/fd/%d" % (pid, number)


def locate(
    pid: int, directory: int | None, name: bytes, *, follow: bool, resolve: int = 0, magic: bool = True
) -> tuple[bytes, int]:
    """Return where a name leads, and a descriptor of it that the caller closes. Raises `OSError`.

    Without `magic` a link that each process sees in its own way is an error.
    """
    if not name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    base = -1
    if not name.startswith(b"/") or resolve:
        base = os.open(named_from(pid, directory), LOOK)
    found = -1
    try:
        try:
            found = open_how(base, name, _how(follow, resolve) if resolve else _plain_how(follow))
            path = real(found)
            is_ours = path.startswith(_own_process())
        except OSError:
            if resolve or not magic:
                raise
            is_ours = True  # perhaps it is there for the other process alone
        if is_ours:
            if found >= 0:
                os.close(found)
                found = -1
            if not magic or resolve:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            found = _walk(pid, base, name, follow)
            path = real(found)
    except OSError:
        if found >= 0:
            os.close(found)
        raise
    finally:
        if base >= 0:
            os.close(base)
    return path, found


def _own_process() -> bytes:
    return b"/proc/%d" % os.getpid()


def _how(follow: bool, resolve: int) -> bytes:
    """Return a struct open_how (openat2(2))."""
    return struct.pack("=QQQ", LOOK | (0 if follow else os.O_NOFOLLOW), 0, resolve | _NO_MAGIC)


@cache
def _plain_how(follow: bool) -> bytes:
    return _how(follow, 0)


def real(descriptor: int) -> bytes:
    """Return the name of what is open; without a slash at its start it has none."""
    return os.readlink(b"/proc/self/fd/%d" % descriptor)


def _walk(pid: int, base: int, name: bytes, follow: bool) -> int:
    """Go step by step, past links that mean something else to us; return a descriptor."""
    here = os.dup(base) if base >= 0 else os.open(b"/", LOOK)
    left = [part for part in reversed(name.split(b"/")) if part not in (b"", b".")]
    links = 0
    try:
        while left:
            part = left.pop()
            there = os.open(part, LOOK | os.O_NOFOLLOW, dir_fd=here)
            if not stat.S_ISLNK(os.fstat(there).st_mode) or not (follow or left):
                os.close(here)
                here = there
                continue
            links += 1
            target = _target(pid, here, there, part)
            os.close(there)
            if links > _LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target is None:
                there = os.open(part, LOOK, dir_fd=here)
                os.close(here)
                here = there
                continue
            left += [step for step in reversed(target.split(b"/")) if step not in (b"", b".")]
            if target.startswith(b"/"):
                os.close(here)
                here = -1
                here = os.open(b"/", LOOK)
    except OSError:
        if here >= 0:
            os.close(here)
        raise
    return here


def _target(pid: int, above: int, link: int, name: bytes) -> bytes | None:
    """Return where a link leads for a process; None: the kernel alone can follow it."""
    if os.fstat(link).st_dev == os.stat(b"/proc").st_dev:
        if real(above) != b"/proc":
            return None
        if name in (b"self", b"thread-self"):
            return b"%d" % pid
    return os.readlink(b"", dir_fd=link)

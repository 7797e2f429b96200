"""The SHA-256 of programs: of an open file, so that the one that was read is the one that is started.

A digest is kept for as long as the file is seen not to change. What was changed a moment before it was
read is read again next time: two changes within one tick of the clock leave the same time behind.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.rules import Permit

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_TICK_NS = 2_000_000_000  # the coarsest clock of a file system in use
_KEPT = 256  # digests: one a rule with `sha256`, and then some
_CHUNK = 1 << 20


class _Version(NamedTuple):
    """What changes with the content of a file."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


_known: dict[_Version, str] = {}


def open_program(permit: Permit) -> int:
    """Open the program of a permit, if it is the one that its rule names. Raises `OSError`, `Swapped`."""
    descriptor = os.open(permit.path, _OPEN)
    try:
        if permit.grant.sha256 != _digest(descriptor):
            raise Swapped
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class Swapped(Exception):
    """The program is another one than the rule names by its SHA-256."""


def _digest(descriptor: int) -> str:
    version, is_settled = _look(descriptor)
    if is_settled and version in _known:
        return _known[version]
    found = _read(descriptor)
    if _look(descriptor)[0] != version:  # it changed while it was read
        raise Swapped
    if is_settled:
        while len(_known) >= _KEPT:
            del _known[next(iter(_known))]
        _known[version] = found
    return found


def _look(descriptor: int) -> tuple[_Version, bool]:
    """Return the version of an open file, and whether its time tells it from a later one."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    version = _Version(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return version, time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _TICK_NS


def _read(descriptor: int) -> str:
    import hashlib

    state = hashlib.sha256()
    position = 0
    while data := os.pread(descriptor, _CHUNK, position):
        state.update(data)
        position += len(data)
    return state.hexdigest()

"""Holes: what is stored of a file, and the digest of it.

A hole counts in a digest as the eight bytes of its length, so that nobody has to hash zeros by the terabyte,
least of all because somebody else said so. Without holes the digest is the SHA-256 of the file.
"""

from __future__ import annotations

import errno
import hashlib
import os

from rexec.limits import COPY_BUFFER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STORED = 512  # bytes of a block of st_blocks


def add_hole(digest: hashlib._Hash, size: int) -> None:
    """Take a hole into a digest."""
    digest.update(size.to_bytes(8, "big"))


def stretches(file: int, status: os.stat_result, start: int, end: int) -> Iterator[tuple[bool, int]]:
    """Give the stretches of a file up to `end`, each with whether it is a hole; the file stands there."""
    if status.st_blocks * STORED >= status.st_size:
        os.lseek(file, start, os.SEEK_SET)
        yield False, end - start
        return
    while start < end:
        try:
            data = min(os.lseek(file, start, os.SEEK_DATA), end)
        except OSError as error:
            if error.errno != errno.ENXIO:  # which means that a hole is all that is left
                raise
            data = end
        if data > start:
            yield True, data - start
        if data == end:
            return
        start = min(os.lseek(file, data, os.SEEK_HOLE), end)
        os.lseek(file, data, os.SEEK_SET)
        yield False, start - data


def digest_of(file: int, size: int) -> hashlib._Hash | None:
    """Return the digest of the first `size` bytes of a file, None where there are fewer."""
    digest = hashlib.sha256()
    room = memoryview(bytearray(COPY_BUFFER))
    for is_hole, length in stretches(file, os.fstat(file), 0, size):
        if is_hole:
            add_hole(digest, length)
            continue
        while length:
            count = os.readv(file, [room[: min(length, COPY_BUFFER)]])
            if not count:
                return None
            digest.update(room[:count])
            length -= count
    return digest

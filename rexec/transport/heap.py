"""What malloc does with the memory of frames that are gone."""

from __future__ import annotations

from rexec.limits import MIB

_HELD = 8 * MIB  # bytes: all that a session holds of bulk at once, several times


def keep_freed() -> None:
    """Have freed memory used again, instead of given back with every frame and faulted in with the next.

    glibc learns from a large piece that is freed: from then on pieces up to that size come from its heap,
    and twice as much of that is kept (mallopt(3), M_MMAP_THRESHOLD). The pages of this one are never
    touched: it costs two system calls.
    """
    bytes(_HELD)

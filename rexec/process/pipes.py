"""What the kernel holds between a child and whoever reads it: how much it may be, whether some is there."""

from __future__ import annotations

import fcntl
import select

from rexec.limits import KIB, PIPE_BULK

_TERMINAL = (
    128 * KIB
)  # bytes that a terminal's buffers hold at most: 64 KiB on their way and those to be read


def grow(descriptor: int) -> None:
    """Make a pipe larger once it has shown bulk; past the quota of pipe(7) it stays as it is."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BULK)
    except OSError:
        pass


def capacity(descriptor: int) -> int:
    """Return how many bytes a pipe or a terminal may hold."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    except OSError:
        return _TERMINAL


def has_more(descriptor: int) -> bool:
    """Tell whether there is something to read, be it the end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

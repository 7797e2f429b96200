"""Where a command's streams come from and go to: descriptors that never make us wait, or memory.

A descriptor of ours may be shared with other processes, so that O_NONBLOCK must not be set on it. A
pipe is opened again through /proc, which gives a description of our own; a socket takes a flag with
each write; files and /dev/null never wait; all else is written in pieces that poll(2) promised room for.
"""

from __future__ import annotations

import _socket as socket

from rexec.limits import KIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import stat
    from collections import deque
    from collections.abc import Callable
else:
    import _stat as stat
    import posix as os
    from _collections import deque  # without the classes around it

_PIECE = 4 * KIB  # PIPE_BUF: what a pipe that poll calls writable takes without waiting
_NEWLINE = 10
_READ = 256 * KIB
_MEMORY = 1  # the major number of /dev/null and its kin, which never make anybody wait (Linux's devices.txt)


class Sink:
    """Takes a command's output: `put` what came, and it is gone when `pending` is 0."""

    pending = 0
    descriptor = -1
    is_inside_line = False  # what was put last is no whole line

    def put(self, data: bytes | memoryview) -> int:
        """Take data, a view of which is good for now alone; return how many bytes put so far are gone."""
        raise NotImplementedError

    def flush(self) -> int:
        """Go on; return how many more bytes are gone. Raises `BrokenPipeError` when nobody reads."""
        return 0

    def close(self) -> None:
        """Give up what is ours."""


class MemorySink(Sink):
    """Keeps everything."""

    def __init__(self) -> None:
        self.data = bytearray()

    def put(self, data: bytes | memoryview) -> int:
        self.data += data
        return len(data)


class HeldSink(Sink):
    """Holds what came until somebody takes it: never more than the window, which nobody moves on."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()

    def put(self, data: bytes | memoryview) -> int:
        self._pieces.append(bytes(data))
        return 0

    @property
    def is_empty(self) -> bool:
        return not self._pieces

    def take(self) -> bytes:
        """Return the oldest piece, or nothing."""
        return self._pieces.popleft() if self._pieces else b""


class NullSink(Sink):
    """Drops everything."""

    def put(self, data: bytes | memoryview) -> int:
        return len(data)


class FdSink(Sink):
    """Writes to a descriptor that is not ours to close, and never waits for its reader."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._queue: deque[memoryview] = deque()
        self._write, self._close = _writer(descriptor)

    def put(self, data: bytes | memoryview) -> int:
        self.pending += len(data)
        self.is_inside_line = data[-1] != _NEWLINE
        gone = 0 if self._queue else self._offer(memoryview(data))
        if gone < len(data):
            self._queue.append(memoryview(bytes(data[gone:])))
        self.pending -= gone
        return gone

    def flush(self) -> int:
        gone = 0
        while self._queue:
            piece = self._queue[0]
            count = self._offer(piece)
            gone += count
            if count < len(piece):
                self._queue[0] = piece[count:]
                break
            self._queue.popleft()
        self.pending -= gone
        return gone

    def _offer(self, data: memoryview) -> int:
        """Write as much as the descriptor takes now."""
        gone = 0
        try:
            while gone < len(data) and (count := self._write(data[gone:] if gone else data)):
                gone += count
        except BlockingIOError:
            pass
        return gone

    def rest(self) -> bytes:
        """Take out what it could not write yet."""
        found = b"".join(self._queue)
        self._queue.clear()
        return found

    def close(self) -> None:
        close, self._close = self._close, _nothing
        self._write = _refuse
        close()


def _writer(descriptor: int) -> tuple[Callable[[memoryview], int], Callable[[], None]]:
    """Return how to write to a descriptor without waiting, and how to give that up."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return _refuse, _nothing
    mode, device = found.st_mode, found.st_rdev
    if stat.S_ISFIFO(mode):
        try:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return _polled(descriptor), _nothing
        return (lambda data: os.write(own, data)), (lambda: os.close(own))
    if stat.S_ISSOCK(mode):
        end = socket.socket(fileno=os.dup(descriptor))
        end_send = end.send
        return (lambda data: end_send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)), end.close
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and os.major(device) == _MEMORY):
        return (lambda data: os.write(descriptor, data)), _nothing
    return _polled(descriptor), _nothing


def _polled(descriptor: int) -> Callable[[memoryview], int]:
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)

    def write(data: memoryview) -> int:
        return os.write(descriptor, data[:_PIECE]) if poll.poll(0) else 0

    return write


def _refuse(data: memoryview) -> int:
    raise BrokenPipeError


def _nothing() -> None:
    pass


class Source:
    """Gives a command's input."""

    descriptor = -1  # to be polled before each read, or -1: can be read at any time
    ends_all = False  # whoever gives no more reads no more either

    def read(self, room: int) -> bytes:
        """Return some bytes, at most `room`; none means the end."""
        raise NotImplementedError


class NoSource(Source):
    """Empty from the start."""

    def read(self, room: int) -> bytes:
        return b""


class MemorySource(Source):
    """Gives bytes that are there."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def read(self, room: int) -> bytes:
        piece = bytes(self._left[: min(room, _READ)])
        self._left = self._left[len(piece) :]
        return piece


class FdSource(Source):
    """Reads a descriptor once poll(2) says that there is something; a closed one is empty."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read(self, room: int) -> bytes:
        try:
            return os.read(self.descriptor, min(room, _READ))
        except BlockingIOError:  # somebody left it non-blocking, and somebody else was faster
            raise
        except OSError:
            return b""


class CarriedSource(FdSource):
    """Reads what somebody sends who is gone for good at its end."""

    ends_all = True

"""The two directions of a copy: records into a descriptor, and out of one.

What is written is gathered in one buffer, into which files are read directly, so that many small files
need few system calls and large ones are copied once. A writer that waits for room listens meanwhile to
what comes back: otherwise two ends could wait for each other for ever. Every length that comes is hostile.
"""

from __future__ import annotations

import fcntl
import os
import select

from rexec.copying.records import DATA, HEADER, RECORDS
from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.limits import COPY_BUFFER, COPY_DATA_MAX, COPY_RECORD_MAX, KIB, PIPE_BULK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.copying.pace import Pace
    from rexec.copying.records import Told

_LEAST = 32 * KIB  # bytes of room in the buffer below which reading a file into it is not worth a call
_GONE = "the other end of the copy is gone"


class Writer:
    """Gathers records and sends them; `listen` is called when something can be read from `heard`."""

    def __init__(self, descriptor: int, pace: Pace | None = None) -> None:
        self._descriptor = descriptor
        self._pace = pace
        self._room = memoryview(bytearray(COPY_BUFFER))
        self._used = 0
        self._heard = -1
        self._listen: Callable[[], bool] | None = None
        os.set_blocking(descriptor, False)
        widen(descriptor)

    def listen_to(self, heard: int, listen: Callable[[], bool]) -> None:
        """Have `listen` called while there is something to read and no room to write; False: no more."""
        self._heard, self._listen = heard, listen

    def put(self, record: Told) -> None:
        """Add a record; it goes with the next flush."""
        payload = record.encode()
        self._make_room(HEADER.size + len(payload))
        HEADER.pack_into(self._room, self._used, record.code, len(payload))
        start = self._used + HEADER.size
        self._used = start + len(payload)
        self._room[start : self._used] = payload

    def data(self, source: int, most: int) -> memoryview:
        """Read up to `most` bytes of a file and add them as data; return them, empty at the end.

        What is returned is good until the next call of anything here.
        """
        if COPY_BUFFER - self._used < min(most, _LEAST) + HEADER.size:
            self.flush()
        start = self._used + HEADER.size
        count = os.readv(source, [self._room[start : min(start + most, COPY_BUFFER)]])
        if count:
            HEADER.pack_into(self._room, self._used, DATA, count)
            self._used = start + count
        return self._room[start : start + count]

    def piece(self, piece: memoryview) -> None:
        """Add bytes of a file that are at hand already."""
        self._make_room(HEADER.size + 1)
        self.forward(HEADER.pack(DATA, len(piece)))
        self.forward(piece)

    def forward(self, piece: bytes | memoryview) -> None:
        """Add bytes that are a record, or part of one, already."""
        piece = memoryview(piece)
        while piece:
            self._make_room(1)
            size = min(len(piece), COPY_BUFFER - self._used)
            self._room[self._used : self._used + size] = piece[:size]
            self._used += size
            piece = piece[size:]

    def _make_room(self, size: int) -> None:
        if COPY_BUFFER - self._used < size:
            self.flush()

    def flush(self) -> None:
        """Send all that is there. Raises `ConnectionLost`."""
        left = self._room[: self._used]
        while left:
            try:
                sent = os.write(self._descriptor, left if self._pace is None else left[: self._pace.step])
                left = left[sent:]
                if self._pace is not None:
                    self._pace.spend(sent)
            except BlockingIOError:
                self._wait()
            except OSError:
                self._used = 0
                raise ConnectionLost(_GONE) from None
        self._used = 0
        if self._listen is not None and not self._listen():
            self._listen, self._heard = None, -1

    def answer(self, record: Told) -> None:
        """Send a record at once; whoever is gone has no use for an answer, and what it sent still counts."""
        try:
            self.put(record)
            self.flush()
        except ConnectionLost:
            pass

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if self._heard >= 0:
            poll.register(self._heard, select.POLLIN)
        ready = dict(poll.poll())
        if self._heard in ready and self._listen is not None and not self._listen():
            self._heard = -1


class Reader:
    """Takes records apart as they come."""

    def __init__(self, descriptor: int, pace: Pace | None = None) -> None:
        self.descriptor = descriptor
        self._pace = pace
        self._room = memoryview(bytearray(COPY_BUFFER))
        self._start = 0
        self._end = 0
        self._left = 0  # bytes of a record of data that are still to be handed on
        widen(descriptor)

    def next(self) -> Told | memoryview | None:
        """Return the next record, or a piece of data, or None where the stream ends.

        A piece is good until the next call. Raises `RemoteProtocolError`.
        """
        if not self._left:
            code, length = self._header()
            if code != DATA:
                return self._record(code, length) if code else None
            if not 0 < length <= COPY_DATA_MAX:
                raise RemoteProtocolError(f"a record of {length} bytes of data")
            self._left = length
        if self._start == self._end and not self._fill():
            return None
        start = self._start
        self._start = min(self._end, start + self._left)
        self._left -= self._start - start
        return self._room[start : self._start]

    @property
    def is_ready(self) -> bool:
        """Whether something can be read without waiting."""
        return self._start < self._end or bool(_readable(self.descriptor))

    def _header(self) -> tuple[int, int]:
        """Return type and length of the next record; no type at the end of the stream."""
        if not self._gather(HEADER.size):
            return 0, 0
        code, length = HEADER.unpack_from(self._room, self._start)
        if code == DATA:
            self._start += HEADER.size
        elif code not in RECORDS:
            raise RemoteProtocolError(f"record of unknown type {code}")
        elif length > COPY_RECORD_MAX:
            raise RemoteProtocolError(f"record of {length} bytes, at most {COPY_RECORD_MAX}")
        return code, length

    def _record(self, code: int, length: int) -> Told | None:
        if not self._gather(HEADER.size + length):
            return None
        start = self._start + HEADER.size
        self._start = start + length
        return RECORDS[code].decode(bytes(self._room[start : self._start]))

    def _gather(self, size: int) -> bool:
        """Have so many bytes at hand; False where the stream ends before."""
        while self._end - self._start < size:
            if not self._fill():
                return False
        return True

    def _fill(self) -> bool:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == COPY_BUFFER:
            kept = bytes(self._room[self._start : self._end])
            self._start, self._end = 0, len(kept)
            self._room[: self._end] = kept
        try:
            room = self._room[self._end :]
            count = os.readv(self.descriptor, [room if self._pace is None else room[: self._pace.step]])
        except BlockingIOError:
            _readable(self.descriptor, None)
            return self._fill()
        self._end += count
        if self._pace is not None:
            self._pace.spend(count)
        return count > 0


def _readable(descriptor: int, timeout: int | None = 0) -> list[tuple[int, int]]:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll.poll(timeout)


def widen(descriptor: int) -> None:
    """Let a pipe hold more at once; past the quota of pipe(7), or for what is no pipe, it stays as it is."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BULK)
    except OSError:
        pass

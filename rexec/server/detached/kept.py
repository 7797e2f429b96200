"""What a detached command wrote, kept in files within a bound: the latest of it, in its order.

A file `log-N` begins with the bytes of stdout and stderr that came before it. Records follow: stream,
length, data. When there is one file too many the oldest goes, and a reader that was not there yet knows
from the next one how much it missed.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from rexec.limits import JOB_SEGMENTS, KIB
from rexec.protocol.frames import Stream

if TYPE_CHECKING:
    from rexec.server.detached.folder import Folder

_HEAD = struct.Struct("!QQ")
_RECORD = struct.Struct("!BI")
PIECE = 64 * KIB  # bytes of one record at most
_PREFIX = "log-"
_SMALLEST = 4 * KIB  # bytes of a file: below it, heads would be all there is


def numbers(folder: Folder) -> list[int]:
    """List the files that are there, the oldest first. Raises `OSError`."""
    names = (name.removeprefix(_PREFIX) for name in folder.names() if name.startswith(_PREFIX))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


class Writer:
    """The warden's side: `dropped` are bytes of files that went, `lost` had no room on the disk."""

    def __init__(self, folder: Folder, bound: int) -> None:
        """Begin the first file. Raises `OSError`."""
        self._folder = folder
        self._largest = max(_SMALLEST, bound // JOB_SEGMENTS)
        self._total = {Stream.STDOUT: 0, Stream.STDERR: 0}
        self._bytes: dict[int, int] = {}  # of the command's, in each file
        self._number = -1
        self._descriptor = -1
        self._size = 0
        self.dropped = 0
        self.lost = 0
        self.why = ""  # bytes are lost
        self._begin()

    def write(self, stream: Stream, data: memoryview) -> None:
        """Keep some bytes, as far as the disk takes them; from the first that it does not, none."""
        while data:
            piece, data = data[:PIECE], data[PIECE:]
            if not self.lost:
                self._put(stream, piece)
            else:
                self.lost += len(piece)
            self._total[stream] += len(piece)

    def make_room(self) -> None:
        """Give the oldest file up: how it all ended is worth more. Raises `OSError`."""
        number = min(self._bytes)
        os.unlink(f"{_PREFIX}{number}", dir_fd=self._folder.descriptor)
        self.dropped += self._bytes.pop(number)

    def _put(self, stream: Stream, piece: memoryview) -> None:
        try:
            if self._size + _RECORD.size + len(piece) > self._largest:
                self._begin()
            self._append([_RECORD.pack(stream, len(piece)), piece])
            self._bytes[self._number] += len(piece)
        except OSError as error:
            self.lost += len(piece)
            self.why = (error.strerror or str(error)).lower()

    def _append(self, pieces: list[bytes | memoryview]) -> None:
        """Write all of it, or nothing."""
        wanted = sum(map(len, pieces))
        if os.writev(self._descriptor, pieces) < wanted:
            os.ftruncate(self._descriptor, self._size)
            raise OSError(0, "no space left on device")
        self._size += wanted

    def _begin(self) -> None:
        """Begin the next file, and let the oldest go."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        descriptor = self._folder.open(f"{_PREFIX}{self._number + 1}", flags)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = descriptor, 0
        self._number += 1
        self._bytes[self._number] = 0
        self._append([_HEAD.pack(self._total[Stream.STDOUT], self._total[Stream.STDERR])])
        if len(self._bytes) > JOB_SEGMENTS:
            self.make_room()


class Reader:
    """One stream of it, from the oldest byte that is there; `missed` were there before."""

    def __init__(self, folder: Folder, stream: Stream) -> None:
        self._folder = folder
        self._stream = stream
        self._descriptor = -1
        self._number = -1
        self._offset = 0
        self._count = 0  # bytes of the stream up to here
        self._looked: tuple[int, int] = self.place  # once more before it went on
        self.missed = 0

    @property
    def place(self) -> tuple[int, int]:
        """Where it is: of two readers, who is behind goes on first."""
        return self._number, self._offset

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self) -> bytes:
        """Return the next piece of the stream, nothing where there is none yet. Raises `OSError`."""
        while True:
            data = self._piece() if self._descriptor >= 0 else b""
            if data or not self._next():
                return data

    def _piece(self) -> bytes:
        """Return the next piece in the file at hand."""
        while len(head := os.pread(self._descriptor, _RECORD.size, self._offset)) == _RECORD.size:
            stream, size = _RECORD.unpack(head)
            data = os.pread(self._descriptor, min(size, PIECE), self._offset + _RECORD.size)
            if len(data) < size:  # it is being written
                break
            self._offset += _RECORD.size + size
            if stream == self._stream:
                self._count += size
                return data
        return b""

    def _next(self) -> bool:
        """Go on with the next file, if there is one and the one at hand is at its end."""
        later = [number for number in numbers(self._folder) if number > self._number]
        if not later:
            return False
        if self._descriptor >= 0 and self._looked != self.place:
            self._looked = self.place  # it may have grown before the next one was begun
            return True
        try:
            descriptor = self._folder.open(f"{_PREFIX}{later[0]}", os.O_RDONLY)
        except FileNotFoundError:  # it went just now: the next one is there
            return True
        head = os.pread(descriptor, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            os.close(descriptor)
            return False
        self.close()
        self._descriptor, self._number, self._offset = descriptor, later[0], _HEAD.size
        before = int(_HEAD.unpack(head)[self._stream - 1])
        self.missed += max(0, before - self._count)
        self._count = max(before, self._count)
        return True

"""The file of a run's ids: records of one size, added at the end, each with a sum of its own.

Every run of a server has a file of its own in one directory and keeps it locked, so that who finds one
without its lock knows that its run is over. What a crash leaves half written is shorter than a record, or
its sum is wrong: it is passed over.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from binascii import crc32
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from rexec import files
from rexec.errors import ConfigError
from rexec.limits import IDS_FILE_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Key = tuple[bytes, int]  # whose session, and the id within it

BEGUN, ENDED, LOST, SETTLED, DROPPED = range(1, 6)  # what a record says of its id
_BODY = Struct(">16sQ8s4sIBBBx")
_SUM = Struct(">I")
RECORD = _BODY.size + _SUM.size  # bytes
_NAME = re.compile(r"[0-9a-f]{16}(\.new)?")
_CHUNK = 1024 * RECORD


class Record(NamedTuple):
    """What is known of one id."""

    who: bytes  # whose session it is: a hash of key, user and name
    number: int
    contents: bytes  # a hash of what was asked for
    user: bytes  # likewise of the user
    when: int  # Unix time
    kind: int
    cause: int = 0
    status: int = 0

    @property
    def key(self) -> Key:
        return self.who, self.number

    def pack(self) -> bytes:
        body = _BODY.pack(*self)
        return body + _SUM.pack(crc32(body))


def records_of(data: bytes) -> Iterator[Record | None]:
    """Yield the whole records that stand one behind another; None for one that is damaged."""
    for start in range(0, len(data) - RECORD + 1, RECORD):
        body = data[start : start + _BODY.size]
        whole = crc32(body) == _SUM.unpack_from(data, start + _BODY.size)[0]
        yield Record(*_BODY.unpack(body)) if whole else None


class LedgerFile:
    """The file of this run."""

    def __init__(self, directory: str, first: Iterable[Record] = ()) -> None:
        """Make one that begins with what is known. Raises `ConfigError`."""
        self.path = os.path.join(directory, secrets.token_hex(8))
        self.size = 0
        self._descriptor = -1
        self._torn = False
        try:
            self._descriptor = self._made(self.path)
            self.add(b"".join(record.pack() for record in first))
        except OSError as error:
            if self._descriptor >= 0:
                self.remove()
            raise files.refused(self.path, error) from None

    @staticmethod
    def _made(path: str) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, files.PRIVATE)
        try:
            os.fchmod(descriptor, files.PRIVATE)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def add(self, data: bytes) -> None:
        """Add whole records with one write, or nothing. Raises `OSError`."""
        if self._torn:
            self._take_back()
        count = os.write(self._descriptor, data)
        if count < len(data):
            self._torn = True
            self._take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += count

    def _take_back(self) -> None:
        os.ftruncate(self._descriptor, self.size)
        self._torn = False

    def sync(self) -> None:
        """Have what was written outlast a loss of power. Raises `OSError`."""
        os.fdatasync(self._descriptor)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Put a file with these records alone in the place of this one. Raises `OSError`."""
        beside = f"{self.path}.new"
        descriptor = self._made(beside)
        try:
            data = b"".join(record.pack() for record in records)
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.rename(beside, self.path)
        except OSError:
            os.close(descriptor)
            _unlink(beside)
            raise
        os.close(self._descriptor)
        self._descriptor, self.size, self._torn = descriptor, len(data), False

    def forget(self) -> None:
        """Close it: another process goes on with it."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Leave nothing behind."""
        _unlink(self.path)
        self.forget()


class Other:
    """The file of another run, which may still write it: a server that hands over, or was just killed."""

    def __init__(self, path: str) -> None:
        """Open it. Raises `ConfigError`."""
        self.path = path
        self.damaged = 0  # records
        self.known: dict[Key, Record] = {}
        self._descriptor = files.open_private(path, os.O_RDWR)
        self._read = 0

    def is_over(self) -> bool:
        """Tell whether its run is; what that wrote last can be read after this."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        if not self._is_replaced():
            return True
        self._follow()
        return self.is_over()

    def look(self) -> None:
        """Know what was added since the last look. Raises `ConfigError`, `OSError`."""
        if self._is_replaced():
            self._follow()
        while data := os.pread(self._descriptor, _CHUNK, self._read):
            whole = len(data) - len(data) % RECORD
            if not whole:
                return
            self._read += whole
            if self._read > IDS_FILE_MAX:
                raise ConfigError(f"{self.path}: is larger than {IDS_FILE_MAX} bytes")
            for record in records_of(data[:whole]):
                self._take(record)

    def _take(self, record: Record | None) -> None:
        if record is None:
            self.damaged += 1
        elif record.kind == DROPPED:
            self.known.pop(record.key, None)
        else:
            self.known[record.key] = record

    def _is_replaced(self) -> bool:
        return not os.fstat(self._descriptor).st_nlink and os.path.exists(self.path)

    def _follow(self) -> None:
        """Go on with the file that its run put in the place of this one."""
        descriptor = files.open_private(self.path, os.O_RDWR)
        self.close()
        self._descriptor, self._read = descriptor, 0
        self.known.clear()  # all that still matters stands there

    def close(self) -> None:
        os.close(self._descriptor)

    def remove(self) -> None:
        """Remove a file whose run is over, once its records stand elsewhere."""
        _unlink(self.path)
        self.close()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # another server took over what it says


def others(directory: str) -> list[Other]:
    """Open the files of all other runs. Raises `ConfigError`."""
    try:
        names = sorted(name for name in os.listdir(directory) if _NAME.fullmatch(name))
    except OSError as error:
        raise files.refused(directory, error) from None
    return [Other(os.path.join(directory, name)) for name in names]


def locked(directory: str) -> int:
    """Return a descriptor that keeps other servers out while it is open. Raises `ConfigError`."""
    files.ensure_home(directory)
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise files.refused(directory, error) from None
    return descriptor

"""The records of a copy: what its sender says, and what its receiver answers.

A record is a type number of one byte, a length of four, and the fields of `protocol.wire`. Every name is
one component of a path, and a tree is told as a person would walk it: into a directory, its entries, up
again. The entry at the top has no name at all: what it is called at the receiver, the receiver knows.
`File`, `Directory` and `Skipped` are numbered from 1 in the order of the stream, which answers refer to.
"""

from __future__ import annotations

import struct

from rexec.choice import IntChoice
from rexec.errors import RemoteProtocolError
from rexec.limits import COPY_NAME_MAX
from rexec.protocol.wire import Record, blob, flag, text, u16, u64, wire_enum, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

HEADER = struct.Struct("!BI")
DATA = 4  # the one type that is no class: a receiver takes its bytes as they come
_SIGN = 1 << 63

RECORDS: dict[int, type[Told]] = {}


class Told(Record):
    """Base of all records of a copy."""

    if TYPE_CHECKING:
        code: ClassVar[int]

    def __init_subclass__(cls, code: int) -> None:
        cls.code = code
        RECORDS[code] = cls


@wire_enum
class Ask(IntChoice):
    """Whether the sender waits for an answer before it sends the bytes of a file."""

    NO = 0
    GO = 1  # is there room, and may it be written?
    RESUME = 2  # and is there a part of it already?


# --- sender to receiver ----------------------------------------------------------------------------


class Directory(Told, code=1):
    """Into a directory; times in nanoseconds since 1970, in two's complement."""

    name: blob
    mode: u16
    accessed: u64
    modified: u64


class Up(Told, code=2):
    """Out of the directory: it is complete."""


class File(Told, code=3):
    """A file begins; `stored` is what it takes on the sender's disk, `size` is None where nobody knows."""

    name: blob
    mode: u16
    size: u64 | None
    stored: u64
    accessed: u64
    modified: u64
    ask: Ask


class Hole(Told, code=5):
    """So many bytes of zero that nobody has stored."""

    size: u64


class End(Told, code=6):
    """The file is whole: its size, and the digest of it (`holes`). `grew`: it is longer by now."""

    size: u64
    digest: blob
    grew: flag = False


class Broken(Told, code=7):
    """The file at hand will not be whole; without a message it is the receiver that did not want it."""

    message: text


class Skipped(Told, code=8):
    """An entry that is not sent, and why."""

    name: blob
    message: text


class From(Told, code=9):
    """The answer to `Have`: what follows begins at this offset, which is 0 or what the receiver has."""

    offset: u64


class Finish(Told, code=10):
    """That was all."""


# --- receiver to sender ----------------------------------------------------------------------------


class Have(Told, code=16):
    """Go on with the file at hand; of it there are so many bytes already, with this digest."""

    size: u64 = 0
    digest: blob = b""


class Refused(Told, code=17):
    """An entry, by its number, was not written: which one below the top, and why."""

    number: u64
    path: words
    message: text


class Done(Told, code=18):
    """All is written that could be: so many files, and so many entries that could not."""

    files: u64
    failed: u64


def as_time(nanoseconds: int) -> int:
    """Return a time as it stands in a record."""
    return nanoseconds & (2 * _SIGN - 1)


def from_time(field: int) -> int:
    """Return the nanoseconds since 1970 of a field."""
    return field - 2 * _SIGN if field & _SIGN else field


def check_name(name: bytes) -> None:
    """Raise `RemoteProtocolError` for what is not one component of a path (CVE-2019-6111)."""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name or len(name) > COPY_NAME_MAX:
        raise RemoteProtocolError(f"{name[:COPY_NAME_MAX]!a} is no name of a file")

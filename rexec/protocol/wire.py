"""Records: immutable typed values whose bytes follow from the types of their fields.

A record class is written like a dataclass; the annotation of a field names its codec::

    class Credit(Record):
        stream: Stream
        offset: u64

Integers are unsigned and big-endian. `text` (UTF-8) and `blob` (bytes) carry a u32 length in front,
`words`, `texts` and `pairs` a u32 count, an optional field (``text | None``) one byte 0 or 1. `tail`
is all that is left. Enums are one byte. A record may be a field of another. Decoding ends with a
check for leftovers, and raises `RemoteProtocolError` for anything a well-behaved peer would not have
sent; encoding raises `LocalProtocolError` for values that have no place on the wire. A value has one
encoding only: what decodes encodes to the same bytes again.

The classes are built here and not by `dataclasses`, whose import alone costs the one-shot client
more than its whole handshake.
"""

from __future__ import annotations

import struct

from rexec.choice import IntChoice
from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import WORDS_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self, dataclass_transform

    Write = Callable[[Any], bytes]
    Read = Callable[["Reader"], Any]
else:

    def dataclass_transform(**_: object):
        return lambda cls: cls


u8 = int
u16 = int
u32 = int
u64 = int
flag = bool
text = str
blob = bytes
tail = bytes
words = tuple[bytes, ...]
texts = tuple[str, ...]
pairs = tuple[tuple[bytes, bytes], ...]

_U32 = struct.Struct("!I")
compiler: Callable[[type[Record]], None] | None = None  # gives a class functions of its own at its first use
_SHOWN_MAX = 64  # bytes, characters or items that a repr shows in full: logs stay readable


class Reader:
    """A cursor over one payload; every length in it is hostile."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        start = self.position
        end = start + size
        if end > len(self.data):
            raise RemoteProtocolError("field runs past the end of its frame")
        self.position = end
        return self.data[start:end]

    def blob(self) -> bytes:
        return self.take(_U32.unpack(self.take(4))[0])

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError:
            raise RemoteProtocolError("text is not UTF-8") from None

    def flag(self) -> bool:
        value = self.take(1)[0]
        if value > 1:
            raise RemoteProtocolError("flag is neither 0 nor 1")
        return bool(value)

    def count(self, smallest: int) -> int:
        """Read the number of items that follow, each at least `smallest` bytes long."""
        count: int = _U32.unpack(self.take(4))[0]
        if count > WORDS_MAX or count * smallest > len(self.data) - self.position:
            raise RemoteProtocolError("list is longer than its frame")
        return count

    def finish(self) -> None:
        if self.position != len(self.data):
            raise RemoteProtocolError("bytes left over at the end of a frame")


def _integer(layout: str) -> tuple[Write, Read]:
    coder = struct.Struct(layout)
    size = coder.size
    return coder.pack, lambda reader: coder.unpack(reader.take(size))[0]


def _write_blob(value: bytes) -> bytes:
    return _U32.pack(len(value)) + value


def _write_text(value: str) -> bytes:
    return _write_blob(value.encode())


def _write_count(value: tuple[object, ...]) -> bytes:
    if len(value) > WORDS_MAX:
        raise LocalProtocolError(f"list of {len(value)} items, at most {WORDS_MAX}")
    return _U32.pack(len(value))


def _write_words(value: words) -> bytes:
    return b"".join((_write_count(value), *map(_write_blob, value)))


def _write_texts(value: texts) -> bytes:
    return _write_words(tuple(item.encode() for item in value))


def _write_pairs(value: pairs) -> bytes:
    return _write_count(value) + b"".join([_write_blob(a) + _write_blob(b) for a, b in value])


CODECS: dict[str, tuple[Write, Read]] = {
    "u8": _integer("!B"),
    "u16": _integer("!H"),
    "u32": _integer("!I"),
    "u64": _integer("!Q"),
    "flag": (lambda value: b"\1" if value else b"\0", Reader.flag),
    "text": (_write_text, Reader.text),
    "blob": (_write_blob, Reader.blob),
    "tail": (bytes, lambda reader: reader.take(len(reader.data) - reader.position)),
    "words": (_write_words, lambda r: tuple([r.blob() for _ in range(r.count(4))])),
    "texts": (_write_texts, lambda r: tuple([r.text() for _ in range(r.count(4))])),
    "pairs": (_write_pairs, lambda r: tuple([(r.blob(), r.blob()) for _ in range(r.count(8))])),
}


ENUMS: dict[str, type[IntChoice]] = {}


def wire_enum(enum: type[IntChoice]) -> type[IntChoice]:
    """Register an enum as a field type of one byte; an unknown value is the peer's error."""

    def read(reader: Reader) -> IntChoice:
        value = reader.take(1)[0]
        try:
            return enum(value)
        except ValueError:
            raise RemoteProtocolError(f"unknown {enum.__name__.lower()} {value}") from None

    CODECS[enum.__name__] = (lambda value: bytes((value,)), read)
    ENUMS[enum.__name__] = enum
    return enum


def _optional(codec: tuple[Write, Read]) -> tuple[Write, Read]:
    write, read = codec
    return (
        lambda value: b"\0" if value is None else b"\1" + write(value),
        lambda reader: read(reader) if reader.flag() else None,
    )


def _codec(annotation: str) -> tuple[Write, Read]:
    if annotation.endswith(" | None"):
        return _optional(CODECS[annotation.removesuffix(" | None")])
    return CODECS[annotation]


@dataclass_transform(frozen_default=True)
class RecordType(type):
    """Turn the annotations of a class body into slots, a constructor and a pair of codecs."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any
    ) -> RecordType:
        fields = tuple(namespace.get("__annotations__", {}).items())
        names = tuple(field for field, _ in fields)
        namespace["defaults"] = {field: namespace.pop(field) for field in names if field in namespace}
        namespace["__slots__"] = namespace["__match_args__"] = namespace["names"] = names
        namespace["fields"] = fields
        namespace["codecs"] = tuple((field, *_codec(annotation)) for field, annotation in fields)
        cls = super().__new__(mcs, name, bases, namespace, **keywords)
        CODECS[name] = (lambda value: value.encode(), lambda reader: cls.read(reader))  # type: ignore[attr-defined]
        return cls


class Record(metaclass=RecordType):
    """Base of all records; see the module."""

    if TYPE_CHECKING:
        fields: ClassVar[tuple[tuple[str, str], ...]]  # (name, annotation), in wire order
        names: ClassVar[tuple[str, ...]]
        codecs: ClassVar[tuple[tuple[str, Write, Read], ...]]
        defaults: ClassVar[dict[str, object]]
    else:

        def __init__(self, *values, **named):
            names = self.names
            if compiler is not None and names:
                compiler(type(self))
            if len(values) > len(names):
                raise TypeError(f"{type(self).__name__} takes {len(names)} values, got {len(values)}")
            store = object.__setattr__
            for name, value in zip(names, values, strict=False):
                store(self, name, value)
            for name in names[len(values) :]:
                if name in named:
                    store(self, name, named.pop(name))
                elif name in self.defaults:
                    store(self, name, self.defaults[name])
                else:
                    raise TypeError(f"{type(self).__name__} needs {name}")
            if named:
                raise TypeError(f"{type(self).__name__} has no {', '.join(named)}")

        def __setattr__(self, name, value=None):
            raise AttributeError(f"{type(self).__name__} is immutable")

        __delattr__ = __setattr__

    def values(self) -> tuple[object, ...]:
        return tuple([getattr(self, name) for name in self.names])

    def encode(self) -> bytes:
        """Return the payload: the fields one after another.

        Raises `LocalProtocolError` for a number out of range, text that is not Unicode (a surrogate
        of `os.fsdecode`) or a list of more than `WORDS_MAX` items.
        """
        cls = type(self)
        if compiler is not None and cls.names:
            compiler(cls)
            return self.encode()
        try:
            return b"".join([write(getattr(self, name)) for name, write, _ in cls.codecs])
        except (struct.error, ValueError) as error:
            raise LocalProtocolError(f"{cls.__name__}: {error}") from None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        if compiler is not None and cls.names:
            compiler(cls)
            return cls.read(reader)
        return cls(*[read(reader) for _, _, read in cls.codecs])

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the record that `payload` encodes, all of it, or raise `RemoteProtocolError`."""
        reader = Reader(payload)
        record = cls.read(reader)
        reader.finish()
        return record

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{name: changes.get(name, getattr(self, name)) for name in self.names})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Record) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash((type(self), self.values()))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={_short(getattr(self, name))}" for name in self.names)
        return f"{type(self).__name__}({inner})"


def _short(value: object) -> str:
    if isinstance(value, (bytes, str, tuple, memoryview)) and len(value) > _SHOWN_MAX:
        return f"<{type(value).__name__} of {len(value)}>"
    return value.name if isinstance(value, IntChoice) else repr(value)

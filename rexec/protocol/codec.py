"""Codecs of records as functions of their own, for a process that stays.

`wire` goes through the fields of a record one by one, which is all that a client needs that sends ten
frames and ends. A server, or a program that runs a thousand commands, has one function written for each
class that it uses: fields of fixed size are packed and unpacked together, and the lengths of texts with
them. Bytes, checks and errors are the same: the tests of `wire` hold for both.
"""

from __future__ import annotations

import struct

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.protocol import wire
from rexec.protocol.wire import CODECS, ENUMS, Reader, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FIXED = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "flag": "B"}
_SIZED = ("text", "blob")
_SHORT = "raise RemoteProtocolError('field runs past the end of its frame')"
_NO_FLAG = "raise RemoteProtocolError('flag is neither 0 nor 1')"
_NO_TEXT = "raise RemoteProtocolError('text is not UTF-8')"


def compile_codecs() -> None:
    """Have functions written for each class of records at its first use from now on."""
    wire.compiler = compile_codec


def compile_all() -> None:
    """Have them written now for all classes: a process that gives up its rights writes none later."""
    for cls in _kinds(Record):
        if cls.names:
            compile_codec(cls)


def _kinds(base: type[Record]) -> Iterator[type[Record]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _kinds(cls)


def compile_codec(cls: type[Record]) -> None:
    """Write the functions of a class; what it has by hand, it keeps."""
    writer = _Writer(cls)
    made: dict[str, Any] = {}
    code = compile("\n".join(writer.lines()), f"<codec of {cls.__name__}>", "exec")
    exec(code, writer.known, made)  # noqa: S102 -- made of the names of our own fields alone
    own = cls.__mro__[: cls.__mro__.index(Record)]
    for name, function in made.items():
        if not any(name in base.__dict__ for base in own):
            setattr(cls, name, staticmethod(function) if name in ("read", "decode") else function)


class _Writer:
    """Writes the functions of one class; `known` are the names in them."""

    def __init__(self, cls: type[Record]) -> None:
        self._cls = cls
        self.known: dict[str, Any] = {
            "LocalProtocolError": LocalProtocolError,
            "Reader": Reader,
            "RemoteProtocolError": RemoteProtocolError,
            "_cls": cls,
            "error_of_struct": struct.error,
            "_join": b"".join,
            "_new": object.__new__,
        }
        self.known["setters"] = {name: getattr(cls, name).__set__ for name in cls.names}
        self.known.update({f"set_{name}": put for name, put in self.known["setters"].items()})
        self.known.update({f"default_{name}": value for name, value in cls.defaults.items()})

    def lines(self) -> Iterator[str]:
        names = self._cls.names
        given = [f"{name}=default_{name}" if name in self._cls.defaults else name for name in names]
        yield f"def __init__(self, {', '.join(given)}):"
        yield from (f"    set_{name}(self, {name})" for name in names)
        yield "def values(self):"
        yield f"    return ({', '.join(f'self.{name}' for name in names)},)"
        yield "def replace(self, **changes):"
        yield "    other = _new(_cls)"
        yield from (f"    set_{name}(other, self.{name})" for name in names)
        yield "    for name, value in changes.items():"
        yield "        setters[name](other, value)"
        yield "    return other"
        yield from self._encode()
        yield from self._read()
        yield from self._decode()

    def _struct(self, layout: str) -> struct.Struct:
        return struct.Struct(f"!{layout}")

    def _layout(self, kind: str) -> str:
        """Return how a field of fixed size is packed, nothing for one that has none."""
        return "B" if kind in ENUMS else _FIXED.get(kind, "")

    # --- out ----------------------------------------------------------------------------------

    def _encode(self) -> Iterator[str]:
        parts: list[str] = []
        layout, packed = "", list[str]()  # what goes into one struct
        yield "def encode(self):"
        yield "    try:"
        for name, kind in (*self._cls.fields, ("", "")):
            if self._layout(kind):
                layout += "?" if kind == "flag" else self._layout(kind)
                packed.append(f"self.{name}")
                continue
            if kind in _SIZED:
                yield f"        {name} = self.{name}{'.encode()' if kind == 'text' else ''}"
                layout += "I"
                packed.append(f"len({name})")
            if packed:
                self.known[f"pack_{len(parts)}"] = self._struct(layout).pack
                parts.append(f"pack_{len(parts)}({', '.join(packed)})")
                layout, packed = "", []
            if kind in _SIZED:
                parts.append(name)
            elif kind:
                parts.append(self._written(name, kind))
        yield f"        return {parts[0] if len(parts) == 1 else '_join((' + ', '.join(parts) + '))'}"
        yield "    except (error_of_struct, ValueError) as error:"
        yield f"        raise LocalProtocolError(f'{self._cls.__name__}: {{error}}') from None"

    def _written(self, name: str, kind: str) -> str:
        self.known[f"write_{name}"] = CODECS[kind.removesuffix(" | None")][0]
        written = f"write_{name}(self.{name})"
        if kind.endswith(" | None"):
            return f"(b'\\0' if self.{name} is None else b'\\1' + {written})"
        return written

    # --- in -----------------------------------------------------------------------------------

    def _read(self) -> Iterator[str]:
        """Write `read`, which leaves the reader behind the record."""
        yield "def read(_reader):"
        yield "    _data, _at = _reader.data, _reader.position"
        yield "    try:"
        fields = list(self._cls.fields)
        while fields:
            yield from (f"        {line}" for line in self._read_some(fields))
        yield f"    except error_of_struct: {_SHORT} from None"
        yield f"    except UnicodeDecodeError: {_NO_TEXT} from None"
        yield "    _reader.position = _at"
        yield "    _self = _new(_cls)"
        yield from (f"    set_{name}(_self, {name})" for name in self._cls.names)
        yield "    return _self"

    def _read_some(self, fields: list[tuple[str, str]]) -> Iterator[str]:
        """Take fields of fixed size, and the length of a text behind them; or one of another kind."""
        fixed: list[tuple[str, str]] = []
        while fields and self._layout(fields[0][1]):
            fixed.append(fields.pop(0))
        layout, names = "".join(self._layout(kind) for _, kind in fixed), [name for name, _ in fixed]
        sized = fields.pop(0) if fields and fields[0][1] in _SIZED else None
        if sized is not None:
            layout, names = f"{layout}I", [*names, "_size"]
        if layout:
            packed = self._struct(layout)
            self.known[f"unpack_{names[0]}_{len(fields)}"] = packed.unpack_from
            yield f"{', '.join(names)}, = unpack_{names[0]}_{len(fields)}(_data, _at)"
            yield f"_at += {packed.size}"
            for name, kind in fixed:
                yield from self._judge(name, kind)
            if sized is not None:
                yield from self._read_sized(*sized)
        else:
            yield from self._read_other(*fields.pop(0))

    def _judge(self, name: str, kind: str) -> Iterator[str]:
        if kind == "flag":
            yield f"if {name} > 1: {_NO_FLAG}"
            yield f"{name} = {name} == 1"
        elif kind in ENUMS:
            self.known[f"members_{kind}"] = {int(member): member for member in ENUMS[kind]}
            yield f"if {name} not in members_{kind}:"
            yield f"    raise RemoteProtocolError(f'unknown {kind.lower()} {{{name}}}')"
            yield f"{name} = members_{kind}[{name}]"

    def _read_sized(self, name: str, kind: str) -> Iterator[str]:
        yield "_end = _at + _size"
        yield f"if _end > len(_data): {_SHORT}"
        yield f"{name} = _data[_at:_end]{'.decode()' if kind == 'text' else ''}"
        yield "_at = _end"

    def _read_other(self, name: str, kind: str) -> Iterator[str]:
        self.known[f"read_{name}"] = CODECS[kind.removesuffix(" | None")][1]
        read = f"_reader.position = _at; {name} = read_{name}(_reader); _at = _reader.position"
        if not kind.endswith(" | None"):
            yield read
            return
        yield f"if _at >= len(_data): {_SHORT}"
        yield "_there = _data[_at]"
        yield f"if _there > 1: {_NO_FLAG}"
        yield "_at += 1"
        yield f"{name} = None"
        yield f"if _there: {read}"

    def _decode(self) -> Iterator[str]:
        yield "def decode(payload):"
        yield "    reader = Reader(payload)"
        yield "    self = _cls.read(reader)"
        yield "    if reader.position != len(payload): reader.finish()"
        yield "    return self"

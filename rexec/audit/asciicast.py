"""Recordings of sessions, in asciicast v2: a header, then one JSON line an event (time, kind, text).

The format and its players are asciinema's. Without a terminal a line feed stands for a new line, which
a player's terminal wants as carriage return and line feed.
"""

from __future__ import annotations

import codecs
import json
import time
from typing import NamedTuple

from rexec.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OUTPUT = "o"
INPUT = "i"
_VERSION = 2
_COLUMNS, _ROWS = 80, 24  # of a command that has no terminal
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def header(title: str, term: str | None = None, columns: int = 0, rows: int = 0) -> bytes:
    """Return the first line; `title` is the command, `term` None where there is no terminal."""
    fields: dict[str, object] = {
        "version": _VERSION,
        "width": columns or _COLUMNS,
        "height": rows or _ROWS,
        "timestamp": int(time.time()),
        "title": title,
    }
    if term is not None:
        fields["env"] = {"TERM": term}
    return _line(fields)


class Writer:
    """Turns bytes into lines of a recording; a character that comes in two pieces stays one."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._started = time.monotonic()
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def event(self, kind: str, stream: str, data: bytes | memoryview) -> bytes:
        """Return the line of an event, b"" where not even one character is whole."""
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(bytes(data))
        if not self._terminal and kind == OUTPUT:
            text = text.replace("\n", "\r\n")
        seconds = round(time.monotonic() - self._started, 6)
        return _line([seconds, kind, text]) if text else b""


def _line(value: object) -> bytes:
    return _encode(value).replace("\x7f", "\\u007f").encode() + b"\n"


class Event(NamedTuple):
    """A piece of a recording, so many seconds after its start."""

    seconds: float
    kind: str
    text: str


def read(lines: Iterable[bytes], name: str) -> tuple[dict[str, object], Iterator[Event]]:
    """Return header and events of a recording. Raises `ConfigError`, also while events are read."""
    rest = iter(lines)
    header = _parsed(next(rest, b""), f"{name}:1")
    if not isinstance(header, dict) or header.get("version") != _VERSION:
        raise ConfigError(f"{name}:1: not a recording in asciicast v{_VERSION}")
    return header, _events(rest, name)


def _events(lines: Iterable[bytes], name: str) -> Iterator[Event]:
    for number, line in enumerate(lines, 2):
        if not line.endswith(b"\n"):
            return  # the disk was full, or it is still being written
        match _parsed(line, f"{name}:{number}"):
            case [int() | float() as seconds, str() as kind, str() as text, *_]:
                yield Event(float(seconds), kind, text)
            case _:
                raise ConfigError(f"{name}:{number}: not an event of a recording")


def _parsed(line: bytes, place: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{place}: not a line of a recording") from None

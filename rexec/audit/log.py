r"""The log: one line an event, `rexec-server: EVENT key=value ...`, whatever the values hold.

A value with a blank, a quote, or anything that is not printable ASCII is written as a JSON string,
so that no argument, name or address can start a new line or steer a terminal.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache

_PLAIN = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    "!#$%&()*+,-./:;<>?@[]^_{|}~"  # printable ASCII without blank, quotes, backslash, "=", backtick
)


def quoted(value: object) -> str:
    """Return a value as it stands in the log."""
    if isinstance(value, list | tuple):
        return _json(value)
    return "-" if value is None or value == "" else _quoted(str(value))


@lru_cache(256)  # users, keys, addresses and rules come again with each command
def _quoted(text: str) -> str:
    return text if _PLAIN.issuperset(text) else _json(text)


def _json(value: object) -> str:
    """Write JSON in printable ASCII: what `json` leaves as it is of the control characters is DEL."""
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f")


def line(event: str, fields: dict[str, object]) -> str:
    """Return one line of the log, without its end."""
    return " ".join([f"rexec-server: {event}", *[f"{key}={quoted(value)}" for key, value in fields.items()]])


class Log:
    """Writes lines to one descriptor, each with a single write, so that two processes can share it."""

    __slots__ = ("_descriptor", "_verbose")

    def __init__(self, descriptor: int = 2, *, verbose: bool = False) -> None:
        self._descriptor = descriptor
        self._verbose = verbose

    def event(self, event: str, **fields: object) -> None:
        """Write one event; a reserved word as key is given with an underscore behind it."""
        named = {key.removesuffix("_"): value for key, value in fields.items()}
        self.text(line(event, named) + "\n")

    def detail(self, event: str, **fields: object) -> None:
        """Write what only those want to know who asked for more words."""
        if self._verbose:
            self.event(event, **fields)

    def text(self, text: str) -> None:
        """Write text as it is. A log that cannot be written is no reason to stop serving."""
        data = text.encode(errors="backslashreplace")
        try:
            while data:  # one call takes all of it, unless a signal comes in between
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass

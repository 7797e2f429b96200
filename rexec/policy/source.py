"""One file of an allow list, and what no file may hold anywhere."""

from __future__ import annotations

from typing import NamedTuple

from rexec.limits import POLICY_LINE_MAX, POLICY_MAX
from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Source(NamedTuple):
    """A file: its name in messages and labels, where the disk has it, and what it says."""

    name: str
    place: str
    text: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, name: str, place: str, text: str) -> Source:
        """Make one, with its lines."""
        return cls(name, place, text, tuple(text.split("\n")))


def foreign(text: str) -> tuple[int, int, str] | None:
    """Say at which line and column a text is none of the agreed form, and why."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        before = text[: exc.start]
        return before.count("\n") + 1, exc.start - before.rfind("\n"), "this is not UTF-8"
    if size > POLICY_MAX:
        return 1, 1, f"the file has {size} bytes, more than {POLICY_MAX}"
    if text.startswith("\ufeff"):
        return 1, 1, "a byte order mark stands in front: write plain UTF-8"
    return None


def refuse_controls(line: str) -> None:
    """Refuse what no line may hold anywhere, comments included: it would hide the rest from a reader."""
    if len(line) > POLICY_LINE_MAX or len(line.encode()) > POLICY_LINE_MAX:
        raise Flaw(1, f"the line has {len(line.encode())} bytes, more than {POLICY_LINE_MAX}")
    if line.isascii() and line.isprintable():
        return
    for index, char in enumerate(line):
        if char == "\r":
            raise Flaw(
                index + 1, "a carriage return: lines end with a newline alone", "sed -i 's/\\r$//' FILE"
            )
        if (char < " " and char != "\t") or "\x7f" <= char < "\xa0":
            raise Flaw(index + 1, f"a control character {quoted(char)}")
        if char in _REORDERING:
            raise Flaw(index + 1, f"a mark {quoted(char)} that changes the order in which text is shown")

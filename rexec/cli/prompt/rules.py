"""What this user may run, as the server lists it; nothing here decides anything."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rexec.errors import RemoteProtocolError
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Rule(NamedTuple):
    """One rule: its text and purpose are for people, the rest is as the server said it."""

    label: str
    text: str
    about: str
    command: str
    words: tuple[str, ...]  # arguments that can be one thing only, from the first on
    terminal: str  # no, yes, only
    danger: str = ""  # low, high
    confirm: bool = False  # whether it wants a text

    def shown(self) -> str:
        """Return the rule as one line that steers no terminal."""
        return f"{neutral(self.text)}  # {neutral(self.about)}" if self.about else neutral(self.text)


class Verdict(NamedTuple):
    """What the server's policy says to a line."""

    allowed: bool
    reason: str
    terminal: str  # of the rule that decided
    confirm: str | None = None  # the text that it wants


def rules_of(body: bytes) -> list[Rule]:
    """Return the rules of an answer to `list`. Raises `RemoteProtocolError`."""
    try:
        return [_rule(row) for row in json.loads(body)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unreadable() from None


def _rule(row: dict[str, Any]) -> Rule:
    text = str(row["text"])
    command = str(row.get("command", text.split(" ")[0]))
    words = tuple(str(word) for word in row.get("words", ()))
    about = str(row["about"] or "")
    terminal, danger = str(row.get("pty", "yes")), str(row.get("danger", ""))
    confirm = row.get("confirm") is not None
    return Rule(str(row["rule"]), text, about, command, words, terminal, danger, confirm)


def verdict_of(body: bytes) -> Verdict:
    """Return the verdict of an answer to `explain`. Raises `RemoteProtocolError`."""
    try:
        found = json.loads(body)
        lines = [neutral(str(line)) for line in found["lines"]]
        code = int(found["exit_code"])
        terminal, confirm = str(found.get("pty") or "yes"), found.get("confirm")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unreadable() from None
    wanted = "allowed by " if code == 0 else ("denied: ", "not there: ")
    reason = next((line for line in lines if line.startswith(wanted)), "")
    return Verdict(code == 0, reason, terminal, None if confirm is None else str(confirm))


def choices_of(body: bytes) -> list[tuple[str, str]]:
    """Return the words of an answer to `complete`, and what each is for. Raises `RemoteProtocolError`."""
    try:
        return [(str(row["word"]), str(row["about"])) for row in json.loads(body)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unreadable() from None


def terminal_of(rules: Sequence[Rule], command: str) -> str | None:
    """Say whether a command gets a terminal where all rules for it agree, else None."""
    found = {rule.terminal for rule in rules if rule.command == command}
    return found.pop() if len(found) == 1 else None


def _unreadable() -> RemoteProtocolError:
    return RemoteProtocolError("the server's answer cannot be read")

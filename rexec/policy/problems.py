"""What is wrong with an allow list, and where: one problem is a place, a sentence and a way out."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rexec.errors import ConfigError
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(Enum):
    """How much a problem weighs: an error refuses the file, a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Flaw(Exception):
    """One line cannot be understood; internal to the room, `parse` adds file and line."""

    def __init__(self, column: int, text: str, suggestion: str | None = None) -> None:
        super().__init__(text)
        self.column = column
        self.text = text
        self.suggestion = suggestion


class Problem(NamedTuple):
    """One finding about one place of a file; line and column count from 1."""

    name: str
    line: int
    column: int
    severity: Severity
    text: str
    source: str = ""
    suggestion: str | None = None

    def __str__(self) -> str:
        return f"{neutral(self.name)}:{self.line}:{self.column}: {neutral(self.text)}"

    def lines(self) -> list[str]:
        """Show the problem as ``FILE:LINE:COL: error: text``, the line, a caret and the suggestion."""
        place = f"{neutral(self.name)}:{self.line}:{self.column}"
        before = neutral(self.source[: self.column - 1].replace("\t", " "))
        shown = [f"{place}: {self.severity.value}: {neutral(self.text)}"]
        shown.append("    " + neutral(self.source.replace("\t", " ")))
        shown.append("    " + " " * len(before) + "^")
        if self.suggestion is not None:
            shown.append(f"    hint: {neutral(self.suggestion)}")
        return shown


class PolicyRefused(ConfigError):
    """The allow list has errors and is refused whole; `problems` holds all that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        errors = [problem for problem in self.problems if problem.severity is Severity.ERROR]
        first, others = errors[0], len(errors) - 1
        hint = first.suggestion
        if hint is None and others:
            hint = f"{others} more: rexec-server check shows them all"
        super().__init__(str(first), hint=None if hint is None else neutral(hint))

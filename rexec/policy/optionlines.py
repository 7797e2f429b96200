"""One option line: its word, the tokens behind it, and what most readers of options ask of them."""

from __future__ import annotations

from typing import NamedTuple

from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rexec.policy.disk import Disk
    from rexec.policy.tokens import Token


class OptionLine(NamedTuple):
    """A line below a rule; `captured` are the names of the rule's values, where the rule is sound."""

    word: Token
    values: Sequence[Token]
    disk: Disk
    captured: frozenset[str] | None = None

    def bare(self) -> None:
        """Refuse anything behind the word."""
        if self.values:
            raise Flaw(self.values[0].column, f"{self.word.text} stands alone")

    def some(self, what: str) -> Sequence[Token]:
        """Take one value or more, all of them literals."""
        if not self.values:
            raise Flaw(self.word.end + 1, f"{self.word.text} needs {what}")
        for value in self.values:
            literal(value, what)
        return self.values

    def only(self, what: str) -> Token:
        """Take the one literal that an option has."""
        if not self.values:
            raise Flaw(self.word.end + 1, f"{self.word.text} needs {what}")
        if len(self.values) > 1:
            raise Flaw(self.values[1].column, f"{self.word.text} takes {what} and nothing more")
        literal(self.values[0], what)
        return self.values[0]

    def choice(self, *choices: str, what: str | None = None) -> str:
        """Take one of a few words; `what` names them where there is more to take."""
        what = what or " or ".join(choices)
        token = self.only(what)
        if token.text not in choices:
            text = f"{self.word.text} {quoted(token.text)} is not known to this version"
            raise Flaw(token.column, text, f"it takes {what}")
        return token.text


def literal(token: Token, what: str) -> str:
    """Give the text of a word; `what` says what is missing where a bracket or brace stands."""
    if not token.is_literal:
        raise Flaw(token.column, f"{what} is expected here")
    return token.text


def absolute(token: Token, what: str) -> str:
    """Give an absolute path in its only spelling."""
    path = literal(token, what)
    if not is_canonical(path):
        raise Flaw(token.column, f"{quoted(path)} is no absolute path in its only spelling")
    return path

"""The tokens behind a command -> patterns: one row of `READERS` for each kind of token."""

from __future__ import annotations

from rexec.policy.arguments import DASHES, FREE, Dashes, Literal
from rexec.policy.braces import read_braces
from rexec.policy.optspecs import read_options
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.typed import Typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rexec.policy.arguments import Pattern
    from rexec.policy.braces import Sets
    from rexec.policy.tokens import Token


def read_patterns(tokens: Sequence[Token], strict: bool, sets: Sets) -> tuple[Pattern, ...]:
    """Read what stands behind the command; nothing means any arguments, or none under %strict."""
    if not tokens:
        return () if strict else (FREE,)
    first = tokens[0]
    if first.kind is Kind.LIST and not first.text:
        if first.modifier:
            raise Flaw(first.end, f"[] means no arguments: nothing repeats by {first.modifier}")
        if len(tokens) > 1:
            raise Flaw(tokens[1].column, "[] means no arguments and stands alone")
        return ()
    patterns = tuple(READERS[token.kind](token, sets) for token in tokens)
    _look_at_row(tokens, patterns)
    return patterns


def _look_at_row(tokens: Sequence[Token], patterns: Sequence[Pattern]) -> None:
    """Refuse what each token for itself does not show."""
    names: set[str] = set()
    ended = False  # a -- was there
    for token, pattern in zip(tokens, patterns, strict=True):
        if pattern is FREE and token is not tokens[-1]:
            raise Flaw(token.column, "... takes all that is left and stands last", "a literal one is '...'")
        if pattern == Dashes():
            if ended:
                raise Flaw(token.column, "-- stands twice", "a literal one is '--'")
            ended = True
        if pattern.name and pattern.name in names:
            raise Flaw(token.column, f"the name {pattern.name} stands twice")
        names.add(pattern.name)


def _read_word(token: Token, sets: Sets) -> Pattern:
    return Dashes() if token.text == DASHES else Literal(token.text)


def _read_quoted(token: Token, sets: Sets) -> Pattern:
    return Literal(token.text)


def _read_free(token: Token, sets: Sets) -> Pattern:
    return FREE


def _read_list(token: Token, sets: Sets) -> Pattern:
    if not token.text:
        raise Flaw(token.column, "[] means no arguments and stands alone")
    return read_options(token, sets)


def _read_brace(token: Token, sets: Sets) -> Pattern:
    name, found = read_braces(token.text, token.inner, sets)
    return Typed(found, token.modifier, name)


READERS: dict[Kind, Callable[[Token, Sets], Pattern]] = {
    Kind.WORD: _read_word,
    Kind.QUOTED: _read_quoted,
    Kind.FREE: _read_free,
    Kind.LIST: _read_list,
    Kind.BRACE: _read_brace,
}

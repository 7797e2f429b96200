"""``env``: the variables that a rule sets, and those that it takes from the client."""

from __future__ import annotations

from dataclasses import replace

from rexec.policy import environment
from rexec.policy.optionlines import literal
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rexec.policy.grant import Grant
    from rexec.policy.optionlines import OptionLine
    from rexec.policy.tokens import Token


def read_env(grant: Grant, line: OptionLine) -> Grant:
    """Read ``env NAME=VALUE...`` or ``env pass NAME...``."""
    if not line.values:
        raise Flaw(line.word.end + 1, "env needs NAME=VALUE, or pass and names")
    if line.values[0].is_word("pass"):
        return _pass(grant, line.values[0], line.values[1:])
    for value in line.values:
        grant = _set(grant, value)
    return grant


def _set(grant: Grant, token: Token) -> Grant:
    name, equals, value = literal(token, "NAME=VALUE").partition("=")
    if not equals or not environment.is_variable(name):
        raise Flaw(
            token.column, f"{quoted(token.text)} is not NAME=VALUE", "with blanks in it: env 'NAME=a b'"
        )
    if name.startswith(environment.OURS):
        raise Flaw(token.column, f"{name} is set by rexec itself")
    _be_new(grant, name, token)
    return replace(grant, env_set=(*grant.env_set, (name, value)))


def _pass(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    if not values:
        raise Flaw(word.end + 1, "env pass needs names, such as LANG LC_*")
    for value in values:
        grant = replace(grant, env_pass=(*grant.env_pass, _passed(grant, value)))
    return grant


def _passed(grant: Grant, token: Token) -> str:
    name = literal(token, "a name")
    globs = token.kind is Kind.WORD and environment.is_glob(name)  # quoted words are never patterns
    if not globs and not environment.is_variable(name):
        raise Flaw(token.column, f"{quoted(name)} is neither a name nor a name with * behind it")
    if environment.is_hopeless(name):
        raise Flaw(token.column, f"{name} is never taken from a client", "set it here: env NAME=VALUE")
    _be_new(grant, name, token)
    return name


def _be_new(grant: Grant, name: str, token: Token) -> None:
    """Refuse a variable that the rule has already: which one counts would be a riddle."""
    if name in grant.env_pass or name in dict(grant.env_set):
        raise Flaw(token.column, f"{name} stands twice for one rule")

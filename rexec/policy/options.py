"""The options of a rule: one row of a table each; a row turns its tokens into a changed grant."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from rexec.limits import TIMEOUT_MAX
from rexec.policy import environment
from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.who import read_who
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rexec.policy.grant import Grant
    from rexec.policy.tokens import Token

    Read = Callable[[Grant, Token, Sequence[Token]], Grant]

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Option(NamedTuple):
    """A row: how the option is read, and whether it may stand more than once."""

    read: Read
    repeats: bool = False


def read_option(grant: Grant, tokens: Sequence[Token], seen: set[str]) -> Grant:
    """Read one option line into a new grant; `seen` are the options that the rule had so far."""
    word, *values = tokens
    option = OPTIONS.get(word.text) if word.kind is Kind.WORD else None
    if option is None:
        near = closest(word.text, OPTIONS)
        text = f"option {quoted(word.text)} is not known to this version"
        raise Flaw(word.column, text, f"did you mean {near}?" if near else None)
    if word.text in seen and not option.repeats:
        raise Flaw(word.column, f"{word.text} stands twice for one rule")
    seen.add(word.text)
    return option.read(grant, word, values)


def _only(word: Token, values: Sequence[Token], what: str) -> str:
    """Take the one literal that an option has."""
    if not values:
        raise Flaw(word.end + 1, f"{word.text} needs {what}")
    if len(values) > 1:
        raise Flaw(values[1].column, f"{word.text} takes {what} and nothing more")
    return _literal(values[0], what)


def _literal(token: Token, what: str) -> str:
    if not token.is_literal:
        raise Flaw(token.column, f"{what} is expected here")
    return token.text


def _choice(word: Token, values: Sequence[Token], *choices: str) -> str:
    text = _only(word, values, " or ".join(choices))
    if text not in choices:
        raise Flaw(values[0].column, f"{word.text} {quoted(text)} is not known to this version")
    return text


def _about(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    return replace(grant, about=_only(word, values, "one text in quotes"))


def _for(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    return replace(grant, whom=read_who(values, word.column))


def _timeout(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    text = _only(word, values, "a duration")
    found = _DURATION.fullmatch(text)
    if found is None:
        hint = "write a number and its unit: 500ms 30s 10m 2h 1d"
        raise Flaw(values[0].column, f"{quoted(text)} is no duration", hint)
    seconds = int(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= TIMEOUT_MAX:
        raise Flaw(values[0].column, f"{quoted(text)} is not between 1ms and 366d")
    return replace(grant, timeout=seconds)


def _cwd(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    if values and values[0].is_word("ask"):
        return _cwd_ask(grant, values[0], values[1:])
    path = _only(word, values, "a directory")
    if not is_canonical(path):
        raise Flaw(values[0].column, f"{quoted(path)} is no absolute path in its only spelling")
    if grant.cwd is not None:
        raise Flaw(word.column, "cwd stands twice for one rule")
    return replace(grant, cwd=path)


def _cwd_ask(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    if grant.cwd_ask is not None:
        raise Flaw(word.column, "cwd ask stands twice for one rule")
    if not values:
        return replace(grant, cwd_ask="/")
    tree = _only(word, values, "one ROOT/**")
    root = tree.removesuffix("/**") or "/"
    if root == tree or not is_canonical(root):
        raise Flaw(
            values[0].column, f"{quoted(tree)} is not ROOT/** with an absolute ROOT", "cwd ask '/srv/**'"
        )
    return replace(grant, cwd_ask=root)


def _env(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    if not values:
        raise Flaw(word.end + 1, "env needs NAME=VALUE, or pass and names")
    if values[0].is_word("pass"):
        return _env_pass(grant, values[0], values[1:])
    for value in values:
        grant = _env_set(grant, value)
    return grant


def _env_set(grant: Grant, token: Token) -> Grant:
    name, equals, value = _literal(token, "NAME=VALUE").partition("=")
    if not equals or not environment.is_variable(name):
        raise Flaw(
            token.column, f"{quoted(token.text)} is not NAME=VALUE", "with blanks in it: env 'NAME=a b'"
        )
    if name.startswith(environment.OURS):
        raise Flaw(token.column, f"{name} is set by rexec itself")
    _be_new(grant, name, token)
    return replace(grant, env_set=(*grant.env_set, (name, value)))


def _env_pass(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    if not values:
        raise Flaw(word.end + 1, "env pass needs names, such as LANG LC_*")
    for value in values:
        grant = replace(grant, env_pass=(*grant.env_pass, _passed(grant, value)))
    return grant


def _passed(grant: Grant, token: Token) -> str:
    name = _literal(token, "a name")
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


def _pty(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    return replace(grant, pty=_choice(word, values, "no", "yes", "only"))


def _stdin(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    return replace(grant, stdin=_choice(word, values, "no", "yes") == "yes")


def _background(grant: Grant, word: Token, values: Sequence[Token]) -> Grant:
    return replace(grant, background_keep=_choice(word, values, "kill", "keep") == "keep")


OPTIONS: dict[str, Option] = {
    "about": Option(_about),
    "background": Option(_background),
    "cwd": Option(_cwd, repeats=True),  # cwd DIR and cwd ask, each once
    "env": Option(_env, repeats=True),
    "for": Option(_for),
    "pty": Option(_pty),
    "stdin": Option(_stdin),
    "timeout": Option(_timeout),
}

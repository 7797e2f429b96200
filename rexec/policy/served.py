"""Server commands, ``svc {u=UNIT} = systemctl stop -- {u}.service``: said is one thing, started another.

A captured value is one argument, or a part of one, and never more. It is no part of a word of a
program that would read it as program text or as a command line: a shell, an interpreter, a wrapper.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rexec.policy.arguments import DASHES, FREE
from rexec.policy.problems import Flaw
from rexec.policy.programs import Role, program_of
from rexec.policy.tokens import Kind
from rexec.policy.typed import Typed
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rexec.policy.arguments import Pattern
    from rexec.policy.programs import Program
    from rexec.policy.tokens import Token

Captured = dict[str, Typed]
Values = tuple[tuple[str, str], ...]  # what was captured, by name; a name may stand more than once

_PIECE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NO_PROGRAM = re.compile(r"[0-9.]+[smhd]?|0x[0-9A-Fa-f]+|[A-Za-z_][A-Za-z0-9_]*=.*")  # 10, 5m, NAME=VALUE
_JOINING = frozenset({"autossh", "dbclient", "mosh", "plink", "rsh", "slogin", "ssh", "watch"})
_SIGNS = frozenset({"any", "path", "re", "text", "url"})  # types whose values a shell could read otherwise


@dataclass(frozen=True, slots=True)
class Assembled:
    """One word of a server command: texts, and between them the names of values."""

    texts: tuple[str, ...]  # one more than names
    names: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Tell whether the word is one value and nothing else."""
        return self.texts == ("", "")

    def filled(self, values: Values) -> list[str]:
        """Give the arguments: a value that stands alone is as many as it was captured, all else is one."""
        if self.is_whole:
            return [word for name, word in values if name == self.names[0]]
        captured = dict(values)
        middle = [captured[name] + text for name, text in zip(self.names, self.texts[1:], strict=True)]
        return ["".join([self.texts[0], *middle])]


@dataclass(frozen=True, slots=True)
class Served:
    """What is started; `command` is its program as written."""

    command: str
    words: tuple[Assembled, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for word in self.words for name in word.names)

    def argv(self, values: Values) -> tuple[str, ...]:
        """Put the captured values in their places."""
        return (self.command, *(filled for word in self.words for filled in word.filled(values)))


def read_served(tokens: Sequence[Token], patterns: Iterable[Pattern], said: Sequence[Token]) -> Served:
    """Read the words behind the command; `said` are the tokens that `patterns` were read from."""
    captured = _captured(patterns, said)
    command, *rest = tokens
    words = tuple(_read_word(token, captured) for token in rest)
    program = program_of(command.text)
    if program is not None and program.runs_arguments:
        _keep_apart(command, program, rest, words)
    if command.text.rpartition("/")[2] in _JOINING:
        _keep_plain(command, rest, words, captured)
    return Served(command.text, words)


def _captured(patterns: Iterable[Pattern], said: Sequence[Token]) -> Captured:
    """Refuse what the client could say and nobody would hear."""
    captured: Captured = {}
    for pattern, token in zip(patterns, said, strict=False):
        if isinstance(pattern, Typed) and pattern.name:
            captured[pattern.name] = pattern
        elif pattern.types or pattern is FREE or token.kind is Kind.LIST:
            hint = "give it a name: {name=type}, and use it behind ="
            raise Flaw(token.column, "this would never reach the server command", hint)
    return captured


def _read_word(token: Token, captured: Captured) -> Assembled:
    if token.is_literal:
        return Assembled((token.text,))
    if token.kind is not Kind.ASSEMBLED:
        raise Flaw(
            token.column, "a server command has words and {names} only", "what is meant literally is quoted"
        )
    texts, names = _PIECE.split(token.text)[::2], _PIECE.split(token.text)[1::2]
    word = Assembled(tuple(texts), tuple(names))
    for name in names:
        _be_known(name, token, captured)
        if captured[name].modifier and not word.is_whole:
            text = f"{{{name}}} may be none or many, and this word is one"
            raise Flaw(token.column, text, "let it stand alone")
    return word


def _be_known(name: str, token: Token, captured: Captured) -> None:
    if name in captured:
        return
    if not _NAME.fullmatch(name):
        raise Flaw(token.column, f"{quoted(name)} is no name", "types stand before the =, names behind it")
    near = closest(name, captured)
    hint = f"did you mean {{{near}}}?" if near else f"capture it before the =: {{{name}=word}}"
    raise Flaw(token.column, f"nothing captures {quoted(name)}", hint)


def _keep_apart(
    command: Token, program: Program, tokens: Sequence[Token], words: Sequence[Assembled]
) -> None:
    """Refuse a value where a shell, an interpreter or a wrapper would take it for what it runs."""
    before = program.operands + 1  # words that stand before a value: the last of them is what is run
    behind = ""  # the option just before
    for token, word in zip(tokens, words, strict=True):
        if word.names and not word.is_whole:
            what = "a value is no part of a word that a shell, an interpreter or a wrapper reads"
            raise Flaw(token.column, what, "let it stand alone")
        if word.names and (before or behind):
            what = f"here {quoted(command.text)} could take the value for what it runs"
            raise Flaw(token.column, what, "let it stand behind what is run, and behind no option")
        text = word.texts[0]
        if before and not (
            word.names or text.startswith("-") or behind in program.values or _NO_PROGRAM.fullmatch(text)
        ):
            before -= 1
            inner = program_of(text) if not before and Role.WRAPPER in program.roles else None
            if inner is not None and inner.runs_arguments:  # env python3 {x}
                program, before = inner, inner.operands + 1
        behind = text if text.startswith("-") and text != DASHES else ""


def _keep_plain(
    command: Token, tokens: Sequence[Token], words: Sequence[Assembled], captured: Captured
) -> None:
    """Refuse values with signs in them for a program that gives all of its words to a shell."""
    for token, word in zip(tokens, words, strict=True):
        for name in word.names:
            if captured[name].type.text.partition(":")[0] in _SIGNS:
                what = (
                    f"{quoted(command.text)} gives its words to a shell, and {{{name}}} may hold signs for it"
                )
                raise Flaw(token.column, what, "let it be a word, a number or one of a set")

"""The directives, ``%word``: one row of a table each; a row writes down what it says in `Told`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from rexec.policy import profiles
from rexec.policy.grant import PLAIN
from rexec.policy.options import read_default
from rexec.policy.paths import is_canonical
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.types import TYPES, is_sound
from rexec.policy.who import is_name
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rexec.policy.disk import Disk
    from rexec.policy.grant import Grant
    from rexec.policy.source import Source
    from rexec.policy.tokens import Token

    Read = Callable[["Told", int, Token, Sequence[Token]], None]

DEFAULT_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_SUBJECT = re.compile(r"([^:]+):")
_SET = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Assertion(NamedTuple):
    """``%assert``: what must be so, or the file is refused."""

    source: Source
    line: int
    column: int
    allow: bool
    user: str
    words: tuple[str, ...]


class Told:
    """What the directives have said so far; `source` is the file that is read.

    `include` reads other files, and `adopt` lines that one line of this file stands for.
    """

    def __init__(
        self,
        source: Source,
        disk: Disk,
        include: Callable[[Token], None],
        adopt: Callable[[int, Sequence[str]], None],
    ) -> None:
        self.source = source
        self.disk = disk
        self.include = include
        self.adopt = adopt
        self.grant: Grant = PLAIN  # what rules begin with: %default, and noexec under %strict
        self.strict = False
        self.path: tuple[str, ...] | None = None
        self.groups: dict[str, frozenset[str]] = {}
        self.sets: dict[str, tuple[str, ...]] = {}
        self.assertions: list[Assertion] = []
        self.rules_began = False  # %strict and %path come before the first rule


def read_directive(told: Told, line: int, tokens: Sequence[Token]) -> None:
    """Read one line that begins with ``%``."""
    word, *values = tokens
    read = DIRECTIVES.get(word.text)
    if read is None:
        near = closest(word.text, DIRECTIVES)
        hint = f"did you mean {near}?" if near else "a program of that name is written in quotes"
        raise Flaw(word.column, f"{word.text} is not known to this version", hint)
    read(told, line, word, values)


def _strict(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    if values:
        raise Flaw(values[0].column, "%strict stands alone")
    _be_early(told, word)
    told.strict = True
    told.grant = replace(told.grant, fence=told.grant.fence._replace(noexec=True))


def _path(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    if len(values) != 1 or not values[0].is_literal:
        raise Flaw(word.column, "%path needs one list of directories", "%path /usr/bin:/bin")
    _be_early(told, word)
    if told.path is not None:
        raise Flaw(word.column, "%path stands twice")
    path = tuple(values[0].text.split(":"))
    for directory in path:
        if not is_canonical(directory):
            text = f"{quoted(directory)} is no absolute path in its only spelling"
            raise Flaw(values[0].column, text, "%path /usr/bin:/bin")
    told.path = path


def _be_early(told: Told, word: Token) -> None:
    if told.rules_began:
        raise Flaw(word.column, f"{word.text} comes before the first rule")


def _group(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    if len(values) < 3 or values[1].kind is not Kind.EQUALS:
        raise Flaw(word.column, "%group needs a name, = and users", "%group ops = alice bob")
    name = _name(values[0])
    if name in told.groups:
        raise Flaw(values[0].column, f"the group {name} stands twice")
    told.groups[name] = frozenset(_name(value) for value in values[2:])


def _name(token: Token) -> str:
    if not token.is_literal or not is_name(token.text):
        hint = "blanks part the names, not commas" if "," in token.text else None
        raise Flaw(token.column, f"{quoted(token.text)} is no name of a user or a group", hint)
    return token.text


def _set(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    if len(values) < 3 or values[1].kind is not Kind.EQUALS:
        raise Flaw(word.column, "%set needs a name, = and words", "%set UNIT = nginx redis")
    name = values[0].text
    if values[0].kind is not Kind.WORD or _SET.fullmatch(name) is None:
        raise Flaw(values[0].column, f"{quoted(name)} is no name of a set", "%set UNIT = nginx redis")
    if name in TYPES:
        raise Flaw(values[0].column, f"{name} is a type already", "sets are called by other names: UNIT")
    if name in told.sets:
        raise Flaw(values[0].column, f"the set {name} stands twice")
    members = [_member(value) for value in values[2:]]
    for index, member in enumerate(members):
        if member in members[:index]:
            raise Flaw(values[2 + index].column, f"{quoted(member)} stands twice in the set {name}")
    told.sets[name] = tuple(members)


def _member(token: Token) -> str:
    if not token.is_literal:
        raise Flaw(token.column, "a set has plain words", "quote it where it is meant as such")
    if not is_sound(token.text):
        raise Flaw(token.column, f"{quoted(token.text)} can be no value of a pattern")
    return token.text


def _default(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    if not values:
        raise Flaw(word.end + 1, "%default needs an option", "%default timeout 60s")
    told.grant = read_default(told.grant, values, told.disk)


def _include(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    if len(values) != 1 or not values[0].is_literal or not values[0].text:
        raise Flaw(word.column, "%include needs one file, or one pattern of files", "%include d/*.txt")
    told.include(values[0])


def _use(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    path = DEFAULT_PATH if told.path is None else told.path
    told.adopt(line, profiles.expand(word, values, lambda place: told.disk.find(place, path) is not None))


def _assert(told: Told, line: int, word: Token, values: Sequence[Token]) -> None:
    form = len(values) > 2 and values[0].kind is Kind.WORD and values[1].kind is Kind.WORD
    subject = _SUBJECT.fullmatch(values[1].text) if form else None
    if subject is None or values[0].text not in ("allow", "deny") or not is_name(subject[1]):
        hint = "%assert deny bob: cat /etc/shadow"
        raise Flaw(word.column, "%assert needs allow or deny, a user and a colon, and a command", hint)
    for value in values[2:]:
        if not value.is_literal:
            raise Flaw(value.column, "an assertion has plain words", "quote it where it is meant as such")
    words = tuple(value.text for value in values[2:])
    allow = values[0].text == "allow"
    told.assertions.append(Assertion(told.source, line, values[2].column, allow, subject[1], words))


DIRECTIVES: dict[str, Read] = {
    "%assert": _assert,
    "%default": _default,
    "%group": _group,
    "%include": _include,
    "%path": _path,
    "%set": _set,
    "%strict": _strict,
    "%use": _use,
}

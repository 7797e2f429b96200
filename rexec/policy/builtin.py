"""Built-in rules: ``@get`` and ``@put`` copy files below a path, ``@shell`` runs ``sh -c STRING``."""

from __future__ import annotations

from dataclasses import replace

from rexec.policy.arguments import FREE
from rexec.policy.braces import read_braces
from rexec.policy.forms import BUILTIN, COPIES, PUT, SHELL
from rexec.policy.grant import Fence
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Kind
from rexec.policy.typed import Typed
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rexec.policy.arguments import Pattern
    from rexec.policy.braces import Sets
    from rexec.policy.grant import Grant
    from rexec.policy.tokens import Token

_USAGE = {"@get": "@get {path:/srv/out/** ro}", "@put": "@put {path:/srv/in/** new}"}
# What speaks of a program that is started: a copy starts none.
_OF_PROGRAMS = frozenset(("detach", "env", "exec-only", "pty", "sha256", "stdin"))


def is_builtin(command: Token) -> bool:
    """Tell whether a rule begins with the name of a built-in one."""
    return command.kind in (Kind.WORD, Kind.QUOTED) and command.text.startswith("@")


def read_builtin(
    command: Token, rest: Sequence[Token], started: Sequence[Token] | None, sets: Sets
) -> tuple[Pattern, ...]:
    """Read what stands behind the name of a built-in rule. Raises `Flaw`."""
    if command.kind is not Kind.WORD or command.text not in BUILTIN:
        near = closest(command.text, BUILTIN)
        hint = f"did you mean {near}?" if near else f"one of {' '.join(sorted(BUILTIN))}"
        raise Flaw(command.column, f"{quoted(command.text)} is no built-in rule of this version", hint)
    if started is not None:
        raise Flaw(command.column, f"{command.text} has no server command")
    if command.text == SHELL:
        if rest:
            raise Flaw(rest[0].column, "@shell stands alone: a shell runs whatever it is told")
        return (FREE,)
    return (_read_place(command, rest, sets),)


def _read_place(command: Token, rest: Sequence[Token], sets: Sets) -> Typed:
    usage = _USAGE[command.text]
    if len(rest) != 1 or rest[0].kind is not Kind.BRACE or rest[0].modifier:
        column = (rest[1] if len(rest) > 1 else rest[0]).column if rest else command.end + 1
        raise Flaw(column, f"{command.text} takes one path, and says where it may lie", usage)
    (token,) = rest
    name, found = read_braces(token.text, token.inner, sets)
    if found.place is None:
        raise Flaw(token.column, f"{command.text} takes a path, and says where it may lie", usage)
    if found.place.writing != (command.text == PUT):
        what = "writes: say rw or new" if command.text == PUT else "reads: say ro"
        raise Flaw(token.column, f"{command.text} {what}", usage)
    return Typed(found, "", name)


def builtin_grant(command: str, grant: Grant) -> Grant:
    """Give what a copy is granted before its own options: it starts nothing, and keeps to its roots.

    The kernel holds it to them where it can, without the rule asking for it.
    """
    if command not in COPIES:
        return grant
    return replace(grant, pty="yes", stdin=True, stdin_max=None, fence=Fence(confined=True, best_effort=True))


def refuse_option(command: str, word: Token) -> None:
    """Refuse an option that means nothing to a copy. Raises `Flaw`."""
    if command in COPIES and word.text in _OF_PROGRAMS:
        raise Flaw(word.column, f"{word.text} speaks of a program, and {command} starts none")

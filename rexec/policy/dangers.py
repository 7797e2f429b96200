"""What a client could make of a program by the arguments that a rule leaves to it.

The arguments of a rule are walked as the program would see them: what is fixed, what the client may
choose, which options a list offers. What the kernel holds for the rule is no danger any more: with
`noexec` or `exec-only` nothing else is started, and with `confine` no other file is touched.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rexec.policy.accept import Options
from rexec.policy.arguments import FREE, Dashes, Literal
from rexec.policy.problems import Severity
from rexec.policy.programs import Kind, Program, Role, program_of
from rexec.policy.spelling import spelled
from rexec.policy.typed import Typed
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rexec.policy.arguments import Pattern
    from rexec.policy.grant import Grant
    from rexec.policy.programs import Deed
    from rexec.policy.rules import Rule

_WIDE = frozenset({"any", "text", "word", "name", "path"})  # types of values that could name a program
_UNBOUND = frozenset({"any", "text"})  # and these any file, or several things at once
_NO_PROGRAM = re.compile(r"[0-9.]+[smhd]?|[A-Za-z_][A-Za-z0-9_]*=.*|0x[0-9A-Fa-f]+")


class Atom(NamedTuple):
    """One thing that may stand in the arguments, as the program sees it."""

    text: str = ""  # of a word that is fixed, or of an option in a list
    types: tuple[str, ...] = ()  # of the values that the client may choose there
    free: bool = False
    option: bool = False  # offered by a list

    @property
    def is_fixed(self) -> bool:
        return not (self.types or self.free or self.option)

    def is_chosen(self, kinds: frozenset[str]) -> bool:
        """Tell whether the client chooses it, within one of these types or none."""
        return self.free or not kinds.isdisjoint(self.types)


class Danger(NamedTuple):
    """One finding about one rule."""

    severity: Severity
    text: str
    safer: str | None


def dangers(rule: Rule) -> Iterator[Danger]:
    """Find what a client could make of the program of a rule."""
    command, atoms = _started(rule)
    while (program := program_of(command)) is not None:
        yield from _found(command, program, atoms, rule.grant)
        if Role.WRAPPER not in program.roles:
            return
        inner = _wrapped(program, atoms)
        if not inner or not inner[0].is_fixed:
            return
        command, atoms = inner[0].text, [*inner[1:], *_added(program)]


def _started(rule: Rule) -> tuple[str, list[Atom]]:
    """Give the program and its arguments: of the server command, where the rule has one."""
    if rule.served is None:
        return rule.command, [atom for pattern in rule.patterns for atom in _atoms(pattern)]
    kinds = {pattern.name: _kind(pattern.types[0].text) for pattern in rule.patterns if pattern.name}
    words = rule.served.words
    return rule.served.command, [
        Atom(word.texts[0], tuple(kinds[name] for name in word.names)) for word in words
    ]


def _atoms(pattern: Pattern) -> Iterator[Atom]:
    match pattern:
        case Literal():
            yield Atom(pattern.text)
        case Dashes():
            yield Atom(pattern.expected.strip('"'))
        case Typed():
            yield Atom(types=(_kind(pattern.type.text),))
        case Options():
            for option in pattern.options:
                yield Atom(
                    option.name, () if option.type is None else (_kind(option.type.text),), option=True
                )
            for letter in "".join(pattern.bundles):
                yield Atom(f"-{letter}", option=True)
        case _:
            yield Atom(free=pattern == FREE)


def _kind(written: str) -> str:
    return re.split("[: |]", written, maxsplit=1)[0]


def _added(program: Program) -> Sequence[Atom]:
    """Give what a wrapper puts behind the arguments that it passes on."""
    return (Atom(free=True),) if Role.READER in program.roles else ()


# --- one program ----------------------------------------------------------------------------------


def _found(command: str, program: Program, atoms: Sequence[Atom], grant: Grant) -> Iterator[Danger]:
    """Give one danger, with all deeds of the weight that is the heaviest."""
    found: dict[Severity, list[tuple[Deed, str]]] = {}
    for deed in program.deeds:
        how = None if _is_held(deed, grant) else _by(program, deed, atoms, grant)
        if how is not None:
            weight = Severity.NOTE if deed.kind is Kind.READS else Severity.WARNING
            found.setdefault(weight, []).append((deed, how))
    for weight, deeds in sorted(found.items(), key=lambda pair: pair[0] is Severity.NOTE)[:1]:
        text = "; ".join(f"{deed.text}{how}" for deed, how in deeds)
        yield Danger(weight, f"{quoted(command)} {text}", _safer(command, program, deeds[0][0]))


def _safer(command: str, program: Program, deed: Deed) -> str | None:
    """Give a line to write instead, and the option by which the kernel holds what a line cannot."""
    fence = "noexec" if deed.kind is Kind.STARTS else "confine"
    if program.safer is None:
        return f"safer: the same rule, and below it: {fence}"
    alone = program.runs_arguments or program.safer.startswith("%")
    return f"safer: {program.safer.replace('NAME', spelled(command), 1)}" + (
        "" if alone else f", and below it: {fence}"
    )


def _is_held(deed: Deed, grant: Grant) -> bool:
    fence = grant.fence
    if deed.kind is Kind.STARTS:
        return fence.noexec or fence.exec_only is not None
    return fence.confined


def _by(program: Program, deed: Deed, atoms: Sequence[Atom], grant: Grant) -> str | None:
    """Say how a rule lets the client do it, "" where there is nothing to add; None: it does not."""
    if Role.ALWAYS in program.roles:
        return ""
    if any(atom.free for atom in atoms) and Role.WRAPPER not in program.roles:
        return ""
    option = _dangerous_option(deed, atoms)
    if option is not None:
        return f": this rule lets the client say {option}"
    return _by_operands(program, deed, atoms, grant)


def _dangerous_option(deed: Deed, atoms: Sequence[Atom]) -> str | None:
    """Find an option that a list offers, or whose value the client chooses."""
    for index, atom in enumerate(atoms):
        if atom.text not in deed.options:
            continue
        chosen = index + 1 < len(atoms) and atoms[index + 1].is_chosen(_WIDE)
        narrow = atom.types and not atom.is_chosen(
            _UNBOUND | {"word", "name"}
        )  # such as -o={path:/srv/** rw}
        if (atom.option and not (narrow and deed.kind is not Kind.STARTS)) or (atom.is_fixed and chosen):
            return atom.text
    return None


def _by_operands(program: Program, deed: Deed, atoms: Sequence[Atom], grant: Grant) -> str | None:
    if Role.WRAPPER in program.roles:
        inner = _wrapped(program, atoms)
        return "" if deed.kind is Kind.STARTS and inner and inner[0].is_chosen(_WIDE) else None
    if Role.INTERPRETER in program.roles and not deed.options:
        return "" if _chooses_script(atoms) or _reads_script(program, atoms, grant) else None
    if _reads_script(program, atoms, grant):
        return ""
    unbound = any(atom.is_chosen(_UNBOUND) and not atom.option for atom in atoms)
    return "" if unbound and not deed.options and deed.kind is not Kind.STARTS else None


def _reads_script(program: Program, atoms: Sequence[Atom], grant: Grant) -> bool:
    return Role.READER in program.roles and not atoms and grant.stdin


def _chooses_script(atoms: Sequence[Atom]) -> bool:
    """Tell whether the client chooses what is run: the first operand, or the value of -c or -e."""
    for index, atom in enumerate(atoms):
        if atom.option and atom.text in ("-c", "-e", "-f", "-m", "-r", "-i", "-s"):
            return True
        if not atom.option and not atom.text.startswith("-"):
            return atom.is_chosen(_WIDE)
        if atom.is_fixed and atom.text in ("-c", "-e", "-m", "-r") and index + 1 < len(atoms):
            return atoms[index + 1].is_chosen(_WIDE)
    return False


def _wrapped(program: Program, atoms: Sequence[Atom]) -> Sequence[Atom]:
    """Find where the program begins that a wrapper starts; nothing where there is none."""
    operands = program.operands
    skip = False
    for index, atom in enumerate(atoms):
        value, skip = skip, False
        if atom.option or value:
            continue
        if atom.is_fixed and atom.text.startswith("-"):
            skip = atom.text in program.values
        elif atom.is_fixed and (_NO_PROGRAM.fullmatch(atom.text) or operands):
            operands -= not _NO_PROGRAM.fullmatch(atom.text)
        elif atom.is_fixed or atom.is_chosen(_WIDE):
            return atoms[index:]
    return ()

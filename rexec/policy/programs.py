"""Which programs do more than their name says: the catalogue, made ready to be asked."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from rexec.policy.catalogue import STANZAS


class Role(Enum):
    """What a program is by itself, whatever its options do."""

    WRAPPER = "wrapper"
    INTERPRETER = "interpreter"
    READER = "reader"
    ALWAYS = "always"


class Kind(Enum):
    """Where a deed ends."""

    STARTS = "starts"
    READS = "reads"
    CHANGES = "changes"


class Deed(NamedTuple):
    """Something that a program can be made to do; `options` are those that make it, if they do."""

    kind: Kind
    text: str
    options: frozenset[str]


class Program(NamedTuple):
    """What is known of one program."""

    roles: frozenset[Role]
    deeds: tuple[Deed, ...]
    safer: str | None
    values: frozenset[str]  # options of a wrapper whose value is the next word
    operands: int  # words of a wrapper before the program that it starts

    @property
    def runs_arguments(self) -> bool:
        """Whether arguments are, or name, what it runs: a shell, an interpreter, a wrapper."""
        return not self.roles.isdisjoint((Role.WRAPPER, Role.INTERPRETER))


_BY_ROLE = {
    Role.WRAPPER: Deed(Kind.STARTS, "starts the program that its arguments name", frozenset()),
    Role.INTERPRETER: Deed(Kind.STARTS, "runs the program that its arguments hold or name", frozenset()),
    Role.READER: Deed(Kind.STARTS, "starts programs that standard input asks for", frozenset()),
    Role.ALWAYS: Deed(Kind.STARTS, "starts other programs from the keyboard", frozenset()),
}


def program_of(command: str) -> Program | None:
    """Find what is known of a command, whatever its directory and the version behind its name."""
    name = command.rpartition("/")[2]
    return KNOWN.get(name) or KNOWN.get(name.rstrip("0123456789.-"))


def _known(stanzas: str) -> dict[str, Program]:
    found: dict[str, Program] = {}
    names: list[str] = []
    for line in filter(None, stanzas.splitlines()):
        if line[0] != " ":
            head, _, roles = line.partition(" : ")
            names = head.split()
            made = Program(frozenset(map(Role, roles.split())), (), None, frozenset(), 0)
        else:
            made = _told(made, line.strip())
        found.update(dict.fromkeys(names, made))
    return {name: program if program.deeds else _plain(program) for name, program in found.items()}


def _told(program: Program, line: str) -> Program:
    word, _, rest = line.partition(" ")
    match word:
        case "safer":
            return program._replace(safer=rest)
        case "values":
            return program._replace(values=frozenset(rest.split()))
        case "operands":
            return program._replace(operands=1)
    kind = {"starts": Kind.STARTS, "reads": Kind.READS}.get(word, Kind.CHANGES)
    options = frozenset(word.rstrip(",") for word in line.split() if word.startswith("-"))
    return program._replace(deeds=(*program.deeds, Deed(kind, line, options)))


def _plain(program: Program) -> Program:
    """Say what the first of its roles says, where the catalogue has no words of its own."""
    role = next(role for role in Role if role in program.roles)
    return program._replace(deeds=(_BY_ROLE[role],))


KNOWN = _known(STANZAS)

"""Programs that can be turned into others, behind rules: a canary shows whether something was started.

Each trick runs twice on one real server, by raw frames: under a rule that holds the program, where the
canary must be silent, and, as the proof that the trick is one, under a rule that does not, where it sings.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rogue import wire
from tests.rogue.conftest import Target
from tests.system.catalogue import HELD, TYPED, Program, Trick
from tests.tree import ROOT

AT_ONCE = 6  # tricks
PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/games"
# It leaves a mark and ends the session that it was started in, whatever waits there.
CANARY = """\
#!/bin/sh
: > {sang}/${{0##*/}}
read -r _ _ _ _ _ session _ < /proc/$$/stat
kill -KILL "$session"
"""


class Outcome(NamedTuple):
    """What became of one trick."""

    sang: bool
    denied: bool
    told: bool  # that something was not started


class Cage(Target):
    """A server with two rules for each program: by its name it is held, by its path it is free."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bin, self.sang, self.free = folder / "bin", folder / "sang", folder / "free"
        for made in (self.bin, self.sang, self.free):
            made.mkdir()
        self.long = self.bin / "long"
        self.long.write_text("".join(f"line {number} of many\n" for number in range(20_000)))
        (self.bin / "page").write_text(".TH X 1\n.SH NAME\nx\n")
        subprocess.run(["tar", "cf", "some.tar", "page"], cwd=self.bin, check=True)
        self.allow_list.write_text("\n".join([f"%path {PATH}", "echo ...", *self.rules()]))

    def rules(self) -> Iterator[str]:
        for program in HELD:
            (self.free / program.name).symlink_to(place(program))
            passed = [f"env pass {program.variables}"] if program.variables else []
            yield from self.rule(program.name, "...", "noexec", *passed)
            yield from self.rule(str(self.free / program.name), "...", *passed)
        for program in TYPED:
            yield from self.rule(place(program), program.patterns.replace("{here}", str(self.bin)))

    def rule(self, command: str, patterns: str, *options: str) -> Iterator[str]:
        yield f"{command} {patterns}"
        for option in (*options, "timeout 20s", f"cwd {self.bin}", f"env HOME={self.bin}"):
            yield f"    {option}"

    def attempt(self, command: str, trick: Trick, name: str) -> Outcome:
        """Try one trick with a canary of its own."""
        canary = self.bin / name
        canary.write_text(CANARY.format(sang=self.sang))
        canary.chmod(0o755)
        (self.bin / f"{name}.cow").write_text(f'exec "{canary}";\n')

        def fill(text: str) -> str:
            found = text.format(sing=canary, name=name, here=self.bin, long=self.long)
            return found.replace("it.cow", f"{name}.cow")

        made = Trick(
            (command, *map(fill, trick.words)),
            fill(trick.stdin),
            tuple(map(fill, trick.keys)),
            trick.stays,
            env=tuple((variable, fill(value)) for variable, value in trick.env),
        )
        end, told = self.talk(made)
        return Outcome((self.sang / name).exists(), end == wire.DENIED, told)

    def talk(self, trick: Trick) -> tuple[int, bool]:
        """Run one command to its end: type a key when output comes, and end what would stay."""
        told = False
        keys = [*trick.keys]
        env = [(name.encode(), value.encode()) for name, value in trick.env]
        with self.friend() as friend:
            friend.exec(*map(os.fsencode, trick.words), pty=PTY if trick.stays else None, env=env)
            if not trick.stays:
                friend.send(*said(trick.stdin.encode()))
            while (found := friend.read()) is not None:
                kind, _, _ = found
                if kind in (wire.EXIT, wire.DENIED, wire.FAILED):
                    return kind, told
                if kind == wire.STDOUT and keys:
                    friend.send(wire.frame(wire.STDIN, keys.pop(0).encode(), channel=1))
                if kind == NOTICE and not told:
                    told = True
                    if trick.stays:
                        friend.send(wire.frame(wire.SIGNAL, wire.string(b"KILL"), channel=1))
        raise AssertionError("the server closed the connection before the command ended")


NOTICE = 22
PTY = wire.string(b"xterm") + b"\0\x50\0\x18" + bytes(4) + wire.string(b"")


def said(data: bytes) -> Iterator[bytes]:
    """Make the frames of an input that is over."""
    if data:
        yield wire.frame(wire.STDIN, data, channel=1)
    yield wire.frame(wire.EOF, b"\0", channel=1)


@functools.cache
def place(program: Program) -> str:
    found = shutil.which(program.name, path=PATH)
    assert found is not None, f"{program.name} is not there: apt-get install {program.package}"
    return found


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cage]:
    made = Cage(tmp_path_factory.mktemp("cage"))
    made.start()
    yield made
    assert made.works()
    assert made.has_no_traceback()
    made.end()


def outcomes(cage: Cage, programs: tuple[Program, ...], command: str) -> dict[str, tuple[Trick, Outcome]]:
    """Try all tricks of these programs, some at once; `command` says how a program is asked for."""
    cases = {
        f"{program.name} {number} {' '.join(trick.words)} {trick.env}": (
            program,
            trick,
            f"{command[0]}{index}-{number}",
        )
        for index, program in enumerate(programs)
        for number, trick in enumerate(program.tricks)
    }
    asked = {"name": lambda p: p.name, "free": lambda p: str(cage.free / p.name), "typed": place}[command]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {
            case: pool.submit(cage.attempt, asked(program), trick, name)
            for case, (program, trick, name) in cases.items()
        }
        return {case: (cases[case][1], future.result()) for case, future in running.items()}


def lines(cases: Iterable[str]) -> str:
    """Give the cases so that a failed comparison shows them all."""
    return "\n".join(cases)


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_program_under_noexec_starts_no_other(cage: Cage) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs"; allow-list.md: "`noexec`:
    the program may not start another one": nothing sings, and each attempt is told and recorded."""
    found = outcomes(cage, HELD, "name")
    assert lines(case for case, (_, outcome) in found.items() if outcome.sang or outcome.denied) == ""
    assert lines(case for case, (trick, outcome) in found.items() if trick.told and not outcome.told) == ""
    log = "".join(path.read_text() for path in cage.home.glob("audit/*.jsonl"))
    escaped = {line for line in log.splitlines() if '"event":"escape"' in line}
    assert len(escaped) >= sum(trick.told for trick, _ in found.values())


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_typed_rule_takes_none_of_the_tricks(cage: Cage) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs (`find -exec`, `tar
    --checkpoint-action`, ...), by abbreviation, by bundling, by attached value"."""
    found = outcomes(cage, TYPED, "typed")
    assert lines(case for case, (_, outcome) in found.items() if outcome.sang or not outcome.denied) == ""


@pytest.mark.system
@pytest.mark.timeout(300)
def test_the_tricks_are_tricks(cage: Cage) -> None:
    """Where nothing holds the same programs, the canary sings: the tests above can fail."""
    found = outcomes(cage, HELD, "free")
    assert lines(case for case, (trick, outcome) in found.items() if trick.freely and not outcome.sang) == ""
    assert len({case.split()[0] for case, (_, outcome) in found.items() if outcome.sang}) >= 60


def test_the_page_counts_them() -> None:
    page = " ".join((ROOT / "docs/reference/fuzzing.md").read_text().split())
    assert len(HELD) >= 60
    assert f"{len(HELD)} programs with {sum(len(program.tricks) for program in HELD)} tricks" in page
    assert f"{len(TYPED)} programs with {sum(len(program.tricks) for program in TYPED)} tricks" in page
    assert f"{sum(any(trick.freely for trick in program.tricks) for program in HELD)} of the programs" in page

"""The catalogue of programs that do more than their name says."""

from __future__ import annotations

import pytest

from rexec.policy.catalogue import STANZAS
from rexec.policy.problems import PolicyRefused
from rexec.policy.programs import KNOWN, Kind, Role, program_of
from tests.policy.fakes import policy_of

HEADS = [line for line in STANZAS.splitlines() if line and not line.startswith(" ")]
NAMES = [name for head in HEADS for name in head.partition(" : ")[0].split()]
SAFER = sorted({text.replace("NAME", name) for name, program in KNOWN.items() if (text := program.safer)})


def test_the_version_behind_a_name_does_not_hide_it() -> None:
    assert program_of("/opt/python3.12") is KNOWN["python"]
    assert program_of("lua5.4") is KNOWN["lua"]
    assert program_of("/lib64/ld-linux-x86-64.so.2") is KNOWN["ld-linux-x86-64.so"]
    assert program_of("ls") is None
    assert program_of("7") is None


def test_no_name_stands_twice() -> None:
    assert len(NAMES) == len(set(NAMES)) == len(KNOWN) > 400


def test_every_stanza_says_why() -> None:
    assert all(program.deeds and all(deed.text for deed in program.deeds) for program in KNOWN.values())
    assert {role for program in KNOWN.values() for role in program.roles} == set(Role)
    assert {deed.kind for program in KNOWN.values() for deed in program.deeds} == set(Kind)


def test_options_are_taken_from_the_sentence() -> None:
    starts, writes, *_ = KNOWN["find"].deeds
    assert starts.options == {"-exec", "-execdir", "-ok", "-okdir"}
    assert writes.kind is Kind.CHANGES
    assert "-fprintf" in writes.options


def test_shells_interpreters_and_wrappers_run_their_arguments() -> None:
    running = {
        name
        for name in ("sh", "python", "awk", "env", "sudo", "xargs", "ld.so")
        if KNOWN[name].runs_arguments
    }
    assert running == {"sh", "python", "awk", "env", "sudo", "xargs", "ld.so"}
    assert not any(KNOWN[name].runs_arguments for name in ("find", "tar", "less", "psql"))


@pytest.mark.parametrize("safer", [text for text in SAFER if not text.startswith("write ")])
def test_what_is_proposed_instead_is_a_rule_without_that_danger(safer: str) -> None:
    """A line to paste that is refused, or warned of again, would help nobody."""
    try:
        problems = (
            policy_of(safer + "\n    noexec").warnings if safer[0] != "%" else policy_of(safer).warnings
        )
    except PolicyRefused as refused:
        problems = refused.problems
    assert [str(problem) for problem in problems if problem.severity.value != "note"] == []

"""The table of programs that do more than their name says."""

from __future__ import annotations

from rexec.policy.programs import KNOWN, When, danger_of


def test_the_version_behind_a_name_does_not_hide_it() -> None:
    assert danger_of("/opt/python3.12") is KNOWN["python"]
    assert danger_of("lua5.4") is KNOWN["lua"]
    assert danger_of("ls") is None
    assert danger_of("7") is None


def test_every_row_of_the_table_says_why() -> None:
    assert len(KNOWN) > 100
    assert all(name and danger.reason for name, danger in KNOWN.items())
    assert {danger.when for danger in KNOWN.values()} == set(When)

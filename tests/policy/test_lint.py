"""What is said about files that may be used as they stand."""

from __future__ import annotations

import pytest

from tests.policy.fakes import policy_of


def remarks(text: str) -> list[str]:
    """Give the remarks of a file, without the note that some rule has no timeout."""
    found = policy_of(text).warnings
    return [
        f"{problem.line} {problem.severity.value} {problem.text}"
        for problem in found
        if "no timeout" not in problem.text
    ]


def test_a_good_file_has_no_remarks() -> None:
    assert policy_of("ls ...\n    timeout 3s\ndf -h\n    timeout 3s").warnings == ()


def test_a_program_alone_is_a_note_unless_the_file_is_strict() -> None:
    assert remarks("ls") == ['1 note "ls" takes any arguments']
    assert remarks("ls ...") == []
    assert remarks("%strict\nls") == []


def test_rules_without_a_timeout_are_one_note() -> None:
    found = policy_of("ls ...\n    timeout 3s\ndf -h\nid []").warnings
    assert [(problem.line, problem.text) for problem in found] == [
        (3, "2 of 3 rules have no timeout, this is the first")
    ]


def test_a_missing_program_is_a_warning() -> None:
    assert remarks("%path /a:/b\nnowhere x") == ['2 warning "nowhere" is not there in /a:/b']
    assert remarks("/nowhere x") == ['1 warning "/nowhere" is not there']


def test_a_missing_directory_is_a_warning() -> None:
    assert remarks("ls []\n    cwd /missing") == ['1 warning the directory "/missing" is not there']
    assert remarks("ls []\n    cwd /srv") == []


def test_a_program_that_others_may_write_is_a_warning() -> None:
    assert remarks("lax []") == ["1 warning /usr/bin/lax is writable by others"]


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("find ...", True),
        ("find", True),
        ("/usr/bin/find / ...", True),
        ("find /srv -type f", False),
        ("sort []", False),
        ("sudo ...", True),
        ("env []", False),
        ("less /var/log/syslog", True),
        ("man []", True),
        ("sh []", True),
        ("sh []\n    stdin no", False),
        ("sh ...\n    stdin no", True),
        ("sh /srv/backup.sh", False),
        ("python3.11 ...", True),
        ("python3", True),
        ("perl5.36.0 []", True),
        ("ls ...", False),
    ],
)
def test_a_program_that_starts_others_is_a_warning_where_the_client_can_make_it(
    text: str, warned: bool
) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs (`find -exec`, ...
    `less !`, `awk system()` ...)": `check` warns where a rule leaves the choice to the client."""
    assert any(" warning " in remark for remark in remarks(text)) is warned


@pytest.mark.parametrize(
    ("text", "shadowed"),
    [
        ("ls ...\nls -l", True),
        ("ls\nls", True),
        ("ls -l\nls -l", True),
        ("ls -l ...\nls -l /srv", True),
        ("ls -l ...\nls -l ...", True),
        ("ls -l ...\nls ...", False),
        ("ls -l\nls -a", False),
        ("ls ...\ndf -h", False),
        ("ls anything\nls ...", False),
        ("[alice]\nls ...\n[everyone]\nls -l", False),
        ("[everyone]\nls ...\n[alice]\nls -l", True),
        ("%group ops = alice\n[@ops]\nls ...\n[alice]\nls -l", True),
        ("%group ops = alice\n[alice]\nls ...\n[@ops]\nls -l", False),
        ("ls ...\n    for alice\nls -l", False),
        ("ls ...\n    for alice\nls -l\n    for alice", True),
        ("[alice bob]\nls ...\n    for alice\n[alice]\nls -l", True),
        ("ls -a\nls -a -b ...\nls -a -b -c", True),
    ],
)
def test_a_rule_that_is_never_reached_is_a_warning(text: str, shadowed: bool) -> None:
    assert any("never reached" in remark for remark in remarks(text)) is shadowed


def test_a_group_that_no_directive_makes_is_one_note() -> None:
    text = "[@ops @dev]\nls ...\n%group dev = alice\n[@ops]\ndf -h"
    assert remarks(text) == ["2 note no %group makes @ops: only keys with groups= have it"]

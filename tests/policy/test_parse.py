"""Text into a policy. Single flaws stand in tests/vectors/policy."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.limits import POLICY_MAX
from rexec.policy.arguments import FREE, Literal
from rexec.policy.parse import parse
from rexec.policy.problems import PolicyRefused, Severity
from rexec.policy.who import EVERYONE
from tests.policy.fakes import FakeDisk, policy_of, refusals

LINES = st.sampled_from(
    [
        *("ls", "df -h", "uptime []", "systemctl status ...", "'[' x ']'", "nowhere a", "find ..."),
        *("[alice]", "[@ops bob]", "[everyone]", "[", "[alice] x", "# comment", "", "  "),
        *("%strict", "%path /bin", "%group ops = alice", "%assert allow alice: ls", "%assert deny bob: ls"),
        *("  timeout 3s", "\tcwd ask /srv/**", "  env A=1", "  env pass LC_*", "  noexec", "  pty only"),
        *("ls {int}", "df [-h]", "x = y", "./x", "'open", "ls *", "\x00", "ls \u202e", "\r"),
    ]
)


def test_the_trivial_file_does_the_obvious() -> None:
    policy = policy_of("# cmds.txt\nls            # any\nuptime\ndf -h         # exactly\n")
    ls, uptime, df = policy.rules
    assert [rule.label for rule in policy.rules] == ["cmds.txt:2", "cmds.txt:3", "cmds.txt:4"]
    assert (ls.text, ls.patterns, ls.bare) == ("ls", (FREE,), True)
    assert uptime.patterns == (FREE,)
    assert (df.text, df.patterns, df.bare) == ("df -h", (Literal("-h"),), False)
    assert all(rule.section == EVERYONE for rule in policy.rules)


def test_under_strict_a_program_alone_takes_no_arguments() -> None:
    policy = policy_of("%strict\nls\nls ...")
    assert [rule.patterns for rule in policy.rules] == [(), (FREE,)]
    assert policy.strict


def test_an_empty_file_is_a_policy_that_allows_nothing() -> None:
    assert policy_of("").rules == ()


def test_the_generation_is_the_digest_of_the_text() -> None:
    assert policy_of("ls").generation == hashlib.sha256(b"ls").hexdigest()


def test_a_program_is_looked_for_once_and_pinned() -> None:
    disk = FakeDisk()
    policy = parse("df -h\ndf -i\n/bin/df\n", "cmds.txt", disk)
    assert disk.asked == ["df", "/bin/df"]
    assert [rule.program and rule.program.path for rule in policy.rules] == [
        "/usr/bin/df",
        "/usr/bin/df",
        "/bin/df",
    ]


def test_every_problem_of_a_file_is_reported_at_once() -> None:
    text = "ls *\n    timeout 3\n%what\n[\nnowhere 'x y'\nfind\n ok\n"
    found = [(problem.line, problem.column, problem.severity.value) for problem in refusals(text)]
    assert found == [
        (1, 4, "error"),
        (2, 13, "error"),
        (3, 1, "error"),
        (4, 1, "error"),
        (5, 1, "warning"),
        (5, 1, "note"),
        (6, 1, "warning"),
        (6, 1, "note"),
        (7, 2, "error"),
    ]


def test_the_options_of_a_refused_rule_do_not_touch_the_rule_before() -> None:
    found = refusals("df []\n    timeout 3s\n    cwd /a\nls *\n    timeout 4s\n    cwd /b\n    timeout 5s\n")
    assert [(problem.line, problem.column) for problem in found] == [(4, 4), (7, 5)]


def test_assertions_are_not_judged_while_lines_are_wrong() -> None:
    found = refusals("ls *\n%assert allow alice: ls\n")
    assert [problem.line for problem in found] == [1]


def test_an_assertion_holds_where_a_terminal_is_needed() -> None:
    policy_of("top\n    pty only\n%assert allow alice: top\n")
    assert refusals("top []\n    pty only\n%assert deny alice: top\n")[-1].line == 3


def test_an_assertion_that_a_missing_program_is_denied_does_not_hold() -> None:
    found = refusals("nowhere []\n%assert deny alice: nowhere\n")
    assert found[-1].text == "alice is allowed this by cmds.txt:1"


def test_warnings_of_a_good_file_stay_with_the_policy() -> None:
    found = policy_of("nowhere []\n").warnings
    assert [problem.severity for problem in found] == [Severity.WARNING, Severity.NOTE]


def test_under_strict_warnings_are_errors_and_notes_are_not() -> None:
    assert [problem.severity for problem in refusals("%strict\nlax []\n")] == [Severity.ERROR, Severity.NOTE]
    assert [problem.severity for problem in policy_of("%strict\nls ...\n").warnings] == [Severity.NOTE]


@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_has_at_most_a_mebibyte(extra: int) -> None:
    line = "#" + "x" * 1022 + "\n"
    text = line * (POLICY_MAX // 1024) + "#" * extra
    if extra:
        assert refusals(text)[0].text == f"the file has {POLICY_MAX + 1} bytes, more than {POLICY_MAX}"
    else:
        assert policy_of(text).rules == ()


def test_a_long_line_is_counted_in_bytes_and_shown_shortened() -> None:
    problem = refusals("ls " + "é" * 2047 + "\n")[0]
    assert problem.text == "the line has 4097 bytes, more than 4096"
    assert len(problem.source) == 200


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=8))
def test_any_lines_give_a_policy_or_problems_that_can_be_shown(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        problems = policy_of(text).warnings
    except PolicyRefused as refused:
        problems = refused.problems
    assert all(line.isprintable() for problem in problems for line in problem.lines())


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_any_text_gives_a_policy_or_a_refusal(text: str) -> None:
    try:
        policy_of(text)
    except PolicyRefused as refused:
        assert refused.problems  # noqa: PT017 - nothing else may be raised

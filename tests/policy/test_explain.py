"""Explanations for people."""

from __future__ import annotations

from rexec.policy.explain import Explanation, explain, visible
from tests.policy.fakes import policy_of, request_of

TEXT = """%group ops = alice
df -h /
df -h
    about "Free space"
    timeout 30s
    env TOKEN=secret
[@ops]
nowhere x
df ...
    background keep
[bob]
df -i
"""


def told(*words: str, **changes: object) -> Explanation:
    return explain(policy_of(TEXT), request_of(*words, **changes))


def test_a_permit_is_explained_with_all_that_the_command_gets() -> None:
    explanation = told("df", "-h")
    assert explanation.exit_code == 0
    assert explanation.lines == (
        'cmds.txt:2: df -h /: missing argument "/"',
        "cmds.txt:3: df -h: matches",
        "allowed by cmds.txt:3: df -h",
        "about: Free space",
        "argv: df -h",
        "program: /usr/bin/df",
        "directory: /home/joe",
        "environment: PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "environment: LANG=C.UTF-8",
        "environment: HOME=/home/joe",
        "environment: USER=runner",
        "environment: LOGNAME=runner",
        "environment: SHELL=/bin/sh",
        "environment: PAGER=cat",
        "environment: TOKEN (set by the rule)",
        "environment: REXEC_USER=alice",
        "environment: REXEC_CONNECTION=192.0.2.1 4711",
        "environment: REXEC_RULE=cmds.txt:3",
        "terminal: no",
        "stdin: yes",
        "limits: timeout 30s, umask 022, linger 1s",
    )


def test_a_permit_without_limits_says_so() -> None:
    lines = told("df", "-i", pty="xterm", stdin=False).lines
    assert lines[-3:] == ("terminal: yes", "stdin: no", "limits: no timeout, umask 022, background kept")


def test_a_denial_lists_each_rule_that_was_tried() -> None:
    explanation = told("df", "-x", user="bob")
    assert explanation.exit_code == 126
    assert explanation.lines == (
        'cmds.txt:2: df -h /: argument 1 is "-x", not "-h"',
        'cmds.txt:3: df -h: argument 1 is "-x", not "-h"',
        'cmds.txt:12: df -i: argument 1 is "-x", not "-i"',
        'denied: "df -x": cmds.txt:2 allows exactly "df -h /" (argument 1 is "-x", not "-h")',
    )


def test_a_missing_program_is_explained() -> None:
    explanation = told("nowhere", "x")
    assert explanation.exit_code == 127
    assert explanation.lines[-1].startswith('not there: "nowhere x": cmds.txt:8 allows it')


def test_nothing_is_told_of_other_peoples_rules() -> None:
    assert not any("cmds.txt:12" in line for line in told("df", "-x", user="carol").lines)


def test_no_words_are_denied() -> None:
    assert told().lines == ("denied: there is no command",)


def test_a_user_sees_the_rules_that_are_for_them() -> None:
    policy = policy_of(TEXT)
    assert [rule.line for rule in visible(policy, "alice", frozenset())] == [2, 3, 8, 9]
    assert [rule.line for rule in visible(policy, "bob", frozenset())] == [2, 3, 12]
    assert [rule.line for rule in visible(policy, "carol", frozenset({"ops"}))] == [2, 3, 8, 9]
    assert (visible(policy, "bob", frozenset())[1].text, policy.rules[1].about) == ("df -h", "Free space")


def test_every_line_is_harmless_on_a_terminal() -> None:
    lines = explain(policy_of("ls"), request_of("ls", "\x1b[2J\n", pty="xterm")).lines
    assert all(line.isprintable() for line in lines)

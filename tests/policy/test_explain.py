"""Explanations for people."""

from __future__ import annotations

import pytest

from rexec.policy.explain import Explanation, explain, visible
from tests.policy.fakes import FakeDisk, policy_of, request_of

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


@pytest.mark.parametrize(
    ("option", "said"), [("no", "ends with its connection"), ("5m", "waits 300s for its client")]
)
def test_a_permit_says_how_long_its_command_waits(option: str, said: str) -> None:
    policy = policy_of(f"df\n    resume {option}\n")
    assert f"limits: no timeout, umask 022, {said}, linger 1s" in explain(policy, request_of("df")).lines


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


def test_all_that_is_looked_at_before_the_start_is_told() -> None:
    text = """tail -- {path:/var/log/** ro file}
    from 192.0.2.0/24
    when Mon-Sun 00:00-24:00
    until 2100-01-01T00:00Z
    for alice
    confine
    cwd ask /srv/**
"""
    request = request_of("tail", "/var/log/x", cwd="/srv/a")
    lines = explain(policy_of(text), request).lines
    assert "argv: tail -- /var/log/x" in lines
    assert "fence: reads /var/log, writes nothing" in lines
    assert lines[-6:] == (
        "before the start: the directory, its links followed, is beneath /srv",
        "before the start: /var/log/x is a file, and its links stay in /var/log/**",
        "for: alice",
        "from: 192.0.2.0/24",
        "when: Mon-Sun 00:00-24:00",
        "until: 2100-01-01T00:00Z",
    )


def test_a_value_that_logs_may_not_hold_is_in_no_line() -> None:
    text = "tail {f=path:/var/log/** ro}\n    redact f"
    lines = explain(policy_of(text), request_of("tail", "/var/log/secret")).lines
    assert not any("secret" in line for line in lines)


def test_a_rule_that_is_not_there_now_says_so() -> None:
    lines = explain(policy_of("ls []\n    from 10.0.0.0/8\nls ..."), request_of("ls")).lines
    assert lines[0] == "cmds.txt:1: ls []: is for 10.0.0.0/8, not for 192.0.2.1"
    assert lines[1] == "cmds.txt:3: ls ...: matches"


def test_a_terse_explanation_says_what_is_granted_and_not_why_something_is_not() -> None:
    policy = policy_of(TEXT)
    denied = explain(policy, request_of("df", "-x", user="bob"), terse=True)
    assert (denied.exit_code, denied.lines, denied.decision.rule) == (
        126,
        ("denied: the server gives no reasons",),
        None,
    )
    allowed = explain(policy, request_of("df", "-h"), terse=True)
    assert allowed.lines[0] == "allowed by cmds.txt:3: df -h"
    assert explain(policy, request_of("nowhere", "x"), terse=True).exit_code == 127


FULL = """tail {f=path:/var/log/** ro}
    as backup
    confirm "yes, really"
    danger high
    timeout 90s
    idle 10s
    nice 5
    limit cpu=10s files=64
    output 1M kill
    stdin 1K
    parallel 2
    rate 6/min
    confine
    exec-only /bin/gzip
    sha256 {digest}
    record io
    redact f
"""


def test_every_option_is_told() -> None:
    disk = FakeDisk()
    digest = "ab" * 32
    text = FULL.replace("{digest}", digest)
    policy = policy_of(text.replace("confine\n", "confine net none\n"), disk)
    explanation = explain(policy, request_of("tail", "/var/log/secret", cwd=None))
    assert explanation.exit_code == 0
    lines = explanation.lines
    assert "value: f=***" in lines
    assert "argv: tail ***" in lines
    assert 'confirm: "yes, really"' in lines
    assert "danger: high" in lines
    assert "runs as: backup" in lines
    limits = next(line for line in lines if line.startswith("limits: "))
    for part in ("timeout 90s", "idle 10s", "nice 5", "cpu 10", "files 64", "1048576 bytes", "1024 bytes"):
        assert part in limits
    for part in ("2 at once", "6 in 60s"):
        assert part in limits
    fence = next(line for line in lines if line.startswith("fence: "))
    for part in ("/bin/gzip", "reads /var/log", "writes nothing", "no network", digest, "are recorded"):
        assert part in fence
    assert "redact: f" in lines
    assert not any("secret" in line for line in lines)


def test_a_fence_without_anything_else_is_told() -> None:
    def fence(option: str) -> str:
        lines = explain(policy_of(f"ls []\n    {option}"), request_of("ls")).lines
        return next((line for line in lines if line.startswith("fence: ")), "")

    assert fence("noexec") == "fence: starts no other program"
    assert fence("confine rw /srv") == "fence: reads nothing else, writes /srv"
    assert fence("record out") == "fence: output is recorded"
    assert fence("pty no") == ""

"""security.md, Around the allow list: "Option injection into allowed programs (`find -exec`, `tar
--to-command`, `ssh -o ProxyCommand`, `less !`, `awk system()` ...)": what a rule leaves to the client."""

from __future__ import annotations

import pytest

from rexec.policy.dangers import dangers
from rexec.policy.problems import Severity
from tests.policy.fakes import policy_of


def warned(text: str) -> list[str]:
    """Give the dangers of the first rule of a file, but for those that are notes."""
    rule = policy_of(text).rules[0]
    return [danger.text for danger in dangers(rule) if danger.severity is Severity.WARNING]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("find ...", "starts any program by -exec"),
        ("find {path:/srv/** ro} [-name {text} -exec {any}]", "this rule lets the client say -exec"),
        ("find {path:/srv/** ro} [-name {text} -delete]", "this rule lets the client say -delete"),
        ("find {path:/srv/** ro} -exec {any}", "this rule lets the client say -exec"),
        ("find {path:/srv/** ro} -name {text}", None),
        ("find /srv -exec rm '{}' '+'", None),
        ("sort [-n -o={path:/srv/out/** rw}]", None),
        ("sort [-n -o={text}]", "this rule lets the client say -o"),
        ("sort [-(nrT)]", "this rule lets the client say -T"),
        ("tar -c -f - -- {path:/srv/** ro}", None),
        ("tar [-c --to-command={word}]", "this rule lets the client say --to-command"),
        ("sed {text} -- {path:/srv/** ro}", "starts programs by its command e"),
        ("sed -n {re:'[0-9]+p'} -- {path:/srv/** ro}", None),
        ("awk {text}", "starts any program by system()"),
        ("awk '{print $1}' -- {path:/srv/** ro}", None),
        ("sh -c {text}", "runs the program that its arguments hold or name"),
        ("sh -c 'echo \"$1\"' x {text}", None),
        ("sh {path:/srv/scripts/** ro file}", "runs the program that its arguments hold or name"),
        ("sh /srv/task.sh {text}", None),
        ("python3 [-c={text}]", "runs the program that its arguments hold or name"),
        ("python3 /srv/task.py {text}*", None),
        ("less {path:/var/log/** ro}", "starts any program by ! or :!"),
        ("man {word}", "starts a pager that starts any program by !"),
        ("psql []", "starts any program by its commands"),
        ("psql -c 'select 1'", None),
        ("tee {text}", "writes any file"),
        ("tee -- {path:/srv/in/** rw}", None),
        ("cp {word} {word}", None),
        ("ssh [-o={text}] {host}", "this rule lets the client say -o"),
        ("curl -q -- {url:https}", None),
        ("curl [-o={text}] -- {url:https}", "this rule lets the client say -o"),
        ("systemctl restart {nginx|redis}", None),
        ("journalctl -u {nginx|redis}", None),
    ],
)
def test_the_option_or_operand_that_is_dangerous_is_named(rule: str, named: str | None) -> None:
    found = warned(rule)
    assert any(named in text for text in found) if named else found == []


@pytest.mark.parametrize(
    ("rule", "dangerous"),
    [
        ("env {word}", True),
        ("env A=b {word}", True),
        ("env A=b ls {text}", False),
        ("nice -n 10 {word}", True),
        ("nice -n {int:0..19} ls -l", False),
        ("timeout 10 ls {path:/srv/** ro}", False),
        ("timeout 10 {path:/srv/bin/* ro file}", True),
        ("timeout {duration} {word}", True),
        ("sudo -u www {word}", True),
        ("sudo -u www ls {text}", False),
        ("sudo -u www find ...", True),
        ("sudo -u www -- /usr/bin/env sh -c {text}", True),
        ("flock /run/lock {word}", True),
        ("flock /run/lock ls {text}", False),
        ("strace -f ls -l", False),
        ("setsid ...", True),
        ("xargs", True),
        ("xargs -n 1 ls", False),
        ("xargs -n 1 rm", True),
        ("xargs sh -c 'echo \"$@\"' x", True),
        ("busybox {word}", True),
        ("/lib64/ld-linux-x86-64.so.2 {path:/srv/** ro}", True),
        ("nohup nice ionice find {path:/srv/** ro} [-exec {any}]", True),
        ("nice nice nice", False),
    ],
)
def test_a_wrapper_is_judged_by_what_it_starts(rule: str, dangerous: bool) -> None:
    assert bool(warned(rule)) is dangerous


def test_what_the_kernel_holds_is_no_danger() -> None:
    assert [text for text in warned("find ...\n    noexec") if "starts" in text] == []
    assert [text for text in warned("find ...\n    noexec") if "writes" in text] != []
    assert warned("find ...\n    noexec\n    confine ro /srv") == []
    assert warned("git ...\n    exec-only /usr/bin/git\n    confine ro /srv") == []
    assert warned("less {path:/var/log/** ro}\n    noexec\n    confine") == []


def test_a_program_that_only_reads_is_a_note() -> None:
    rule = policy_of("cat ...").rules[0]
    assert [(danger.severity, danger.text) for danger in dangers(rule)] == [
        (Severity.NOTE, '"cat" reads any file')
    ]
    assert [*dangers(policy_of("cat -- {path:/srv/** ro}").rules[0])] == []


def test_the_safer_line_comes_with_the_fence_that_holds_it() -> None:
    first, *_ = dangers(policy_of("find ...").rules[0])
    assert first.safer == "safer: find {path:/srv/** ro dir} -name {text}, and below it: noexec"
    first, *_ = dangers(policy_of("sh").rules[0])
    assert first.safer is not None
    assert "noexec" not in first.safer


@pytest.mark.parametrize(
    ("rule", "proposed"),
    [
        ("tail ...", "tail [-n={int:1..1000}] -- {path:/var/log/** ro file}"),
        ("/usr/bin/tac ...", "/usr/bin/tac -- {path:/var/log/** ro file}"),
        ("xz ...", "xz -c -- {path:/srv/** ro file}"),
        ("mkdir ...", "mkdir -- {path:/srv/www/** rw}"),
    ],
)
def test_what_is_safer_begins_with_the_command_of_the_rule(rule: str, proposed: str) -> None:
    (found,) = dangers(policy_of(rule).rules[0])
    assert found.safer == f"safer: {proposed}, and below it: confine"


def test_a_server_command_is_judged_as_the_program_that_is_started() -> None:
    assert warned("look {a=text} = find /srv -name {a}") == []
    assert warned("look {a=text} = find /srv -exec {a}") != []
    assert warned("find {a=text} = ls -- {a}") == []
    assert warned("run {a=text} = tar --to-command {a}") != []
    assert warned("part {a=word} = tee /srv/{a}.txt") == []

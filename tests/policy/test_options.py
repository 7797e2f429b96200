"""The options of a rule. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from rexec.policy.disk import Account
from rexec.policy.grant import Fence, Grant, Limits, Output, Rate, Window
from rexec.policy.options import OPTIONS
from rexec.policy.who import EVERYONE
from tests.policy.fakes import ACCOUNTS, FakeDisk, error, policy_of, refusals
from tests.tree import ROOT


def grant(*lines: str) -> Grant:
    return policy_of("ls\n" + "".join(f"    {line}\n" for line in lines)).rules[0].grant


def test_without_options_a_rule_gives_what_every_command_gets() -> None:
    assert grant() == Grant()
    assert Grant().whom == EVERYONE
    assert (Grant().pty, Grant().stdin, Grant().background_keep) == ("yes", True, False)
    assert (Grant().umask, Grant().linger) == (0o022, 1.0)


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("about 'List files'", {"about": "List files"}),
        ("about List", {"about": "List"}),
        ("timeout 500ms", {"timeout": 0.5}),
        ("timeout 30s", {"timeout": 30.0}),
        ("timeout 10m", {"timeout": 600.0}),
        ("timeout 2h", {"timeout": 7200.0}),
        ("timeout 366d", {"timeout": 366 * 86400.0}),
        ("cwd /srv", {"cwd": "/srv"}),
        ("cwd /", {"cwd": "/"}),
        ("cwd ask", {"cwd_ask": "/"}),
        ("cwd ask /**", {"cwd_ask": "/"}),
        ("cwd ask /srv/**", {"cwd_ask": "/srv"}),
        ("cwd ask '/srv/my files/**'", {"cwd_ask": "/srv/my files"}),
        ("env A=", {"env_set": (("A", ""),)}),
        ("env A=b=c B=1", {"env_set": (("A", "b=c"), ("B", "1"))}),
        ("env LD_PRELOAD=/x.so", {"env_set": (("LD_PRELOAD", "/x.so"),)}),
        ("env pass A LC_* GIT_*", {"env_pass": ("A", "LC_*", "GIT_*")}),
        ("pty no", {"pty": "no"}),
        ("pty only", {"pty": "only"}),
        ("stdin no", {"stdin": False}),
        ("stdin yes", {}),
        ("background keep", {"background_keep": True}),
        ("background kill", {}),
        ("resume no", {"resume": 0.0}),
        ("resume 5m", {"resume": 300.0}),
        ("idempotent", {"idempotent": True}),
        ("from 10.0.0.0/8 ::1", {"sources": (ip_network("10.0.0.0/8"), ip_network("::1"))}),
        ("when Mon 08:00-18:00", {"windows": (Window(frozenset({0}), 480, 1080, "Mon 08:00-18:00"),)}),
        ("until 2030-01-01T00:00Z", {"until": 1_893_456_000.0}),
        ("as backup", {"run_as": ACCOUNTS["backup"]}),
        ("umask 077", {"umask": 0o077}),
        ("nice -5", {"nice": -5}),
        ("idle 10s", {"idle": 10.0}),
        ("limit cpu=10s mem=1M", {"limits": Limits(cpu=10, mem=1 << 20)}),
        ("limit procs=3 files=4 fsize=5", {"limits": Limits(procs=3, files=4, fsize=5)}),
        ("output 10M kill", {"output": Output(10 << 20, True)}),
        ("output 1 truncate", {"output": Output(1, False)}),
        ("stdin 1K", {"stdin_max": 1024}),
        ("parallel 2", {"parallel": 2}),
        ("rate 10/min", {"rate": Rate(10, 60)}),
        ("noexec", {"fence": Fence(noexec=True)}),
        ("exec-only /bin/a /bin/b", {"fence": Fence(exec_only=("/bin/a", "/bin/b"))}),
        ("confine ro /a rw /b net none", {"fence": Fence(confined=True, ro=("/a",), rw=("/b",), net=False)}),
        ("confine", {"fence": Fence(confined=True)}),
        ("best-effort", {"fence": Fence(best_effort=True)}),
        ("sha256 " + "A" * 64, {"sha256": "a" * 64}),
        ("record io", {"record": "io"}),
        ("confirm 'do it'", {"confirm": "do it"}),
        ("danger high", {"danger": "high"}),
    ],
)
def test_an_option_changes_this_and_nothing_else(line: str, changed: dict[str, object]) -> None:
    assert grant(line) == Grant(**changed)  # type: ignore[arg-type]


def test_options_of_one_rule_add_up() -> None:
    both = grant("cwd ask /srv/**", "cwd /srv/a", "env A=1", "env B=2", "env pass C", "env pass D")
    assert (both.cwd, both.cwd_ask) == ("/srv/a", "/srv")
    assert both.env_set == (("A", "1"), ("B", "2"))
    assert both.env_pass == ("C", "D")


def test_for_narrows_a_section() -> None:
    rule = policy_of("[@ops]\nls\n    for alice").rules[0]
    ops = frozenset({"ops"})
    assert rule.is_for("alice", ops)
    assert not rule.is_for("alice", frozenset())
    assert not rule.is_for("bob", ops)


def test_a_misspelt_option_gets_a_suggestion() -> None:
    problem = refusals("ls []\n    timout 3s")[-1]
    assert (problem.line, problem.suggestion) == (2, "did you mean timeout?")


def test_when_may_be_said_again() -> None:
    assert [window.text for window in grant("when Mon", "when Sat 08:00-09:00").windows] == [
        "Mon",
        "Sat 08:00-09:00",
    ]


def test_redacted_names_are_those_that_the_rule_captures() -> None:
    rule = policy_of("login {user=name} {password=text}\n    redact password\n    redact user").rules[0]
    assert rule.grant.redact == {"user", "password"}
    problem = error("login {password=text}\n    redact pasword")
    assert problem.suggestion == "did you mean password?"
    assert len(refusals("./login {password=text}\n    redact nothing")) == 1  # the rule is bad enough


def test_a_priority_is_raised_by_root_alone() -> None:
    disk = FakeDisk()
    disk.own = Account("runner", "/home/joe", 1000, 1000)
    assert policy_of("ls []\n    nice 0", disk).rules[0].grant.nice == 0
    assert error("ls []\n    nice -1", disk).text.startswith("only a server that runs as root")


# --- %default ---------------------------------------------------------------------------------------


def grants(text: str) -> list[Grant]:
    return [rule.grant for rule in policy_of(text).rules]


def test_a_default_holds_for_the_rules_after_it_until_the_next_of_the_same_option() -> None:
    found = grants("df []\n%default timeout 1s\n%default idle 5s\nls []\n%default timeout 2s\nid []")
    assert [(grant.timeout, grant.idle) for grant in found] == [(None, None), (1.0, 5.0), (2.0, 5.0)]


def test_an_option_of_the_rule_replaces_the_default_whole() -> None:
    found = grants(
        "%default limit cpu=1s mem=1M\n%default stdin 1M\n%default noexec\n"
        "ls []\n    limit files=9\n    stdin yes\n    exec-only /bin/true\nid []\n    stdin no"
    )
    assert [grant.limits for grant in found] == [Limits(files=9), Limits(cpu=1, mem=1 << 20)]
    assert [(grant.stdin, grant.stdin_max) for grant in found] == [(True, None), (False, None)]
    assert [grant.fence for grant in found] == [Fence(exec_only=("/bin/true",)), Fence(noexec=True)]


def test_under_strict_noexec_is_the_default_and_exec_only_stands_in_its_place() -> None:
    found = grants("%strict\nls\ndf\n    exec-only /bin/true")
    assert [grant.fence for grant in found] == [Fence(noexec=True), Fence(exec_only=("/bin/true",))]


def test_a_default_takes_these_options_and_no_others() -> None:
    taken = "timeout idle umask nice limit output stdin pty parallel rate noexec background record"
    assert {name for name, row in OPTIONS.items() if row.default} == set(taken.split())


def test_the_reference_names_every_option() -> None:
    page = (ROOT / "docs/reference/allow-list.md").read_text()
    assert [name for name in OPTIONS if not re.search(rf"^\| `{name}[ `]", page, re.M)] == []


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ls\n    timeout=5s", "did you mean timeout?"),
        ("ls\n    timout 5s", "did you mean timeout?"),
        ("ls\n    pty maybe", "it takes no or yes or only"),
        ("ls\n    stdin none", "it takes no, yes or a size"),
        ("ls\n    record in", "it takes no or out or io"),
        ("ls\n    limit mem 512M", "limit cpu=10s mem=512M"),
        ("ls\n    for alice, bob", "blanks part the names, not commas"),
        ("[alice, bob]\nls", "blanks part the names, not commas"),
        ("%group ops = alice, bob", "blanks part the names, not commas"),
    ],
)
def test_a_slip_of_a_beginner_is_told_the_way_out(text: str, hint: str) -> None:
    assert error(text).suggestion == hint

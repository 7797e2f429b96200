"""The options of a rule. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import pytest

from rexec.policy.grant import Grant
from rexec.policy.options import OPTIONS
from rexec.policy.who import EVERYONE
from tests.policy.fakes import policy_of, refusals
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


def test_the_reference_names_every_option() -> None:
    page = (ROOT / "docs/reference/allow-list.md").read_text()
    assert [name for name in OPTIONS if f"\n| `{name} " not in page] == []

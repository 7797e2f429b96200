"""What rules ask of the kernel, and what happens where it does not give it."""

from __future__ import annotations

import pytest

from rexec.policy.fences import needs
from rexec.policy.grant import NO_FENCE, Fence
from rexec.policy.problems import Severity
from tests.policy.fakes import FakeDisk, policy_of, refusals

ASKED = [
    ("noexec", {("noexec", "seccomp")}),
    ("exec-only /bin/true", {("exec-only", "seccomp"), ("exec-only", "landlock")}),
    ("confine ro /srv", {("confine", "landlock")}),
    ("confine ro /srv net none", {("confine", "landlock"), ("net none", "seccomp")}),
]


def old_kernel() -> FakeDisk:
    disk = FakeDisk()
    disk.kernel = frozenset()
    return disk


def test_no_fence_asks_for_nothing() -> None:
    assert list(needs(NO_FENCE)) == []
    assert not NO_FENCE.is_asked_for
    assert list(needs(Fence(best_effort=True))) == []
    assert policy_of("ls []", old_kernel()).rules


@pytest.mark.parametrize(("option", "asked"), ASKED)
def test_a_rule_that_the_kernel_cannot_hold_refuses_the_file(
    option: str, asked: set[tuple[str, str]]
) -> None:
    text = f"ls []\n    {option}"
    assert set(needs(policy_of(text).rules[0].grant.fence)) == asked
    problems = [problem for problem in refusals(text, old_kernel()) if problem.severity is Severity.ERROR]
    assert {problem.text for problem in problems} == {
        f"{what} needs {feature}, which this kernel does not give" for what, feature in asked
    }
    assert problems[0].suggestion == "best-effort below the rule goes without it"


@pytest.mark.parametrize(("option", "asked"), ASKED)
def test_with_best_effort_it_is_a_warning(option: str, asked: set[tuple[str, str]]) -> None:
    policy = policy_of(f"ls []\n    {option}\n    best-effort", old_kernel())
    texts = {problem.text for problem in policy.warnings if problem.severity is Severity.WARNING}
    assert texts == {f"{what} is not held: this kernel gives no {feature}" for what, feature in asked}
    assert policy.rules[0].grant.fence.best_effort


def test_under_strict_best_effort_is_enough_too() -> None:
    assert policy_of("%strict\nls\n    best-effort", old_kernel()).rules
    assert refusals("%strict\nls", old_kernel())

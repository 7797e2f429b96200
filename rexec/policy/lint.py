"""What a file may well say, and should be looked at again: one function of the table `CHECKS` each.

A warning is a danger, a note is worth knowing. Under ``%strict`` a warning refuses the file.
"""

from __future__ import annotations

from typing import NamedTuple

from rexec.policy.arguments import FREE
from rexec.policy.problems import Severity
from rexec.policy.programs import When, danger_of
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.arguments import Pattern
    from rexec.policy.disk import Disk
    from rexec.policy.rules import Policy, Rule


class Remark(NamedTuple):
    """One finding about one rule."""

    rule: Rule
    severity: Severity
    text: str
    suggestion: str | None = None


def lint(policy: Policy, disk: Disk) -> Iterator[Remark]:
    """Find all there is to say about a policy that can be used as it stands."""
    for check in CHECKS:
        yield from check(policy, disk)


def _missing_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        if rule.program is None:
            place = "" if rule.command.startswith("/") else f" in {':'.join(policy.path)}"
            yield Remark(rule, Severity.WARNING, f"{quoted(rule.command)} is not there{place}")


def _lax_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        for text in rule.program.warnings if rule.program else ():
            yield Remark(rule, Severity.WARNING, text, "who may write it decides what is run here")


def _missing_directories(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        cwd = rule.grant.cwd
        if cwd is not None and not disk.is_directory(cwd):
            yield Remark(rule, Severity.WARNING, f"the directory {quoted(cwd)} is not there")


def _dangerous_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        danger = danger_of(rule.command)
        if danger is not None and _applies(danger.when, rule):
            hint = "name its arguments, or write [] for none"
            if danger.when is When.ALWAYS:
                hint = "use a program that only prints, such as cat"
            elif danger.when is When.INPUT:
                hint = "name its arguments, so that it reads no commands from the client"
            text = f"{quoted(rule.command)} {danger.reason}"
            yield Remark(rule, Severity.WARNING, text, hint)


def _applies(when: When, rule: Rule) -> bool:
    if when is When.ALWAYS or FREE in rule.patterns:
        return True
    return when is When.INPUT and not rule.patterns and rule.grant.stdin


def _shadowed_rules(policy: Policy, disk: Disk) -> Iterator[Remark]:
    earlier: dict[tuple[str, tuple[Pattern, ...]], list[Rule]] = {}
    tails: dict[str, set[int]] = {}  # how many patterns stand before a free tail, by command
    for rule in policy.rules:
        shadow = _shadow(policy, rule, earlier, tails.get(rule.command, set()))
        if shadow is not None:
            yield Remark(rule, Severity.WARNING, f"never reached: {shadow.label} matches all of it before")
        earlier.setdefault((rule.command, rule.patterns), []).append(rule)
        if FREE in rule.patterns:
            tails.setdefault(rule.command, set()).add(len(rule.patterns) - 1)


def _shadow(
    policy: Policy, rule: Rule, earlier: dict[tuple[str, tuple[Pattern, ...]], list[Rule]], tails: set[int]
) -> Rule | None:
    shapes = [rule.patterns, *((*rule.patterns[:count], FREE) for count in sorted(tails))]
    for shape in dict.fromkeys(shapes):
        for other in earlier.get((rule.command, shape), ()):
            if _reaches(policy, other, rule):
                return other
    return None


def _reaches(policy: Policy, other: Rule, rule: Rule) -> bool:
    """Tell whether `other` is for everybody that `rule` is for."""
    members = policy.groups
    mine = (rule.section, rule.grant.whom)
    return all(
        any(theirs.covers(who, members) for who in mine) for theirs in (other.section, other.grant.whom)
    )


def _bare_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        if rule.bare and not policy.strict:
            hint = f"{rule.text} [] takes none, {rule.text} ... says that any are meant"
            yield Remark(rule, Severity.NOTE, f"{quoted(rule.command)} takes any arguments", hint)


def _no_timeouts(policy: Policy, disk: Disk) -> Iterator[Remark]:
    without = [rule for rule in policy.rules if rule.grant.timeout is None]
    if without:
        text = f"{len(without)} of {len(policy.rules)} rules have no timeout, this is the first"
        yield Remark(without[0], Severity.NOTE, text, "an indented line below it: timeout 60s")


def _unknown_groups(policy: Policy, disk: Disk) -> Iterator[Remark]:
    told: set[str] = set()
    for rule in policy.rules:
        groups = rule.section.groups | rule.grant.whom.groups
        for group in sorted(groups - policy.groups.keys() - told):
            told.add(group)
            yield Remark(rule, Severity.NOTE, f"no %group makes @{group}: only keys with groups= have it")


CHECKS = (
    _missing_programs,
    _lax_programs,
    _missing_directories,
    _dangerous_programs,
    _shadowed_rules,
    _bare_programs,
    _no_timeouts,
    _unknown_groups,
)

"""What a file may well say, and should be looked at again: one function of the table `CHECKS` each.

A warning is a danger, a note is worth knowing. Under ``%strict`` a warning refuses the file.
"""

from __future__ import annotations

from typing import NamedTuple

from rexec.policy.arguments import FREE, Literal, match
from rexec.policy.circumstances import is_bound
from rexec.policy.dangers import dangers
from rexec.policy.fences import needs
from rexec.policy.forms import SHELL
from rexec.policy.paths import root_of
from rexec.policy.problems import Severity
from rexec.policy.wording import quoted, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.arguments import Pattern
    from rexec.policy.disk import Disk
    from rexec.policy.rules import Policy, Rule


_WIDE_MAX = 64  # rules of one command that each of its rules is held against


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
        if rule.program is None and not rule.copies:
            place = "" if rule.starts.startswith("/") else f" in {':'.join(policy.path)}"
            yield Remark(rule, Severity.WARNING, f"{quoted(rule.starts)} is not there{place}")


def _lax_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        for text in rule.program.warnings if rule.program else ():
            yield Remark(rule, Severity.WARNING, text, "who may write it decides what is run here")


def _owned_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        account = policy.account_of(rule)
        for uid, text in rule.program.owned if rule.program else ():
            if uid != account.uid:
                yield Remark(rule, Severity.WARNING, text, "its owner decides what is run here")


def _missing_directories(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        cwd = rule.grant.cwd
        if cwd is not None and not disk.is_directory(cwd):
            yield Remark(rule, Severity.WARNING, f"the directory {quoted(cwd)} is not there")
        home = policy.account_of(rule).home
        if rule.grant.run_as is not None and cwd is None and not disk.is_directory(home):
            text = f"the home of {quoted(rule.grant.run_as.name)}, {quoted(home)}, is not there to start in"
            yield Remark(rule, Severity.WARNING, text, "an indented line below it: cwd /")


def _missing_places(policy: Policy, disk: Disk) -> Iterator[Remark]:
    """Find what a rule names and the disk has not: a word that is wrong, or a place still to be made."""
    for rule in policy.rules:
        fence = rule.grant.fence
        places = [
            (f"confine {kind}", path)
            for kind, paths in (("ro", fence.ro), ("rw", fence.rw))
            for path in paths
        ]
        places += [("exec-only", path) for path in fence.exec_only or ()]
        places += [
            ("path", root_of(found.place.glob))
            for pattern in rule.patterns
            for found in pattern.types
            if found.place
        ]
        for what, path in dict.fromkeys(places):
            if not disk.is_there(path):
                text = f"{what}: {quoted(path)} is not there"
                yield Remark(rule, Severity.NOTE, text)


def _values_in_quotes(policy: Policy, disk: Disk) -> Iterator[Remark]:
    """Find the names of values where a quoted word of a server command has them as text."""
    for rule in policy.rules:
        for word in rule.served.words if rule.served else ():
            for name in sorted(rule.names):
                if any(f"{{{name}}}" in text for text in word.texts):
                    text = f"{{{name}}} in quotes is text: the value does not get there"
                    yield Remark(rule, Severity.WARNING, text, "a word with a value in it has no quotes")


def _missing_features(policy: Policy, disk: Disk) -> Iterator[Remark]:
    """Refuse what this kernel cannot hold, unless the rule says that its best effort is enough."""
    for rule in policy.rules:
        asked = tuple(needs(rule.grant.fence))
        missing = [pair for pair in asked if pair[1] not in disk.features()] if asked else []
        for what, feature in missing:
            if not rule.grant.fence.best_effort:
                hint = "best-effort below the rule goes without it"
                text = f"{what} needs {feature}, which this kernel does not give"
                yield Remark(rule, Severity.ERROR, text, hint)
            else:  # the file says that it knows: under %strict it is not refused for that
                severity = Severity.NOTE if policy.strict else Severity.WARNING
                text = f"{what} is not held: this kernel gives no {feature}"
                yield Remark(rule, severity, text)


def _other_digests(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        if rule.grant.sha256 is None or rule.program is None:
            continue
        found = disk.digest(rule.program.path)
        if found != rule.grant.sha256:
            what = "cannot be read" if found is None else f"has the digest {found}"
            text = f"{shown(rule.program.path)} {what}: it will be denied"
            yield Remark(rule, Severity.WARNING, text)


def _empty_fences(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        fence = rule.grant.fence
        if fence.confined and fence.net and "/" in fence.rw:
            hint = "name what it writes, or leave out confine"
            yield Remark(rule, Severity.WARNING, "confine rw / confines nothing", hint)


def _detached_terminals(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        if rule.grant.detach and rule.grant.pty == "only":
            text = "is never detached: pty only, and a detached command has none"
            yield Remark(rule, Severity.WARNING, text, "leave out detach, or say pty yes")


def _powerful_accounts(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        account = policy.account_of(rule)
        if account.uid != 0:
            continue
        if rule.grant.run_as is not None and FREE in rule.patterns:
            hint = "name its arguments, or write [] for none"
            yield Remark(rule, Severity.WARNING, "runs as root with arguments that the client chooses", hint)
        if rule.grant.limits.procs is not None:
            text = "limit procs holds nothing: the kernel does not count the processes of root"
            yield Remark(rule, Severity.WARNING, text, "as USER below the rule runs it as somebody else")


def _shells(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        if rule.command == SHELL:
            hint = "name the programs that are meant: rexec-ssh needs no shell for plain words"
            yield Remark(rule, Severity.WARNING, "@shell runs whatever the client says", hint)


def _over(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        until = rule.grant.until
        if until is not None and until <= disk.clock():
            yield Remark(rule, Severity.NOTE, "until is over: the rule matches nothing any more")


def _dangerous_programs(policy: Policy, disk: Disk) -> Iterator[Remark]:
    for rule in policy.rules:
        for severity, text, safer in dangers(rule):
            yield Remark(rule, severity, text, safer)


def _shadowed_rules(policy: Policy, disk: Disk) -> Iterator[Remark]:
    earlier: dict[tuple[str, tuple[Pattern, ...]], list[Rule]] = {}
    tails: dict[str, set[int]] = {}  # how many patterns stand before a free tail, by command
    wide: dict[str, list[Rule]] = {}  # rules whose patterns take more than one row of words
    for rule in policy.rules:
        shadow = _shadow(policy, rule, earlier, tails.get(rule.command, set()))
        shadow = shadow or _wider(policy, rule, wide.get(rule.command, []))
        if shadow is not None:
            yield Remark(rule, Severity.WARNING, f"never reached: {shadow.label} matches all of it before")
        earlier.setdefault((rule.command, rule.patterns), []).append(rule)
        if FREE in rule.patterns:
            tails.setdefault(rule.command, set()).add(len(rule.patterns) - 1)
        elif not _is_one_row(rule):
            wide.setdefault(rule.command, []).append(rule)


def _shadow(
    policy: Policy, rule: Rule, earlier: dict[tuple[str, tuple[Pattern, ...]], list[Rule]], tails: set[int]
) -> Rule | None:
    shapes = [rule.patterns, *((*rule.patterns[:count], FREE) for count in sorted(tails))]
    for shape in dict.fromkeys(shapes):
        for other in earlier.get((rule.command, shape), ()):
            if _reaches(policy, other, rule):
                return other
    return None


def _is_one_row(rule: Rule) -> bool:
    return all(isinstance(pattern, Literal) for pattern in rule.patterns)


def _wider(policy: Policy, rule: Rule, wide: list[Rule]) -> Rule | None:
    """Find a rule whose patterns take the one row of words that this rule has."""
    if not _is_one_row(rule):
        return None
    words = (rule.command, *(word for pattern in rule.patterns for word in pattern.choices))
    for other in wide[:_WIDE_MAX]:
        if match(other.patterns, words) is not None and _reaches(policy, other, rule):
            return other
    return None


def _seen_from(policy: Policy, rule: Rule) -> tuple[str, str | None] | None:
    """Say where relative paths of a rule are seen from, where it has any."""
    if not any(found.place for pattern in rule.patterns for found in pattern.types):
        return None
    return rule.grant.cwd or policy.account_of(rule).home, rule.grant.cwd_ask


def _reaches(policy: Policy, other: Rule, rule: Rule) -> bool:
    """Tell whether `other` is for everybody that `rule` is for, everywhere and always."""
    base = _seen_from(policy, other)
    if is_bound(other.grant) or (base is not None and base != _seen_from(policy, rule)):
        return False
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
    _missing_features,
    _missing_programs,
    _lax_programs,
    _owned_programs,
    _other_digests,
    _missing_directories,
    _missing_places,
    _values_in_quotes,
    _empty_fences,
    _detached_terminals,
    _powerful_accounts,
    _shells,
    _over,
    _dangerous_programs,
    _shadowed_rules,
    _bare_programs,
    _no_timeouts,
    _unknown_groups,
)

"""What a decision looks like to people: who may run what, and which rule says so."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from rexec.policy.arguments import match, miss
from rexec.policy.captures import HIDDEN, argv_of
from rexec.policy.circumstances import outside
from rexec.policy.decide import base_of, candidates, decide
from rexec.policy.forms import seen_by, settled
from rexec.policy.rules import Deny, Permit
from rexec.policy.terms import terms
from rexec.policy.wording import quoted, show, shown
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.request import Request
    from rexec.policy.rules import Decision, Policy, Rule


class Explanation(NamedTuple):
    """A decision and the lines that explain it; no line holds a control character."""

    decision: Decision
    lines: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Give 0 allowed, 126 denied, 127 allowed but not there."""
        return 0 if isinstance(self.decision, Permit) else self.decision.exit_code


def visible(policy: Policy, user: str, groups: frozenset[str]) -> list[Rule]:
    """List the rules that a user may run, in their order; `groups` are those of the key."""
    return policy.rules_for(user, groups)


def explain(policy: Policy, request: Request, *, terse: bool = False) -> Explanation:
    """Decide, and say why: each rule tried with the first argument that failed, then the decision.

    With `terse`, no more is said than a client may learn by asking for the command: what is granted, not
    why something is not.
    """
    request = settled(request)
    decision = decide(policy, request)
    if isinstance(decision, Deny) and decision.confirm is not None:  # one will be asked for it
        request = replace(request, confirm=decision.confirm)
        decision = decide(policy, request)
    if terse and isinstance(decision, Deny):
        decision = decision.terse
        return Explanation(decision, (f"denied: {decision.message}",))
    lines = [] if terse else [*_tried(policy, request, decision)]
    if isinstance(decision, Permit):
        lines += _permitted(decision, _argv(policy, request, decision))
    else:
        lines.append(("denied: " if decision.exit_code == 126 else "not there: ") + decision.message)
    return Explanation(decision, tuple(lines))


def _tried(policy: Policy, request: Request, decision: Decision) -> Iterator[str]:
    if not request.words or request.flaw:
        return
    for rule in candidates(policy, request):
        seen = seen_by(rule, request)
        base = base_of(policy, rule, seen)
        if match(rule.patterns, seen.words, base) is not None:
            reason = outside(rule.grant, seen)
            yield f"{rule.label}: {shown(rule.text)}: {'matches' if reason is None else reason}"
            if reason is None:
                return
            continue
        found = miss(rule.patterns, seen.words, base)
        yield f"{rule.label}: {shown(rule.text)}: {found.said(decision.logged)}"


def _argv(policy: Policy, request: Request, permit: Permit) -> tuple[str, ...]:
    """Give the argv that is started, without the values that the rule hides."""
    rule = permit.rule
    seen = seen_by(rule, settled(request))
    spans = match(rule.patterns, seen.words, base_of(policy, rule, seen)) if rule.grant.redact else None
    return permit.argv if spans is None else argv_of(rule, permit.logged, spans)


def _permitted(permit: Permit, argv: tuple[str, ...]) -> Iterator[str]:
    yield f"allowed by {permit.rule.label}: {shown(permit.rule.text)}"
    if permit.rule.about:
        yield f"about: {neutral(permit.rule.about)}"
    yield from (f"value: {_value(permit, name, value)}" for name, value in permit.values)
    if permit.grant.confirm is not None:
        yield f"confirm: {quoted(permit.grant.confirm)}"
    if permit.grant.danger:
        yield f"danger: {permit.grant.danger}"
    yield f"argv: {show(argv)}"
    if permit.path:
        yield f"program: {neutral(permit.path)}"
    if permit.grant.run_as is not None:
        yield f"runs as: {neutral(permit.account.name)}"
    yield f"directory: {neutral(permit.cwd)}"
    yield from (f"environment: {_variable(permit, name, value)}" for name, value in permit.env)
    yield f"terminal: {'no' if permit.pty is None else 'yes'}"
    yield f"stdin: {'yes' if permit.stdin else 'no'}"
    yield f"limits: {', '.join(_limits(permit))}"
    fence = [*_fence(permit)]
    if fence:
        yield f"fence: {', '.join(fence)}"
    yield from (f"before the start: {neutral(text)}" for text in _obligations(permit))
    said = terms(permit.grant)
    yield from (f"{name}: {shown(said[name])}" for name in _FURTHER if name in said)


_FURTHER = ("for", "from", "when", "until", "redact")


def _obligations(permit: Permit) -> Iterator[str]:
    """Say what is looked at on the disk before the start; where it is not so, the command is denied."""
    if permit.cwd_root is not None:
        yield f"the directory, its links followed, is beneath {permit.cwd_root}"
    for check in permit.checks:
        path = HIDDEN if permit.grant.redact else shown(check.path)
        yield f"{path} is {_KINDS[check.kind]}, and its links stay in {shown(check.glob)}"


_KINDS = {"file": "a file", "dir": "a directory", "new": "not there yet", "": "what is meant"}


def _value(permit: Permit, name: str, value: str) -> str:
    return f"{name}={HIDDEN if name in permit.grant.redact else shown(value)}"


def _variable(permit: Permit, name: str, value: str) -> str:
    """Show one variable; a value that the rule sets may be a secret of the file, and users read this."""
    if name in dict(permit.grant.env_set):
        return f"{name} (set by the rule)"
    return f"{name}={shown(value)}"


def _limits(permit: Permit) -> Iterator[str]:
    yield "no timeout" if permit.timeout is None else f"timeout {permit.timeout:g}s"
    grant = permit.grant
    if grant.idle is not None:
        yield f"idle {grant.idle:g}s"
    yield f"umask {permit.umask:03o}"
    if grant.nice is not None:
        yield f"nice {grant.nice}"
    yield from (f"{name} {value}" for name, value in grant.limits._asdict().items() if value is not None)
    if grant.output is not None:
        yield f"output {grant.output.size} bytes, then {'killed' if grant.output.kill else 'dropped'}"
    if permit.stdin and grant.stdin_max is not None:
        yield f"stdin {grant.stdin_max} bytes"
    if grant.parallel is not None:
        yield f"{grant.parallel} at once"
    if grant.rate is not None:
        yield f"{grant.rate.starts} in {grant.rate.seconds}s"
    if grant.detach:
        yield "may be detached"
    if grant.resume is not None:
        yield f"waits {grant.resume:g}s for its client" if grant.resume else "ends with its connection"
    if grant.idempotent:
        yield "may run again where it was lost"
    yield "background kept" if permit.background_keep else f"linger {permit.linger:g}s"


def _fence(permit: Permit) -> Iterator[str]:
    fence = permit.fence
    if fence.noexec:
        yield "starts no other program"
    if fence.exec_only is not None:
        yield f"starts no other program but {show(fence.exec_only)}"
    if fence.confined:
        yield f"reads {show(fence.ro) or 'nothing else'}"
        yield f"writes {show(fence.rw) or 'nothing'}"
    if not fence.net:
        yield "no network"
    if permit.grant.sha256 is not None:
        yield f"digest {permit.grant.sha256}"
    if permit.grant.record != "no":
        yield "output is recorded" if permit.grant.record == "out" else "input and output are recorded"

"""What a decision looks like to people: who may run what, and which rule says so."""

from __future__ import annotations

from typing import NamedTuple

from rexec.policy.arguments import match
from rexec.policy.decide import candidates, decide
from rexec.policy.rules import Permit
from rexec.policy.wording import show, shown
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


def explain(policy: Policy, request: Request) -> Explanation:
    """Decide, and say why: each rule tried with the first argument that failed, then the decision."""
    decision = decide(policy, request)
    lines = [*_tried(policy, request, decision)]
    if isinstance(decision, Permit):
        lines += _permitted(decision)
    else:
        lines.append(("denied: " if decision.exit_code == 126 else "not there: ") + decision.message)
    return Explanation(decision, tuple(lines))


def _tried(policy: Policy, request: Request, decision: Decision) -> Iterator[str]:
    if not request.words:
        return
    for rule in candidates(policy, request):
        miss = match(rule.patterns, request.words)
        yield f"{rule.label}: {shown(rule.text)}: {'matches' if miss is None else miss.text}"
        if miss is None:
            return


def _permitted(permit: Permit) -> Iterator[str]:
    yield f"allowed by {permit.rule.label}: {shown(permit.rule.text)}"
    if permit.rule.about:
        yield f"about: {neutral(permit.rule.about)}"
    yield f"argv: {show(permit.argv)}"
    yield f"program: {neutral(permit.path)}"
    yield f"directory: {neutral(permit.cwd)}"
    yield from (f"environment: {_variable(permit, name, value)}" for name, value in permit.env)
    yield f"terminal: {'no' if permit.pty is None else 'yes'}"
    yield f"stdin: {'yes' if permit.stdin else 'no'}"
    yield f"limits: {', '.join(_limits(permit))}"


def _variable(permit: Permit, name: str, value: str) -> str:
    """Show one variable; a value that the rule sets may be a secret of the file, and users read this."""
    if name in dict(permit.grant.env_set):
        return f"{name} (set by the rule)"
    return f"{name}={shown(value)}"


def _limits(permit: Permit) -> Iterator[str]:
    yield "no timeout" if permit.timeout is None else f"timeout {permit.timeout:g}s"
    yield f"umask {permit.umask:03o}"
    yield "background kept" if permit.background_keep else f"linger {permit.linger:g}s"

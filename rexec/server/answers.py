"""Answers about the policy: what a user may run, which rule decides, and what may stand next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rexec.policy.arguments import Literal
from rexec.policy.explain import explain, visible
from rexec.policy.rules import Permit
from rexec.server.completion import complete
from rexec.server.kinds import kind

if TYPE_CHECKING:
    from rexec.policy.explain import Explanation
    from rexec.policy.request import Request
    from rexec.policy.rules import Policy, Rule


def answer(policy: Policy, request: Request, subject: str, *, terse: bool = False) -> tuple[bool, bytes]:
    """Return whether the subject is known, and the answer as JSON, or as text what is wrong.

    With `terse`, the answer to `explain` says no more about a denial than the denial itself.
    """
    match subject:
        case "list":
            rules = visible(policy, request.user, request.groups)
            return True, json.dumps([_row(rule, request) for rule in rules]).encode()
        case "explain":
            found = explain(policy, request, terse=terse)
            body = {
                "exit_code": found.exit_code,
                "lines": list(found.lines),
                "pty": _deciding_terminal(policy, request, found),
                "confirm": found.decision.grant.confirm if isinstance(found.decision, Permit) else None,
            }
            return True, json.dumps(body).encode()
        case "complete":
            found_words = complete(policy, request) if request.words else []
            return True, json.dumps([choice._asdict() for choice in found_words]).encode()
        case "kind":
            return True, kind(policy, request)
        case _:
            return False, b"unknown question"


def _row(rule: Rule, request: Request) -> dict[str, object]:
    """Return a rule as its user may see it; `words` are the arguments that can be completed, by place."""
    return {
        "rule": rule.label,
        "text": rule.text,
        "about": rule.about,
        "danger": rule.grant.danger,
        "confirm": rule.grant.confirm,
        "command": rule.command,
        "words": _literal_words(rule),
        "pty": _terminal(rule, request),
    }


def _literal_words(rule: Rule) -> list[str]:
    """Return the leading arguments that can be one thing only: places behind others are not certain."""
    found: list[str] = []
    for pattern in rule.patterns:
        if not isinstance(pattern, Literal):
            break
        found.append(pattern.text)
    return found


def _terminal(rule: Rule, request: Request) -> str:
    """Say whether a rule gives this user a terminal: no, yes, only."""
    return rule.grant.pty if request.pty_allowed else "no"


def _deciding_terminal(policy: Policy, request: Request, found: Explanation) -> str | None:
    """Say the same of the rule that decided, where there is one."""
    decision = found.decision
    if isinstance(decision, Permit):
        return _terminal(decision.rule, request)
    named = (rule for rule in policy.rules if rule.label == decision.rule)
    return next((_terminal(rule, request) for rule in named), None)

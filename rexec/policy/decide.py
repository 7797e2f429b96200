"""The decision: a pure function, and the only place that makes a `Permit`.

User, groups, place, time and argv choose the rule: the first that matches wins. What is asked for
besides is judged by that rule alone, row by row of `CONDITIONS`; a refusal does not fall through to a
later rule. A denial names the nearest rule, but only among those that the asker may use.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from heapq import nsmallest
from itertools import chain, islice

from rexec.limits import TIMEOUT_MAX
from rexec.policy import environment, paths
from rexec.policy.arguments import Dashes, Literal, match, miss
from rexec.policy.captures import HIDDEN, argv_of, checks_of, fence_of, hidden, logged_of, values_of
from rexec.policy.circumstances import is_bound, outside
from rexec.policy.forms import KILL, SHELL, form_of, needs_shell, seen_by, settled
from rexec.policy.grant import PLAIN, Fence
from rexec.policy.request import Request
from rexec.policy.rules import Deny, Missing, Permit, Rule
from rexec.policy.wording import quoted, show, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rexec.policy.arguments import Span
    from rexec.policy.request import Job
    from rexec.policy.rules import Decision, Policy
    from rexec.policy.trees import Short, Walk


_NEAR_MAX = 32  # rules that are looked at closely for a denial
_TERM = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._+-]{0,63})?")  # it names a file to terminfo


def decide(policy: Policy, request: Request) -> Decision:
    """Judge one request; the same policy and request give the same decision, always."""
    request = settled(request)
    flaw = _malformed(policy, request)
    if flaw is not None:
        return Deny(flaw, logged=without_secrets(policy, request))
    if request.job is not None:
        return _judge_job(policy, request, request.job)
    absent: Deny | None = None
    walks = _walks(policy, request)
    for _, rule in _takers(walks):
        seen = seen_by(rule, request)
        spans = match(rule.patterns, seen.words, base_of(policy, rule, seen))
        if spans is None:
            continue
        reason = outside(rule.grant, seen)
        if reason is None:
            return _judge(policy, rule, seen, spans)
        absent = absent or _denied(rule, seen, spans, reason)
    return absent or _nearest(policy, request, walks)


def candidates(policy: Policy, request: Request) -> Iterator[Rule]:
    """Give the rules for this command word, as spelled, that are for the asker, in their order."""
    groups = policy.groups_of(request.user, request.groups)
    rules = policy.index.get(request.words[0], ()) if request.words else ()
    if request.line is not None and SHELL in policy.index:  # a shell takes what programs take as well
        wanted = (request.words[0], SHELL) if request.words else (SHELL,)
        rules = tuple(rule for rule in policy.rules if rule.command in wanted)
    return (rule for rule in rules if rule.is_for(request.user, groups))


def _walks(policy: Policy, request: Request) -> list[Walk]:
    """Go through the trees in which all the candidates are."""
    groups = policy.groups_of(request.user, request.groups)
    trees = policy.trees.of(request.words[0], request.user, groups)
    if request.line is not None:
        trees = (*trees, *policy.trees.of(SHELL, request.user, groups))
    walks: list[Walk] = []
    for tree in trees:
        seen = seen_by(tree.first, request)
        walks.append(tree.walk(seen.words, base_of(policy, tree.first, seen)))
    return walks


def _takers(walks: list[Walk]) -> Sequence[tuple[int, Rule]]:
    """Give the candidates that may take the words, by number: those left out do not."""
    if len(walks) == 1:
        return walks[0].takers()
    return sorted(placed for walk in walks for placed in walk.takers())


def possible(policy: Policy, request: Request) -> Iterator[Decision]:
    """Give each decision that a request could meet at some time and place, with a text that confirms it."""
    request = settled(request)
    for rule in () if request.flaw else candidates(policy, request):
        seen = seen_by(rule, request)
        spans = match(rule.patterns, seen.words, base_of(policy, rule, seen))
        if spans is not None:
            yield _judge(policy, rule, replace(seen, confirm=rule.grant.confirm), spans)
            if not is_bound(rule.grant):
                return
    yield decide(policy, request)


def self_test(policy: Policy, word: str) -> bool:
    """Tell whether the command `word`, made up by the caller, is denied to everybody."""
    whos = [who for rule in policy.rules for who in (rule.section, rule.grant.whom)]
    users = {word, *policy.memberships}.union(*(who.users for who in whos))
    groups = frozenset(policy.groups).union(*(who.groups for who in whos))
    return all(isinstance(decide(policy, plain_request(user, (word,), groups)), Deny) for user in users)


def plain_request(user: str, words: tuple[str, ...], groups: frozenset[str] = frozenset()) -> Request:
    """Make a request that asks for nothing but its words, for questions about the policy itself."""
    form, words = form_of(words)
    return Request(
        user=user, groups=groups, words=words, form=form, peer="", connection="", now=0.0, pty_allowed=True
    )


def without_secrets(policy: Policy, request: Request) -> tuple[str, ...]:
    """Give the words of a request that no rule took, or none was asked for, as logs may show them."""
    if not request.words:
        return ()
    if request.words[0] == SHELL:
        return string_shown(policy, " ".join(request.words[1:]))
    if request.words[0] not in policy.secretive:
        return request.words
    return hidden(policy.index[request.words[0]], request.words, candidates(policy, request))


def string_shown(policy: Policy, text: str) -> tuple[str, ...]:
    """Give a string of which nobody knows the words: whole, unless it may be about a rule that hides some."""
    secret = any(word in text for word in policy.secretive)
    return (SHELL, HIDDEN) if secret else (SHELL, text)


def _malformed(policy: Policy, request: Request) -> str | None:
    """Say what no rule could ever allow."""
    if request.flaw:
        return request.flaw
    if not request.words or not request.words[0]:
        return "the command has no name" if request.words else "there is no command"
    for index, word in enumerate(request.words):
        if "\0" in word:
            return f"{_asked(without_secrets(policy, request))} a NUL byte in argument {index}"
    if "\0" in "".join((request.cwd or "", request.pty or "", *chain(*request.env))):
        return f"{_asked(without_secrets(policy, request))} a NUL byte in what is asked for besides"
    return None if request.user else "nobody asks"


def _judge(policy: Policy, rule: Rule, request: Request, spans: list[Span]) -> Decision:
    for condition in CONDITIONS:
        refusal = condition(policy, rule, request)
        if refusal is not None:
            return _denied(rule, request, spans, refusal)
    if rule.program is None and not rule.copies:
        place = "not there" if rule.starts.startswith("/") else f"not in {':'.join(policy.path)}"
        words = logged_of(rule, request.words, spans)
        text = f"{_asked(words)} {rule.label} allows it, but {show([rule.starts])} is {place}"
        return Missing(text, rule.label, logged=words)
    confirm = rule.grant.confirm
    if confirm not in (None, request.confirm):  # last: nobody confirms what is denied all the same
        return replace(_denied(rule, request, spans, f"needs --confirm {quoted(confirm)}"), confirm=confirm)
    return _permit(policy, rule, rule.program.path if rule.program else "", request, spans)


def _denied(rule: Rule, request: Request, spans: list[Span], reason: str) -> Deny:
    """Deny words that a rule matched, for something else."""
    words = logged_of(rule, request.words, spans)
    return Deny(f"{_asked(words)} {rule.label} {reason}", rule.label, logged=words)


def _permit(policy: Policy, rule: Rule, path: str, request: Request, spans: list[Span]) -> Permit:
    grant, words = rule.grant, request.words
    asked = None if request.cwd is None else paths.joined(policy.home_of(rule), request.cwd)
    limits = [limit for limit in (grant.timeout, request.timeout) if limit is not None]
    return Permit(
        rule=rule,
        grant=grant,
        path=path,
        argv=(*argv_of(rule, words, spans), *request.options),
        env=environment.child_environment(policy, rule, request),
        cwd=policy.home_of(rule) if asked is None else asked,
        cwd_root=grant.cwd_ask if asked is not None and grant.cwd_ask != "/" else None,
        timeout=min(TIMEOUT_MAX, *limits) if limits else None,
        pty=request.pty,
        stdin=grant.stdin and request.stdin and not request.detach,
        umask=grant.umask,
        linger=grant.linger,
        background_keep=grant.background_keep,
        account=policy.account_of(rule),
        checks=tuple(checks_of(rule, words, spans, base_of(policy, rule, request))) if rule.has_paths else (),
        fence=fence_of(rule),
        values=values_of(rule, words, spans),
        logged=logged_of(rule, words, spans),
        detached=request.detach,
    )


# --- detached commands ----------------------------------------------------------------------------


_SHOWN = replace(PLAIN, idempotent=True)  # to look, or to end what has ended, does no harm


def _judge_job(policy: Policy, request: Request, job: Job) -> Decision:
    """Judge what somebody may do with a detached command of their own.

    They may see what it wrote as long as they could start one by the same rule from here and now, and
    always end it.
    """
    way, logged = request.words[0], (request.words[0], *request.options, job.id)
    if way != KILL:
        rules = policy.rules_for(request.user, request.groups)
        rule = next((rule for rule in rules if rule.fingerprint == job.rule), None)
        if rule is None or not rule.grant.detach:
            text = f"{policy.name} does not let this user detach what {job.label} did when it was started"
            return Deny(f"{_asked(logged)} {text}", logged=logged)
        reason = outside(rule.grant, request)
        if reason is not None:
            return Deny(f"{_asked(logged)} {rule.label} {reason}", rule.label, logged=logged)
    name, _, line = job.label.rpartition(":")
    return Permit(
        rule=Rule(name=name, line=int(line), text=way, command=way, program=None, patterns=(), bare=False),
        grant=_SHOWN,
        path="",
        argv=(way, *request.options, job.id),
        env=(),
        cwd="/",
        cwd_root=None,
        timeout=None,
        pty=None,
        stdin=False,
        umask=PLAIN.umask,
        linger=PLAIN.linger,
        background_keep=False,
        account=policy.account,
        fence=Fence(confined=True, best_effort=True),
        logged=logged,
    )


def base_of(policy: Policy, rule: Rule, request: Request) -> str:
    """Give the directory that relative arguments are seen from: the command's, where it can have it."""
    home = policy.home_of(rule)
    if request.cwd is None or rule.grant.cwd_ask is None:
        return home
    return paths.joined(home, request.cwd) or home


# --- what is asked for besides the words ----------------------------------------------------------


def _judge_terminal(policy: Policy, rule: Rule, request: Request) -> str | None:
    if request.pty is None:
        return "runs with a terminal only (-t)" if rule.grant.pty == "only" else None
    if rule.grant.pty == "no" or rule.copies:
        return "gives no terminal"
    if not request.pty_allowed:
        return "would give a terminal, but the key does not (no-pty)"
    return None if _TERM.fullmatch(request.pty) else f"takes no terminal of the type {quoted(request.pty)}"


def _judge_variables(policy: Policy, rule: Rule, request: Request) -> str | None:
    fixed = dict(rule.grant.env_set)
    for name, _ in request.env:
        if not environment.is_variable(name):
            return f"passes no variable {quoted(name)}: that is no name"
        if name in fixed:
            return f"sets the variable {show([name])} itself"
        if environment.never_passes(name):
            return f"cannot pass the variable {show([name])}: it is never taken from a client"
        if not environment.passes(rule.grant.env_pass, name):
            return f"does not pass the variable {show([name])}"
    return None


def _judge_directory(policy: Policy, rule: Rule, request: Request) -> str | None:
    if request.cwd is None:
        return None
    root = rule.grant.cwd_ask
    if root is None:
        return "does not let the client choose the directory"
    path = paths.joined(policy.home_of(rule), request.cwd)
    if path is None:
        return f"takes no directory {quoted(request.cwd)}"
    return (
        None if paths.is_beneath(root, path) else f"takes directories under {root} only, not {quoted(path)}"
    )


def _judge_timeout(policy: Policy, rule: Rule, request: Request) -> str | None:
    if request.timeout is None or request.timeout > 0:  # false for NaN too
        return None
    return "takes no timeout that is not above 0"


def _judge_detached(policy: Policy, rule: Rule, request: Request) -> str | None:
    if not request.detach:
        return None
    if rule.copies:
        return "copies, and no copy is detached"
    if not rule.grant.detach:
        return "lets no command be detached (its option detach would)"
    return None if request.pty is None else "gives a detached command no terminal"


CONDITIONS = (_judge_detached, _judge_terminal, _judge_variables, _judge_directory, _judge_timeout)


# --- near misses ----------------------------------------------------------------------------------


def _asked(words: tuple[str, ...]) -> str:
    return f'"{show(words)}":'


def _nearest(policy: Policy, request: Request, walks: list[Walk]) -> Deny:
    words = without_secrets(policy, request)
    if not walks:
        shell = needs_shell(request)
        return _no_shell(policy, words, shell) if shell else _unknown(policy, request, words)
    short = _shortest(request, walks)
    nearest = miss(short.rule.patterns, request.words, short.base)
    text = f"{_asked(words)} {short.rule.label} allows {allowed_by(short.rule)} ({nearest.said(words)})"
    return Deny(text, short.rule.label, logged=words)


def _shortest(request: Request, walks: list[Walk]) -> Short:
    """Find the rule that the words leave last; where there are many, among those that take most of them."""
    found = [short for walk in walks for short in walk.shorts()]
    if len(found) == 1:
        return found[0]
    if sum(walk.rules for walk in walks) > _NEAR_MAX:
        found.sort(key=lambda short: (-short.reach, short.number))
        del found[_looked_at(found) :]
    else:
        found.sort(key=lambda short: short.number)
    return max(found, key=lambda short: short.left(request.words))


def _looked_at(found: list[Short]) -> int:
    """Count those that have one of the first `_NEAR_MAX` rules in them."""
    places = [
        (-short.reach, number)
        for short in found
        for number in (short.number, *(number for number, _ in islice(short.others, _NEAR_MAX)))
    ]
    return bisect_right(
        found, nsmallest(_NEAR_MAX, places)[-1], key=lambda short: (-short.reach, short.number)
    )


def allowed_by(rule: Rule) -> str:
    """Say what the words of a rule allow."""
    if not rule.patterns:
        return f'"{show([rule.command])}" without arguments'
    exactly = all(isinstance(pattern, (Literal, Dashes)) for pattern in rule.patterns)
    return f'{"exactly " if exactly else ""}"{shown(rule.form)}"'


def _no_shell(policy: Policy, words: tuple[str, ...], what: str) -> Deny:
    """Say of a string that no words can be had of it without a shell, and which rule would give one."""
    only = f"only the rule {SHELL} gives one, and {policy.name} has none for this user"
    return Deny(f"{quoted(words[1])} needs a shell ({shown(what)}): {only}", logged=words)


def _unknown(policy: Policy, request: Request, words: tuple[str, ...]) -> Deny:
    """Name a close spelling, found among the asker's own rules so that nothing of others is told."""
    word = request.words[0]
    text = f"{_asked(words)} no rule of {policy.name} allows {quoted(word)}"
    groups = policy.groups_of(request.user, request.groups)
    near = (rule for other in policy.neighbours.of(word) for rule in policy.index[other])
    rule = next((rule for rule in near if rule.is_for(request.user, groups)), None)
    if rule is None:
        return Deny(text, logged=words)
    return Deny(f"{text}; did you mean {quoted(rule.command)} ({rule.label})?", rule.label, logged=words)

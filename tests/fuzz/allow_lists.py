"""Any text as an allow list: a policy that holds together, or a refusal with a place and a reason."""

from __future__ import annotations

import secrets
from dataclasses import replace

from rexec.policy.decide import decide, self_test
from rexec.policy.expand import expand
from rexec.policy.explain import explain
from rexec.policy.problems import PolicyRefused, Severity
from rexec.policy.request import text_of
from rexec.policy.rules import Deny, Missing, Permit, Policy, Rule
from rexec.policy.terms import terms, who
from tests.policy.fakes import FakeDisk, policy_of, request_of
from tests.tree import ROOT

INCLUDED = {
    "d/web.txt": "[@web]\nnginx -t\n    timeout 5s\n",
    "d/more.txt": "df [-h]\n%include ../d/web.txt\n",
}
SEEDS = tuple(
    path.read_bytes() + b"\0alice\0df\0-h" for path in sorted((ROOT / "tests/vectors/policy").rglob("*.txt"))
)
WORDS = tuple(
    word.encode()
    for line in (
        "%path |%group |%set |%include |%default |%strict\n|%assert allow |%use |[@|[everyone]\n|for |from ",
        "when |until |as |cwd |cwd ask |env |env pass |umask |nice |timeout |idle |limit |output |stdin ",
        "pty |parallel |rate |noexec\n|exec-only |confine |ro |rw |net none|sha256 |record |redact |confirm ",
        "danger |about |background |best-effort\n|{int:1..9}|{a=|{re:'|}*|}?|[-a -(bc)]|-n={int}",
        "--long {word}| = | -- | ...|{path:/srv/** ro file}|\n    |{A,B}|10M|30s|cpu=1s|Mon-Fri 08:00-18:00",
        "2031-01-01|192.0.2.0/24|'|\"|#|\\|\n",
    )
    for word in line.split("|")
)


def disk() -> FakeDisk:
    made = FakeDisk()
    made.files = dict(INCLUDED)
    return made


def try_it(data: bytes) -> None:
    """Read a made-up file, and ask the policy for made-up words."""
    written, *words = data.split(b"\0")
    text = text_of(written)
    try:
        policy = policy_of(text, disk())
    except PolicyRefused as refused:
        _is_told(text, refused)
        return
    assert self_test(policy, secrets.token_hex(16)), text
    assert policy == policy_of(text, disk()), text
    for rule in policy.rules[:8]:
        _ask(policy, rule, [text_of(word) for word in words])
    _is_stable(policy, text)


def _is_told(text: str, refused: PolicyRefused) -> None:
    assert any(problem.severity is Severity.ERROR for problem in refused.problems)
    for problem in refused.problems:
        if problem.name == "cmds.txt":
            line = text.split("\n")[problem.line - 1]
            assert 1 <= problem.column <= len(line) + 1, (text, problem)
        assert all(line.isprintable() for line in problem.lines()), (text, problem)


def _ask(policy: Policy, rule: Rule, words: list[str]) -> None:
    """Ask for a rule: nothing but a decision comes, the same each time, and it can be explained."""
    user = next(iter(sorted(rule.section.users | rule.grant.whom.users)), "alice")
    user = words[0] if words and words[0] else user
    guesses = [pattern.choices[0] for pattern in rule.patterns if pattern.choices]
    for said in ((rule.command, *words[1:]), (rule.command, *guesses), (rule.command,)):
        request = request_of(*said, user=user, confirm=rule.grant.confirm, pty="xterm")
        decision = decide(policy, request)
        assert decision == decide(policy, request)
        assert all(line.isprintable() for line in explain(policy, request).lines), said
        if isinstance(decision, Permit):
            _is_sound(decision, said)
        else:
            assert isinstance(decision, Deny | Missing)
            assert decision.message.isprintable(), decision


def _is_sound(permit: Permit, said: tuple[str, ...]) -> None:
    assert permit.path.startswith("/")
    assert permit.cwd.startswith("/")
    if permit.rule.served is None:
        assert [word for word in permit.argv if word != "--"] == [word for word in said if word != "--"]
    assert not any("\0" in text for pair in permit.env for text in pair)
    assert not any(name.startswith(("LD_", "BASH_FUNC_")) for name, _ in permit.env), permit.env


def _is_stable(policy: Policy, text: str) -> None:
    """Write the file out and read it again: nothing is granted to anybody that was not before."""
    written = expand(text, "cmds.txt", disk())
    again = policy_of(written, disk())
    assert expand(written, "cmds.txt", disk()) == written
    assert [_apart(rule) for rule in policy.rules] == [_apart(rule) for rule in again.rules], text
    head = [line for line in written.split("\n") if line.startswith(("%set", "%path", "%strict"))]
    rules = [_rewritten(rule) for rule in policy.rules]
    if "%strict" in text or any(rule.grant.windows for rule in policy.rules):
        return  # several windows are one line for people; under %strict noexec is the default
    read = policy_of("\n".join([*head, *rules]), disk())
    assert [_grant(rule) for rule in policy.rules] == [_grant(rule) for rule in read.rules], text


def _apart(rule: Rule) -> Rule:
    """Give a rule apart from where it stands."""
    return replace(rule, name="", line=0)


def _rewritten(rule: Rule) -> str:
    """Write a rule with the options that tell its grant, each in a line; an account has no such form."""
    said = {name: text for name, text in terms(rule.grant).items() if name != "as"}
    options = [f"    {name} {text}".rstrip() for name, text in said.items()]
    return "\n".join([f"[{who(rule.section)}]", rule.text, *options])


def _grant(rule: Rule) -> tuple[object, ...]:
    return rule.command, rule.patterns, rule.section, replace(rule.grant, run_as=None)

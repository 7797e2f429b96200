"""`detach`: which commands may run on without their client, and who may see them then."""

from __future__ import annotations

import pytest

from rexec.policy.decide import decide
from rexec.policy.explain import explain
from rexec.policy.request import Job
from rexec.policy.rules import Deny, Permit
from tests.policy.fakes import asked, denial, permit, policy_of, request_of

LIST = """\
make ...
    detach
ls
@get {path:/srv/** ro}
top
    detach
    pty only
"""


def test_only_a_rule_that_says_so_lets_a_command_run_on() -> None:
    found = permit(LIST, "make", "all", detach=True)
    assert (found.detached, found.stdin, found.pty) == (True, False, None)
    assert not permit(LIST, "make", "all").detached
    lets_none = '"ls": cmds.txt:3 lets no command be detached (its option detach would)'
    assert denial(LIST, "ls", detach=True) == lets_none


def test_it_has_no_terminal() -> None:
    assert denial(LIST, "make", detach=True, pty="xterm").endswith("gives a detached command no terminal")
    assert denial(LIST, "top", detach=True).endswith("runs with a terminal only (-t)")
    assert denial(LIST, "top", detach=True, pty="xterm").endswith("gives a detached command no terminal")


def test_a_copy_is_never_detached() -> None:
    found = denial(LIST, "@get", "/srv/x", form="copy", detach=True)
    assert found.endswith("copies, and no copy is detached")


def test_what_else_is_asked_for_is_judged_as_ever() -> None:
    assert "does not let the client choose the directory" in denial(LIST, "make", detach=True, cwd="/")
    assert "cannot pass the variable" in denial(LIST, "make", detach=True, env=(("LD_PRELOAD", "x"),))
    confirmed = "make\n    detach\n    confirm yes\n"
    assert "needs --confirm" in denial(confirmed, "make", detach=True)
    assert permit(confirmed, "make", detach=True, confirm="yes").detached


# --- who may see it ----------------------------------------------------------------------------------


def job_of(text: str, line: int = 1) -> Job:
    (rule,) = [rule for rule in policy_of(text).rules if rule.line == line]
    return Job("k3v9q2xm4t", rule.label, rule.fingerprint)


@pytest.mark.parametrize(
    "words", [("@attach", "k3"), ("@logs", "k3"), ("@logs", "-f", "k3"), ("@kill", "k3")]
)
def test_ones_own_is_seen_by_the_rule_that_it_was_started_by(words: tuple[str, ...]) -> None:
    found = permit(LIST, *words, form="job", job=job_of(LIST))
    assert found.argv == (*words[:-1], "k3v9q2xm4t")
    assert (found.path, found.rule.label, found.rule.shows, found.rule.copies) == (
        "",
        "cmds.txt:1",
        True,
        False,
    )
    assert found.fence.confined
    assert found.stdin is False
    assert not found.detached


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ("ls\n", "cmds.txt does not let this user detach what cmds.txt:1 did when it was started"),
        ("make all\n    detach\n", "does not let this user detach"),
        ("make ...\n", "does not let this user detach"),
        ("[bob]\nmake ...\n    detach\n", "does not let this user detach"),
        (
            "make ...\n    detach\n    from 192.0.2.0/24\n",
            "cmds.txt:1 is for 192.0.2.0/24, not for 127.0.0.1",
        ),
        ("make ...\n    detach\n    until 2020-01-01\n", "was for the time before"),
    ],
)
def test_without_that_rule_it_is_only_ended(now: str, why: str) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job instead,
    to get around policy, limits or recording"."""
    job = job_of(LIST)
    for words in (("@attach", "k3"), ("@logs", "k3")):
        found = asked(now, *words, form="job", job=job, peer="127.0.0.1")
        assert isinstance(found, Deny)
        assert why in found.message
        assert found.logged == (words[0], "k3v9q2xm4t")
    assert isinstance(asked(now, "@kill", "k3", form="job", job=job, peer="127.0.0.1"), Permit)


def test_a_rule_is_known_wherever_it_stands() -> None:
    moved = "ls\nuptime\n\nmake ...   # a comment\n    detach\n    timeout 1h\n"
    assert isinstance(asked(moved, "@attach", "k3", form="job", job=job_of(LIST)), Permit)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("@attach",),
        ("@get", "k3"),
        ("@attach", "-f", "k3"),
        ("@logs", "-g", "k3"),
        ("@kill", "", "k3"),
        ("ls", "k3"),
    ],
)
def test_nothing_else_is_asked_of_one(words: tuple[str, ...]) -> None:
    found = asked(LIST, *words, form="job", job=job_of(LIST))
    assert isinstance(found, Deny)
    assert (
        found.message == "what may be done with a detached command is @attach ID, @logs [-f] ID or @kill ID"
    )


def test_one_that_is_not_ones_own_is_none() -> None:
    assert denial(LIST, "@kill", "k3", form="job") == '"k3" is no detached command of yours'
    several = request_of("@kill", "k3", form="job", flaw="more than one")
    found = decide(policy_of(LIST), several)
    assert isinstance(found, Deny)
    assert found.message == "more than one"


def test_as_words_they_are_no_command() -> None:
    for form in ("argv", "string"):
        words = ("@attach", "k3") if form == "argv" else ("@attach k3",)
        assert isinstance(asked(LIST, *words, form=form, job=None), Deny)


# --- what is said of it -----------------------------------------------------------------------------


def test_a_rule_that_cannot_be_detached_after_all_is_warned_of() -> None:
    said = [str(problem) for problem in policy_of(LIST).warnings if "never detached" in str(problem)]
    assert len(said) == 1
    assert said[0].startswith("cmds.txt:5:1: ")


def test_it_is_explained_to_who_may() -> None:
    assert any(
        "may be detached" in line for line in explain(policy_of(LIST), request_of("make", "all")).lines
    )
    assert not any("detached" in line for line in explain(policy_of(LIST), request_of("ls")).lines)

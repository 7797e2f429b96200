"""What a rule makes of the words that it matched."""

from __future__ import annotations

import pytest

from rexec.policy.captures import HIDDEN, hidden
from rexec.policy.rules import Deny, Missing, PathCheck
from tests.policy.fakes import asked, denial, permit, policy_of, request_of

LOGIN = "login {user=name} {key=any} [-v -n={int}] {mode=fast|slow}?\n    redact key\n"


# --- the argv ---------------------------------------------------------------------------------------


def test_dashes_that_the_caller_did_not_write_reach_the_program() -> None:
    """security.md, Around the allow list: "Option injection ... by a file name that starts with `-`"."""
    text = "tail [-n={int}] -- {any}"
    assert permit(text, "tail", "-n5", "-f").argv == ("tail", "-n5", "--", "-f")
    assert permit(text, "tail", "--", "-f").argv == ("tail", "--", "-f")
    assert permit(text, "tail", "a").logged == ("tail", "a")


def test_without_dashes_the_argv_is_the_clients_own() -> None:
    words = ("ls", "-l", "")
    assert permit("ls", *words).argv == words
    assert permit("ls '--' {any}", "ls", "--", "x").argv == ("ls", "--", "x")


def test_values_are_captured_by_name_in_their_order() -> None:
    assert permit("x {a=int}* {word} {b=name}?", "x", "1", "2", "w", "n").values == (
        ("a", "1"),
        ("a", "2"),
        ("b", "n"),
    )


# --- what logs may show -----------------------------------------------------------------------------


def test_a_redacted_value_is_in_no_log() -> None:
    found = permit(LOGIN, "login", "alice", "geheim", "fast")
    assert found.argv == ("login", "alice", "geheim", "fast")
    assert found.logged == ("login", "alice", HIDDEN, "fast")


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (("login", "alice", "geheim"), {"pty": "xterm"}),
        (("login", "alice", "geheim"), {"env": (("A", "b"),)}),
        (("login", "alice", "geheim", "-n", "x"), {}),
        (("login", "alice", "geheim", "geheim"), {}),
        (("login", "7", "geheim"), {}),
        (("login", "geheim"), {}),
        (("login", "alice", "geheim\0"), {}),
        (("login", "alice", "geheim"), {"cwd": "/\0"}),
        (("login", "alice", "geheim"), {"user": "bob"}),
        (("login", "alice", "geheim"), {"user": ""}),
        (("login", "alice", "geheim"), {"form": "string"}),
    ],
)
def test_no_denial_shows_a_redacted_value(words: tuple[str, ...], changes: dict[str, object]) -> None:
    found = asked("[alice]\n" + LOGIN + "    pty no\n", *words, **changes)
    assert isinstance(found, Deny)
    assert "geheim" not in found.message
    assert not any("geheim" in word for word in found.logged)
    assert len(found.logged) == len(words)


def test_words_that_stand_in_the_rule_are_shown() -> None:
    assert denial(LOGIN, "login", "alice", "x", "-v", "-n", "y", "medium", "fast") == (
        '"login *** *** -v -n *** *** fast": cmds.txt:1 allows "login {user=name} {key=any} [-v -n={int}]'
        ' {mode=fast|slow}?" (argument 5 is "***", not a whole number)'
    )


def test_a_denial_shows_no_choice_that_is_redacted() -> None:
    """allow-list.md: `redact` "hides what the patterns of these names took from every log"."""
    rules = "vote {who=name} {choice=yes|no}\n    redact choice\n"
    found = asked(rules, "vote", "alice", "yes", "please")
    assert isinstance(found, Deny)
    assert found.logged == ("vote", HIDDEN, HIDDEN, HIDDEN)


def test_a_denial_tells_no_words_of_the_rules_of_others() -> None:
    """allow-list.md: "A denial names the nearest rule", among those of the asker alone."""
    rules = "[bob]\nlogin stop\n[alice]\nlogin start {key=any}\n    redact key\n"
    for word in ("start", "begin"):
        found = asked(rules, "login", word, "x", user="bob")
        assert isinstance(found, Deny)
        assert found.logged == ("login", HIDDEN, HIDDEN)
    assert asked(rules, "login", "stop", "x", user="bob").logged == ("login", "stop", HIDDEN)  # type: ignore[union-attr]


def test_a_missing_program_shows_no_redacted_value_either() -> None:
    found = asked("nowhere {key=any}\n    redact key\n", "nowhere", "geheim")
    assert isinstance(found, Missing)
    assert "geheim" not in found.message
    assert found.logged == ("nowhere", HIDDEN)


def test_where_nothing_is_redacted_all_is_shown() -> None:
    rules = policy_of("ls {int}").rules
    assert hidden(rules, ("ls", "x")) == ("ls", "x")
    found = asked("ls {int}", "ls", "x")
    assert isinstance(found, Deny)
    assert found.logged == ("ls", "x")


# --- the disk and the fence -------------------------------------------------------------------------


def test_each_path_is_an_obligation() -> None:
    """security.md, Around the allow list: "Links that leave a root": the permit carries the questions."""
    text = (
        "cp [-t={path:/srv/in/** dir}] -- {a=path:/var/log/** ro file}+ {b=path:/srv/** rw}\n    redact b\n"
    )
    assert permit(text, "cp", "-t/srv/in/x", "/var/log/a", "/var/log/b", "/srv/c").checks == (
        PathCheck("/srv/in/x", "/srv/in/**", "dir", False, "/srv/in/x"),
        PathCheck("/var/log/a", "/var/log/**", "file", False, "/var/log/a"),
        PathCheck("/var/log/b", "/var/log/**", "file", False, "/var/log/b"),
        PathCheck("/srv/c", "/srv/**", "", True, HIDDEN),
    )
    assert permit("ls", "ls", "/etc").checks == ()


def test_a_relative_path_is_seen_from_the_directory_of_the_command() -> None:
    text = "cat {path:/srv/**}\n    cwd /srv/a\n    cwd ask /srv/**\n"
    assert permit(text, "cat", "x").checks[0].path == "/srv/a/x"
    assert permit(text, "cat", "x", cwd="b").checks[0].path == "/srv/a/b/x"
    assert permit(text, "cat", "/srv/x", cwd="/srv").checks[0].path == "/srv/x"
    assert "leads" not in denial(text, "cat", "../x")
    assert denial(text, "cat", "x", cwd="/etc").endswith(
        '(argument 1 is "x" (seen from /etc), not a path /srv/**)'
    )
    assert denial(text, "cat", "/srv/x", cwd="..").endswith('takes no directory ".."')
    assert denial("cat {path:/srv/**}\n    cwd /srv", "cat", "x", cwd="/srv").endswith("choose the directory")


def test_the_fence_of_a_confined_rule_is_open_for_the_roots_of_its_paths() -> None:
    text = (
        "cp [-t={path:/srv/t/** rw}] {path:/var/log/** ro} {path:/srv/in/** new} {path:/etc/x}\n"
        "    confine ro /opt rw /srv/in\n"
    )
    words = ("cp", "/var/log/a", "/srv/in/b", "/etc/x")
    fence = permit(text, *words).fence
    assert (fence.ro, fence.rw) == (("/opt", "/var/log", "/etc/x"), ("/srv/in", "/srv/t"))
    unconfined = permit(text.partition("\n")[0], *words).fence
    assert (unconfined.ro, unconfined.rw) == ((), ())


def test_a_request_without_words_hides_nothing() -> None:
    found = asked(LOGIN)
    assert isinstance(found, Deny)
    assert found.logged == ()
    assert request_of().words == ()

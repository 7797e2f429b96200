"""What the server answers about its policy: the same decision as for a command, and nothing of others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rexec.policy.parse import parse
from rexec.policy.request import Request
from rexec.server.answers import answer
from rexec.server.disk import LocalDisk

POLICY = parse(
    "true\n    about 'Do nothing'\ncat a b ...\n    pty no\nstty\n    pty only\n[bob]\nfalse\n",
    "cmds.txt",
    LocalDisk(),
)


def ask(subject: str, *words: str, pty: str | None = None, pty_allowed: bool = True) -> Any:
    request = Request(
        user="alice", groups=frozenset(), words=words, peer="", connection="unix", now=0.0,
        pty_allowed=pty_allowed, pty=pty,
    )  # fmt: skip
    known, body = answer(POLICY, request, subject)
    assert known
    return json.loads(body)


def test_the_list_says_what_this_user_may_run() -> None:
    rows = ask("list")
    assert [row["command"] for row in rows] == ["true", "cat", "stty"]
    assert rows[0] == {
        "rule": "cmds.txt:1", "text": "true", "about": "Do nothing", "command": "true", "words": [],
        "pty": "yes", "danger": "", "confirm": None,
    }  # fmt: skip
    assert rows[1]["words"] == ["a", "b"]
    assert [row["pty"] for row in rows] == ["yes", "no", "only"]


def test_a_key_without_terminals_gets_none_from_any_rule() -> None:
    assert {row["pty"] for row in ask("list", pty_allowed=False)} == {"no"}


@pytest.mark.parametrize(
    ("words", "pty", "code", "terminal"),
    [
        (("true",), None, 0, "yes"),
        (("cat", "a", "b", "c"), None, 0, "no"),
        (("cat", "a", "b"), "xterm", 126, "no"),
        (("stty",), None, 126, "only"),
        (("stty",), "xterm", 0, "only"),
        (("frob",), None, 126, None),
        (("false",), None, 126, None),
    ],
)
def test_the_explanation_says_whether_the_rule_gives_a_terminal(
    words: tuple[str, ...], pty: str | None, code: int, terminal: str | None
) -> None:
    found = ask("explain", *words, pty=pty)
    assert (found["exit_code"], found["pty"]) == (code, terminal)


def test_an_unknown_question_is_said_to_be_one() -> None:
    request = Request(
        user="a", groups=frozenset(), words=(), peer="", connection="", now=0.0, pty_allowed=True
    )
    assert answer(POLICY, request, "frob") == (False, b"unknown question")


def test_what_may_stand_next_is_answered() -> None:
    assert ask("complete", "cat", "a", "") == [{"word": "b", "about": "", "more": False}]
    assert ask("complete", "cat") == []
    assert ask("complete") == []

"""The server's answers as the prompt reads them: they decide nothing, and cannot hurt a terminal."""

from __future__ import annotations

import json

import pytest

from rexec.cli.prompt.rules import Rule, Verdict, choices_of, rules_of, terminal_of, verdict_of
from rexec.errors import RemoteProtocolError

ROW = {
    "rule": "cmds.txt:1",
    "text": "git status",
    "about": "",
    "command": "git",
    "words": ["status"],
    "pty": "no",
}


def test_a_rule_is_read() -> None:
    assert rules_of(json.dumps([ROW]).encode()) == [
        Rule("cmds.txt:1", "git status", "", "git", ("status",), "no")
    ]


def test_a_server_that_says_less_is_understood() -> None:
    row = {name: ROW[name] for name in ("rule", "text", "about")}
    assert rules_of(json.dumps([row]).encode()) == [Rule("cmds.txt:1", "git status", "", "git", (), "yes")]


@pytest.mark.parametrize("body", [b"", b"x", b"{}x", b"[1]", b"null", b"[{}]", b"\xff", b'[{"rule": 1}]'])
def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        rules_of(body)
    with pytest.raises(RemoteProtocolError):
        verdict_of(body)


def test_what_is_shown_steers_no_terminal() -> None:
    """security.md, People's terminals: "what rexec itself prints is neutralised"."""
    rule = rules_of(json.dumps([{**ROW, "text": "ls\x1b[2J", "about": "a\u202eb"}]).encode())[0]
    assert rule.shown() == "ls\\x1b[2J  # a\\u202eb"
    verdict = verdict_of(json.dumps({"exit_code": 126, "lines": ["denied: \x1b"], "pty": None}).encode())
    assert verdict == Verdict(False, "denied: \\x1b", "yes")


def test_the_line_that_says_why_is_found() -> None:
    body = {"exit_code": 0, "lines": ["a: no", "allowed by cmds.txt:1: ls", "argv: ls"], "pty": "only"}
    assert verdict_of(json.dumps(body).encode()) == Verdict(True, "allowed by cmds.txt:1: ls", "only")
    body = {"exit_code": 127, "lines": ["a: matches", "not there: x"]}
    assert verdict_of(json.dumps(body).encode()) == Verdict(False, "not there: x", "yes")


def test_a_terminal_is_certain_where_all_rules_of_a_command_agree() -> None:
    rules = [
        Rule("", "", "", name, (), pty) for name, pty in (("a", "no"), ("a", "no"), ("b", "no"), ("b", "yes"))
    ]
    assert terminal_of(rules, "a") == "no"
    assert terminal_of(rules, "b") is None
    assert terminal_of(rules, "c") is None


def test_choices_are_read() -> None:
    assert choices_of(b'[{"word": "a", "about": "b", "more": false}]') == [("a", "b")]


@pytest.mark.parametrize("body", [b"", b"1", b"[1]", b'[{"word": 1}]', b"[" * 100_000])
def test_choices_that_cannot_be_read_are_the_servers_fault(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        choices_of(body)

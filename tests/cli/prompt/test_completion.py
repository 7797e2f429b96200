"""What Tab offers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent, Completion
from prompt_toolkit.document import Document

from rexec.cli.prompt.completion import Words, files
from rexec.cli.prompt.rules import Rule
from rexec.errors import ConnectionLost

Ask = Callable[[tuple[str, ...]], Awaitable[list[tuple[str, str]]]]
RULES = [
    Rule("", "git status", "What has changed", "git", ("status",), "yes"),
    Rule("", "git log ...", "", "git", ("log",), "yes"),
    Rule("", "git remote 'a b'", "", "git", ("remote", "a b"), "yes"),
    Rule("", "gzip", "", "gzip", (), "yes"),
    Rule("", "evil", "\x1b[2J", "ev\x1bil", (), "yes"),
]


async def nobody(words: tuple[str, ...]) -> list[tuple[str, str]]:
    raise ConnectionLost("there is no connection")


def offered(text: str, ask: Ask = nobody) -> list[str]:
    """What the line becomes with each offer."""
    words = Words(lambda: RULES, {"help": "help", "exit": "exit"}, ask)
    document = Document(text)

    async def every() -> list[Completion]:
        return [found async for found in words.get_completions_async(document, CompleteEvent())]

    return [text[: len(text) + found.start_position] + found.text for found in asyncio.run(every())]


OFFERS = [
    ("g", ["git", "gzip"]),
    ("", ["git", "gzip", "help", "exit"]),
    ("git ", ["git status", "git log", "git remote"]),
    ("git st", ["git status"]),
    ("git remote ", ["git remote 'a b'"]),
    ("git remote a", ["git remote 'a b'"]),
    ("git status ", []),
    ("git < f sta", ["git < f status"]),
    ("'gi'", ["git"]),
    ("help gi", ["help git"]),
    ("e", ["exit"]),
    ("'g", []),
    ("!g", []),
    ("# g", []),
    ("ls | g", []),
    ("ls & g", []),
    ("ls; g", []),
    ("nothing ", []),
]


@pytest.mark.parametrize(("text", "lines"), OFFERS)
def test_without_an_answer_what_the_rules_are_sure_of_is_offered(text: str, lines: list[str]) -> None:
    """security.md, People's terminals: a name that holds an escape sequence is not offered."""
    assert offered(text) == lines


def test_behind_a_redirect_local_files_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "x").touch()
    monkeypatch.chdir(tmp_path)
    assert offered("cat < ") == ["cat < 'a file'", "cat < dir/"]
    assert offered("cat > d") == ["cat > dir/"]
    assert offered("cat >> dir/") == ["cat >> dir/x"]
    assert files("nowhere/") == []


def test_arguments_are_offered_as_the_server_says() -> None:
    asked = []

    async def ask(words: tuple[str, ...]) -> list[tuple[str, str]]:
        asked.append(words)
        return [("/srv/a b", "a file"), ("/srv/c/", ""), ("/srv/\x1b[2J", ""), ("elsewhere", "")]

    assert offered("wc < f -l /srv/", ask) == ["wc < f -l '/srv/a b'", "wc < f -l /srv/c/"]
    assert offered("wc ", ask) == ["wc '/srv/a b'", "wc /srv/c/", "wc elsewhere"]
    assert asked == [("wc", "-l", "/srv/"), ("wc", "")]
    offered("w", ask)
    offered("help w", ask)
    offered("ls | wc ", ask)
    assert len(asked) == 2


def test_what_needs_no_question_is_there_at_once() -> None:
    words = Words(lambda: RULES, {}, nobody)
    for line, count in (("g", 2), ("git ", 0), ("'", 0)):
        assert len(list(words.get_completions(Document(line), CompleteEvent()))) == count

"""What Tab offers."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from rexec.cli.prompt.completion import Words, files
from rexec.cli.prompt.rules import Rule

RULES = [
    Rule("", "git status", "What has changed", "git", ("status",), "yes"),
    Rule("", "git log ...", "", "git", ("log",), "yes"),
    Rule("", "git remote 'a b'", "", "git", ("remote", "a b"), "yes"),
    Rule("", "gzip", "", "gzip", (), "yes"),
    Rule("", "evil", "\x1b[2J", "ev\x1bil", (), "yes"),
]


def offered(text: str) -> list[str]:
    """What the line becomes with each offer."""
    words = Words(lambda: RULES, {"help": "help", "exit": "exit"})
    document = Document(text)
    return [
        text[: len(text) + found.start_position] + found.text
        for found in words.get_completions(document, CompleteEvent())
    ]


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
def test_what_the_rules_are_sure_of_is_offered(text: str, lines: list[str]) -> None:
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

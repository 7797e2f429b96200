"""The page of threats: every test that it names is there, and says that it tries just this."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.tree import ROOT, text_of

PAGE = ROOT / "docs/reference/threats.md"
SECTIONS = {  # and how many rows each has, so that none is lost
    "Protocol, TLS, authentication": 45,
    "Processes": 22,
    "People's terminals, logs and files": 32,
}


def rows(section: str) -> list[tuple[str, list[str]]]:
    """Return what is tried, and the tests that try it."""
    part = text_of(PAGE).partition(f"## {section}\n")[2].partition("\n## ")[0]
    cells = [line[2:-2].split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]
    return [(what, re.findall(r"`([^`]+)`", tests)) for what, tests in cells]


@cache
def said(path: str) -> dict[str, str]:
    """Return what each test of a file says of itself, with what the file says."""
    tree = ast.parse(text_of(ROOT / "tests" / path))
    of_all = ast.get_docstring(tree) or ""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name: f"{of_all} {ast.get_docstring(node) or ''}" for node in found}


def plain(text: str) -> str:
    return " ".join(text.split()).lower()


def test_every_test_that_is_named_quotes_what_it_tries() -> None:
    for section in SECTIONS:
        for what, tests in rows(section):
            assert tests, what
            for test in tests:
                path, _, name = test.partition("::")
                words = plain(said(path)[name])
                assert "security.md" in words, test
                assert plain(what) in words, (what, test)


def test_no_row_is_lost() -> None:
    text = text_of(PAGE)
    assert re.findall(r"^## (.*)$", text, re.M) == [*SECTIONS]
    assert {section: len(rows(section)) for section in SECTIONS} == SECTIONS

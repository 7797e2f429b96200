"""The reference and the example: each block that is called a file is one."""

from __future__ import annotations

import re

import pytest

from rexec.policy.problems import Severity
from rexec.policy.types import TYPES
from tests.policy.fakes import policy_of, refusals
from tests.tree import ROOT

PAGE = (ROOT / "docs/reference/allow-list.md").read_text()
BLOCKS = re.findall(r"^```([a-z-]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLE = (ROOT / "docs/examples/cmds.txt").read_text()


def test_the_page_has_blocks_of_these_kinds_only() -> None:
    assert {kind for kind, _ in BLOCKS} == {"allow-list", "refused"}


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "allow-list"])
def test_a_file_of_the_reference_is_read(text: str) -> None:
    assert policy_of(text).rules


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "refused"])
def test_a_refused_file_of_the_reference_has_one_error(text: str) -> None:
    errors = [problem for problem in refusals(text) if problem.severity is Severity.ERROR]
    assert len(errors) == 1


@pytest.mark.parametrize("name", TYPES)
def test_the_reference_has_a_row_for_each_type(name: str) -> None:
    assert re.search(rf"^\| (?:`[^`]+` )*`{{{name}[:}}]", PAGE, re.MULTILINE)


def test_the_error_that_the_reference_shows_is_the_real_one() -> None:
    shown = "\n".join(refusals("cat /var/log/*")[0].lines())
    assert "\n".join("    " + line for line in shown.splitlines()) in PAGE


def test_the_example_has_nothing_to_warn_of() -> None:
    assert all(problem.severity is Severity.NOTE for problem in policy_of(EXAMPLE).warnings)


def test_the_example_starts_no_shell() -> None:
    commands = {rule.command for rule in policy_of(EXAMPLE).rules}
    assert {"ls", "uptime", "df", "id", "cat", "false", "seq", "sort", "wc"} <= commands
    assert not commands & {"sh", "bash", "dash", "python3", "perl", "env", "sudo"}

"""Every file of tests/vectors/policy, each valid but for the one flaw that its header names."""

from __future__ import annotations

import re

import pytest

from rexec.policy.parse import parse
from rexec.policy.problems import PolicyRefused, Severity
from tests.policy.fakes import FakeDisk
from tests.tree import ROOT

VECTORS = sorted((ROOT / "tests/vectors/policy").glob("*.txt"))
INCLUDED = {
    path.relative_to(VECTORS[0].parent).as_posix(): path.read_text()
    for path in VECTORS[0].parent.glob("d/**/*.txt")
}
HEADER = re.compile(r"\ufeff?# flaw: (.+)\n# expect: (.+)\n")


def test_there_are_vectors() -> None:
    assert len(VECTORS) > 80


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_vector_gives_what_its_header_expects(path) -> None:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    header = HEADER.match(text)
    assert header is not None
    disk = FakeDisk()
    disk.files = INCLUDED
    try:
        parse(text, "cmds.txt", disk)
        found = ["ok"]
    except PolicyRefused as refused:
        errors = [problem for problem in refused.problems if problem.severity is Severity.ERROR]
        found = [str(error).removeprefix("cmds.txt:") for error in errors]
    assert found == [header[2]]

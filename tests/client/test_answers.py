"""An answer about the policy is a value, or an error in one line."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from rexec.client import answers
from rexec.client.result import Result
from rexec.errors import CommandError, RemoteProtocolError


def answer(value: object) -> Result:
    return Result("ok", 0, stdout=json.dumps(value).encode())


def test_an_answer_is_a_value() -> None:
    row = {"rule": "cmds.txt:1", "text": "ls", "about": "look around"}
    assert answers.rules(answer([row])) == [answers.Rule("cmds.txt:1", "ls", "look around")]
    assert answers.rules(answer([{**row, "about": None}]))[0].about == ""
    found = answers.explanation(answer({"exit_code": 126, "lines": ["denied: no"]}))
    assert (found, found.allowed) == (answers.Explanation(126, ("denied: no",)), False)


@pytest.mark.parametrize("read", [answers.rules, answers.explanation])
@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[1]", b"7", b'{"exit_code": "x", "lines": 5}', b"[" * 99_999]
)
def test_an_answer_that_cannot_be_read_is_the_servers_fault(
    read: Callable[[Result], object], body: bytes
) -> None:
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        read(Result("ok", 0, stdout=body))


@pytest.mark.parametrize("read", [answers.rules, answers.explanation])
def test_no_answer_is_an_error_with_its_result(read: Callable[[Result], object]) -> None:
    with pytest.raises(CommandError, match=r"^(list|explain): denied: no$"):
        read(Result("denied", 126, error="no"))

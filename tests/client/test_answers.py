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


@pytest.mark.parametrize("read", [answers.rules, answers.explanation, answers.jobs])
@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[1]", b"7", b'{"exit_code": "x", "lines": 5}', b"[" * 99_999]
)
def test_an_answer_that_cannot_be_read_is_the_servers_fault(
    read: Callable[[Result], object], body: bytes
) -> None:
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        read(Result("ok", 0, stdout=body))


ROW = {
    "id": "k3",
    "state": "ok",
    "exit_status": 0,
    "signal": None,
    "started": 1.5,
    "wall_s": 2,
    "rule": "cmds.txt:1",
    "command": ["ls"],
}


def test_a_list_of_commands_is_values() -> None:
    assert answers.jobs(answer([ROW])) == [answers.Job("k3", "ok", 0, None, 1.5, 2.0, "cmds.txt:1", ("ls",))]


@pytest.mark.parametrize(
    "flaw",
    [
        {"started": 1e300},
        {"started": float("nan")},
        {"started": -1},
        {"wall_s": float("inf")},
        {"wall_s": "x"},
        {"exit_status": []},
        {"exit_status": float("inf")},
        {"command": 7},
        {"command": None},
        {"started": None},
    ],
)
def test_a_row_that_nobody_could_show_is_the_servers_fault(flaw: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        answers.jobs(answer([{**ROW, **flaw}]))


@pytest.mark.parametrize("read", [answers.rules, answers.explanation, answers.jobs])
def test_no_answer_is_an_error_with_its_result(read: Callable[[Result], object]) -> None:
    with pytest.raises(CommandError, match=r"^(list|explain|jobs): denied: no$"):
        read(Result("denied", 126, error="no"))

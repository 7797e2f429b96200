"""A result says whether it is a success, and in an error how it is none."""

from __future__ import annotations

import pytest

from rexec.client.result import Result
from rexec.errors import CommandError

ENDINGS = [
    (Result("failed", 3), "ls: status 3"),
    (Result("signal", 143, signal="TERM"), "ls: died by signal TERM"),
    (Result("timeout", 124, error="timed out"), "ls: timed out"),
    (Result("denied", 126, error="no rule allows it"), "ls: denied: no rule allows it"),
    (Result("not_found", 127, error="no such program"), "ls: no such program"),
    (Result("lost", 255, error="connection lost"), "ls: connection lost"),
]


@pytest.mark.parametrize(("result", "message"), ENDINGS, ids=[result.state for result, _ in ENDINGS])
def test_check_says_in_one_line_what_happened(result: Result, message: str) -> None:
    assert not result.ok
    with pytest.raises(CommandError) as caught:
        result.check("ls")
    error = caught.value
    assert (str(error), error.result, error.state, error.exit_code) == (
        message, result, result.state, result.exit_code,
    )  # fmt: skip


def test_what_came_from_the_server_steers_no_terminal() -> None:
    """security.md, People's terminals, logs and files: "what rexec itself prints is neutralised"."""
    with pytest.raises(CommandError, match=r"^a\\x0ab: denied: \\x1b\[2Jx$"):
        Result("denied", 126, error="\x1b[2Jx").check("a\nb")


def test_a_success_is_given_back() -> None:
    result = Result("ok", 0, stdout="né".encode())
    assert result.check() is result
    assert result.text == "né"
    with pytest.raises(UnicodeDecodeError):
        _ = Result("ok", 0, stdout=b"\xff").text


def test_results_are_equal_when_all_of_them_is() -> None:
    assert Result("ok", 0, stdout=b"x") == Result("ok", 0, stdout=b"x")
    assert Result("ok", 0, stdout=b"x") != Result("ok", 0, stdout=b"y")
    assert Result("ok", 0) != "ok"
    with pytest.raises(TypeError):
        hash(Result("ok", 0))
    assert repr(Result("ok", 0)) == "Result(ok, exit_code=0)"
    assert repr(Result("lost", 255, error="x")) == "Result(lost, exit_code=255, error='x')"

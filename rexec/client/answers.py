"""The server's answers about its policy, as values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from rexec.errors import RemoteProtocolError

if TYPE_CHECKING:
    from rexec.client.result import Result


_LATEST = float(1 << 37)  # Unix time: the year 6325


class Rule(NamedTuple):
    """One line of the allow list: where it stands (``cmds.txt:4``), what it says, what it is for.

    `danger` is low, high, or empty where the list says nothing of it.
    """

    rule: str
    text: str
    about: str
    danger: str = ""


class Job(NamedTuple):
    """One detached command of ours.

    `state` is running, or how it ended as in a result: ok, failed, signal, timeout, ended, lost.
    `exit_status` and `signal` are None where they say nothing. `started` is Unix time, `wall_s` how long it
    ran, or has run. `command` are its words as the server's log may show them, `rule` is the one that allowed
    it.
    """

    id: str
    state: str
    exit_status: int | None
    signal: str | None
    started: float
    wall_s: float
    rule: str
    command: tuple[str, ...]


class Explanation(NamedTuple):
    """What the policy says to a command: 0 allowed, 126 denied, 127 not there; `lines` say why."""

    exit_code: int
    lines: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether the command would be started."""
        return self.exit_code == 0


def rules(answer: Result) -> list[Rule]:
    """Return the rules of an answer to `list`. Raises `CommandError`, `RemoteProtocolError`."""
    found = _parsed(answer.check("list").stdout)
    if not isinstance(found, list):
        raise _unreadable()
    try:
        return [_rule(row) for row in found]
    except (TypeError, KeyError, AttributeError):
        raise _unreadable() from None


def _rule(row: Any) -> Rule:
    return Rule(str(row["rule"]), str(row["text"]), str(row["about"] or ""), str(row.get("danger") or ""))


def jobs(answer: Result) -> list[Job]:
    """Return the commands of an answer to `jobs`. Raises `CommandError`, `RemoteProtocolError`."""
    found = _parsed(answer.check("jobs").stdout)
    if not isinstance(found, list):
        raise _unreadable()
    try:
        return [_job(row) for row in found]
    except (TypeError, KeyError, ValueError, OverflowError):
        raise _unreadable() from None


def _job(row: Any) -> Job:
    status, signal = row["exit_status"], row["signal"]
    return Job(
        str(row["id"]),
        str(row["state"]),
        None if status is None else int(status),
        None if signal is None else str(signal),
        _moment(row["started"]),
        _moment(row["wall_s"]),
        str(row["rule"]),
        tuple(map(str, row["command"])),
    )


def _moment(value: Any) -> float:
    """Return seconds that a calendar can take; raises `ValueError`."""
    if not 0 <= float(value) < _LATEST:  # false for NaN too
        raise ValueError("no moment of ours")
    return float(value)


def explanation(answer: Result) -> Explanation:
    """Return the answer to `explain`. Raises `CommandError`, `RemoteProtocolError`."""
    found = _parsed(answer.check("explain").stdout)
    try:
        code, lines = found["exit_code"], found["lines"]
        if not isinstance(code, int) or not 0 <= code <= 255 or not isinstance(lines, list):
            raise _unreadable()
        return Explanation(code, tuple(str(line) for line in lines))
    except (TypeError, KeyError):
        raise _unreadable() from None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> RemoteProtocolError:
    return RemoteProtocolError("the server's answer cannot be read")

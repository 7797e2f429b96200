"""Sessions that wait for their clients: known by key, user and name together, and bounded."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from rexec.limits import PARKED_BYTES, PARKED_MAX, PARKED_PER_USER, PARKED_USER_BYTES
from rexec.server.parking import Name, Parking, is_silence, patience


class Waiting:
    """A session, as far as its parking place looks at it."""

    def __init__(self, user: str) -> None:
        self.user = user


def session(user: str = "alice") -> Any:
    return Waiting(user)


NAME = Name("SHA256:a", "alice", bytes(16))


@pytest.mark.parametrize(
    "other", [Name("SHA256:b", "alice", bytes(16)), Name("SHA256:a", "bob", bytes(16)), Name(*NAME[:2], b"x")]
)
def test_a_session_is_found_by_all_of_its_name(other: Name) -> None:
    """security.md, "Resume: another user's session id"."""
    parking, mine = Parking(), session()
    parking.know(NAME, mine)
    assert parking.find(NAME) is mine
    assert parking.find(other) is None
    parking.forget(NAME, session())  # another's end does not make it unknown
    assert parking.find(NAME) is mine
    parking.forget(NAME, mine)
    assert parking.find(NAME) is None


def test_one_user_does_not_use_up_the_room_of_others() -> None:
    parking = Parking()
    first = session()
    assert parking.enter(first, 0) == ""
    for _ in range(PARKED_PER_USER - 1):
        assert parking.enter(session(), 0) == ""
    assert "of this user" in parking.enter(session(), 0)
    assert parking.enter(session("bob"), 0) == ""
    parking.leave(first)
    assert parking.enter(session(), 0) == ""


def test_all_of_them_have_so_much_room() -> None:
    parking = Parking()
    for number in range(PARKED_MAX):
        assert parking.enter(session(str(number)), 0) == ""
    assert parking.enter(session("one more"), 0) == "too much waits already"


def test_what_they_keep_is_bounded() -> None:
    parking = Parking()
    mine, other = session(), session("bob")
    assert parking.enter(mine, PARKED_USER_BYTES - 1) == ""
    assert parking.enter(other, 0) == ""
    assert parking.has_room(mine)
    parking.keep(mine, 1)
    assert not parking.has_room(mine)
    assert parking.has_room(other)
    assert "of this user" in parking.enter(session(), 1)
    for number in range(PARKED_BYTES // PARKED_USER_BYTES - 1):
        assert parking.enter(session(str(number)), PARKED_USER_BYTES) == ""
    assert not parking.has_room(other)
    assert parking.enter(session("carol"), 1) == "too much waits already"
    parking.leave(mine)
    parking.keep(mine, 1_000_000)  # that waits no longer: nothing is counted
    assert parking.enter(session("carol"), 1) == ""


@pytest.mark.parametrize(
    ("rule", "server", "silence", "expected"),
    [
        (None, 60.0, True, 60.0),
        (None, 3.0, False, 3.0),
        (600.0, 60.0, True, 600.0),
        (600.0, 3.0, False, 3.0),
        (1.0, 3.0, False, 1.0),
        (0.0, 60.0, True, 0.0),
        (0.0, 3.0, False, 0.0),
    ],
)
def test_how_long_a_command_waits(rule: float | None, server: float, silence: bool, expected: float) -> None:
    assert patience(rule, server, silence=silence) == expected


def test_silence_is_told_from_an_end() -> None:
    assert is_silence(TimeoutError(errno.ETIMEDOUT, "timed out"))
    assert is_silence(OSError(errno.EHOSTUNREACH, "no route"))
    assert not is_silence(ConnectionResetError(errno.ECONNRESET, "reset"))
    assert not is_silence(None)

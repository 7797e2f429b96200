"""Who is let in, who has to go for another, and who is shut out."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from rexec import limits
from rexec.server.crowd import Crowd, Room, source_of


class Somebody:
    """A stranger from somewhere."""

    def __init__(self, source: str, *, is_silent: bool = True) -> None:
        self.source = source
        self.is_silent = is_silent


def crowd(strangers: int = 8, per_source: int = 3) -> Crowd:
    return Crowd(Room(strangers, per_source, (ip_network("127.0.0.0/8"),)))


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_all_addresses_of_one_holder_are_one_source(peer: str, source: str) -> None:
    assert source_of(peer) == source


def test_one_too_many_of_a_source_takes_the_place_of_who_got_least_far() -> None:
    """security.md: "ten thousand connections; ... per-source cap"."""
    door = crowd()
    handshake, silent = Somebody("a", is_silent=False), Somebody("a")
    for stranger in (handshake, silent, Somebody("a")):
        assert door.enter(stranger, 0.0) is None
    assert door.enter(Somebody("a"), 0.0) is silent
    assert door.enter(Somebody("b"), 0.0) is None


def test_where_all_got_as_far_the_oldest_goes() -> None:
    door = crowd()
    everybody = [Somebody("a", is_silent=False) for _ in range(4)]
    assert [door.enter(stranger, 0.0) for stranger in everybody] == [None, None, None, everybody[0]]


def test_who_went_makes_room() -> None:
    door = crowd()
    for _ in range(100):
        stranger = Somebody("a")
        assert door.enter(stranger, 0.0) is None
        door.leave(stranger)
        door.leave(stranger)  # twice is once
    assert len(door) == 0


def test_slots_are_kept_for_sources_that_authenticated_lately() -> None:
    """security.md: "slots kept for sources that authenticated lately"."""
    door = crowd()
    door.proved("friend", 0.0)
    strangers = [Somebody(str(number)) for number in range(6)]
    assert [door.enter(stranger, 1.0) for stranger in strangers] == [None] * 6  # three quarters of eight
    assert door.enter(Somebody("friend"), 1.0) is None
    assert door.enter(Somebody("7"), 1.0) is strangers[0]
    door.leave(strangers[0])
    friend = Somebody("friend")
    assert door.enter(friend, 1.0) is None
    victim = door.enter(Somebody("friend"), 1.0)
    assert victim is not None
    assert victim.source != "friend"  # unknown ones go first


def test_a_source_that_is_known_has_no_cap_of_its_own_for_a_day() -> None:
    door = crowd()
    door.proved("friend", 0.0)
    assert [door.enter(Somebody("friend"), 1.0) for _ in range(8)] == [None] * 8
    later = crowd()
    later.proved("friend", 0.0)
    taken = [later.enter(Somebody("friend"), limits.KNOWN_FOR + 1) for _ in range(4)]
    assert taken[3] is not None


def test_the_most_crowded_source_gives_way_first() -> None:
    door = crowd(per_source=8)
    lone, many = Somebody("lone"), [Somebody("many") for _ in range(5)]
    assert door.enter(lone, 0.0) is None
    assert [door.enter(stranger, 0.0) for stranger in many] == [None] * 5
    assert door.enter(Somebody("new"), 0.0) is many[0]


def test_penalties_shut_out_after_some_and_grow() -> None:
    """security.md: "growing penalties"."""
    door = crowd()
    now, lengths = 0.0, []
    for _ in range(8):
        length = 0.0
        while not length:
            assert not door.is_shut_out("192.0.2.1", now)
            length = door.failed("192.0.2.1", limits.PENALTY_UNPROVED, now)
        lengths.append(length)
        assert door.is_shut_out("192.0.2.1", now)
        now += length
        assert not door.is_shut_out("192.0.2.1", now)
    assert lengths[0] >= limits.PENALTY_FROM
    assert lengths == sorted(lengths)
    assert lengths[-1] == limits.PENALTY_MAX
    now += limits.PENALTY_MEMORY + 1
    assert door.failed("192.0.2.1", limits.PENALTY_UNPROVED, now) == 0.0


def test_who_fails_now_and_then_is_not_shut_out() -> None:
    door = crowd()
    for second in range(100):
        assert door.failed("192.0.2.1", limits.PENALTY_SILENT, float(second)) == 0.0


def test_known_and_exempt_sources_are_not_shut_out() -> None:
    """A machine behind an office's address, or behind a tunnel, shuts nobody else out."""
    door = crowd()
    door.proved("192.0.2.1", 0.0)
    for peer in ("192.0.2.1", "127.0.0.1", "::ffff:127.0.0.2", ""):
        for _ in range(100):
            door.failed(peer, limits.PENALTY_LATE, 1.0)
        assert not door.is_shut_out(peer, 1.0)


def test_its_tables_are_bounded() -> None:
    """security.md: "bounded tables"."""
    door = crowd()
    for number in range(limits.SOURCES_MAX + 1_000):
        door.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1.0, 0.0)
        door.proved(str(number), 0.0)
        stranger = Somebody(str(number))
        if (victim := door.enter(stranger, 0.0)) is not None:
            door.leave(victim)
    assert len(door._records) == len(door._known) == limits.SOURCES_MAX
    assert len(door._here) == len(door) == door.room.strangers

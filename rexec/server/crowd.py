"""The crowd at the door: how many strangers there are at once, who of them goes, and who is not let in.

A stranger is a connection that has not proved yet who it is. There is room for so many, and for so many of
one source; one more takes the place of the one that has got least far. Some room is kept for sources from
which somebody proved lately who they are. A source that fails again and again is shut out for a while, longer
each time. Every table here is bounded; time comes in as an argument, of a clock that nobody sets back.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rexec.limits import (
    KNOWN_FOR,
    PENALTY_FROM,
    PENALTY_GROWTH,
    PENALTY_MAX,
    PENALTY_MEMORY,
    SOURCES_MAX,
)
from rexec.policy.networks import is_from

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network, IPv6Network

_PREFIX_V6 = 8  # bytes of an IPv6 address that say whose it is: a home or a machine has all of a /64


class Stranger(Protocol):
    """Somebody at the door."""

    @property
    def source(self) -> str:
        """Where from, as `source_of` says it."""

    @property
    def is_silent(self) -> bool:
        """Whether not even a handshake is done."""


class Room(NamedTuple):
    """How many strangers there may be."""

    strangers: int
    per_source: int
    exempt: tuple[IPv4Network | IPv6Network, ...] = ()  # sources that are never shut out

    @property
    def for_unknown(self) -> int:
        """How many of them may come from sources that nobody proved anything from lately."""
        return max(1, self.strangers - self.strangers // 4)


class Record:
    """What is remembered of a source that failed."""

    __slots__ = ("times", "until")

    def __init__(self) -> None:
        self.until = 0.0  # what it has to wait for, if it is enough to count
        self.times = 0  # that it was shut out lately


def source_of(peer: str) -> str:
    """Return what stands for all addresses of one holder; "" for a Unix socket."""
    address = peer.partition("%")[0].removeprefix("::ffff:")
    if ":" not in address:
        return address
    return socket.inet_ntop(
        socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address)[:_PREFIX_V6] + bytes(8)
    )


class Crowd:
    """Everybody at the door of one server."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._total = 0
        self._here: dict[str, dict[Stranger, None]] = {}  # by source, in the order of their coming
        self._known: OrderedDict[str, float] = OrderedDict()  # when somebody proved something from there
        self._records: OrderedDict[str, Record] = OrderedDict()

    def __len__(self) -> int:
        return self._total

    def is_shut_out(self, peer: str, now: float) -> bool:
        """Tell whether a source failed so often that it has to wait."""
        source = source_of(peer)
        record = self._records.get(source)
        if record is None or record.until - now < PENALTY_FROM:
            return False
        return not self._is_known(source, now) and not self._is_exempt(peer)

    def enter(self, stranger: Stranger, now: float) -> Stranger | None:
        """Take one more in; return who has to go for it."""
        source = stranger.source
        of_source = self._here.setdefault(source, {})
        victim = self._victim(source, of_source, now)
        of_source[stranger] = None
        self._total += 1
        return victim

    def leave(self, stranger: Stranger) -> None:
        """Forget one who went, or is no stranger any more."""
        of_source = self._here.get(stranger.source, {})
        if stranger in of_source:
            del of_source[stranger]
            self._total -= 1
        if not of_source:
            self._here.pop(stranger.source, None)

    def proved(self, source: str, now: float) -> None:
        """Note that somebody from there proved who it is."""
        self._known[source] = now
        self._known.move_to_end(source)
        if len(self._known) > SOURCES_MAX:
            self._known.popitem(last=False)

    def failed(self, peer: str, seconds: float, now: float) -> float:
        """Note that somebody from there failed; return for how long it is shut out from now on, or 0."""
        source = source_of(peer)
        record = self._records.setdefault(source, Record())
        self._records.move_to_end(source)
        if len(self._records) > SOURCES_MAX:
            self._records.popitem(last=False)
        if now - record.until > PENALTY_MEMORY:
            record.times = 0
        before = record.until - now
        grown = seconds * PENALTY_GROWTH**record.times
        record.until = min(max(record.until, now) + grown, now + PENALTY_MAX)
        if before >= PENALTY_FROM or not self.is_shut_out(peer, now):
            return 0.0
        record.times += 1
        return record.until - now

    def _is_known(self, source: str, now: float) -> bool:
        return now - self._known.get(source, -KNOWN_FOR) < KNOWN_FOR

    def _is_exempt(self, peer: str) -> bool:
        return not peer or is_from(self.room.exempt, peer.removeprefix("::ffff:"))

    def _victim(self, source: str, of_source: dict[Stranger, None], now: float) -> Stranger | None:
        is_known = self._is_known(source, now)
        if not is_known and len(of_source) >= self.room.per_source:
            return _least(of_source)
        if self._total >= (self.room.strangers if is_known else self.room.for_unknown):
            unknown = {name: here for name, here in self._here.items() if not self._is_known(name, now)}
            crowded = max((unknown or self._here).values(), key=len)
            return _least(crowded) if crowded else None
        return None


def _least(strangers: Iterable[Stranger]) -> Stranger:
    """Return who came first of those that got least far."""
    everybody = tuple(strangers)
    return next((stranger for stranger in everybody if stranger.is_silent), everybody[0])

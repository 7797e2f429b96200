"""Seats: a proof brings one session in, once, and only from what is an address."""

from __future__ import annotations

import pytest

from rexec.errors import RemoteProtocolError
from rexec.server import orders
from rexec.server.holdings import Holdings
from rexec.server.seats import Seats


def judge(**changes: object) -> orders.Judge:
    plain = orders.Judge(1, 1, "publickey", "", b"", b"hello", b"", b"nonce", "here", "", "unix")
    return plain.replace(**changes)


@pytest.mark.parametrize("peer", ["localhost", "1.2.3", "1.2.3.4.5", "::g", "127.0.0.1\0", "fe80::1%lo", " "])
def test_a_peer_is_an_address_or_nobody(peer: str) -> None:
    with pytest.raises(RemoteProtocolError, match="address"):
        Seats().judge(judge(peer=peer), HOLDINGS)


@pytest.mark.parametrize("ends", ["a\0", "a\nb", "\u202e", "\x7f", "\xe9"])
def test_the_ends_are_one_line_of_ascii(ends: str) -> None:
    with pytest.raises(RemoteProtocolError, match="ASCII"):
        Seats().judge(judge(ends=ends), HOLDINGS)


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "::1", "2001:db8::1"])
def test_a_bad_proof_earns_no_seat_and_says_why(peer: str) -> None:
    seats = Seats()
    assert isinstance(seats.judge(judge(peer=peer), HOLDINGS), str)
    assert seats.get(1) is None
    seats.leave(1)


class _Holdings:
    host_hash = bytes(32)


HOLDINGS: Holdings = _Holdings()  # type: ignore[assignment]

"""A good conversation, cut at every byte and sent in every other way than at once."""

from __future__ import annotations

import pytest

from tests.rogue import wire
from tests.rogue.client import Rogue
from tests.rogue.conftest import Target


def conversation(rogue: Rogue, target: Target, *words: bytes) -> bytes:
    """Return all that an honest client sends for one command, in one piece."""
    rogue.hear_hello()
    rogue.hello = wire.client_hello()
    return b"".join(
        [
            wire.frame(wire.CLIENT_HELLO, rogue.hello),
            rogue.proof_frame(target.alice),
            wire.frame(wire.EXEC, wire.exec_(1, *words), channel=1),
        ]
    )


INPUT = (
    wire.frame(wire.STDIN, b"every ", channel=1)
    + wire.frame(wire.STDIN, b"byte", channel=1)
    + wire.frame(wire.EOF, b"\0", channel=1)
)


def test_a_conversation_that_is_cut_anywhere_before_its_end_starts_nothing(clear: Target) -> None:
    """security.md, Protocol: "A good session cut ... at every byte"."""
    with clear.rogue(tls=False) as rogue:
        length = len(conversation(rogue, clear, *clear.touch))
    for cut in range(length):
        with clear.rogue(tls=False) as rogue:
            rogue.send(conversation(rogue, clear, *clear.touch)[:cut])
    with clear.friend(tls=False) as friend:
        assert friend.is_alive()  # the server took all of the above before this
        assert not clear.sang()
        assert wire.Exit(friend.run(*clear.touch)[1]).status == 0
    assert clear.sang()


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64])
def test_a_conversation_in_small_pieces_is_understood(
    target: Target, clear: Target, tls: bool, size: int
) -> None:
    """security.md, Protocol: "A good session ... re-chunked at every byte"."""
    host = target if tls else clear
    with host.rogue(tls=tls) as rogue:
        data = conversation(rogue, host, b"cat") + INPUT
        for start in range(0, len(data), size):
            rogue.send(data[start : start + size])
        kind, body, output = rogue.outcome()
        assert (kind, wire.Exit(body).status, output) == (wire.EXIT, 0, b"every byte")


@pytest.mark.parametrize("tls", [True, False])
def test_a_conversation_in_two_pieces_is_understood_wherever_it_is_divided(
    target: Target, clear: Target, tls: bool
) -> None:
    """security.md, Protocol: "A good session ... re-chunked at every byte"."""
    host = target if tls else clear
    with host.friend(tls=tls) as friend:
        for cut in range(1, 120):
            data = wire.frame(wire.EXEC, wire.exec_(friend.number(), b"cat"), channel=1) + INPUT
            friend.send(data[:cut])
            friend.send(data[cut:])
            kind, body, output = friend.outcome()
            assert (kind, wire.Exit(body).status, output) == (wire.EXIT, 0, b"every byte")


@pytest.mark.parametrize("tls", [True, False])
def test_all_at_once_is_understood_too(target: Target, clear: Target, tls: bool) -> None:
    """protocol.md 3: hello, proof, command and input in one piece, three round trips in all."""
    host = target if tls else clear
    with host.rogue(tls=tls) as rogue:
        rogue.send(conversation(rogue, host, b"cat") + INPUT)
        kind, body, output = rogue.outcome()
        assert (kind, wire.Exit(body).status, output) == (wire.EXIT, 0, b"every byte")

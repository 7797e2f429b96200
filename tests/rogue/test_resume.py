"""What somebody can do with the sessions of others, and with counts that are not true."""

from __future__ import annotations

import os
import struct

import pytest

from tests.rogue import wire
from tests.rogue.client import Rogue
from tests.rogue.conftest import Target
from tests.rogue.wire import Key

FEATURES = (b"resume",)
LOST, ALREADY_RAN = 6, 7


def enter(target: Target, key: Key, session: bytes, received: int = 0) -> tuple[Rogue, int, int]:
    """Come in and name a session; return the rogue, whether it was resumed, and the server's count."""
    rogue = target.rogue()
    rogue.say_hello(wire.client_hello(session, features=FEATURES, received=received))
    rogue.hear_hello()
    rogue.send(rogue.proof_frame(key))
    welcome = rogue.expect(wire.WELCOME)
    user = wire.first_string(welcome)
    resumed, count = struct.unpack_from("!BQ", welcome, 4 + len(user))
    return rogue, resumed, count


def busy(target: Target, session: bytes) -> Rogue:
    """Return alice with a command that runs: the server has sent one frame, `Started`."""
    rogue, resumed, _ = enter(target, target.alice, session)
    assert not resumed
    rogue.exec(b"cat")
    rogue.expect(wire.STARTED, 1)
    return rogue


def repeated(rogue: Rogue, channel: int = 1) -> wire.Exit:
    """Return what is said of a command that was asked for before."""
    kind, body, output = rogue.outcome(channel)
    assert (kind, output) == (wire.EXIT, b"")
    return wire.Exit(body)


def finish(rogue: Rogue) -> bytes:
    """Give the command its input and its end; return what it wrote."""
    rogue.send(wire.frame(wire.STDIN, b"whole", channel=1), wire.frame(wire.EOF, b"\0", channel=1))
    kind, body, output = rogue.outcome()
    assert (kind, wire.Exit(body).status) == (wire.EXIT, 0)
    return output


def test_a_session_is_taken_up_by_its_own_key(target: Target) -> None:
    session = os.urandom(16)
    with busy(target, session), enter(target, target.alice, session, received=1)[0] as again:
        assert finish(again) == b"whole"


def test_another_users_session_is_not_theirs(target: Target) -> None:
    """security.md, "Resume: another user's session id": bob gets a session of his own, alice keeps hers."""
    session = os.urandom(16)
    with busy(target, session) as alice:
        bob, resumed, count = enter(target, target.bob, session)
        with bob:
            assert (resumed, count) == (0, 0)
            assert bob.is_alive()
            assert finish(alice) == b"whole"
            assert bob.is_alive()


def test_the_name_alone_opens_nothing(target: Target) -> None:
    """security.md, "Resume: another user's session id": without an authorised key nobody comes that far."""
    session = os.urandom(16)
    with busy(target, session) as alice, target.rogue() as mallory:
        mallory.say_hello(wire.client_hello(session, features=FEATURES, received=1))
        mallory.hear_hello()
        mallory.send(mallory.proof_frame(target.mallory))
        mallory.expect(wire.REFUSED)
        assert finish(alice) == b"whole"


@pytest.mark.parametrize("received", [2, 2**64 - 1])
def test_a_counter_ahead_of_the_truth(target: Target, received: int) -> None:
    """security.md, "Resume: ... a counter ahead of the truth": refused, and the session is as it was."""
    session = os.urandom(16)
    with busy(target, session) as alice:
        refused(target, session, received)
        assert finish(alice) == b"whole"


def test_a_counter_behind_the_buffer(target: Target) -> None:
    """security.md, "Resume: ... a counter behind the buffer": what is forgotten cannot be sent again."""
    session = os.urandom(16)
    with busy(target, session) as alice:
        alice.send(wire.frame(wire.ACK, struct.pack("!Q", 1)))
        alice.pong()
        refused(target, session, 0)
        assert finish(alice) == b"whole"


def refused(target: Target, session: bytes, received: int) -> None:
    with target.rogue() as liar:
        liar.say_hello(wire.client_hello(session, features=FEATURES, received=received))
        liar.hear_hello()
        liar.send(liar.proof_frame(target.alice))
        goodbye = liar.expect(wire.GOODBYE)
        assert b"cannot be resumed" in wire.first_string(goodbye[1:])
        assert liar.is_closed()


def test_a_session_that_said_goodbye_is_over(target: Target) -> None:
    session = os.urandom(16)
    with busy(target, session) as alice:
        alice.send(wire.frame(wire.GOODBYE, wire.goodbye()))
        assert alice.is_closed()
    again, resumed, _ = enter(target, target.alice, session, received=1)
    again.socket.close()
    assert not resumed


def test_a_command_that_is_asked_for_again_does_not_start_again(target: Target) -> None:
    """protocol.md 10: the id of an `Exec` is used once, over whichever connection it comes."""
    session = os.urandom(16)
    with busy(target, session):
        again, resumed, count = enter(target, target.alice, session, received=1)
        with again:
            assert (resumed, count) == (1, 1)
            again.send(wire.frame(wire.EXEC, wire.exec_(1, b"cat"), channel=2))
            told = repeated(again, 2)
            assert (told.cause, told.message) == (
                LOST,
                b"the command was started once, and has not ended yet",
            )
            assert finish(again) == b"whole"

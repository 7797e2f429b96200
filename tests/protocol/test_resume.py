"""A session that outlives its connections: every frame once and in order, or an error, and no third."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.protocol import frames as f
from rexec.protocol.connection import Connection
from rexec.protocol.frames import Frame, Stream
from rexec.protocol.session import Session
from rexec.protocol.state import Handshake, Role
from tests.protocol.samples import (
    CLIENT,
    CLIENT_HELLO,
    EXEC,
    EXIT,
    HANDSHAKE_ROUTES,
    PROOF,
    REFUSED,
    SERVER,
    SERVER_HELLO,
    STARTED,
    WELCOME,
    Event,
    Pair,
    Step,
    complaint,
    drive,
    events,
    wire,
)

STDIN, STDOUT, STDERR = Stream

TALK: tuple[Step, ...] = (
    (CLIENT, EXEC),
    (CLIENT, f.Stdin(b"one")),
    (SERVER, STARTED),
    (SERVER, f.Stdout(b"out 1")),
    (CLIENT, f.Stdin(b"two")),
    (SERVER, f.Stderr(b"err 1")),
    (CLIENT, f.Signal("USR1")),
    (SERVER, f.Stdout(b"out 2")),
    (CLIENT, f.Eof(STDIN)),
    (SERVER, f.Eof(STDOUT)),
    (SERVER, f.Eof(STDERR)),
    (SERVER, EXIT),
)


def said(sender: Role) -> list[Event]:
    return [(1, frame) for role, frame in TALK if role is sender]


def on_channels(heard: list[Event]) -> list[Event]:
    return [event for event in heard if event[0]]


def hello(session: Session) -> Frame:
    return CLIENT_HELLO.replace(received=session.tell())


def resume(old: Pair) -> Pair:
    """Cut the line, and take the session up again on a new one."""
    client, server = old.client.session, old.server.session
    new = Pair(Connection(CLIENT, client))
    new.heard = old.heard
    new.send(CLIENT, hello(client))
    new.send(CLIENT, PROOF)
    new.send(SERVER, SERVER_HELLO)
    new.settle()
    new.push(SERVER, new.server.accept(WELCOME, server))
    new.settle()
    return new


@pytest.mark.parametrize("cut", range(len(TALK) + 1))
def test_a_line_cut_after_any_frame_loses_nothing(cut: int) -> None:
    """security.md, what rexec promises: whatever happens to the line, a result is whole or an error.

    What stands before `cut` has arrived; of what follows, some frames are under way in both
    directions, and of those every number of first ones arrives before the line breaks.
    """
    under_way = TALK[cut : cut + 4] if cut else ((CLIENT, EXEC), (CLIENT, f.Stdin(b"one")))
    counts = {role: sum(sender is role for sender, _ in under_way) for role in Role}
    for arrived in product(range(counts[CLIENT] + 1), range(counts[SERVER] + 1)):
        pair = Pair().greet().run(*TALK[:cut])
        for step in under_way:
            pair.send(*step)
        for role, count in zip((CLIENT, SERVER), arrived, strict=True):
            for _ in range(count):
                pair.deliver(role)
        pair = resume(pair).run(*TALK[cut + len(under_way) :])
        heard = on_channels(pair.heard[SERVER])
        assert heard == said(CLIENT)[: len(heard)]  # the last may come too late to be heard
        assert on_channels(pair.heard[CLIENT]) == said(SERVER)
        assert pair.client.session.sent == pair.server.session.received
        assert pair.server.session.sent == pair.client.session.received


@pytest.mark.parametrize("at", range(len(TALK)))
def test_a_line_cut_inside_a_frame_loses_nothing(at: int) -> None:
    """security.md, what rexec promises: whatever happens to the line, a result is whole or an error.

    Of the frame `at`, every number of first bytes arrives: only all of them are the frame.
    """
    sender, frame = TALK[at]
    size = len(wire(frame))
    for arrived in range(size + 1):
        pair = Pair().greet().run(*TALK[:at])
        data = pair.cores[sender].send(frame, 1)
        assert len(data) == size
        pair.heard[sender.other] += events(pair.cores[sender.other], data[:arrived])
        pair = resume(pair).run(*TALK[at + 1 :])
        heard = on_channels(pair.heard[SERVER])
        assert heard == said(CLIENT)[: len(heard)]
        assert on_channels(pair.heard[CLIENT]) == said(SERVER)


PIECE = 96 * 1024  # a window holds two of them, and then a credit is due
FLOW = ("send", "deliver", "consume", "credit", "cut")


@given(st.lists(st.sampled_from(FLOW), max_size=60))
@settings(max_examples=100)
def test_windows_hold_over_cuts(moves: list[str]) -> None:
    """Every byte arrives once, in order and within the window, and credits that were lost are sent again."""
    pair = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED))
    sent = consumed = 0

    def received() -> bytes:
        return b"".join(event[1].data[:1] for event in pair.heard[CLIENT] if isinstance(event[1], f.Stdout))

    def send() -> None:
        nonlocal sent
        if pair.server.session.room(1, STDOUT) >= PIECE:
            pair.send(SERVER, f.Stdout(bytes([sent]) * PIECE))
            sent += 1

    def consume() -> None:
        nonlocal consumed
        if consumed < len(received()):
            consumed += 1
            pair.push(CLIENT, pair.client.consume(1, STDOUT, PIECE))

    for move in moves:
        if move == "send":
            send()
        elif move == "consume":
            consume()
        elif move == "cut":
            pair = resume(pair)
        elif pair.queues[sender := SERVER if move == "deliver" else CLIENT]:
            pair.deliver(sender)
    pair = resume(pair)
    for _ in range(12):
        consume()
        pair.settle()
        send()
        pair.settle()
    assert sent >= 8  # it never came to a standstill
    assert received() == bytes(range(sent))
    assert pair.client.session.channels[1].incoming[STDOUT].received == sent * PIECE


MOVES = ("client", "server", "to server", "to client", "ack", "cut")


@given(st.lists(st.sampled_from(MOVES), max_size=80))
@settings(max_examples=200)
def test_a_line_cut_again_and_again_loses_nothing(moves: list[str]) -> None:
    """security.md, what rexec promises: whatever happens to the line, a result is whole or an error."""
    pair = Pair().greet()
    scripts = {role: [frame for sender, frame in TALK if sender is role] for role in Role}

    def say(role: Role) -> None:
        asked = role is CLIENT or (1, EXEC) in pair.heard[SERVER]
        if scripts[role] and asked:
            pair.send(role, scripts[role].pop(0))

    for move in moves:
        if move in ("client", "server"):
            say(Role(move))
        elif move == "cut":
            pair = resume(pair)
        elif move == "ack":
            for role in Role:
                pair.push(role, pair.cores[role].acknowledge())
        elif pair.queues[sender := Role(move.removeprefix("to ")).other]:
            pair.deliver(sender)
    pair = resume(pair)
    for role in Role:
        for _ in TALK:
            say(role)
            pair.settle()
    heard = on_channels(pair.heard[SERVER])
    assert heard == said(CLIENT)[: len(heard)]  # the last ones may have come too late to be sent
    assert on_channels(pair.heard[CLIENT]) == said(SERVER)
    assert pair.client.session.channels == pair.server.session.channels == {}
    assert pair.client.session.sent == pair.server.session.received
    assert pair.server.session.sent == pair.client.session.received


def test_what_is_said_without_a_line_waits_for_the_next() -> None:
    """A command goes on while its client is away, as far as the session has room."""
    pair = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED))
    for data in (b"a", b"b"):
        assert pair.server.send(f.Stdout(data), 1)  # nobody delivers it
    client = Connection(CLIENT, pair.client.session)
    client.send(hello(client.session))
    client.send(PROOF)
    assert client.send(f.Stdin(b"early"), 1) == b""  # must not overtake what was lost
    pair = resume(pair)
    assert on_channels(pair.heard[CLIENT])[1:] == [(1, f.Stdout(b"a")), (1, f.Stdout(b"b"))]
    assert on_channels(pair.heard[SERVER])[1:] == [(1, f.Stdin(b"early"))]


@pytest.mark.parametrize("wrong", [3, 2**64 - 1])
def test_a_client_that_has_more_than_was_sent_is_not_resumed(wrong: int) -> None:
    """security.md, Protocol: resume: a counter ahead of the truth."""
    old = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED), (SERVER, f.Stdout(b"x")))
    server = greeted_server(wrong)
    with pytest.raises(RemoteProtocolError, match=f"{wrong} frames acknowledged of 2 sent"):
        server.accept(WELCOME, old.server.session)
    assert server.session is not old.server.session
    assert server.state is Handshake.JUDGING


def test_a_client_that_wants_what_was_forgotten_is_not_resumed() -> None:
    """security.md, Protocol: resume: a counter behind the buffer."""
    old = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED), (CLIENT, f.Ack(1)))
    with pytest.raises(RemoteProtocolError, match="0 frames acknowledged of 1 sent, after 1"):
        greeted_server(0).accept(WELCOME, old.server.session)


@pytest.mark.parametrize(("received", "why"), [(2, "2 frames acknowledged of 1"), (0, "0 frames")])
def test_a_server_that_counts_wrong_is_not_believed(received: int, why: str) -> None:
    """security.md, Protocol: resume: a counter ahead of the truth, a counter behind the buffer."""
    old = Pair().greet().run((CLIENT, EXEC), (SERVER, f.Ack(1)))
    client = Connection(CLIENT, old.client.session)
    for frame in (hello(client.session), PROOF):
        client.send(frame)
    events(client, wire(SERVER_HELLO))
    assert why in complaint(client, wire(WELCOME.replace(resumed=True, received=received)))


def test_a_session_is_resumed_only_where_that_was_asked_and_agreed() -> None:
    resumed = WELCOME.replace(resumed=True)
    fresh = drive(CLIENT, HANDSHAKE_ROUTES[Handshake.JUDGING])
    assert "not ask for" in complaint(fresh, wire(resumed))
    client = Connection(CLIENT, Session(CLIENT, keep=True))
    for frame in (CLIENT_HELLO, PROOF):
        client.send(frame)
    events(client, wire(SERVER_HELLO.replace(features=())))
    assert "not ask for" in complaint(client, wire(resumed))


def test_a_server_takes_up_no_session_out_of_turn() -> None:
    for server in (Connection(SERVER), greeted_server(0, features=())):
        with pytest.raises(LocalProtocolError, match="a session taken up in state"):
            server.accept(WELCOME, Session(SERVER, keep=True))


def test_a_session_that_the_server_lost_is_lost() -> None:
    """What was unacknowledged is not sent into a new session, where it might run a second time."""
    old = Pair().greet().run((CLIENT, EXEC))
    client = Connection(CLIENT, old.client.session)
    for frame in (hello(client.session), PROOF):
        client.send(frame)
    events(client, wire(SERVER_HELLO))
    assert client.send(f.Stdin(b"more"), 1) == b""
    assert events(client, wire(WELCOME)) == [(0, WELCOME)]
    assert client.again() == b""
    assert (client.session.channels, client.session.sent) == ({}, 0)
    assert client.send(EXEC, 1) == wire(EXEC)


def test_a_first_key_that_is_refused_does_not_lose_the_session() -> None:
    old = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED))
    old.client.send(f.Stdin(b"lost on the way"), 1)
    new = Pair(Connection(CLIENT, old.client.session))
    new.run((CLIENT, hello(new.client.session)), (SERVER, SERVER_HELLO), (CLIENT, PROOF), (SERVER, REFUSED))
    assert new.client.session.channels
    new.run((CLIENT, PROOF))
    new.push(SERVER, new.server.accept(WELCOME, old.server.session))
    new.settle()
    assert on_channels(new.heard[SERVER]) == [(1, f.Stdin(b"lost on the way"))]


def greeted_server(received: int, features: tuple[str, ...] = ("resume",)) -> Connection:
    """Return a server that judges the proof of a client which says it has so much."""
    server = Connection(SERVER)
    server.send(SERVER_HELLO)
    events(server, wire(CLIENT_HELLO.replace(received=received, features=features)) + wire(PROOF))
    return server

"""One connection, sans I/O: whatever comes in, frames or `RemoteProtocolError` come out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import DATA_MAX, EXEC_MAX, HEADER_SIZE, JUDGING_MAX, PROOFS_MAX
from rexec.protocol import frames as f
from rexec.protocol.buffer import HEADER
from rexec.protocol.connection import Connection
from rexec.protocol.frames import Stream
from rexec.protocol.state import HANDSHAKE, Channel, Handshake, Role
from tests.protocol.samples import (
    CHANNEL_ROUTES,
    CLIENT,
    CLIENT_HELLO,
    EXEC,
    EXIT,
    GOODBYE,
    HANDSHAKE_ROUTES,
    PROOF,
    REFUSED,
    SAMPLES,
    SERVER,
    SERVER_HELLO,
    STARTED,
    WELCOME,
    Event,
    Pair,
    channel_of,
    complaint,
    drive,
    events,
    open_,
    wire,
)

STDIN, STDOUT, STDERR = Stream
START, OPEN = Handshake.START, Handshake.OPEN


def running(role: Role) -> Connection:
    return drive(role, CHANNEL_ROUTES[Channel.RUNNING])


# --- a whole conversation, cut anywhere -------------------------------------------------------------

FROM_CLIENT = (CLIENT_HELLO, PROOF, EXEC, f.Stdin(b"in"), f.Resize(1, 2), f.Eof(STDIN), f.Ping(1), GOODBYE)
FROM_SERVER = (
    *(SERVER_HELLO, WELCOME, STARTED, f.Stdout(b"out"), f.Stderr(b"err")),
    *(f.Eof(STDOUT), f.Eof(STDERR), EXIT, f.Pong(1), GOODBYE),
)


def serve(pieces: list[bytes]) -> list[Event]:
    """Be a server that hears these pieces; return all events."""
    server, found = Connection(SERVER), []
    server.send(SERVER_HELLO)
    for piece in pieces:
        server.receive_data(piece)
        while (event := server.next_event()) is not None:
            found.append(event)
            if isinstance(event[1], f.Proof):
                server.accept(WELCOME)
            if isinstance(event[1], f.Exec):
                server.send(STARTED, 1)
    return found


def ask(pieces: list[bytes]) -> list[Event]:
    """Be a client that hears these pieces; return all events."""
    client = Connection(CLIENT)
    for frame in FROM_CLIENT[:3]:
        client.send(frame, channel_of(frame))
    return [event for piece in pieces for event in events(client, piece)]


SIDES = pytest.mark.parametrize(("hear", "spoken"), [(serve, FROM_CLIENT), (ask, FROM_SERVER)])


@SIDES
def test_a_conversation_cut_at_every_byte_is_the_same(hear: object, spoken: tuple[f.Frame, ...]) -> None:
    """security.md, Protocol: a good session cut and re-chunked at every byte."""
    stream = b"".join(map(wire, spoken))
    meant = [(channel_of(frame), frame) for frame in spoken]
    assert hear([stream]) == meant  # type: ignore[operator]
    assert hear([stream[i : i + 1] for i in range(len(stream))]) == meant  # type: ignore[operator]
    for cut in range(len(stream)):
        assert hear([stream[:cut], stream[cut:]]) == meant  # type: ignore[operator]


@SIDES
@given(data=st.data())
@settings(max_examples=50)
def test_a_conversation_in_any_pieces_is_the_same(
    hear: object, spoken: tuple[f.Frame, ...], data: st.DataObject
) -> None:
    """security.md, Protocol: a good session cut and re-chunked at every byte."""
    stream = b"".join(map(wire, spoken))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert hear(pieces) == [(channel_of(frame), frame) for frame in spoken]  # type: ignore[operator]


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_line_that_ends_inside_a_frame_is_the_peers_error(role: Role) -> None:
    """security.md, Protocol: a dropped tail, a proxy that cuts after k bytes."""
    data = wire(f.Ping(1))
    for cut in range(len(data) + 1):
        connection = open_(role)
        events(connection, data[:cut])
        if 0 < cut < len(data):
            with pytest.raises(RemoteProtocolError, match="ended inside a frame"):
                connection.receive_eof()
            assert complaint(connection, data) == "connection ended inside a frame"
        else:
            connection.receive_eof()


def test_the_end_of_a_line_inside_a_dropped_frame_is_noticed() -> None:
    server = drive(SERVER, HANDSHAKE_ROUTES[Handshake.REFUSED])
    assert events(server, HEADER.pack(16, 0, 1, EXEC_MAX)) == []
    with pytest.raises(RemoteProtocolError, match="ended inside a frame"):
        server.receive_eof()


def test_the_end_of_a_line_while_a_proof_is_judged_is_no_error() -> None:
    server = drive(SERVER, HANDSHAKE_ROUTES[Handshake.JUDGING])
    server.receive_data(b"\x10\0")
    server.receive_eof()


def test_the_end_after_a_goodbye_is_no_error() -> None:
    client = open_(CLIENT)
    assert events(client, wire(GOODBYE) + b"\x10\0") == [(0, GOODBYE)]
    client.receive_eof()


# --- what we must not send ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "channel", "why"),
    [
        (f.Ping(1), 1, "Ping on channel 1"),
        (EXEC, 0, "Exec on channel 0"),
        (EXEC, 65_536, "there is no channel 65536"),
        (EXEC, -1, "there is no channel -1"),
        (f.Ping(-1), 0, "Ping"),
        (f.Signal("\ud800"), 1, "surrogates not allowed"),
        (f.Exec(1, f.Form.ARGV, (b"x",) * 40_000), 1, "list of 40000 items"),
        (f.Exec(1, f.Form.ARGV, (bytes(EXEC_MAX),)), 1, "Exec is too long"),
        (f.Exec(2**64, f.Form.ARGV, ()), 1, "Exec"),
        (f.Stdout(b"x"), 1, "Stdout in state open"),
    ],
)
def test_what_must_not_be_sent_changes_nothing(frame: f.Frame, channel: int, why: str) -> None:
    """security.md, Around the allow list: 100,000 arguments, one of 3 MB: a clear error."""
    client = open_(CLIENT)
    with pytest.raises(LocalProtocolError, match=why):
        client.send(frame, channel)
    assert (client.session.channels, client.session.sent, client.state) == ({}, 0, OPEN)
    assert client.send(EXEC, 1) == wire(EXEC)


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (CLIENT_HELLO.replace(session=b""), "session id of 0 bytes"),
        (CLIENT_HELLO.replace(session=bytes(17)), "session id of 17 bytes"),
        (SERVER_HELLO.replace(nonce=bytes(31)), "nonce of 31 bytes"),
    ],
)
def test_a_hello_has_its_random_bytes(hello: f.Frame, why: str) -> None:
    sender = CLIENT if isinstance(hello, f.ClientHello) else SERVER
    with pytest.raises(LocalProtocolError, match=why):
        Connection(sender).send(hello)
    assert complaint(Connection(sender.other), wire(hello)) == why


def test_only_so_many_proofs_are_tried() -> None:
    """security.md, Protocol: fifty tries on one connection."""
    pair = Pair().run((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO))
    for _ in range(PROOFS_MAX):
        pair.run((CLIENT, PROOF), (SERVER, REFUSED))
    with pytest.raises(LocalProtocolError, match="too many proofs"):
        pair.client.send(PROOF)
    assert complaint(pair.server, wire(PROOF)) == "too many proofs"
    assert pair.server.proofs == PROOFS_MAX


def test_a_goodbye_ends_everything_quietly() -> None:
    for role in Role:
        connection = running(role)
        assert connection.send(GOODBYE) == wire(GOODBYE)
        assert connection.state is Handshake.CLOSED
        assert connection.send(f.Ping(1)) == connection.send(f.Signal("INT"), 1) == connection.again() == b""
        assert not connection.send_data(1, STDOUT, memoryview(bytearray(9)))
        assert events(connection, b"anything") == []


# --- data in place ------------------------------------------------------------------------------------


def test_data_is_packed_in_place() -> None:
    server = running(SERVER)
    view = memoryview(bytearray(bytes(HEADER_SIZE) + b"out\n"))
    data = server.send_data(1, STDOUT, view)
    assert bytes(view) == wire(f.Stdout(b"out\n"))
    view[:] = bytes(len(view))  # as the next read does: a loop may still hold what it was given
    assert data == wire(f.Stdout(b"out\n"))
    assert server.session.unacknowledged().endswith(data)
    assert not server.send_data(2, STDOUT, view)
    events(server, wire(f.Stop(STDOUT)))
    assert not server.send_data(1, STDOUT, view)


def test_data_in_place_goes_by_the_same_rules() -> None:
    server = running(SERVER)
    with pytest.raises(LocalProtocolError, match="Stdout is too long"):
        server.send_data(1, STDOUT, memoryview(bytearray(HEADER_SIZE + DATA_MAX + 1)))
    for size in (0, HEADER_SIZE):
        with pytest.raises(LocalProtocolError, match="bytes where the window"):
            server.send_data(1, STDOUT, memoryview(bytearray(size)))
    early = drive(SERVER, HANDSHAKE_ROUTES[Handshake.JUDGING])
    with pytest.raises(LocalProtocolError, match="data in state judging"):
        early.send_data(1, STDOUT, memoryview(bytearray(9)))


# --- credit and acknowledgement -----------------------------------------------------------------------


def test_consuming_gives_credit() -> None:
    pair = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED), (SERVER, f.Stdout(bytes(DATA_MAX))))
    assert pair.client.consume(1, STDOUT, 1) == b""
    pair.push(CLIENT, pair.client.consume(1, STDOUT, DATA_MAX - 1))
    pair.settle()
    assert isinstance(pair.heard[SERVER][-1][1], f.Credit)
    assert pair.server.session.room(1, STDOUT) >= 256 * 1024
    pair.run((SERVER, f.Stdout(bytes(DATA_MAX))), (SERVER, GOODBYE))
    assert pair.client.consume(1, STDOUT, DATA_MAX) == b""


def test_what_came_is_acknowledged_once() -> None:
    pair = Pair().greet().run((CLIENT, EXEC), (SERVER, STARTED))
    assert pair.client.session.unacknowledged()
    ack = pair.server.acknowledge()
    assert ack == wire(f.Ack(1))
    assert pair.server.acknowledge() == b""
    assert events(pair.client, ack) == []
    assert pair.client.session.unacknowledged() == b""
    assert open_(CLIENT).acknowledge() == b""
    assert Connection(CLIENT).acknowledge() == b""


def test_without_the_feature_nothing_is_kept_or_acknowledged() -> None:
    pair = Pair().run((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO.replace(features=("other",))))
    assert pair.client.features == pair.server.features == frozenset()
    pair.run((CLIENT, PROOF), (SERVER, WELCOME), (CLIENT, EXEC), (SERVER, STARTED))
    assert pair.client.session.unacknowledged() == pair.server.session.unacknowledged() == b""
    assert pair.server.acknowledge() == b""


def test_both_sides_agree_on_what_both_can_do() -> None:
    pair = Pair().run(
        (SERVER, SERVER_HELLO.replace(features=("b", "resume", "c"))),
        (CLIENT, CLIENT_HELLO.replace(features=("a", "c", "resume"))),
    )
    assert pair.client.features == pair.server.features == {"c", "resume"}
    assert pair.client.client_hello == pair.server.client_hello
    assert pair.client.server_hello == pair.server.server_hello != b""


# --- before the welcome -------------------------------------------------------------------------------


def test_a_client_holds_back_what_a_server_would_not_read_yet() -> None:
    """An Exec of 2 MiB behind a proof is legal for our caller, and no race makes it an error."""
    large = f.Exec(2, f.Form.ARGV, (b"echo", bytes(EXEC_MAX - 100)))
    pair = Pair()
    pair.run((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO), (CLIENT, PROOF))
    pair.send(CLIENT, EXEC, 1)
    pair.send(CLIENT, large, 2)
    pair.send(CLIENT, f.Eof(STDIN), 2)  # small, but behind what is held
    assert list(pair.queues[CLIENT]) == [wire(EXEC)]
    assert pair.client.again() == b""
    pair.settle()
    pair.run((SERVER, WELCOME))
    assert pair.heard[SERVER][2:] == [(1, EXEC), (2, large), (2, f.Eof(STDIN))]
    assert pair.client.again() == b""


def test_what_is_held_goes_before_all_that_follows() -> None:
    client = drive(CLIENT, HANDSHAKE_ROUTES[Handshake.JUDGING])
    large = EXEC.replace(words=(bytes(JUDGING_MAX),))
    assert client.send(large, 1) == b""
    events(client, wire(WELCOME))
    with pytest.raises(LocalProtocolError, match="data in state open, 1 frames before it"):
        client.send_data(1, STDIN, memoryview(bytearray(9)))
    assert client.send(f.Signal("INT"), 1) == wire(large) + wire(f.Signal("INT"))
    assert client.send_data(1, STDIN, memoryview(bytearray(9)))


def test_as_much_as_a_server_reads_may_stand_behind_every_proof() -> None:
    pair = Pair().run((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO))
    most = EXEC.replace(words=(bytes(JUDGING_MAX - len(wire(EXEC.replace(words=(b"",))))),))
    assert len(wire(most)) == JUDGING_MAX
    for verdict in (REFUSED, REFUSED, WELCOME):
        pair.run((CLIENT, PROOF), (CLIENT, most), (SERVER, verdict))
    assert [event for event in pair.heard[SERVER] if event[0]] == [(1, most)]


def test_what_stood_behind_a_refused_proof_is_sent_anew() -> None:
    large = EXEC.replace(words=(bytes(JUDGING_MAX),))
    pair = Pair().run((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO), (CLIENT, PROOF), (CLIENT, large))
    pair.run((SERVER, REFUSED))
    assert pair.client.session.channels == {}
    with pytest.raises(LocalProtocolError, match="Exec in state refused"):
        pair.client.send(EXEC, 1)
    pair.run((CLIENT, PROOF), (CLIENT, EXEC), (SERVER, WELCOME))
    assert [event for event in pair.heard[SERVER] if event[0]] == [(1, EXEC)]
    assert pair.client.session.sent == pair.server.session.received == 1


def test_every_row_of_the_handshake_is_somewhere_in_these_tests() -> None:
    assert {type(frame) for frame in SAMPLES} >= {kind for _, _, kind in HANDSHAKE}
    assert START in HANDSHAKE_ROUTES

"""Whatever bytes come, frames or `RemoteProtocolError` come out, and nothing is kept that need not be."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.errors import RemoteProtocolError
from rexec.limits import CONTROL_MAX, EXEC_MAX, HEADER_SIZE, JUDGING_MAX
from rexec.protocol import frames as f
from rexec.protocol.buffer import HEADER, pack
from rexec.protocol.connection import Connection
from rexec.protocol.frames import FRAMES, IGNORABLE, Farewell
from rexec.protocol.state import Handshake, Role
from tests.protocol.samples import (
    CHANNEL_ROUTES,
    CLIENT_HELLO,
    EXEC,
    HANDSHAKE_ROUTES,
    PROOF,
    SERVER,
    WELCOME,
    complaint,
    drive,
    events,
    open_,
    wire,
)
from tests.protocol.strategies import frames

# --- any bytes --------------------------------------------------------------------------------------

PLACES = [
    pytest.param(role, route, id=f"{role.value} {state.value}")
    for role in Role
    for state, route in (*HANDSHAKE_ROUTES.items(), *CHANNEL_ROUTES.items())
]


def survive(connection: Connection, data: bytes, cut: int) -> None:
    """Feed bytes, give a verdict where one is wanted; nothing but `RemoteProtocolError` may come."""
    try:
        for piece in (data[:cut], data[cut:]):
            events(connection, piece)
            if connection.role is SERVER and connection.state is Handshake.JUDGING:
                connection.refuse("no") if cut % 2 else connection.accept(WELCOME)
        events(connection)
        connection.receive_eof()
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            connection.next_event()
        assert len(connection._buffer) == 0


@pytest.mark.parametrize(("role", "route"), PLACES)
@given(data=st.binary(max_size=60), cut=st.integers(0, 60))
@settings(max_examples=25)
def test_any_bytes_are_frames_or_the_peers_error(
    role: Role, route: tuple[object, ...], data: bytes, cut: int
) -> None:
    """security.md, Protocol: an HTTP request, an ssh banner, plain bytes."""
    survive(drive(role, route), data, cut)  # type: ignore[arg-type]


@pytest.mark.parametrize(("role", "route"), PLACES)
@given(sent=st.lists(frames(), min_size=1, max_size=4), data=st.data())
@settings(max_examples=25)
def test_changed_frames_are_frames_or_the_peers_error(
    role: Role, route: tuple[object, ...], sent: list[f.Frame], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(wire, sent)))
    for _ in range(data.draw(st.integers(0, 2))):
        where = data.draw(st.integers(0, len(stream) - 1))
        stream[where : where + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        stream += b"\0" * (not stream)
    survive(drive(role, route), bytes(stream), data.draw(st.integers(0, len(stream))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: web1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"\n" * 8,
    ],
)
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_other_protocols_are_refused_by_their_first_bytes(role: Role, data: bytes) -> None:
    """security.md, Protocol: an HTTP request, an ssh banner."""
    assert complaint(Connection(role), data[:HEADER_SIZE]) != ""


def test_after_an_error_nothing_of_the_peer_is_taken() -> None:
    """security.md, Protocol: frames after the end."""
    server = open_(SERVER)
    bad = pack(f.Signal("TERM"), 1)[:-1] + b"\xff"
    assert complaint(server, bad + wire(EXEC)) == "text is not UTF-8"
    assert complaint(server, wire(EXEC)) == "text is not UTF-8"
    assert server.session.channels == {}
    server.receive_eof()
    assert server.send(f.Goodbye(Farewell.PROTOCOL_ERROR, "text is not UTF-8"))
    assert complaint(server, b"") == "text is not UTF-8"


# --- lengths and memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize("state", Handshake, ids=lambda state: state.value)
@pytest.mark.parametrize("kind", [*FRAMES, 0, 99])
def test_a_length_is_judged_when_there_is_only_a_header(kind: int, state: Handshake, role: Role) -> None:
    """security.md, Protocol: length 0xFFFFFFFF: judged before allocation."""
    connection = drive(role, HANDSHAKE_ROUTES[state])
    message = complaint(connection, HEADER.pack(kind, 0, int(kind >= 16), 0xFFFFFFFF))
    deaf = state is Handshake.CLOSED or (role is SERVER and state in (Handshake.EARLY, Handshake.JUDGING))
    assert (message == "") == deaf


def test_a_stranger_is_parsed_up_to_four_kib() -> None:
    """security.md, Protocol: judged before allocation. 4 KiB before authentication."""
    largest = CLIENT_HELLO.replace(software="x" * (4096 - len(CLIENT_HELLO.replace(software="").encode())))
    assert len(largest.encode()) == 4096
    server = Connection(SERVER)
    assert events(server, wire(largest)) == [(0, largest)]
    assert "ClientHello is too long: 4097 bytes" in complaint(Connection(SERVER), HEADER.pack(1, 0, 0, 4097))
    assert "Proof is too long" in complaint(
        drive(SERVER, HANDSHAKE_ROUTES[Handshake.GREETED]), HEADER.pack(3, 0, 0, 4097)
    )


def test_a_stranger_leaves_nothing_behind_between_two_proofs() -> None:
    """security.md, Protocol: the server's memory stays flat."""
    server = drive(SERVER, HANDSHAKE_ROUTES[Handshake.REFUSED])
    server.receive_data(HEADER.pack(16, 0, 1, EXEC_MAX))
    for _ in range(EXEC_MAX // 65_536):
        assert server.next_event() is None
        server.receive_data(bytes(65_536))
        assert len(server._buffer) == 0
    assert events(server, wire(PROOF)) == [(0, PROOF)]


def test_only_so_much_is_kept_while_a_proof_is_judged() -> None:
    """security.md, Protocol: the server's memory stays flat."""
    server = drive(SERVER, HANDSHAKE_ROUTES[Handshake.JUDGING])
    server.receive_data(bytes(JUDGING_MAX))
    assert server.next_event() is None
    with pytest.raises(RemoteProtocolError, match="too much before the welcome"):
        server.receive_data(b"x")
    server.receive_data(b"ignored")
    assert len(server._buffer) == 0


def test_a_million_frames_that_mean_nothing_leave_nothing_behind() -> None:
    """security.md, Protocol: a million empty frames: the server's memory stays flat."""
    server = open_(SERVER)
    skippable = HEADER.pack(99, IGNORABLE, 1, 0) * 16_384
    late = wire(f.Stdin(b"")) * 16_384
    assert events(server, skippable) == []
    tracemalloc.start()
    try:
        assert events(server, skippable) == events(server, late) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for _ in range(58):
        assert events(server, skippable) == []
    assert server.session.received == 16_384 * 61 > 999_000
    assert peak < 1_000_000
    assert server.session.channels == {}


def test_an_unknown_frame_that_may_be_ignored_is_read_over() -> None:
    for role in Role:
        connection = open_(role)
        unknown = HEADER.pack(99, IGNORABLE, 1, 3) + b"abc" + HEADER.pack(12, IGNORABLE, 0, 0)
        assert events(connection, unknown + wire(f.Ping(1))) == [(0, f.Ping(1))]
        assert connection.session.received == 1
        assert "too long" in complaint(connection, HEADER.pack(99, IGNORABLE, 1, CONTROL_MAX + 1))

"""The wire of a client that blocks: what it sends, what it receives, and how it ends."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator

import pytest

from rexec.errors import ConnectError, ConnectionLost
from rexec.transport import dial
from rexec.transport.dial import Wire
from rexec.transport.secure import TlsLayer
from tests.transport.pairs import client_layer, pair

BULK = os.urandom(1_500_000)
ROOM = 300_000  # bytes: more than the wire reads at once


class Far:
    """The other end of a wire."""

    def __init__(self, end: socket.socket, tls: TlsLayer | None) -> None:
        self.socket = end
        self.tls = tls
        self.data = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data if self.tls is None else self.tls.write(data))

    def read(self) -> None:
        """Take what has come."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        if self.tls is None:
            self.data += data
            return
        self.tls.feed(memoryview(data))
        room = memoryview(bytearray(1 << 21))
        self.data += room[: self.tls.read(room)]


@pytest.fixture(params=["tls", "clear"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Wire, Far]]:
    """A wire that never waits, and its other end, which does not either."""
    ours, theirs = socket.socketpair()
    client, server = pair() if request.param == "tls" else (None, None)
    wire, far = Wire(ours, client), Far(theirs, server)
    wire.unblock()
    theirs.setblocking(False)
    yield wire, far
    wire.close()
    theirs.close()


def test_what_is_sent_arrives_however_little_the_socket_takes(ends: tuple[Wire, Far]) -> None:
    wire, far = ends
    left, had_to_wait = memoryview(BULK), False
    while left or wire.is_unsent:
        taken = wire.send(left[:262_144]) if left else 0
        left = left[taken:]
        if not taken:
            wire.push()
            had_to_wait = True
            far.read()
    while len(far.data) < len(BULK):
        far.read()
    assert had_to_wait
    assert far.data == BULK


@pytest.mark.parametrize("room", [None, memoryview(bytearray(ROOM))], ids=["anywhere", "in its place"])
def test_what_is_received_is_what_was_sent(ends: tuple[Wire, Far], room: memoryview | None) -> None:
    wire, far = ends
    assert wire.receive() == b""
    data, sent = b"", 0
    while len(data) < len(BULK):
        if sent < len(BULK):
            far.send(BULK[sent : sent + 100_000])
            sent += 100_000
        while True:
            came = wire.receive(room)
            assert came is not None
            data += came
            if not wire.pending():
                break
        assert room is None or len(data) < 100_000 or came.obj is room.obj
    assert data == BULK


def test_plaintext_that_waits_in_tls_is_told(ends: tuple[Wire, Far]) -> None:
    wire, far = ends
    far.send(b"0123456789")
    room = memoryview(bytearray(4))
    assert wire.receive(room) == b"0123"
    if wire.tls is not None:
        assert wire.pending()
    assert [wire.receive(room), bytes(room)] == [b"4567", b"4567"]
    assert wire.receive(room) == b"89"
    assert not wire.pending()


def test_the_end_comes_after_what_was_sent(ends: tuple[Wire, Far]) -> None:
    wire, far = ends
    far.send(b"last words")
    if far.tls is not None:
        far.socket.sendall(far.tls.close())
    far.socket.close()
    assert wire.receive() == b"last words"
    assert wire.receive() is None


def test_what_came_is_read_although_nothing_can_be_sent_any_more(ends: tuple[Wire, Far]) -> None:
    wire, far = ends
    while wire.send(BULK[:262_144]):
        pass
    far.send(b"last words")
    far.socket.close()
    assert wire.receive() == b"last words"
    with pytest.raises(ConnectionLost):
        wire.send(b"anything else")


def test_what_came_before_a_reset_is_handed_over() -> None:
    ours, theirs = socket.socketpair()
    client, server = pair()
    wire = Wire(ours, client)
    wire.unblock()
    data = b"".join(server.write(BULK[start : start + 1000]) for start in range(0, 20_000, 1000))

    class Reset:
        """A socket that fills one read, and then is reset."""

        left = data

        def recv_into(self, room: memoryview) -> int:
            if len(self.left) < len(data):
                raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            self.left = data[len(room) :]
            room[:] = data[: len(room)]
            return len(room)

    wire.socket = Reset()  # type: ignore[assignment]
    came = wire.receive()
    assert came is not None
    assert len(came) >= 15_000
    assert came == BULK[: len(came)]
    with pytest.raises(ConnectionLost, match="reset by peer"):
        wire.receive()
    ours.close()
    theirs.close()


def test_who_closes_with_something_unsent_breaks_no_record() -> None:
    ours, theirs = socket.socketpair()
    client, server = pair()
    wire, far = Wire(ours, client), Far(theirs, server)
    wire.unblock()
    while wire.send(BULK[:262_144]):
        pass
    far.read()
    wire.close()
    theirs.setblocking(True)
    while data := theirs.recv(1 << 20):
        server.feed(memoryview(data))
    server.eof()
    room = memoryview(bytearray(1 << 23))
    size = server.read(room)
    assert size
    assert server.read(room) is None
    theirs.close()


def test_a_line_that_changes_bytes_is_a_lost_connection() -> None:
    ours, theirs = socket.socketpair()
    client, server = pair()
    wire = Wire(ours, client)
    wire.unblock()
    record = bytearray(server.write(b"hello"))
    record[-1] ^= 1
    theirs.sendall(record)
    with pytest.raises(ConnectionLost, match=r"connection lost: tls: .*bad record mac"):
        wire.receive()
    wire.close()
    theirs.close()


def test_who_waits_gets_the_first_of_what_comes() -> None:
    ours, theirs = socket.socketpair()
    client, server = pair()
    wire = Wire(ours, client)
    wire.put(b"question", 5)
    server.feed(memoryview(theirs.recv(100)))
    theirs.sendall(server.write(b"ans")[:7])  # not even a record
    ours.settimeout(0.01)
    assert wire.receive() == b""  # who waits for more looks at the clock
    with pytest.raises(ConnectionLost, match="timed out"):
        wire.receive()
    theirs.sendall(server.write(b"wer"))
    wire.close()
    theirs.close()


class Drip:
    """A connected socket whose other end sends one byte a second, and never the whole of a record."""

    def __init__(self) -> None:
        self.came = 0
        self.sent = b""

    def gettimeout(self) -> float:
        return 10.0

    def settimeout(self, timeout: float) -> None:
        assert 0 < timeout <= 10

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, size: int) -> bytes:
        self.came += 1
        assert self.came < 100
        return b"\x16\x03\x03\x40\x00\x02"[self.came - 1 : self.came] or b"\0"

    def close(self) -> None:
        pass


def test_who_is_slow_to_shake_hands_is_not_waited_for_longer_than_who_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drip = Drip()
    monkeypatch.setattr(time, "monotonic", lambda: float(drip.came))
    with pytest.raises(ConnectError, match="tls: timed out"):
        dial._shake(drip, client_layer())  # type: ignore[arg-type]
    assert drip.came == 10


class Deaf(Drip):
    """One that says what is not TLS, and reads nothing any more."""

    def recv(self, size: int) -> bytes:
        self.came += 1
        return b"Goodbye"

    def sendall(self, data: bytes) -> None:
        if self.came:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_why_no_hands_are_shaken_is_said_also_where_nobody_hears_it() -> None:
    with pytest.raises(ConnectError, match="tls: wrong version") as caught:
        dial._shake(Deaf(), client_layer())  # type: ignore[arg-type]
    assert not caught.value.is_lost
    assert "--no-tls" in (caught.value.hint or "")

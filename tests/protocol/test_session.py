"""What outlives a connection: counts, kept frames, and bounds that hold for all channels together."""

from __future__ import annotations

import pytest

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import (
    ACK_BYTES,
    ACK_FRAMES,
    CHANNELS_PER_SESSION,
    MIB,
    RETAIN_BYTES,
    RETAIN_FRAMES,
    UNANSWERED_BYTES,
    UNANSWERED_FRAMES,
    WINDOW_MAX,
    WINDOW_START,
    WINDOW_TOTAL,
)
from rexec.protocol import frames as f
from rexec.protocol.frames import Stream
from rexec.protocol.session import Session
from tests.protocol.samples import CLIENT, EXEC, EXIT, SERVER, STARTED

STDIN, STDOUT, STDERR = Stream


def keeping(*frames: bytes) -> Session:
    session = Session(SERVER, keep=True)
    for frame in frames:
        session.retain(frame)
    return session


def test_what_is_not_acknowledged_is_kept_in_order() -> None:
    session = keeping(b"one", b"two")
    session.retain(memoryview(bytearray(b"three")))
    assert session.unacknowledged() == b"onetwothree"
    session.acknowledged(1)
    session.acknowledged(1)
    assert session.unacknowledged() == b"twothree"
    session.acknowledged(3)
    assert session.unacknowledged() == b""
    assert not session.full


@pytest.mark.parametrize(
    ("counts", "why"), [((4,), "4 frames"), ((2, 1), "1 frames"), ((2**64 - 1,), "frames")]
)
@pytest.mark.parametrize("keep", [True, False])
def test_an_acknowledgement_stays_within_what_was_sent(counts: tuple[int, ...], why: str, keep: bool) -> None:
    """security.md, Protocol: resume: a counter ahead of the truth, a counter behind the buffer."""
    session = Session(SERVER, keep=keep)
    for frame in (b"one", b"two", b"three"):
        session.retain(frame)
    for count in counts[:-1]:
        session.acknowledged(count)
    with pytest.raises(RemoteProtocolError, match=why):
        session.acknowledged(counts[-1])


def test_what_nobody_can_ask_for_again_is_not_kept() -> None:
    session = Session(SERVER)
    session.retain(b"frame")
    assert (session.sent, session.unacknowledged()) == (1, b"")
    session = keeping(b"frame")
    session.set_keep(False)
    assert (session.sent, session.unacknowledged()) == (1, b"")
    session.acknowledged(1)
    session.set_keep(True)
    session.retain(b"next")
    assert session.unacknowledged() == b"next"


def test_a_session_is_full_by_bytes_or_by_frames() -> None:
    """security.md, Processes: output flood with a client that does not read: memory flat."""
    session = keeping(bytes(RETAIN_BYTES - 1))
    assert not session.full
    session.retain(b"x")
    assert session.full
    session.acknowledged(1)
    assert not session.full
    session = keeping(*[b"x"] * (RETAIN_FRAMES - 1))
    assert not session.full
    session.retain(b"x")
    assert session.full


@pytest.mark.parametrize(
    "flood", [[bytes(MIB)] * 17, [b"x"] * (UNANSWERED_FRAMES + 1)], ids=["bytes", "frames"]
)
def test_a_client_that_asks_on_and_acknowledges_nothing_is_cut_off(flood: list[bytes]) -> None:
    """security.md, Protocol: the server's memory stays flat."""
    assert sum(map(len, flood)) > UNANSWERED_BYTES or len(flood) > UNANSWERED_FRAMES
    session = keeping(*flood[:-1])
    session.count(8)
    session.retain(flood[-1])
    with pytest.raises(RemoteProtocolError, match="nothing is acknowledged"):
        session.count(8)
    session.acknowledged(session.sent)
    session.count(8)


def test_a_client_keeps_what_it_likes_of_its_own() -> None:
    session = Session(CLIENT, keep=True)
    for _ in range(9):
        session.retain(bytes(2 * MIB))
    session.count(8)
    assert session.full


def test_an_acknowledgement_is_due_after_so_many_bytes_or_frames() -> None:
    session = Session(CLIENT, keep=True)
    assert not session.ack_pending
    session.count(ACK_BYTES - 1)
    assert session.ack_pending
    assert not session.ack_due
    session.count(1)
    assert session.ack_due
    assert session.tell() == session.told == 2
    assert not session.ack_pending
    assert not session.ack_due
    for _ in range(ACK_FRAMES - 1):
        session.count(9)
    assert not session.ack_due
    session.count(9)
    assert session.ack_due
    session.set_keep(False)
    assert not session.ack_pending
    assert not session.ack_due


def test_half_of_what_a_sender_keeps_is_acknowledged_in_time() -> None:
    assert ACK_BYTES < RETAIN_BYTES
    assert ACK_FRAMES < RETAIN_FRAMES < UNANSWERED_FRAMES
    assert RETAIN_BYTES < UNANSWERED_BYTES


# --- channels -------------------------------------------------------------------------------------


def test_channels_are_counted_on_both_sides() -> None:
    """security.md, Protocol: the server's memory stays flat."""
    client, server = Session(CLIENT), Session(SERVER)
    for channel in range(1, CHANNELS_PER_SESSION + 1):
        assert client.send(channel, EXEC)
        assert server.receive(channel, EXEC)
    for frame in (EXEC, f.Query("list")):
        with pytest.raises(LocalProtocolError, match="more than 1024 channels"):
            client.send(CHANNELS_PER_SESSION + 1, frame)
        with pytest.raises(RemoteProtocolError, match="more than 1024 channels"):
            server.receive(CHANNELS_PER_SESSION + 1, frame)
    assert not server.receive(CHANNELS_PER_SESSION + 1, f.Signal("TERM"))
    server.send(7, f.Denied("no"))
    client.receive(7, f.Denied("no"))
    assert client.send(CHANNELS_PER_SESSION + 1, EXEC)
    assert server.receive(CHANNELS_PER_SESSION + 1, EXEC)


def test_late_frames_leave_nothing_behind() -> None:
    """security.md, Protocol: a million empty frames: the server's memory stays flat."""
    server = Session(SERVER)
    for channel in range(1, 5_000):
        assert not server.receive(channel, f.Stdin(b"late"))
        assert not server.receive(channel, f.Resize(80, 24))
    assert server.channels == {}


def test_a_closed_channel_has_no_room_and_takes_no_data() -> None:
    client = Session(CLIENT)
    assert client.room(1, STDIN) == 0
    assert not client.send_data(1, STDIN, 5)
    assert client.consume(1, STDOUT, 5) is None
    client.send(1, EXEC)
    assert client.room(1, STDIN) == WINDOW_START
    assert client.room(1, STDOUT) == 0
    assert client.send_data(1, STDIN, WINDOW_START)
    assert client.room(1, STDIN) == 0
    client.receive(1, f.Started("r"))
    client.receive(1, EXIT)
    assert client.room(1, STDIN) == 0


def fill(server: Session, channel: int) -> int:
    """Send one full window and take it away at once; return how large the window is afterwards."""
    stream = server.channels[channel].incoming[STDIN]
    size = stream.granted - stream.received
    stream.arrived(size)
    credit = server.consume(channel, STDIN, size)
    assert credit == f.Credit(STDIN, stream.granted)
    return stream.window


def test_all_windows_together_grow_no_further_than_their_total() -> None:
    """security.md, Protocol: the server's memory stays flat."""
    server = Session(SERVER)
    for channel in range(1, 9):
        server.receive(channel, EXEC)
        server.send(channel, STARTED)
    for _ in range(6):
        for channel in range(1, 9):
            fill(server, channel)
    windows = [state.incoming[STDIN].window for state in server.channels.values()]
    assert sum(windows) == WINDOW_TOTAL + 8 * WINDOW_START
    assert max(windows) <= WINDOW_MAX
    server.send(1, EXIT)  # what it had grown by is for the others now
    assert sum(fill(server, channel) for channel in range(2, 9)) > sum(windows[1:])


# --- forgetting -----------------------------------------------------------------------------------


def test_a_client_forgets_what_a_refused_proof_carried() -> None:
    client = Session(CLIENT, keep=True)
    client.send(1, EXEC)
    client.retain(b"exec")
    client.forget()
    assert (client.sent, client.channels, client.unacknowledged(), client.keep) == (0, {}, b"", True)


def test_a_server_does_not_forget_commands_that_run() -> None:
    server = Session(SERVER)
    server.forget()
    server.receive(1, EXEC)
    with pytest.raises(LocalProtocolError, match="does not forget"):
        server.forget()

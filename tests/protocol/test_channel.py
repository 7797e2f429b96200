"""Windows: what is sent, granted, taken away, and who is to blame where it does not add up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import CREDIT_MAX, MIB, WINDOW_MAX, WINDOW_START
from rexec.protocol import frames as f
from rexec.protocol.channel import ChannelState, Incoming, Outgoing
from rexec.protocol.frames import Stream
from rexec.protocol.state import Channel
from tests.protocol.samples import CLIENT, EXEC, EXIT, SERVER, STARTED

STDIN, STDOUT, STDERR = Stream


def running(role: object = SERVER, exec_: f.Exec = EXEC) -> ChannelState:
    """Return the channel of a command that runs, as this side sees it."""
    state = ChannelState(role)  # type: ignore[arg-type]
    if role is CLIENT:
        state.send(CLIENT, exec_)
        state.receive(SERVER, STARTED)
    else:
        state.receive(CLIENT, exec_)
        state.send(SERVER, STARTED)
    return state


# --- sending --------------------------------------------------------------------------------------


def test_a_window_is_spent_and_filled_again() -> None:
    stream = Outgoing()
    assert stream.room == WINDOW_START
    stream.advance(WINDOW_START)
    assert stream.room == 0
    with pytest.raises(LocalProtocolError, match="1 bytes where the window has 0"):
        stream.advance(1)
    stream.credited(WINDOW_START + 5)
    assert stream.room == 5


def test_no_data_is_sent_where_there_is_none() -> None:
    with pytest.raises(LocalProtocolError, match="0 bytes where"):
        Outgoing().advance(0)


def test_nothing_is_sent_after_the_end_of_a_stream() -> None:
    state = running()
    assert state.send(SERVER, f.Eof(STDOUT))
    assert state.outgoing[STDOUT].room == 0
    assert not state.send(SERVER, f.Eof(STDOUT))
    with pytest.raises(LocalProtocolError, match="data after the end"):
        state.send(SERVER, f.Stdout(b"x"))


def test_a_stream_that_is_stopped_takes_no_more() -> None:
    state = running()
    assert state.receive(CLIENT, f.Stop(STDOUT))
    assert not state.send(SERVER, f.Stdout(b"x"))
    assert state.outgoing[STDOUT].sent == 0
    assert state.send(SERVER, f.Stderr(b"x"))
    assert state.send(SERVER, f.Eof(STDOUT))


@pytest.mark.parametrize(
    ("offset", "why"),
    [
        (WINDOW_START - 1, "went backwards"),
        (CREDIT_MAX + 1, "beyond the maximum"),
        (2**64 - 1, "beyond the maximum"),
    ],
)
def test_credit_moves_forward_and_not_too_far(offset: int, why: str) -> None:
    state = running()
    with pytest.raises(RemoteProtocolError, match=why):
        state.receive(CLIENT, f.Credit(STDOUT, offset))


def test_credit_may_say_the_same_again() -> None:
    state = running()
    for offset in (WINDOW_START, WINDOW_START, CREDIT_MAX, CREDIT_MAX):
        assert state.receive(CLIENT, f.Credit(STDOUT, offset))
    assert state.outgoing[STDOUT].room == CREDIT_MAX


# --- receiving ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([f.Stdin(b"")], "empty data frame"),
        ([f.Stdin(bytes(WINDOW_START)), f.Stdin(b"x")], "beyond the window"),
        ([f.Eof(STDIN), f.Stdin(b"x")], "after the end"),
        ([f.Eof(STDIN), f.Eof(STDIN)], "ends twice"),
        ([f.Stop(STDOUT), f.Stop(STDOUT)], "stopped twice"),
        ([f.Eof(STDOUT)], "stdout is not the peer's to send"),
        ([f.Stop(STDIN)], "stdin is not the peer's to receive"),
        ([f.Credit(STDIN, WINDOW_START)], "stdin is not the peer's to receive"),
    ],
)
def test_a_peer_that_breaks_a_stream_is_to_blame(frames: list[f.Frame], why: str) -> None:
    """security.md, Protocol: frames twice, out of order, after the end."""
    state = running()
    for frame in frames[:-1]:
        state.receive(CLIENT, frame)
    with pytest.raises(RemoteProtocolError, match=why):
        state.receive(CLIENT, frames[-1])


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (f.Eof(STDIN), "stdin is not ours to send"),
        (f.Stop(STDOUT), "stdout is not ours to receive"),
        (f.Credit(STDERR, WINDOW_START), "stderr is not ours to receive"),
        (f.Credit(STDIN, WINDOW_START - 1), "credit up to"),
        (f.Credit(STDIN, CREDIT_MAX + 1), "credit up to"),
    ],
)
def test_we_break_no_stream_ourselves(frame: f.Frame, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        running().send(SERVER, frame)


def test_output_before_the_decision_is_our_error() -> None:
    """Data that is packed in place goes by the same table as every frame."""
    state = ChannelState(SERVER)
    state.receive(CLIENT, EXEC)
    with pytest.raises(LocalProtocolError, match="stdout in state opening"):
        state.send_data(SERVER, STDOUT, 1)
    answering = ChannelState(SERVER)
    answering.receive(CLIENT, f.Query("list"))
    assert answering.send_data(SERVER, STDOUT, 1)
    with pytest.raises(LocalProtocolError, match="stderr in state answering"):
        answering.send_data(SERVER, STDERR, 1)
    with pytest.raises(LocalProtocolError, match="stdin in state running"):
        running().send_data(SERVER, STDIN, 1)
    with pytest.raises(LocalProtocolError, match="stdin is not ours to send"):
        running()._ours(STDIN)


def test_what_is_under_way_to_a_stopped_stream_is_dropped_but_counted() -> None:
    state = running()
    assert state.send(SERVER, f.Stop(STDIN))
    assert not state.send(SERVER, f.Stop(STDIN))
    assert not state.receive(CLIENT, f.Stdin(bytes(WINDOW_START)))
    with pytest.raises(RemoteProtocolError, match="beyond the window"):
        state.receive(CLIENT, f.Stdin(b"x"))


def test_a_credit_that_we_sent_lets_the_peer_go_on() -> None:
    state = running()
    assert state.send(SERVER, f.Credit(STDIN, WINDOW_START + 1))
    assert state.receive(CLIENT, f.Stdin(bytes(WINDOW_START + 1)))


# --- granting -------------------------------------------------------------------------------------


def test_credit_is_due_after_half_a_window() -> None:
    stream = Incoming()
    stream.arrived(WINDOW_START // 2)
    assert stream.consume(WINDOW_START // 2 - 1, 0) is None
    assert stream.consume(1, 0) == WINDOW_START + WINDOW_START // 2


@pytest.mark.parametrize("ending", ["ended", "stopped"])
def test_no_credit_is_granted_for_what_will_not_come(ending: str) -> None:
    stream = Incoming()
    stream.arrived(WINDOW_START)
    setattr(stream, ending, True)
    assert stream.consume(WINDOW_START, MIB) is None


def test_a_window_grows_while_the_line_is_slower_than_the_reader() -> None:
    stream = Incoming()
    windows = []
    for _ in range(7):
        size = stream.granted - stream.received
        stream.arrived(size)
        stream.consume(size, MIB * 64)
        windows.append(stream.window)
    assert windows[:3] == [2 * WINDOW_START, 4 * WINDOW_START, 8 * WINDOW_START]
    assert windows[-1] == WINDOW_MAX


def test_a_window_does_not_grow_for_a_slow_reader_or_beyond_the_total() -> None:
    slow = Incoming()
    slow.arrived(WINDOW_START)
    assert slow.consume(WINDOW_START // 2, MIB) == WINDOW_START + WINDOW_START // 2
    assert slow.window == WINDOW_START
    bounded = Incoming()
    bounded.arrived(WINDOW_START)
    assert bounded.consume(WINDOW_START, 100) == 2 * WINDOW_START + 100


@pytest.mark.parametrize("size", [-1, 6])
def test_nobody_takes_away_more_than_came(size: int) -> None:
    stream = Incoming()
    stream.arrived(5)
    with pytest.raises(LocalProtocolError, match="consumed more"):
        stream.consume(size, 0)


def test_a_server_sends_no_credit_before_the_command_runs() -> None:
    state = ChannelState(SERVER)
    state.receive(CLIENT, EXEC)
    state.receive(CLIENT, f.Stdin(bytes(WINDOW_START)))
    assert state.consume(SERVER, STDIN, WINDOW_START - 1, MIB) is None
    state.send(SERVER, STARTED)
    assert state.consume(SERVER, STDIN, 1, MIB) == 3 * WINDOW_START
    with pytest.raises(LocalProtocolError, match="stdout is not ours to receive"):
        state.consume(SERVER, STDOUT, 1, MIB)


@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=lambda role: role.value)
def test_a_command_that_is_attached_again_goes_on_at_its_offsets(role: object) -> None:
    state = running(role, EXEC.replace(stdout_from=10 * MIB, stderr_from=7))
    if role is CLIENT:
        assert state.receive(SERVER, f.Stdout(bytes(WINDOW_START)))
        assert state.incoming[STDOUT].received == 10 * MIB + WINDOW_START
        assert state.consume(CLIENT, STDOUT, WINDOW_START, 0) == 10 * MIB + 2 * WINDOW_START
        assert state.incoming[STDERR].granted == 7 + WINDOW_START
    else:
        assert state.send_data(SERVER, STDOUT, WINDOW_START)
        assert state.receive(CLIENT, f.Credit(STDOUT, 10 * MIB + 2 * WINDOW_START))
        assert state.outgoing[STDOUT].room == WINDOW_START
        assert state.outgoing[STDERR].sent == 7


@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "arrive", "take", "credit"]), st.integers(1, 2 * MIB)), max_size=60
    )
)
@settings(max_examples=200)
def test_two_ends_of_a_stream_never_disagree(moves: list[tuple[str, int]]) -> None:
    """Whatever is sent, taken and granted in whatever order: no error, and at most a window under way."""
    out, into = Outgoing(), Incoming()
    data: list[int] = []
    credits_: list[int] = []
    for move, size in moves:
        if move == "send" and (room := min(out.room, size)):
            out.advance(room)
            data.append(room)
        elif move == "arrive" and data:
            into.arrived(data.pop(0))
        elif move == "take":
            offset = into.consume(min(size, into.received - into.consumed), MIB)
            credits_ += [] if offset is None else [offset]
        elif move == "credit" and credits_:
            out.credited(credits_.pop(0))
        assert out.limit <= into.granted
        assert into.granted - into.consumed <= WINDOW_MAX


def test_a_state_is_closed_after_the_exit() -> None:
    state = running()
    assert state.send(SERVER, EXIT)
    assert state.state is Channel.CLOSED
    assert not state.receive(CLIENT, f.Stdin(b""))  # late: not even looked at

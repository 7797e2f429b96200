"""The table of frames: numbers, groups, and what happens to one who takes a number twice."""

from __future__ import annotations

import pytest

from rexec.limits import CONTROL_MAX, DATA_MAX, EXEC_MAX, GREETING_MAX
from rexec.protocol import frames as f
from rexec.protocol.buffer import is_session_frame
from rexec.protocol.frames import DATA, FRAMES, SESSION_CODES, Frame
from rexec.protocol.state import HANDSHAKE, SESSION, Handshake, Role
from tests.protocol.samples import SAMPLES


def test_every_frame_has_a_number_of_its_own_and_a_limit() -> None:
    assert all(FRAMES[kind.code] is kind for kind in FRAMES.values())
    assert {kind.limit for kind in FRAMES.values()} == {CONTROL_MAX, DATA_MAX, EXEC_MAX, GREETING_MAX}
    with pytest.raises(TypeError, match="frame type 1 stands twice"):

        class Twice(Frame, code=1):
            pass

    assert FRAMES[1] is f.ClientHello


def test_there_is_a_sample_of_every_frame() -> None:
    assert {type(frame) for frame in SAMPLES} == set(FRAMES.values())


def test_groups_are_not_frames() -> None:
    assert f.Data not in FRAMES.values()
    assert not hasattr(f.Data, "code")


def test_data_frames_know_their_stream() -> None:
    assert {stream: kind.stream for stream, kind in DATA.items()} == {stream: stream for stream in f.Stream}
    assert f.Stdout(b"x").stream is f.Stream.STDOUT


def test_a_stranger_can_send_nothing_large_that_is_parsed() -> None:
    """security.md, Protocol: judged before allocation; 4 KiB before authentication."""
    parsed = {
        kind
        for (state, _, kind) in HANDSHAKE
        if state not in (Handshake.OPEN, Handshake.CLOSED) and kind not in SESSION
    }
    assert {kind.limit for kind in parsed - {f.Goodbye}} == {GREETING_MAX}
    assert all(
        (state, Role.CLIENT, f.Goodbye) not in HANDSHAKE for state in Handshake if state.value != "open"
    )


def test_frames_of_a_channel_are_those_from_sixteen_on() -> None:
    assert [kind.__name__ for kind in FRAMES.values() if not is_session_frame(kind)] == [
        *("ClientHello", "ServerHello", "Proof", "Welcome", "Refused", "Ack", "Ping", "Pong", "Goodbye"),
    ]
    assert min(kind.code for kind in FRAMES.values() if is_session_frame(kind)) == SESSION_CODES

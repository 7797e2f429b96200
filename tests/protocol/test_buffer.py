"""Bytes cut into frames, and headers judged before there is a body."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import CHANNEL_MAX, CONTROL_MAX, DATA_MAX
from rexec.protocol import frames as f
from rexec.protocol.buffer import HEADER, FrameBuffer, judge, pack
from rexec.protocol.frames import FRAMES, IGNORABLE
from tests.protocol.samples import SAMPLES, wire


def test_a_frame_is_eight_bytes_and_its_payload() -> None:
    assert pack(f.Credit(f.Stream.STDERR, 5), 258) == bytes.fromhex("1d 00 0102 00000009 02 0000000000000005")


def test_what_the_peer_would_not_take_is_not_packed() -> None:
    """security.md, Around the allow list: one argument of 3 MB: a clear error."""
    assert len(pack(f.Stdin(bytes(DATA_MAX)), 1)) == 8 + DATA_MAX
    with pytest.raises(LocalProtocolError, match=f"Stdin is too long: {DATA_MAX + 1} bytes"):
        pack(f.Stdin(bytes(DATA_MAX + 1)), 1)
    with pytest.raises(LocalProtocolError, match="Exec is too long"):
        pack(f.Exec(1, f.Form.ARGV, (b"echo", bytes(3_000_000))), 1)
    for channel in (-1, CHANNEL_MAX + 1):
        with pytest.raises(LocalProtocolError, match=f"there is no channel {channel}"):
            pack(f.Signal("TERM"), channel)


@pytest.mark.parametrize(
    ("kind", "flags", "channel", "length", "why"),
    [
        (24, 0, 1, 0xFFFFFFFF, "Stdin is too long: 4294967295 bytes"),
        (1, 0, 0, 4097, "ClientHello is too long: 4097 bytes, at most 4096"),
        (0, 0, 0, 0, "unknown frame type 0"),
        (10, 0, 0, 0, "unknown frame type 10"),
        (99, 0, 1, 0, "unknown frame type 99"),
        (99, IGNORABLE, 1, CONTROL_MAX + 1, "frame of type 99 is too long"),
        (99, IGNORABLE, 0, 0, "frame of type 99 on channel 0"),
        (10, IGNORABLE, 1, 0, "frame of type 10 on channel 1"),
        (7, 0x01, 0, 8, "unknown header flags 0x01"),
        (7, 0xFF, 0, 8, "unknown header flags 0xff"),
        (7, 0, 1, 8, "Ping on channel 1"),
        (30, 0, 0, 4, "Signal on channel 0"),
    ],
)
def test_a_header_is_judged_by_itself(kind: int, flags: int, channel: int, length: int, why: str) -> None:
    """security.md, Protocol: length 0xFFFFFFFF: judged before allocation."""
    with pytest.raises(RemoteProtocolError, match=why):
        judge(kind, flags, channel, length, greeting=False)


@pytest.mark.parametrize("kind", FRAMES.values(), ids=lambda kind: kind.__name__)
def test_a_header_of_a_known_frame_passes_up_to_its_limit(kind: type[f.Frame]) -> None:
    channel = int(kind.code >= 16)
    for flags in (0, IGNORABLE):
        assert judge(kind.code, flags, channel, kind.limit, greeting=False) is kind
    with pytest.raises(RemoteProtocolError, match="too long"):
        judge(kind.code, 0, channel, kind.limit + 1, greeting=False)


def test_the_flag_that_lets_unknown_frames_pass_is_for_the_authenticated() -> None:
    assert judge(99, IGNORABLE, 1, CONTROL_MAX, greeting=False) is None
    assert judge(15, IGNORABLE, 0, 0, greeting=False) is None
    for kind, channel in ((99, 1), (1, 0)):
        with pytest.raises(RemoteProtocolError, match="unknown header flags 0x80"):
            judge(kind, IGNORABLE, channel, 0, greeting=True)


def test_a_buffer_gives_a_frame_once_it_is_whole() -> None:
    buffer = FrameBuffer()
    data = wire(f.Ping(1)) + wire(f.Ping(2))
    assert buffer.header() is None
    buffer.feed(data[:7])
    assert buffer.header() is None
    assert buffer.inside
    buffer.feed(data[7:15])
    assert buffer.header() == (7, 0, 0, 8)
    assert buffer.take(8) is None
    buffer.feed(data[15:20])
    assert buffer.take(8) == f.Ping(1).encode()
    assert len(buffer) == 4
    buffer.feed(memoryview(data)[20:])
    assert buffer.take(8) == f.Ping(2).encode()
    assert len(buffer) == 0
    assert not buffer.inside


@given(st.lists(st.sampled_from(SAMPLES), max_size=5), st.data())
@settings(max_examples=100)
def test_any_cut_of_a_stream_gives_the_same_frames(frames: list[f.Frame], data: st.DataObject) -> None:
    """security.md, Protocol: a good session cut and re-chunked at every byte."""
    stream = b"".join(map(wire, frames))
    buffer, found, position = FrameBuffer(), [], 0
    while position < len(stream):
        size = data.draw(st.integers(1, len(stream) - position))
        buffer.feed(bytearray(stream[position : position + size]))
        position += size
        while (header := buffer.header()) and (payload := buffer.take(header[3])) is not None:
            found.append(FRAMES[header[0]].decode(payload))
    assert found == frames
    assert not buffer.inside


LARGE = f.Stdout(bytes(range(256)) * 257)


@given(st.lists(st.sampled_from([*SAMPLES, LARGE]), max_size=6), st.data())
@settings(max_examples=100)
def test_frames_are_the_same_wherever_their_bytes_are_received(
    frames: list[f.Frame], data: st.DataObject
) -> None:
    stream = b"".join(map(wire, frames))
    buffer, found, position = FrameBuffer(), [], 0
    memory = bytearray(80_000)  # which is used again for each read
    while position < len(stream):
        here = memoryview(memory) if buffer.place is None else buffer.place
        size = min(data.draw(st.integers(1, len(here))), len(stream) - position)
        here[:size] = stream[position : position + size]
        if data.draw(st.booleans()):
            buffer.lend(here[:size])
        else:
            buffer.feed(bytes(here[:size]))
        position += size
        while header := buffer.header():
            kind = FRAMES[header[0]]
            payload = buffer.take(header[3], here=issubclass(kind, f.Data))
            if payload is None:
                break
            found.append(kind.decode(bytes(payload)))
        buffer.settle()
        memory[:] = bytes(len(memory))
    assert found == frames
    assert not buffer.inside


def test_a_large_frame_is_not_copied() -> None:
    data, memory = wire(LARGE), memoryview(bytearray(100_000))
    size = len(data) - 8
    memory[: len(data)] = data
    buffer = FrameBuffer()
    buffer.lend(memory[: len(data)])
    whole = buffer.take(size, here=True)
    assert isinstance(whole, memoryview)
    assert whole.obj is memory.obj
    buffer.lend(memory[:1000])
    assert buffer.take(size, here=True) is None
    place = buffer.place
    assert place is not None
    assert len(place) == len(data) - 1000
    place[:] = data[1000:]
    buffer.lend(place)
    rest = buffer.take(size, here=True)
    assert isinstance(rest, memoryview)
    assert rest.obj is place.obj
    assert whole == rest == LARGE.data
    assert buffer.place is None


def test_room_is_made_for_data_alone() -> None:
    """security.md, Protocol: length 0xFFFFFFFF: judged before allocation."""
    buffer = FrameBuffer()
    buffer.feed(HEADER.pack(16, 0, 1, CONTROL_MAX))
    assert buffer.take(CONTROL_MAX) is None
    assert buffer.place is None


@pytest.mark.parametrize("cut", range(8, 41))
def test_a_skipped_frame_is_never_kept(cut: int) -> None:
    """security.md, Protocol: the server's memory stays flat."""
    data = HEADER.pack(24, 0, 1, 24) + bytes(24) + wire(f.Ping(3))
    buffer = FrameBuffer()
    buffer.feed(data[:cut])
    buffer.skip(24)
    assert len(buffer) == max(0, cut - 32)
    assert buffer.inside == (cut != 32)
    for position in range(cut, len(data)):
        buffer.feed(data[position : position + 1])
    assert buffer.header() == (7, 0, 0, 8)
    assert buffer.take(8) == f.Ping(3).encode()


def test_a_cleared_buffer_is_empty() -> None:
    buffer = FrameBuffer()
    buffer.feed(HEADER.pack(24, 0, 1, 24))
    buffer.skip(24)
    buffer.clear()
    assert not buffer.inside
    buffer.feed(b"x")
    assert len(buffer) == 1

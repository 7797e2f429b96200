"""Records in, records out; and what goes too fast."""

from __future__ import annotations

import os
import select
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.copying import records as r
from rexec.copying.pace import Pace
from rexec.copying.stream import Reader, Writer
from rexec.errors import ConnectionLost, RemoteProtocolError
from tests.copying.ends import PATIENCE, encoded

numbers = st.integers(0, 2**64 - 1)
SAMPLES: list[r.Told] = [
    r.Directory(b"name", 0o755, 1, 2),
    r.Up(),
    r.File(b"\xff", 0o644, None, 0, 2**64 - 1, 3, r.Ask.RESUME),
    r.File(b"", 0o644, 2**64 - 1, 4096, 0, 3, r.Ask.NO),
    r.Hole(1),
    r.End(1, b"x" * 32, True),
    r.Broken("words"),
    r.Skipped(b"name", "words"),
    r.From(7),
    r.Finish(),
    r.Have(7, b"y" * 32),
    r.Refused(3, (b"a", b"b"), "words"),
    r.Done(1, 2),
]


def read_all(reader: Reader) -> list[r.Told | bytes]:
    found: list[r.Told | bytes] = []
    while (record := reader.next()) is not None:
        found.append(bytes(record) if isinstance(record, memoryview) else record)
    return found


def test_every_record_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(r.RECORDS.values())
    assert r.DATA not in r.RECORDS


def test_what_is_written_is_read() -> None:
    reading, writing = os.pipe()
    writer = Writer(writing)
    for sample in SAMPLES:
        writer.put(sample)
    writer.flush()
    os.close(writing)
    assert read_all(Reader(reading)) == SAMPLES
    os.close(reading)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_may_come_in_pieces_of_any_size(size: int) -> None:
    stream = encoded([*SAMPLES, b"data"])
    reading, writing = os.pipe()
    reader = Reader(reading)
    found: list[r.Told | bytes] = []
    for start in range(0, len(stream), size):
        os.write(writing, stream[start : start + size])
    os.close(writing)
    found = read_all(reader)
    os.close(reading)
    assert found == [*SAMPLES, b"data"]


def test_the_bytes_of_a_record() -> None:
    assert encoded([r.Finish()]) == bytes.fromhex("0a00000000")
    assert encoded([b"abc"]) == bytes.fromhex("0400000003616263")
    file = r.File(b"f", 0o644, 3, 512, 1, 2, r.Ask.GO)
    assert encoded([file]) == bytes.fromhex(
        "03 00000029 00000001 66 01a4 01 0000000000000003 0000000000000200"
        "0000000000000001 0000000000000002 01"
    )


@given(st.binary(max_size=64))
def test_hostile_bytes_are_records_or_an_error(data: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        read_all(Reader(reading))
    except RemoteProtocolError:
        pass
    finally:
        os.close(reading)


@given(st.integers(-(2**63), 2**63 - 1))
def test_times_before_1970_come_back(nanoseconds: int) -> None:
    assert r.from_time(r.as_time(nanoseconds)) == nanoseconds


def test_a_writer_whose_reader_is_gone_says_so() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = Writer(writing)
    writer.put(r.Finish())
    with pytest.raises(ConnectionLost):
        writer.flush()
    os.close(writing)


def test_a_writer_without_room_listens_to_what_comes_back() -> None:
    """Two ends that both write, and wait for each other, would wait for ever."""
    reading, writing = os.pipe()
    back_reading, back_writing = os.pipe()
    heard = threading.Event()

    def stubborn() -> None:
        """Read nothing before the answer is heard, and answer only to a writer that waits."""
        while select.select([], [writing], [], 0)[1]:
            pass
        os.write(back_writing, b"answer")
        assert heard.wait(PATIENCE)
        left = 2_000_000
        while left:
            left -= len(os.read(reading, min(left, 65_536)))

    def listen() -> bool:
        if select.select([back_reading], [], [], 0)[0]:
            assert os.read(back_reading, 10) == b"answer"
            heard.set()
        return True

    writer = Writer(writing)
    writer.listen_to(back_reading, listen)
    thread = threading.Thread(target=stubborn)
    thread.start()
    for _ in range(20):
        writer.forward(bytes(100_000))
    writer.flush()
    thread.join(PATIENCE)
    assert heard.is_set()
    for descriptor in (reading, writing, back_reading, back_writing):
        os.close(descriptor)


def test_a_pace_is_held_evenly() -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(1000.0, clock=lambda: now[0], sleep=sleep)
    assert pace.step == 100
    for _ in range(10):
        pace.spend(pace.step)
    assert slept == [pytest.approx(0.1)] * 10
    now[0] += 5.0  # the line was slow: that is not caught up with
    pace.spend(100)
    assert slept[-1] == pytest.approx(0.1)

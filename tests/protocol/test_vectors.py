"""The vectors are the truth: the core reads each as its file says."""

from __future__ import annotations

import pytest

from rexec.protocol.buffer import pack
from rexec.protocol.frames import FRAMES
from tests.protocol.samples import complaint, events
from tests.protocol.vectors import DIRECTORY, VECTORS, Vector, frame_of, receiver

VALID = [vector for vector in VECTORS.values() if not vector.flaw]
INVALID = [vector for vector in VECTORS.values() if vector.flaw]
LENGTH = slice(4, 8)  # of the header: follows from the payload

one = pytest.mark.parametrize


def alike(ours: bytes, theirs: bytes) -> int:
    """Return how many bytes both begin with."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(ours), len(theirs)))


def name(vector: Vector) -> str:
    return vector.name


@one("vector", VECTORS.values(), ids=name)
def test_a_file_is_whole(vector: Vector) -> None:
    assert VECTORS[vector.name] is vector
    assert vector.data
    assert bool(vector.flaw) == bool(vector.error) == bool(vector.origin)
    assert not (vector.flaw and vector.expect)
    assert all(direction in "<>" for direction, _ in vector.before)
    assert all(not VECTORS[before].flaw for _, before in vector.before)


@one("vector", VALID, ids=name)
def test_a_valid_vector_is_these_frames(vector: Vector) -> None:
    found = events(receiver(vector), vector.data)
    assert tuple(f"{channel} {frame!r}" for channel, frame in found) == vector.expect


@one("vector", VALID, ids=name)
def test_a_valid_vector_is_written_as_it_is_read(vector: Vector) -> None:
    kind, flags = vector.data[:2]
    if kind in FRAMES and flags == FRAMES[kind].flags:  # another one is not ours to send
        channel, frame = frame_of(vector.data)
        assert pack(frame, channel) == vector.data


def test_there_is_a_valid_vector_for_every_frame() -> None:
    assert {vector.data[0] for vector in VALID} >= set(FRAMES)


@one("vector", INVALID, ids=name)
def test_an_invalid_vector_is_refused_for_its_flaw(vector: Vector) -> None:
    """security.md, Protocol: frames before authentication, twice, out of order, after the end."""
    assert vector.error in complaint(receiver(vector), vector.data)


@one("vector", INVALID, ids=name)
def test_an_invalid_vector_is_valid_but_for_its_flaw(vector: Vector) -> None:
    origin = VECTORS[vector.origin]
    assert not origin.flaw
    if vector.data == origin.data:
        assert (vector.before, vector.role) != (origin.before, origin.role)
        return
    ours, theirs = (data[: LENGTH.start] + data[LENGTH.stop :] for data in (vector.data, origin.data))
    front = alike(ours, theirs)
    back = alike(ours[front:][::-1], theirs[front:][::-1])
    assert max(len(ours), len(theirs)) - front - back <= 8, "more than one flaw"


def test_the_directory_holds_vectors_alone() -> None:
    assert {path.suffix for path in DIRECTORY.iterdir()} == {".txt"}
    assert len(INVALID) >= 40

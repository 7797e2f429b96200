"""The test vectors: files that a second implementation could be tested with, as the reference page says.

A file is a head and bytes in hex. Spaces mean nothing, and neither does what follows a semicolon.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rexec.protocol.buffer import HEADER
from rexec.protocol.connection import Connection
from rexec.protocol.frames import FRAMES, Frame
from rexec.protocol.state import Role
from tests.protocol.samples import events

DIRECTORY = Path(__file__).resolve().parent.parent / "vectors" / "protocol"


class Vector(NamedTuple):
    """One vector: what was said before, the bytes, and what they are or what is wrong with them."""

    name: str
    role: Role  # who receives
    before: tuple[tuple[str, str], ...]  # ("<" received or ">" sent, name of a valid vector)
    data: bytes
    expect: tuple[str, ...]
    error: str
    flaw: str
    origin: str  # the valid vector that this one is but for its flaw


def load(path: Path) -> Vector:
    head: dict[str, list[str]] = {}
    data = b""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            key, _, value = line.removeprefix("# ").partition(":")
            head.setdefault(key, []).append(value.strip())
        else:
            data += bytes.fromhex(line.partition(";")[0])

    def only(key: str) -> str:
        return head.get(key, [""])[0]

    before = [step.strip() for step in only("before").split(",") if step.strip()]
    return Vector(
        only("name"),
        Role(only("role")),
        tuple((step[0], step[1:].strip()) for step in before),
        data,
        tuple(line for line in head.get("expect", []) if line != "nothing"),
        only("error"),
        only("flaw"),
        only("from"),
    )


VECTORS = {path.stem: load(path) for path in sorted(DIRECTORY.glob("*.txt"))}


def frame_of(data: bytes) -> tuple[int, Frame]:
    """Return channel and frame of the bytes of one valid frame."""
    kind, _, channel, length = HEADER.unpack_from(data)
    assert len(data) == HEADER.size + length
    return channel, FRAMES[kind].decode(data[HEADER.size :])


def receiver(vector: Vector) -> Connection:
    """Return a connection to which all has been said that stands before a vector."""
    connection = Connection(vector.role)
    for direction, name in vector.before:
        data = VECTORS[name].data
        if direction == "<":
            events(connection, data)
        else:
            channel, frame = frame_of(data)
            assert connection.send(frame, channel) == data
    return connection

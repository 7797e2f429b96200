"""Any bytes as frames and as orders: a record that is written as it was read, or an error of the peer."""

from __future__ import annotations

from rexec.errors import RemoteProtocolError
from rexec.protocol.frames import FRAMES
from rexec.protocol.wire import Record
from rexec.server.orders import MESSAGES
from tests.protocol.samples import SAMPLES

SEEDS = (
    *(bytes([frame.code]) + frame.encode() for frame in SAMPLES),
    *(bytes([code]) + bytes(40) for code in MESSAGES),
)
KINDS: tuple[type[Record], ...] = (*FRAMES.values(), *MESSAGES.values())


def try_it(data: bytes) -> None:
    """Read the same bytes as every kind of record."""
    for kind in (*(kind for kind in KINDS if kind.code == data[:1]), KINDS[sum(data[:1]) % len(KINDS)]):
        try:
            found = kind.decode(data[1:])
        except RemoteProtocolError:
            continue
        assert found.encode() == data[1:], found
        assert kind.decode(found.encode()) == found

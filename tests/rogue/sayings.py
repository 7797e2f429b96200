"""What a server says when it refuses, read and checked."""

from __future__ import annotations

from tests.rogue import wire
from tests.rogue.client import Rogue


def denial(rogue: Rogue, *words: bytes, **fields: object) -> bytes:
    """Ask for what must be denied; return the message. The connection stays usable."""
    kind, body, output = rogue.run(*words, **fields)
    assert (kind, output) == (wire.DENIED, b"")
    assert rogue.is_alive()
    return wire.first_string(body)


def shown_out(rogue: Rogue) -> bytes:
    """Wait for the end of the connection; return the message of the goodbye before it."""
    *_, (kind, _, body) = rogue.rest()
    assert kind == wire.GOODBYE
    assert body[0] == 2  # protocol error
    return wire.first_string(body[1:])

"""What is fuzzed: a name, where samples begin, and what tries one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import (
    allow_lists,
    arguments,
    authorized_keys,
    client_handshake,
    copies,
    expressions,
    frames,
    keys,
    known_hosts,
    lines,
    server_handshake,
)

CORPUS = Path(__file__).resolve().parent / "corpus"  # by target: what was found, and what gets far


class Target(NamedTuple):
    """A fuzz target; `words` are those that its samples are made of."""

    try_it: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    runs: int = 1_000  # of the short test

    def known(self, name: str) -> list[bytes]:
        """Give the seeds and all that was kept of earlier findings."""
        return [*self.seeds, *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]


TARGETS = {
    "allow-lists": Target(allow_lists.try_it, allow_lists.SEEDS, allow_lists.WORDS, 4_000),
    "arguments": Target(arguments.try_it, arguments.SEEDS, runs=6_000),
    "authorized-keys": Target(authorized_keys.try_it, authorized_keys.SEEDS, authorized_keys.WORDS, 3_000),
    "client-handshake": Target(
        client_handshake.try_it, client_handshake.SEEDS, client_handshake.WORDS, 3_000
    ),
    "copies": Target(copies.try_it, copies.SEEDS, copies.WORDS, 1_500),
    "expressions": Target(expressions.try_it, expressions.SEEDS, runs=5_000),
    "frames": Target(frames.try_it, frames.SEEDS, runs=10_000),
    "keys": Target(keys.try_it, keys.SEEDS, keys.WORDS, 5_000),
    "known-hosts": Target(known_hosts.try_it, known_hosts.SEEDS, known_hosts.WORDS, 1_500),
    "lines": Target(lines.try_it, lines.SEEDS, allow_lists.WORDS, 3_000),
    "server-handshake": Target(
        server_handshake.try_it, server_handshake.SEEDS, server_handshake.WORDS, 2_000
    ),
}

"""Samples made from samples by chance with a seed: what is tried where no instrument guides the search."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


def mutants(seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Make samples for ever, the same ones by the same seed; an empty one stands for bytes by chance."""
    chance = random.Random(seed)
    pool = [*seeds]
    while True:
        data = bytearray(chance.choice(pool) or chance.randbytes(60))
        for _ in range(chance.randint(1, 6)):
            _change(data, pool, words, chance)
        yield bytes(data[:4096])


def _change(data: bytearray, pool: list[bytes], words: Sequence[bytes], chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    match chance.randrange(6 if words else 5):
        case 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        case 1:
            data[at:at] = bytes([chance.choice(b"abn019-./{}[]'\"\\=|*?+() \t\n\0#%@:,\x80\xff")])
        case 2:
            del data[at : at + chance.randint(1, 8)]
        case 3:
            other = chance.choice(pool)
            start = chance.randint(0, len(other))
            data[at:at] = other[start : start + chance.randint(1, 40)]
        case 4:
            start = chance.randint(0, len(data))
            data[at:at] = data[start : start + chance.randint(1, 20)]
        case _:
            data[at:at] = chance.choice(words)

"""The real server, whose processes say at SIGUSR1 how many of which of our objects they hold.

Run as a program with the arguments of `rexec-server`.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import Counter
from enum import Enum

from rexec.choice import Choice, IntChoice
from rexec.cli.server import main

BLOCKS = "blocks"  # of memory, of all kinds of objects


def held() -> dict[str, int]:
    """Count the objects of our own classes in this process, and the blocks of memory that are in use."""
    gc.collect()
    kinds: Counter[str] = Counter()
    for found in gc.get_objects():
        kind = type(found)
        if isinstance(found, type | Enum | Choice | IntChoice):  # of a module that is imported late
            continue
        if kind.__module__.startswith("rexec."):
            kinds[f"{kind.__module__.removeprefix('rexec.')}.{kind.__name__}"] += 1
    return {BLOCKS: sys.getallocatedblocks(), **dict(sorted(kinds.items()))}


def tell(*_: object) -> None:
    os.write(2, f"held {os.getpid()} {json.dumps(held())}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    sys.exit(main(sys.argv[1:]))

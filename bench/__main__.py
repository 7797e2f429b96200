"""Run rexec and its peers side by side, and print one table: `python -m bench [--quick] [--only WORK]`."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.bulk import bulk
from bench.cold import cold, shared
from bench.commands import commands
from bench.copies import copies
from bench.decide import decisions
from bench.echo import echo
from bench.field import Field
from bench.figures import Row, table
from bench.sessions import memory, opened
from bench.trips import trips


class Question(NamedTuple):
    """One question, and what it is asked with: rounds and sizes, in quick runs and in full ones."""

    ask: Callable[..., Iterator[Row]]
    quick: tuple[int, ...]
    full: tuple[int, ...]


QUESTIONS = {
    "cold": Question(cold, (7,), (40,)),
    "shared": Question(shared, (40,), (200,)),
    "commands": Question(commands, (3,), (15,)),
    "bulk": Question(bulk, (3, 256), (9, 1024)),
    "echo": Question(echo, (5, 300), (20, 1_000)),
    "memory": Question(memory, (1, 100), (3, 200)),
    "connections": Question(opened, (3, 100), (12, 300)),
    "trips": Question(trips, (2,), (7,)),
    "decisions": Question(decisions, (5,), (20,)),
    "copies": Question(copies, (1, 64, 500), (3, 512, 5_000)),
}


def machine() -> str:
    """Say where the figures come from."""
    found = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0]
    parts = [f"{os.cpu_count()} cores", f"load {os.getloadavg()[0]:.1f} when it began", platform.platform()]
    return ", ".join([*parts, f"Python {platform.python_version()}", ssl.OPENSSL_VERSION, found.strip()])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: two minutes")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), metavar="WORK")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then, too
    where, begun = machine(), time.monotonic()
    rows: list[Row] = []
    with Field() as field:
        for name in given.only:
            question = QUESTIONS[name]
            print(f"bench: {name}", file=sys.stderr, flush=True)
            rows += question.ask(field, *(question.quick if given.quick else question.full))
    print(f"{table(rows)}\n\n{where}; {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

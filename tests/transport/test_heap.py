"""Memory of frames that are gone is used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PIECES = """
import resource
from rexec.transport.heap import keep_freed
keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def pieces():
    held = [b"x" * 262_000 for _ in range(8)]
pieces()
before = faults()
for _ in range(20):
    pieces()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is about glibc")
def test_pieces_of_memory_are_used_again_and_not_faulted_in_anew() -> None:
    """Without it, twenty times eight pieces of 64 pages are up to ten thousand faults."""
    run = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1000

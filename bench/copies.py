"""Copies: one large file and many small ones, there and back, on a disk in memory; rexec-cp against scp."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.field import HERE, REXEC_CP
from bench.figures import Row, Target
from bench.turns import Contest, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.field import Field

SMALL = 1_000  # bytes of each of the small files
MEMORY = "/dev/shm"


class Task(NamedTuple):
    """What is copied; `goes` is to the host."""

    name: str
    source: str
    goes: bool


TASKS = (
    Task("get one large file", "large", False),
    Task("put one large file", "large", True),
    Task("get many small files", "many", False),
    Task("put many small files", "many", True),
)


def copies(field: Field, rounds: int, mib: int, files: int) -> Iterator[Row]:
    """Copy, and remove the copy: `mib` in one file, and so many files."""
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        make(folder, mib, files)
        for task in TASKS:
            contest = Contest(task.name, "s", Target(most=1, of="scp"))
            contest.enter("rexec", lambda task=task: copying(_rexec_cp(field), task, folder))
            contest.enter("scp", lambda task=task: copying(_scp(field), task, folder))
            contest.hold(rounds)
            yield contest.row()


def _rexec_cp(field: Field) -> list[str]:
    port = field.rexec_server()[1].rpartition(":")[2]
    return [REXEC_CP, "-q", "-P", port, "-r"]


def _scp(field: Field) -> list[str]:
    _, ssh = field.sshd()
    port = ssh.index("-p")
    return ["scp", "-q", "-r", "-P", ssh[port + 1], *ssh[1:port], *ssh[port + 2 :]]


def make(folder: Path, mib: int, files: int) -> None:
    """Make what is to be copied."""
    piece = os.urandom(1 << 20)
    with open(folder / "large", "wb") as large:
        for number in range(mib):
            large.write(number.to_bytes(4, "big") + piece[4:])
    (folder / "many").mkdir()
    for number in range(files):
        (folder / "many" / f"{number:06}").write_bytes(piece[number : number + SMALL])


def copying(words: list[str], task: Task, folder: Path) -> Run:
    return lambda: copy(words, task, folder)


def copy(words: list[str], task: Task, folder: Path) -> float:
    """Copy once; return the seconds."""
    here, there = str(folder / task.source), f"{HERE}:{folder / task.source}"
    target = folder / "copied"
    ends = [here, f"{HERE}:{target}"] if task.goes else [there, str(target)]
    begun = time.perf_counter()
    subprocess.run([*words, *ends], check=True)
    took = time.perf_counter() - begun
    if target.is_dir():
        assert len(os.listdir(target)) == len(os.listdir(here))
        shutil.rmtree(target)
    else:
        assert target.stat().st_size == os.stat(here).st_size
        target.unlink()
    return took

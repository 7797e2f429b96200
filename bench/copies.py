"""Copies side by side: one large file and many small ones, there and back, rexec-cp against scp.

Needs root for sshd (`apt install openssh-server`), and the project installed beside this interpreter:

    .venv/bin/python bench/copies.py [--rounds 5] [--mib 1024] [--files 10000] [--folder /dev/shm]

Both servers run on loopback with keys of their own, on a disk in memory. The contestants take turns, round by
round; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from echo import BIN, ssh_server

SMALL = 1_000  # bytes of each of the small files
RULES = "@get {{path:{0}/** ro}}\n@put {{path:{0}/** rw}}\n"


class Task(NamedTuple):
    """What is copied; `goes` is to the host."""

    name: str
    source: str
    goes: bool


TASKS = (
    Task("large, get", "large", False),
    Task("large, put", "large", True),
    Task("many, get", "many", False),
    Task("many, put", "many", True),
)


def make(folder: Path, mib: int, files: int) -> None:
    """Make what is to be copied."""
    piece = os.urandom(1 << 20)
    with open(folder / "large", "wb") as large:
        for number in range(mib):
            large.write(number.to_bytes(4, "big") + piece[4:])
    (folder / "many").mkdir()
    for number in range(files):
        (folder / "many" / f"{number:06}").write_bytes(piece[number : number + SMALL])


def rexec_server(folder: Path) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Start a rexec-server; return it and the words that every copy begins with."""
    (folder / "cmds.txt").write_text(RULES.format(folder.resolve()))
    home = ["--home", str(folder / "home")]
    words = [str(BIN / "rexec-server"), *home, "--allow-list", str(folder / "cmds.txt")]
    server = subprocess.Popen([*words, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE)
    assert server.stderr is not None
    for line in server.stderr:
        if b"listening on" in line:
            port = line.split()[3].decode().rpartition(":")[2]
            return server, [str(BIN / "rexec-cp"), "-q", *home, "-P", port, "-r"]
    raise SystemExit("rexec-server does not start")


def copy(words: list[str], task: Task, folder: Path) -> float:
    """Copy once; return the seconds."""
    here, there = str(folder / task.source), f"127.0.0.1:{folder / task.source}"
    target = folder / "copied"
    ends = [here, f"127.0.0.1:{target}"] if task.goes else [there, str(target)]
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


def run(rounds: int, mib: int, files: int, place: str) -> None:
    with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        make(folder, mib, files)
        sshd, ssh = ssh_server(folder)
        port = ssh.index("-p")
        server, rexec = rexec_server(folder)
        field = {
            "scp": ["scp", "-q", "-r", "-P", ssh[port + 1], *ssh[1:port], *ssh[port + 2 :]],
            "rexec-cp": rexec,
        }
        times: dict[tuple[str, str], list[float]] = {}
        try:
            for _ in range(rounds):
                for task in TASKS:
                    for contestant, words in field.items():
                        times.setdefault((task.name, contestant), []).append(copy(words, task, folder))
        finally:
            for process in (sshd, server):
                process.terminate()
                process.wait()
    report(times)


def report(times: dict[tuple[str, str], list[float]]) -> None:
    for task in TASKS:
        scp, rexec = (statistics.median(times[task.name, name]) for name in ("scp", "rexec-cp"))
        print(
            f"{task.name:<11} scp {scp:6.2f} s   rexec-cp {rexec:6.2f} s   rexec-cp / scp: {rexec / scp:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folder", default="/dev/shm")
    given = parser.parse_args()
    run(given.rounds, given.mib, given.files, given.folder)

"""Transfers over connections that break: every result is byte for byte the right one, or 255.

    python -m tests.regress.cuts [--trials 1000] [--large 100] [--seed 1] [--early]

One trial is one `rexec` process, one transfer and one proxy that cuts its connections, from a seed. `make
cuts` runs the full form; tests/regress/test_resume.py a short one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.regress.conftest import PATIENCE, Host
from tests.regress.cutting import Fates, Proxy

MIB = 1024 * 1024
WAYS = ("down", "up", "both", "down, terminal", "up, terminal")
RULES = """\
cat ...
sha256sum
sh ...
"""
CLIENT = "[client]\nkeepalive = 0.5\n"  # seconds: a silent connection is noticed after three times as many
CLEAR = 4  # servers in the clear: their one socket each is taken for a trial
SERVER_OPTIONS = ("--keepalive", "0.5s")


class Trial:
    """What one transfer came to."""

    def __init__(
        self, way: str, met: list[str], losses: int, resumed: int, status: int, note: str, said: str = ""
    ) -> None:
        self.way = way
        self.met = met  # the fates of its connections
        self.losses = losses  # connections that the client noticed to be lost
        self.resumed = resumed
        self.status = status
        self.note = note  # what is wrong with it; empty for nothing
        self.said = said  # the client's last line

    @property
    def kind(self) -> str:
        if self.note:
            return "wrong"
        if self.status == 255:
            return "lost (255)"
        return "resumed" if self.resumed else "whole, never lost"


class Range:
    """A server over TLS, some in the clear, and the data that is moved."""

    def __init__(self, folder: Path, *, clear: int = CLEAR) -> None:
        self.hosts: list[Host] = []
        self._lock = threading.Lock()
        for number in range(1 + clear):
            place = folder / str(number)
            place.mkdir()
            listen = f"unix:{place}/socket" if number else "127.0.0.1:0"
            host = Host(place, RULES).start(*SERVER_OPTIONS, *("--no-tls",)[:number], listen=(listen,))
            config = host.home / "config.toml"
            config.write_text(CLIENT + f"no_tls = {str(number > 0).lower()}\n")
            config.chmod(0o600)
            self.hosts.append(host)
        self._free = self.hosts[1:]
        self._folder = folder
        self._data: dict[tuple[int, bool], tuple[bytes, Path]] = {}

    def data(self, size: int, *, text: bool) -> tuple[bytes, Path]:
        """Return so many bytes, and the file that holds them."""
        if (size, text) not in self._data:
            raw = random.Random(size).randbytes(size)
            if text:
                raw = base64.encodebytes(raw)[:size]
            path = self._folder / f"{'text' if text else 'data'}-{size}"
            path.write_bytes(raw)
            self._data[size, text] = raw, path
        return self._data[size, text]

    def end(self) -> None:
        for host in self.hosts:
            host.end()

    def trial(self, seed: int, size: int, *, early: bool = False) -> Trial:
        """Move so many bytes, in a way and over connections that the seed decides."""
        chance = random.Random(seed)
        way = chance.choice(WAYS)
        fates = Fates(seed, chance.randint(1, 3), size * (2 if way == "both" else 1), early=early)
        if chance.random() < 1 / 2:
            with Proxy(self.hosts[0], fates) as proxy:
                return self._move(self.hosts[0], proxy, way, size)
        with self._lock:  # whose socket is taken for one trial at a time
            host = self._free.pop()
        try:
            with Proxy(host, fates) as proxy:
                return self._move(host, proxy, f"{way}, in the clear", size)
        finally:
            with self._lock:
                self._free.append(host)

    def _move(self, host: Host, proxy: Proxy, way: str, size: int) -> Trial:
        return move(host, proxy.address, way, *self.data(size, text="terminal" in way), proxy.met)


def move(
    host: Host,
    address: str,
    way: str,
    data: bytes,
    path: Path,
    met: list[str],
    patience: float = 2 * PATIENCE,
) -> Trial:
    """Move data by one `rexec`; `path` is a file that holds it, `met` the list of what its line will meet."""
    terminal = "terminal" in way
    digest = hashlib.sha256(data).hexdigest().encode() + b"  -"
    if way.startswith("up, terminal"):
        script = f"stty raw -echo; echo ready; head -c {len(data)} | sha256sum"
        words, given, expected = ("sh", "-c", script), data, b"ready\n" + digest + b"\n"
    elif way.startswith("up"):
        words, given, expected = ("sha256sum",), data, digest + b"\n"
    elif way.startswith("both"):
        words, given, expected = ("cat",), data, data
    else:
        words, given = ("cat", str(path)), b""
        expected = data.replace(b"\n", b"\r\n") if terminal else data
    options = ("-v", "-t") if terminal else ("-v",)
    process = host.popen(*words, options=options, address=address)
    assert process.stdin is not None
    assert process.stdout is not None
    head = b""
    if way.startswith("up, terminal"):  # what is typed before the terminal is raw is not ours
        while not head.endswith(b"ready\n") and (byte := process.stdout.read(1)):
            head += byte
    try:
        out, err = process.communicate(given, timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return Trial(way, met, 0, 0, -1, f"hangs: {err.decode()}")
    note = ""
    if process.returncode not in (0, 255):
        note = f"exit code {process.returncode}: {err.decode()}"
    elif process.returncode == 0 and head + out != expected:
        note = f"{len(head + out)} bytes are not the {len(expected)} that were sent"
    elif process.returncode == 255 and not expected.startswith(head + out):
        note = "what came before the end is not what was sent"
    losses, resumed = err.count(b"; trying again"), err.count(b": resumed\n")
    said = err.decode().strip().rpartition("\n")[2]
    return Trial(way, met, losses, resumed, process.returncode, note, said)


def run(trials: int, large: int, seed: int, workers: int, *, early: bool) -> int:
    """Run all trials and print what they came to; 1 where one is wrong."""
    began = time.monotonic()
    kinds: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    losses = resumed = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Range(Path(folder))
        try:
            sizes = [64 * MIB] * large + [MIB] * (trials - large)
            for size in {64 * MIB, MIB}:
                for text in (False, True):
                    place.data(size, text=text)
            with ThreadPoolExecutor(workers) as pool:
                jobs = pool.map(lambda job: place.trial(seed + job[0], job[1], early=early), enumerate(sizes))
                for number, trial in enumerate(jobs):
                    kinds[trial.kind] += 1
                    ways[trial.way] += 1
                    fates.update(trial.met)
                    losses += trial.losses
                    resumed += trial.resumed
                    if trial.kind in ("wrong", "lost (255)"):
                        why = trial.note or trial.said
                        sys.stdout.write(f"trial {number}: {trial.kind}: {trial.way} {trial.met} {why}\n")
                        sys.stdout.flush()
        finally:
            place.end()
    spent = time.monotonic() - began
    sys.stdout.write(f"{trials} transfers, {large} of them of 64 MiB, seed {seed}, in {spent:.0f} s\n")
    for title, found in (("results", kinds), ("ways", ways), ("fates that came to pass", fates)):
        sys.stdout.write(f"{title}: " + ", ".join(f"{name} {n}" for name, n in sorted(found.items())) + "\n")
    sys.stdout.write(f"connections lost and noticed: {losses}, taken up again: {resumed}\n")
    return 1 if kinds["wrong"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=CLEAR)
    parser.add_argument("--early", action="store_true", help="half of the cuts come before the welcome")
    given = parser.parse_args()
    return run(given.trials, given.large, given.seed, given.workers, early=given.early)


if __name__ == "__main__":
    sys.exit(main())

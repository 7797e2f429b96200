"""Transfers and commands over bad lines: every result is byte for byte the right one, or 255.

    python -m tests.system.lines [--rounds 5] [--seed 1] [--size KIB] [CONDITION]...

The server runs in one network namespace and its clients in another; `relay` is the line between them.
One round is one of each way of `WAYS`, all at once. `make lines` runs the full form, as root;
tests/system/test_lines.py a short one.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.regress import cuts
from tests.regress.conftest import Host
from tests.regress.cuts import Trial, move
from tests.system.relay import CUT, QUEUE, WHOLE, Line, Relay

KIB = 1024
RULES = cuts.RULES + "printf ...\n"
PATIENCE = 900.0  # seconds until one that goes on for so long counts as one that hangs
OUTAGE = 30.0  # seconds
AWAY = "10.78.{}.9"  # where a client moves to; one network for each time
TALKS = ("talk", "talk, terminal")  # commands that wait for a word while the line is bad
ASKS = ("command", "command, terminal")  # ... and those that are begun meanwhile
WAYS = (*cuts.WAYS, *TALKS, *ASKS)
NARROW = 1024 * KIB  # bytes a second, so that transfers still run when something comes to pass


class FarHost(Host):
    """A server at the far end of a relay, whose clients are at the near one."""

    def __init__(self, folder: Path, relay: Relay) -> None:
        super().__init__(folder, RULES)
        self.relay = relay

    def server_words(self, *options: str, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> list[str]:
        return self.relay.far.words(*super().server_words(*options, listen=listen))

    def words(
        self, *command: str | bytes, options: tuple[str, ...] = (), address: str | None = None
    ) -> list[str | bytes]:
        words: list[str | bytes] = [*self.relay.near.words()]
        return words + super().words(*command, options=options, address=address)

    def begin(self, keepalive: float | None) -> FarHost:
        """Start the server, and let its clients know it."""
        options = () if keepalive is None else ("--keepalive", f"{keepalive}s")
        self.start(*options, listen=(f"{self.relay.far.address}:0",))
        key = (self.home / "host_ed25519.pub").read_text()
        (self.home / "known_hosts").write_text(f"[{self.relay.far.address}]:{self.port} {key}")
        config = self.home / "config.toml"
        config.write_text("[client]\n" + ("" if keepalive is None else f"keepalive = {keepalive}\n"))
        for path in (config, self.home / "known_hosts"):
            path.chmod(0o600)
        return self


class Condition:
    """What the line is like, and what comes to pass on it while a round runs."""

    def __init__(self, line: Line, comes: Callable[[Round], None] | None = None) -> None:
        self.line = line
        self.comes = comes


class Round:
    """One of each way, at once."""

    def __init__(self, host: FarHost, data: dict[bool, tuple[bytes, Path]], outage: float, turn: int) -> None:
        self.host = host
        self.outage = outage
        self.turn = turn
        self.trials: list[tuple[Trial, float]] = []
        self._data = data
        self._over = threading.Event()  # what comes to pass has come

    def run(self, condition: Condition, ways: tuple[str, ...]) -> list[tuple[Trial, float]]:
        """Run all ways; give what they came to, and how long each took."""
        relay = self.host.relay
        relay.line = condition.line
        meet = condition.comes is not None
        if not meet:
            self._over.set()
        with ThreadPoolExecutor(len(ways)) as pool:
            before = self.host.count("rexec-server: allow ")
            first = [pool.submit(self._one, way) for way in ways if not (meet and way in ASKS)]
            late = []
            if condition.comes is not None:
                self.host.wait_for("rexec-server: allow ", count=before + len(first))
                carried = relay.carried + 2 * QUEUE  # until then all are welcome, and know it
                relay.wait_for(lambda: relay.carried > carried)
                late = [pool.submit(self._one, way) for way in ways if way in ASKS]
                condition.comes(self)
                self._over.set()
            return [job.result() for job in (*first, *late)]

    def _one(self, way: str) -> tuple[Trial, float]:
        began = time.monotonic()
        if way in TALKS:
            found = self._talk(way)
        elif way in ASKS:
            found = self._ask(way)
        else:
            data, path = self._data["terminal" in way]
            found = move(self.host, self.host.address, way, data, path, [], PATIENCE)
        return found, time.monotonic() - began

    def _talk(self, way: str) -> Trial:
        """Have a command say something, and answer it when what comes to pass has come."""
        options = ("-v", "-t") if "terminal" in way else ("-v",)
        script = ("stty -echo; " if "terminal" in way else "") + "echo ready; read x; echo got $x; exit 3"
        end = b"\r\n" if "terminal" in way else b"\n"
        process = self.host.popen("sh", "-c", script, options=options, address=self.host.address)
        assert process.stdin is not None
        assert process.stdout is not None
        first = process.stdout.readline()
        self._over.wait(PATIENCE)
        try:
            out, err = process.communicate(b"a word\n", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Trial(way, [], 0, 0, -1, f"hangs: {err.decode()}")
        return judged(way, process.returncode, first + out, b"ready" + end + b"got a word" + end, 3, err)

    def _ask(self, way: str) -> Trial:
        """Run a command that says one word and ends."""
        options = ("-v", "-t") if "terminal" in way else ("-v",)
        word = str(self.turn)
        done = self.host.run("printf", "%s", word, options=options, timeout=PATIENCE)
        return judged(way, done.returncode, done.stdout, word.encode(), 0, done.stderr)


def judged(way: str, status: int, out: bytes, expected: bytes, wanted: int, err: bytes) -> Trial:
    """Compare what a command came to with what it had to."""
    note = ""
    if status not in (wanted, 255):
        note = f"exit code {status}: {err.decode()}"
    elif status == wanted and out != expected:
        note = f"{out!r} is not {expected!r}"
    elif status == 255 and not expected.startswith(out):
        note = f"{out!r} is no beginning of {expected!r}"
    losses, resumed = err.count(b"; trying again"), err.count(b": resumed\n")
    return Trial(way, [], losses, resumed, status, note, err.decode().strip().rpartition("\n")[2])


def goes_out(found: Round) -> None:
    """Cut the line for a time."""
    relay, line = found.host.relay, found.host.relay.line
    relay.line = CUT
    threading.Event().wait(found.outage)
    relay.line = line


def moves(found: Round) -> None:
    """Give the clients another address and another route, as a lid that is opened elsewhere does."""
    found.host.relay.near.move(AWAY.format(found.turn + 1))


CONDITIONS = {
    "nothing": Condition(WHOLE),
    "1 % lost": Condition(Line(loss=0.01, delay=0.005)),
    "10 % lost": Condition(Line(loss=0.1, delay=0.005)),
    "30 % lost": Condition(Line(loss=0.3, delay=0.005)),
    "300 ms each way": Condition(Line(delay=0.3)),
    "reordered": Condition(Line(delay=0.01, reordered=0.2, late=0.03)),
    "outage": Condition(Line(delay=0.005, rate=NARROW), goes_out),
    "another address": Condition(Line(delay=0.005, rate=NARROW), moves),
}


def run(
    name: str,
    *,
    rounds: int,
    size: int,
    seed: int = 1,
    keepalive: float | None = None,
    outage: float = OUTAGE,
    ways: tuple[str, ...] = WAYS,
) -> list[tuple[Trial, float]]:
    """Run rounds under one condition; give what all came to, and how long each took."""
    found = []
    with Relay(seed=seed) as relay, tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        data = {}
        for text in (False, True):
            raw = random.Random(size).randbytes(size)
            raw = raw.hex().encode()[:size] if text else raw
            raw = b"\n".join(raw[at : at + 60] for at in range(0, size, 60))[:size] if text else raw
            path = place / f"data-{text}"
            path.write_bytes(raw)
            data[text] = raw, path
        (place / "host").mkdir()
        host = FarHost(place / "host", relay).begin(keepalive)
        try:
            for turn in range(rounds):
                found += Round(host, data, outage, turn).run(CONDITIONS[name], ways)
        finally:
            relay.line = WHOLE
            host.end()
    return found


def told(name: str, found: list[tuple[Trial, float]]) -> str:
    """Tell what came of one condition, transfers and commands apart."""
    lines = []
    for title, ways in (("transfers", cuts.WAYS), ("commands", (*TALKS, *ASKS))):
        some = [(trial, seconds) for trial, seconds in found if trial.way in ways]
        kinds = Counter("wrong" if t.note else "lost (255)" if t.status == 255 else "whole" for t, _ in some)
        times = sorted(seconds for _, seconds in some) or [0.0]
        losses, resumed = sum(t.losses for t, _ in some), sum(t.resumed for t, _ in some)
        lines.append(
            f"{name}: {len(some)} {title}: " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
            + f"; connections lost {losses}, resumed {resumed}; median {statistics.median(times):.1f} s, "
            f"longest {times[-1]:.1f} s"
        )  # fmt: skip
        lines += [f"  {t.way}: {t.note or t.said}" for t, _ in some if t.note or t.status == 255]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=1024, help="KiB of one transfer")
    parser.add_argument("--keepalive", type=float, default=None, help="seconds, for both sides")
    parser.add_argument("conditions", nargs="*", default=[*CONDITIONS])
    given = parser.parse_args()
    code = 0
    for name in given.conditions:
        found = run(
            name, rounds=given.rounds, size=given.size * KIB, seed=given.seed, keepalive=given.keepalive
        )
        sys.stdout.write(told(name, found) + "\n")
        sys.stdout.flush()
        code |= any(trial.note for trial, _ in found)
    return code


if __name__ == "__main__":
    sys.exit(main())

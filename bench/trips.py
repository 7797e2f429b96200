"""Round trips before the first byte of output, counted on a line that takes 50 ms each way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.cold import NOTHING
from bench.field import REXEC, need
from bench.figures import Row, Target
from bench.relay import FAR
from bench.turns import Absent, Contest, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.field import Field

DELAY = 0.05  # seconds each way


def trips(field: Field, rounds: int) -> Iterator[Row]:
    """Time to the first byte over the line, less the same without one, in round trips."""
    contest = Contest("round trips to the first byte", "", Target(most=3.5))
    try:
        with line(DELAY) as slow, line(0) as fast:
            both = slow, fast
            contest.enter("rexec", lambda: _counted([_rexec(field, *ends) for ends in both]))
            contest.enter("ssh", lambda: _counted([_ssh(field, *ends) for ends in both]))
            contest.enter("dropbear", lambda: _counted([_dropbear(field, *ends) for ends in both]))
            contest.hold(rounds)
    except Absent as why:
        for name in ("rexec", "ssh", "dropbear"):
            contest.leave(name, str(why))
    yield contest.row()


@contextmanager
def line(delay: float) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Make two network namespaces and a line between them; give what runs a program in each."""
    need("ip", "iproute2")
    if os.geteuid() or not os.path.exists("/dev/net/tun"):
        raise Absent("needs root and /dev/net/tun")
    names = [f"rexec-bench-{os.getpid()}-{delay}-{end}" for end in ("near", "far")]
    made = []
    relay = None
    try:
        for name in names:
            if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
                raise Absent("no network namespace can be made here")
            made.append(name)
        words = [sys.executable, "-m", "bench.relay", *names, str(delay)]
        relay = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert relay.stdout is not None
        if relay.stdout.readline() != b"ready\n":
            raise Absent("no TUN device can be made here")
        near, far = (("ip", "netns", "exec", name) for name in names)
        yield near, far
    finally:
        if relay is not None:
            relay.communicate()
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=True)


def _counted(ways: list[list[str]]) -> Run:
    def run() -> float:
        slow, fast = (_first_byte(words) for words in ways)
        return (slow - fast) / (2 * DELAY)

    return run


def _first_byte(words: list[str]) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(words, **(NOTHING | {"stdout": subprocess.PIPE})) as client:
        assert client.stdout is not None
        if client.stdout.read(1) != b".":
            raise Absent("no output came")
        return time.perf_counter() - begun


def _rexec(field: Field, near: tuple[str, ...], far: tuple[str, ...]) -> list[str]:
    _, address = field.rexec_server(inside=far, address=FAR)
    return [*near, REXEC, "--accept-new", address, "sh", "-c", "printf ."]


def _ssh(field: Field, near: tuple[str, ...], far: tuple[str, ...]) -> list[str]:
    _, words = field.sshd(inside=far, address=FAR)
    return [*near, *words, FAR, "printf ."]


def _dropbear(field: Field, near: tuple[str, ...], far: tuple[str, ...]) -> list[str]:
    _, words = field.dropbear(inside=far, address=FAR)
    return [*near, *words, FAR, "printf ."]

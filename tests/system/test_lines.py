"""Short runs of `make lines`: transfers and commands over a bad line are whole, or 255."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.regress import cuts
from tests.system.lines import KIB, TALKS, WAYS, run
from tests.system.relay import CUT, Line, Relay

pytestmark = pytest.mark.system

SAYS = """
import socket, sys
with socket.create_server((sys.argv[1], 7)) as listening:
    print("here", flush=True)
    with listening.accept()[0] as end:
        while data := end.recv(65536):
            end.sendall(data)
"""
SENDS = """
import socket, sys
with socket.create_connection((sys.argv[1], 7)) as end:
    end.sendall(b"x" * 50_000)
    end.shutdown(socket.SHUT_WR)
    print(sum(iter(lambda: len(end.recv(65536)), 0)), end.getsockname()[0])
"""


def echoed(relay: Relay) -> list[str]:
    """Send something to the far side and back."""
    words = relay.far.words(sys.executable, "-c", SAYS, relay.far.address)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        words = relay.near.words(sys.executable, "-c", SENDS, relay.far.address)
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def test_the_relay_carries_loses_and_moves() -> None:
    with Relay(Line(loss=0.1, reordered=0.1, late=0.01)) as relay:
        near = relay.near.address
        assert echoed(relay) == ["50000", near]
        assert relay.carried > 50
        assert relay.dropped > 0
        assert relay.overtaken > 0
        relay.line = Line(delay=0.001, rate=1_000_000.0)
        relay.near.move("10.78.1.9")
        assert echoed(relay) == ["50000", "10.78.1.9"]
    assert relay.near.name not in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout


def test_a_line_that_is_cut_carries_nothing() -> None:
    with Relay(CUT) as relay:
        words = relay.near.words(sys.executable, "-c", SENDS, relay.far.address)
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as client:
            try:
                relay.wait_for(lambda: relay.dropped > 0)
                assert relay.carried == 0
            finally:
                client.kill()


@pytest.mark.parametrize("name", ["1 % lost", "10 % lost", "300 ms each way", "reordered"])
def test_what_goes_over_a_bad_line_is_whole_or_255(name: str) -> None:
    """Issue: "1 %, 10 % and 30 % loss, 300 ms delay, reordering"."""
    ways = WAYS if name != "300 ms each way" else ("both", *TALKS)
    for trial, _ in run(name, rounds=1, size=64 * KIB, ways=ways):
        assert trial.note == ""
        assert trial.status != 255 or name == "10 % lost", trial.said


@pytest.mark.parametrize("name", ["outage", "another address"])
def test_what_runs_while_the_line_is_gone_goes_on(name: str) -> None:
    """Issue: "a 30 s outage, an address change"."""
    ways = (*cuts.WAYS, *TALKS)
    found = run(name, rounds=1, size=1024 * KIB, keepalive=0.5, outage=4.0, ways=ways)
    assert [trial.note for trial, _ in found] == [""] * len(ways)
    # what was not welcome yet is not taken up again, and says so; a session that was begun is not lost
    lost = [trial.said for trial, _ in found if trial.status == 255]
    assert all("timed out" in said and "incomplete" not in said for said in lost), lost
    assert sum(trial.resumed for trial, _ in found) >= 1

"""No command runs twice: not over lost connections, not over a server that crashed or was started anew."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.regress.conftest import PATIENCE, Host, wait_until
from tests.regress.cutting import Fates, Proxy

RULES = """\
sh -c "echo here; exec sleep 1000"
sh -c {any}
    idempotent
cat
    idempotent
"""
HERE = "echo here; exec sleep 1000"


class Uncut(Fates):
    """Connections that are cut when a test says so."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0)


@pytest.fixture
def place(make_host: Callable[..., Host]) -> Host:
    return make_host(RULES).start()


def crash(host: Host) -> None:
    """Kill the process that knows what runs; the rest of the server goes with it."""
    os.kill(host.runner_pid(), signal.SIGKILL)
    assert host.process is not None
    assert host.process.wait(PATIENCE) == 1
    host.process = None
    host.addresses.clear()


def again(host: Host, proxy: Proxy, *options: str) -> None:
    """Start the server that a proxy leads to once more."""
    host.start(*options)
    proxy.lead_to(host)


def started(host: Host, proxy: Proxy, script: str, *options: str) -> subprocess.Popen[bytes]:
    return host.popen("sh", "-c", script, address=proxy.address, options=options)


def said(proxy: Proxy, what: str) -> bytes:
    return f"rexec: 127.0.0.1:{proxy.port}: {what}\n".encode()


def test_a_command_whose_server_crashed_is_lost_and_never_run_again(place: Host) -> None:
    """protocol.md 10: "an id with a decision and no end answers `lost` and is never run again"."""
    with Proxy(place, Uncut()) as proxy, started(place, proxy, HERE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"here\n"
        crash(place)
        again(place, proxy)
        out, err = client.communicate(timeout=PATIENCE)
    assert (client.returncode, out) == (255, b"")
    words = "the command was started once, and nobody knows how it ended; output incomplete at byte 5"
    assert err.endswith(said(proxy, words)), err
    assert place.count("rexec-server: allow ") == 1


def test_a_rule_may_say_that_it_may_run_again(place: Host, tmp_path: Path) -> None:
    """allow-list.md: "`idempotent`"."""
    mark, wait = tmp_path / "mark", tmp_path / "wait"
    os.mkfifo(wait)
    script = f"echo ran >> {mark}; read x < {wait}; echo done"
    with Proxy(place, Uncut()) as proxy, started(place, proxy, script) as client:
        wait_until(lambda: mark.exists() and mark.read_text(), "the command runs")
        crash(place)
        again(place, proxy)
        wait.write_text("go\n")
        out, _ = client.communicate(timeout=PATIENCE)
    assert (client.returncode, out) == (0, b"done\n")
    assert mark.read_text() == "ran\nran\n"

"""SIGTERM lets what runs finish, takes nothing new, and ends with exit code 0."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rexec.client.config import Config, Wishes, resolve
from rexec.client.connect import connect
from rexec.client.identity import Signer, no_passphrase, signers
from tests.regress.conftest import RULES, Host, processes_of, wait_until

WAITING = "echo ready; read line; seq 50000; exit $line"


def begin(host: Host, *options: str, script: str = WAITING) -> subprocess.Popen[bytes]:
    client = host.popen("sh", "-c", script, options=options)
    host.wait_for("rexec-server: allow ")
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_running_command_finishes_and_its_client_gets_everything(
    make_host: Callable[..., Host], number: int
) -> None:
    """cli.md: "`SIGTERM` stops accepting, lets running commands finish"; "`SIGINT` likewise"."""
    host = make_host().start("--drain", "1h")
    address = host.address
    with begin(host) as client:
        assert host.process is not None
        host.process.send_signal(number)
        host.wait_for("rexec-server: drain ")
        late = host.object("true", address=address)
        assert (late["state"], late["exit_code"]) == ("unreachable", 255)
        out, err = client.communicate(b"0\n")
        assert (client.returncode, err) == (0, b"")
        assert out.count(b"\n") == 50_001
        assert host.process.wait() == 0


def test_an_idle_server_ends_at_once(make_host: Callable[..., Host]) -> None:
    """cli.md: "Exit 0 after a drain"."""
    host = make_host().start("--drain", "1h")
    session = host.session()  # a client that asks nothing is in nobody's way
    assert host.stop() == 0
    session.wire.close()


def test_a_long_command_is_ended_when_the_time_is_over(make_host: Callable[..., Host]) -> None:
    """cli.md: "lets running commands finish for `--drain 10s`, then ends them"."""
    host = make_host().start("--drain", "0.3s")
    mark = host.folder / "mark"
    script = f"echo $$; trap '' TERM; sleep 1000 & echo > {mark}; while :; do sleep 1000; done"
    with begin(host, "--json", script=script) as client:
        wait_until(mark.exists, "it runs")
        assert host.stop() == 0
        found = json.loads(client.communicate()[0])
    assert (found["state"], found["exit_code"], client.returncode) == ("ended", 255, 255)
    leader = int(found["stdout"])
    wait_until(lambda: not processes_of(leader), "the group is gone")


def test_a_second_signal_ends_at_once(make_host: Callable[..., Host]) -> None:
    """cli.md: "a second one ends at once"."""
    host = make_host().start("--drain", "1h")
    with begin(host, "--json", script="sleep 1000") as client:
        assert host.process is not None
        host.process.send_signal(signal.SIGTERM)
        host.wait_for("rexec-server: drain ")
        assert host.stop() == 0
        assert json.loads(client.communicate()[0])["state"] == "ended"


def test_nothing_new_is_started_on_an_old_connection(make_host: Callable[..., Host]) -> None:
    """cli.md: "`SIGTERM` stops accepting"."""
    from rexec.client.streams import MemorySink
    from rexec.protocol import frames as f

    host = make_host(RULES).start("--drain", "1h")
    session = host.session()
    long = session.start(f.Exec(0, f.Form.ARGV, (b"cat",)), None, MemorySink(), MemorySink())
    session.run(lambda: long.started)
    assert host.process is not None
    host.process.send_signal(signal.SIGTERM)
    host.wait_for("rexec-server: drain ")
    late = session.start(f.Exec(0, f.Form.ARGV, (b"true",)), None, MemorySink(), MemorySink())
    session.run(lambda: late.is_over)
    assert (late.result().state, late.result().error) == ("ended", "the server is stopping")
    assert host.count("rexec-server: allow ") == 1
    session.close()
    assert host.process.wait() == 0


def test_who_was_let_in_before_the_signal_is_served(make_host: Callable[..., Host]) -> None:
    """Promise: "a restart under load loses no request": a stranger, and one who has not asked yet."""
    from rexec.client.streams import MemorySink
    from rexec.protocol import frames as f

    host = make_host().start("--drain", "1h", "--no-tls")
    target = resolve(host.address, Wishes(str(host.home)), Config())
    target.tls = False
    signed = threading.Event()

    def slow() -> Iterator[Signer]:
        assert signed.wait(60)
        yield from signers(str(host.home), (), {}, no_passphrase)

    def enter() -> str:
        session = connect(target, slow())  # it is let in by the server, and a stranger yet
        out = MemorySink()
        command = session.start(f.Exec(0, f.Form.ARGV, (b"true",)), None, out, MemorySink())
        session.run(lambda: command.is_over)
        session.close()
        return command.result().state

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(enter)
        pid = host.pid
        wait_until(lambda: len(connections_of(pid)) == 1, "the stranger is in")
        os.kill(pid, signal.SIGTERM)
        host.wait_for("rexec-server: drain ")
        signed.set()
        assert late.result() == "ok"
    assert host.process is not None
    assert host.process.wait() == 0


def test_a_stranger_who_says_nothing_is_not_waited_for(make_host: Callable[..., Host]) -> None:
    """Promise: "drain with a deadline": not even for the time of its grace."""
    host = make_host().start("--drain", "0.2s", "--grace", "1h")
    with socket.create_connection(("127.0.0.1", host.port)):
        wait_until(lambda: len(connections_of(host.pid)) == 1, "the stranger is in")
        assert host.stop() == 0


def connections_of(pid: int) -> list[str]:
    """The sockets of a process that are one end of a TCP connection (state 01 of /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = {f"socket:[{row[9]}]" for row in rows if row[3] == "01"}
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return [link for link in links if link in established]

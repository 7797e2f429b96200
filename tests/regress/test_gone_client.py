"""When the client is gone, so is the command, with all its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import RULES, Host, processes_of, wait_until

SCRIPTS = {
    "plain": "echo $$; sleep 1000",
    "family": "echo $$; sleep 1000 & (sleep 1000 & sleep 1000) & wait",
    "ignores TERM": "trap '' TERM; echo $$; while :; do sleep 1000; done",
    "ignores all it can": "trap '' TERM HUP INT PIPE; echo $$; sleep 1000 & while :; do sleep 1000; done",
    "stopped": "echo $$; kill -STOP $$",
    "writes": "echo $$; exec yes",
    "child outlives its leader": "echo $$; (trap '' TERM; sleep 1000; sleep 1000) & exit 0",
}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for those tests that leave it as it was."""
    made = Host(tmp_path_factory.mktemp("lasting"), RULES).start()
    yield made
    made.end()


def started(host: Host, script: str) -> tuple[subprocess.Popen[bytes], int]:
    client = host.popen("sh", "-c", script)
    assert client.stdout is not None
    return client, int(client.stdout.readline())


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_the_group_of_a_killed_client_is_ended(lasting: Host, script: str) -> None:
    """cli.md: "When the client is gone for good, so is the command, with all its children"."""
    before = lasting.count("rexec-server: end ")
    client, leader = started(lasting, script)
    with client:
        client.kill()
    lasting.wait_for("rexec-server: end ", count=before + 1)
    wait_until(lambda: not processes_of(leader), "the group is gone")
    assert lasting.run("true").returncode == 0


def test_term_comes_first(host: Host) -> None:
    """cli.md: "the server ends the process group (TERM, 2 s later KILL)"."""
    mark = host.folder / "mark"
    client, _ = started(
        host, f"exec 2>/dev/null; trap 'echo TERM > {mark}; exit' TERM; echo $$; while :; do sleep 0.05; done"
    )
    with client:
        client.kill()
    host.wait_for("rexec-server: end ")
    assert mark.read_text() == "TERM\n"


@pytest.mark.parametrize("how", ["goodbye", "end of file", "reset"])
def test_the_ways_of_a_client_to_go(lasting: Host, how: str) -> None:
    """Promise: "When the client is gone (goodbye, FIN, RST ...) the process group is ended"."""
    before = lasting.count("rexec-server: end ")
    session = lasting.session()
    command = session.start(
        f.Exec(0, f.Form.ARGV, (b"sh", b"-c", b"echo $$; sleep 1000 & sleep 1000")),
        None,
        MemorySink(),
        MemorySink(),
    )
    session.run(lambda: command.result().stdout.endswith(b"\n"))
    leader = int(command.result().stdout)
    match how:
        case "goodbye":
            session.close()
        case "end of file":
            session.wire.socket.shutdown(socket.SHUT_RDWR)
        case _:
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            session.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            session.wire.socket.close()
    lasting.wait_for("rexec-server: end ", count=before + 1)
    wait_until(lambda: not processes_of(leader), "the group is gone")
    session.wire.socket.close()


def test_a_client_that_goes_before_its_command_began_leaves_none(host: Host) -> None:
    """security.md, Processes: "descriptors left over": the start and the end may cross."""
    for _ in range(20):
        session = host.session()
        session.start(f.Exec(0, f.Form.ARGV, (b"sleep", b"1000")), None, MemorySink(), MemorySink())
        session.close()
    host.run("true")
    allowed = host.count("rexec-server: allow ")
    host.wait_for("rexec-server: end ", count=allowed)


def test_a_lost_listener_ends_every_command(host: Host) -> None:
    """security.md, Processes: whatever happens to the server, no command is left behind."""
    client, leader = started(host, SCRIPTS["ignores TERM"])
    runner = host.runner_pid()
    with client:
        os.kill(host.pid, signal.SIGKILL)
        assert client.wait() == 255
    wait_until(lambda: not processes_of(leader), "the group is gone")
    wait_until(lambda: not os.path.exists(f"/proc/{runner}"), "the runner is gone")


def test_a_lost_runner_is_the_end_of_the_server(host: Host) -> None:
    """cli.md: "255: rexec failed": a server that can start nothing does not stay, nor its commands."""
    client, leader = started(host, SCRIPTS["ignores all it can"])
    with client:
        os.kill(host.runner_pid(), signal.SIGKILL)
        assert client.wait() == 255
    assert host.process is not None
    assert host.process.wait() not in (0, -signal.SIGKILL)
    host.wait_for("rexec-server: stop ")
    wait_until(lambda: not processes_of(leader), "nothing is left of it")

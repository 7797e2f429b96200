"""Many who prove nothing keep nobody out who proves something, and nobody has more than a share."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

from rexec.client.streams import MemorySink
from rexec.protocol import frames as f
from tests.regress.conftest import Host


def configured(host: Host, *lines: str) -> Host:
    host.home.mkdir(mode=0o700, exist_ok=True)
    (host.home / "config.toml").write_text("\n".join(("[server]", *lines, "")))
    return host


def silent(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), source_address=(source, 0))


def test_silent_sockets_keep_no_client_out(make_host: Callable[..., Host]) -> None:
    """security.md: "slots taken by those who never authenticate": their own, and from the same source too."""
    lines = ("max_strangers = 40", "max_strangers_per_source = 10", 'grace = "1h"')
    host = configured(make_host(), *lines).start()
    with ExitStack() as stack:
        for number in range(300):
            stack.enter_context(silent(host.port, f"127.0.{number % 3}.9"))
        host.wait_for('rexec-server: refused from=127.0.[012].9 why="made room for others"', count=260)
        assert host.run("true").returncode == 0
        for _ in range(50):
            stack.enter_context(silent(host.port, "127.0.0.1"))
        assert host.run("true").returncode == 0


def test_a_source_that_fails_again_and_again_is_shut_out(make_host: Callable[..., Host]) -> None:
    """security.md: "growing penalties": others are not, and it is said once."""
    host = configured(make_host(), 'penalty_exempt = "192.0.2.0/24"').start()
    rounds = 0
    while not host.count("rexec-server: shut from=127.0.0.7"):
        rounds += 1
        assert rounds < 100
        with silent(host.port, "127.0.0.7") as rude:
            rude.sendall(b"GET / HTTP/1.1\r\n\r\n")
            rude.settimeout(60)
            while rude.recv(1024):
                pass
    assert rounds > 3
    refused = host.count("rexec-server: refused from=127.0.0.7")
    with silent(host.port, "127.0.0.7") as rude:
        rude.settimeout(60)
        assert rude.recv(1) == b""
    assert host.count("rexec-server: refused from=127.0.0.7") == refused
    assert host.run("true").returncode == 0


def test_a_user_has_so_many_sessions(make_host: Callable[..., Host]) -> None:
    """Promise: "sessions and commands per user": others are not bound by it."""
    host = configured(make_host(), "max_sessions = 3").start()
    guest = host.guest()
    sessions = [host.session() for _ in range(3)]
    done = host.run("true")
    assert done.returncode == 255
    assert b"sessions already" in done.stderr
    assert "3 sessions already" in host.wait_for("rexec-server: refused .*sessions already")
    assert host.run("true", env=guest, options=("--accept-new",)).returncode == 0
    sessions.pop().close()
    host.wait_for("rexec-server: left .*why=goodbye", count=2)
    assert host.run("true").returncode == 0
    for session in sessions:
        session.close()


def test_a_user_runs_so_many_commands(make_host: Callable[..., Host]) -> None:
    """Promise: "sessions and commands per user": the next one is denied, and says why."""
    host = configured(make_host(), "max_commands = 4").start()
    guest = host.guest()
    session = host.session()
    commands = [
        session.start(f.Exec(0, f.Form.ARGV, (b"cat",)), None, MemorySink(), MemorySink()) for _ in range(4)
    ]
    session.run(lambda: all(command.started for command in commands))
    done = host.run("true")
    assert done.returncode == 126
    assert b"runs 4 commands at once already" in done.stderr
    assert host.run("true", env=guest, options=("--accept-new",)).returncode == 0
    session.finish(commands[0])
    session.run(lambda: commands[0].is_over)
    assert host.run("true").returncode == 0
    session.close()


def test_a_number_that_is_none_is_refused(make_host: Callable[..., Host]) -> None:
    host = make_host()
    assert "--max-sessions 0" in host.refuses("--max-sessions", "0")
    assert "--penalty-exempt" in host.refuses("--penalty-exempt", "10.0.0.1/8")

"""A server under a service manager: sockets that are given, notices, a watchdog. The manager is a fake."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.errors import ConfigError
from rexec.server import sockets
from tests.regress.conftest import PATIENCE, Host, wait_until
from tests.regress.manager import LAUNCH, Manager


@pytest.fixture(params=["path", "abstract"])
def manager(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Manager]:
    made = Manager(tmp_path, abstract=request.param == "abstract")
    yield made
    made.close()


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    return make_host()


def test_it_is_told_of_the_whole_life_of_a_server(manager: Manager, host: Host) -> None:
    """Promise: "`sd_notify` READY/RELOADING/STOPPING"; the fence is up by then."""
    manager.start(host)
    assert manager.hear("READY") == {"READY": "1", "STATUS": f"serves on {host.address}"}
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    os.kill(host.pid, signal.SIGHUP)
    reloading = manager.hear("RELOADING")
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.hear("READY")["STATUS"] == f"serves on {host.address}"
    host.allow_list.write_text("ls *\n")
    os.kill(host.pid, signal.SIGHUP)
    manager.hear("RELOADING")
    assert "; what was read is refused: " in manager.hear("READY")["STATUS"]
    assert host.stop() == 0
    stopping = manager.hear("STOPPING")
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 10_000_000
    assert all("WATCHDOG" not in notice for notice in manager.notices)


def test_the_watchdog_hears_that_both_processes_live(manager: Manager, host: Host) -> None:
    """Promise: "and watchdog": a runner that hangs is no server either."""
    manager.start(host, WATCHDOG_USEC="200000")
    for _ in range(3):
        assert manager.hear("WATCHDOG") == {"WATCHDOG": "1"}
    runner = host.runner_pid()
    os.kill(runner, signal.SIGSTOP)
    manager.heard.settimeout(0.5)
    with pytest.raises(TimeoutError):  # one sign may be on its way, and no more than that
        manager.hear("nothing that it says")
    manager.heard.settimeout(PATIENCE)
    os.kill(runner, signal.SIGCONT)
    assert manager.hear("WATCHDOG") == {"WATCHDOG": "1"}


def test_a_watchdog_for_another_process_is_not_ours(tmp_path: Path, host: Host) -> None:
    """sd_watchdog_enabled(3): WATCHDOG_PID."""
    manager = Manager(tmp_path)
    manager.start(host, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    manager.hear("READY")
    assert host.run("true").returncode == 0
    assert host.stop() == 0
    manager.hear("STOPPING")
    assert all("WATCHDOG" not in notice for notice in manager.notices)
    manager.close()


@pytest.mark.parametrize("name", ["/no/such/socket", "@no-such-name", "vsock:2:1234", "relative"])
def test_a_manager_that_does_not_listen_is_no_reason_not_to_serve(host: Host, name: str) -> None:
    host.start(env={"NOTIFY_SOCKET": name})
    assert f"NOTIFY_SOCKET {name}: " in host.wait_for("rexec-server: notify result=none")
    assert host.run("true").returncode == 0


def test_sockets_that_are_given_are_served_instead_of_others(tmp_path: Path, host: Host) -> None:
    """cli.md: "sockets from systemd when LISTEN_FDS is set"."""
    manager = Manager(tmp_path)
    wanted = [manager.tcp(), manager.unix(tmp_path / "s"), manager.tcp()]
    manager.start(host)
    assert host.addresses == wanted
    for address in wanted:
        done = host.run("env", address=address)
        assert done.returncode == 0
        assert not [line for line in done.stdout.splitlines() if line.startswith((b"LISTEN_", b"NOTIFY_"))]
        assert host.run("python3", "-c", OPEN, address=address).stdout == b"[0, 1, 2]\n"
    assert host.stop() == 0
    assert stat.S_ISSOCK(os.lstat(tmp_path / "s").st_mode)  # who made it removes it
    manager.close()


OPEN = "import os; print([n for n in range(64) if os.path.exists(f'/proc/self/fd/{n}')])"


def test_while_no_server_runs_clients_wait(tmp_path: Path, host: Host) -> None:
    """Promise: "sockets from systemd": a restart refuses nobody."""
    manager = Manager(tmp_path)
    host.addresses.append(manager.tcp())
    with host.popen("true") as client:
        wait_until(lambda: queue_of(manager.sockets[0]), "the client is in the queue")
        host.addresses.clear()
        manager.start(host)
        assert client.wait() == 0
    manager.close()


def queue_of(listening: socket.socket) -> int:
    """How many wait to be accepted: of a listening socket that is tcpi_unacked (tcp(7))."""
    return listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24]


def test_in_the_clear_given_sockets_have_to_be_local_too(tmp_path: Path, host: Host) -> None:
    """cli.md: "`--no-tls` is taken for `unix:` and loopback addresses; anything else refuses to start"."""
    manager = Manager(tmp_path)
    manager.unix(tmp_path / "s")
    manager.tcp()
    manager.start(host, "--no-tls")
    assert host.run("true", options=("--no-tls",)).returncode == 0
    assert host.stop() == 0
    with socket.create_server(("0.0.0.0", 0)) as wide:
        assert "--no-tls is refused for 0.0.0.0:" in refused(host, wide, "--no-tls")
    manager.close()


def refused(host: Host, given: socket.socket, *options: str) -> str:
    """Start a server with one descriptor that it cannot serve: exit 2 and one line."""
    done = subprocess.run(
        [*LAUNCH, *host.server_words(*options)],
        env=host.environment(LISTEN_FDS="1"),
        capture_output=True,
        pass_fds=(3,),
        preexec_fn=lambda: os.dup2(given.fileno(), 3) and None,
        timeout=PATIENCE,
        check=False,
        text=True,
    )
    assert done.returncode == 2
    assert "listening on" not in done.stderr
    return done.stderr


def test_what_is_no_listening_socket_of_streams_is_refused(host: Host) -> None:
    """sd_listen_fds(3): what was given is looked at."""
    with socket.socket() as mute, socket.socket(type=socket.SOCK_DGRAM) as loose:
        assert "no listening socket of streams" in refused(host, mute)
        assert "no listening socket of streams" in refused(host, loose)
    with socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind("\0rexec-test-hidden-" + str(os.getpid()))
        hidden.listen()
        assert "abstract" in refused(host, hidden)
    with open("/dev/null") as file:
        assert "LISTEN_FDS: descriptor 3: " in refused(host, file)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "succeeds", "words"),
    [
        ("x", "", "LISTEN_FDS="),
        ("9" * 5000, "", "LISTEN_FDS="),
        ("251", "", "LISTEN_FDS="),
        ("1", "ours", "REXEC_SUCCEEDS"),
    ],
)
def test_nonsense_in_the_environment_is_one_line(
    host: Host, monkeypatch: pytest.MonkeyPatch, count: str, succeeds: str, words: str
) -> None:
    environment = {"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid()), "REXEC_SUCCEEDS": succeeds}
    monkeypatch.setattr(sockets, "FIRST", 900)  # where nothing is open
    with pytest.raises(ConfigError, match=words) as caught:
        sockets.take_given(environment)
    assert len(str(caught.value)) < 200
    assert not environment


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_who_became_another_user_still_tells(tmp_path: Path, host: Host) -> None:
    """The socket is connected before: the listener of `--user` may reach nothing by its name."""
    manager = Manager(tmp_path)
    tmp_path.chmod(0o700)
    manager.start(host, "--user", "nobody", WATCHDOG_USEC="400000")
    manager.hear("READY")
    manager.hear("WATCHDOG")
    os.kill(host.pid, signal.SIGUSR2)
    host.wait_for("rexec-server: handover result=done")
    new = int(manager.hear("MAINPID")["MAINPID"])
    assert host.process is not None
    assert host.process.wait() == 0
    assert host.run("true").returncode == 0
    assert os.stat(f"/proc/{new}").st_uid != 0
    os.kill(new, signal.SIGTERM)
    host.wait_for("<end of log>")
    manager.close()


def test_sockets_that_were_meant_for_another_process_are_not_ours(host: Host) -> None:
    """sd_listen_fds(3): LISTEN_PID."""
    host.start(env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert host.run("true").returncode == 0

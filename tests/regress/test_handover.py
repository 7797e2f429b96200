"""`SIGUSR2`: a successor takes over the listening sockets, and no client notices."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.regress.conftest import RULES, Host, has_ended, only_child_of, wait_until
from tests.regress.manager import Manager
from tests.regress.restarts import WAYS, load
from tests.regress.test_nothing_late import Telling

pytestmark = pytest.mark.usefixtures("cold")


def hand_over(host: Host, pid: int, *, count: int = 1) -> int:
    """Have a server hand over; return the pid of who serves now."""
    os.kill(pid, signal.SIGUSR2)
    line = host.wait_for("rexec-server: handover result=(done|kept)", count=count)
    found = re.search("result=done successor=([0-9]+)", line)
    assert found is not None, host.lines
    return int(found[1])


def end(host: Host, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    host.wait_for("<end of log>")  # all that had its end of stderr are gone
    wait_until(lambda: has_ended(pid), "the successor is gone")


@pytest.mark.parametrize("way", WAYS)
def test_no_request_is_lost(make_host: Callable[..., Host], way: str) -> None:
    """Promise: "A restart under load loses no request": a short run of `tests.regress.restarts`."""
    host = make_host()
    server = WAYS[way](host)
    assert load(host, server, *((12, 1) if server.may_notice else (24, 2))).failed == []
    server.end()


def test_the_old_one_goes_when_its_commands_have_ended(make_host: Callable[..., Host]) -> None:
    """Promise: "handed over on `SIGUSR2`", "an upgrade": what runs finishes, what comes is the new one's."""
    host = make_host().start("--drain", "1h", listen=("127.0.0.1:0", "[::1]:0"))
    addresses = tuple(host.addresses)
    assert host.process is not None
    with host.popen("sh", "-c", "echo ready; read line; exit 7") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        host.allow_list.write_text("uname\n")
        new = hand_over(host, host.pid)
        names = {Path(f"/proc/{pid}/comm").read_text() for pid in (host.pid, new, only_child_of(new))}
        assert names == {"rexec-server\n"}  # run-a-server.md: "three processes of one name"
        assert host.count("rexec-server: listening on ") == 4
        for address in addresses:
            assert host.run("uname", address=address).returncode == 0
            assert host.run("true", address=address).returncode == 126
        assert host.process.poll() is None
        client.communicate(b"\n")
        assert client.returncode == 7
    assert host.process.wait() == 0
    assert host.run("uname", address=addresses[0]).returncode == 0
    end(host, new)
    assert host.run("uname", address=addresses[0]).returncode == 255


def test_a_unix_socket_keeps_its_name_until_the_last_one_goes(make_host: Callable[..., Host]) -> None:
    """Promise: "Listening sockets survive a restart"."""
    host = make_host()
    path = host.folder / "socket"
    host.start("--no-tls", listen=(f"unix:{path}",))
    first = host.process
    assert first is not None
    second = hand_over(host, first.pid)
    assert first.wait() == 0
    assert host.run("true", options=("--no-tls",)).returncode == 0
    third = hand_over(host, second, count=2)
    wait_until(lambda: has_ended(second), "the second is gone")
    assert host.run("true", options=("--no-tls",)).returncode == 0
    end(host, third)
    assert not path.exists()


def test_a_successor_that_cannot_start_changes_nothing(make_host: Callable[..., Host]) -> None:
    """Promise, of `SIGUSR2`: the one that runs says why and goes on."""
    host = make_host().start()
    host.allow_list.write_text("ls *\n")
    os.kill(host.pid, signal.SIGUSR2)
    line = host.wait_for("rexec-server: handover result=kept")
    assert "ended with exit code 2" in line
    assert host.count("cmds.txt:1:") == 1
    assert host.run("true").returncode == 0  # by the list that it has
    host.allow_list.write_text(RULES)
    new = hand_over(host, host.pid, count=2)
    assert host.run("true").returncode == 0
    end(host, new)


def test_who_is_told_to_stop_meanwhile_leaves_no_successor(make_host: Callable[..., Host]) -> None:
    """cli.md: "`SIGTERM` stops accepting": a successor that does not serve yet is ended."""
    host = make_host().start()
    keeper = host.keeper_pid()
    os.kill(host.pid, signal.SIGUSR2)
    host.wait_for("rexec-server: handover result=begun")
    assert host.stop() == 0
    wait_until(lambda: has_ended(keeper), "the keeper is gone")
    host.wait_for("<end of log>")
    assert host.count("rexec-server: listening on ") == 1


def test_a_second_signal_meanwhile_starts_no_second_successor(make_host: Callable[..., Host]) -> None:
    host = make_host().start()
    os.kill(host.pid, signal.SIGUSR2)
    host.wait_for("rexec-server: handover result=begun")
    os.kill(host.pid, signal.SIGUSR2)
    host.wait_for("rexec-server: handover result=waits")
    found = re.search("successor=([0-9]+)", host.wait_for("rexec-server: handover result=done"))
    assert found is not None
    end(host, int(found[1]))
    assert host.count("rexec-server: listening on ") == 2


def test_a_successor_outlives_a_runner_that_is_killed(make_host: Callable[..., Host]) -> None:
    """The keeper of the old one ends all that is below it, but not who serves now."""
    host = make_host().start("--drain", "1h")
    runner = host.runner_pid()
    with host.popen("sleep", "1000"):
        host.wait_for("rexec-server: allow ")
        address = host.address
        new = hand_over(host, host.pid)
        os.kill(runner, signal.SIGKILL)
        assert host.process is not None
        assert host.process.wait() == 1
    assert host.run("true", address=address).returncode == 0
    end(host, new)


def test_the_service_manager_hears_who_is_the_main_process(
    tmp_path: Path, make_host: Callable[..., Host]
) -> None:
    """sd_notify(3): MAINPID; the successor keeps the sockets, the notices and the watchdog."""
    host = make_host()
    manager = Manager(tmp_path)
    path = tmp_path / "s"
    wanted = [manager.tcp(), manager.unix(path)]
    manager.start(host, WATCHDOG_USEC="400000")
    new = hand_over(host, host.pid)
    assert manager.hear("MAINPID")["MAINPID"] == str(new)
    assert host.process is not None
    assert host.process.wait() == 0
    while manager.heard.recv(65536) != b"WATCHDOG=1":  # of the successor: the first one is gone
        pass
    for address in wanted:
        assert host.run("true", address=address).returncode == 0
    os.kill(new, signal.SIGHUP)
    manager.hear("RELOADING")
    end(host, new)
    manager.hear("STOPPING")
    assert path.exists()  # who made it removes it
    manager.close()


def test_the_audit_log_of_both_is_kept(make_host: Callable[..., Host]) -> None:
    """docs/reference/audit.md: a second server on the same home has a log of its own; so has a successor."""
    host = make_host()
    options = ("--audit", "required", "--audit-dir", str(host.folder / "log"))
    host.start(*options)
    assert host.run("true").returncode == 0
    address = host.address
    new = hand_over(host, host.pid)
    assert host.run("true", address=address).returncode == 0
    end(host, new)
    assert (host.folder / "log-2").is_dir()


def test_a_confined_listener_hands_over_without_the_disk(tmp_path: Path) -> None:
    """docs/explanation/architecture.md: from the fence on it imports nothing and opens nothing."""
    host = Telling(tmp_path, RULES)
    manager = Manager(tmp_path)
    manager.tcp()
    manager.start(host, WATCHDOG_USEC="100000")
    assert host.run("true").returncode == 0
    new = hand_over(host, host.pid)
    assert host.process is not None
    assert host.process.wait() == 0
    end(host, new)
    assert host.count("^from here on$") == 2
    assert not [line for line in host.lines if line.startswith("late: ")], host.lines
    manager.close()


def test_commands_find_nothing_of_it(make_host: Callable[..., Host]) -> None:
    """security.md, Environment and inheritance: "The server's own descriptors, environment"."""
    host = make_host().start()
    address = host.address
    new = hand_over(host, host.pid)
    said = host.run("env", address=address).stdout.decode()
    assert "LISTEN_" not in said
    assert "REXEC_SUCCEEDS" not in said
    runner = only_child_of(only_child_of(new))
    held = [os.readlink(f"/proc/{runner}/fd/{name}") for name in os.listdir(f"/proc/{runner}/fd")]
    listening = sockets_that_listen()
    assert listening
    assert not set(held) & listening
    end(host, new)


def sockets_that_listen() -> set[str]:
    """All sockets of TCP that listen (state 0A of /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}

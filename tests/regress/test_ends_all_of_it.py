"""Ending a command ends all of it, wherever it went: sessions of their own, orphans, whole families."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.regress.conftest import Host, wait_until

# The leader goes on when the daemon has closed its end of the pipe, which an exec does as well.
DAEMON = """\
import os, sys, time
told, tell = os.pipe()
if os.fork(): os.close(tell), os.read(told, 1), time.sleep({wait}), os._exit({code})
os.setsid()
if os.fork(): os._exit(0)
os.setsid()
null = os.open('/dev/null', os.O_RDWR)
for n in range(3): os.dup2(null, n)
open({mark!r}, 'w').write(str(os.getpid()))
os.close(tell)
while 1: time.sleep(0.05)
"""


@pytest.fixture
def python_host(make_host: Callable[..., Host]) -> Host:
    return make_host("python3 ...\nsh ...\ntrue\n").start()


def left_by(host: Host, mark: Path) -> int:
    """The pid that a daemon wrote, once it is there."""
    wait_until(lambda: mark.exists() and mark.read_text(), "the daemon runs")
    return int(mark.read_text())


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return stat[0] not in (b"Z", b"X")


def daemon(mark: Path, *, wait: float = 0, code: int = 0) -> str:
    return DAEMON.format(mark=str(mark), wait=wait, code=code)


def test_a_daemon_does_not_outlive_its_command(python_host: Host, tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid to escape the group"."""
    found = python_host.object("python3", "-c", daemon(tmp_path / "mark", code=7))
    assert (found["state"], found["exit_code"], found["lingered"]) == ("failed", 7, False)
    assert not is_alive(left_by(python_host, tmp_path / "mark"))


def test_a_daemon_is_ended_by_the_timeout(python_host: Host, tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid to escape the group"; with the command's time over."""
    found = python_host.object(
        "python3", "-c", daemon(tmp_path / "mark", wait=1000), options=("--timeout", "3s")
    )
    assert found["state"] == "timeout"
    assert not is_alive(left_by(python_host, tmp_path / "mark"))


def test_a_daemon_goes_with_its_client(python_host: Host, tmp_path: Path) -> None:
    """cli.md: "When the client is gone for good, so is the command, with all its children"."""
    with python_host.popen("python3", "-c", daemon(tmp_path / "mark", wait=1000)) as client:
        pid = left_by(python_host, tmp_path / "mark")
        client.kill()
    python_host.wait_for("rexec-server: end ")
    assert not is_alive(pid)


def test_a_daemon_is_asked_before_it_is_killed(python_host: Host, tmp_path: Path) -> None:
    """cli.md: "the server ends the process group (TERM, 2 s later KILL)": so it does those who left it."""
    handler = f"lambda *_: open({str(tmp_path / 'term')!r}, 'w') and os._exit(0)"
    polite = daemon(tmp_path / "mark", wait=1000).replace(
        "os.setsid()\nnull", f"import signal; signal.signal(15, {handler})\nnull"
    )
    with python_host.popen("python3", "-c", polite) as client:
        left_by(python_host, tmp_path / "mark")
        client.kill()
    python_host.wait_for("rexec-server: end ")
    assert (tmp_path / "term").exists()


def test_a_daemon_that_wipes_its_traces_is_found_all_the_same(python_host: Host, tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid"; without environment, name, streams, or parent."""
    wiped = daemon(tmp_path / "mark").replace(
        "os.close(tell)\nwhile 1: time.sleep(0.05)\n",
        "os.chdir('/'); os.execve('/bin/sleep', ['x', '1000'], {})\n",
    )
    assert python_host.run("python3", "-c", wiped).returncode == 0
    assert not is_alive(left_by(python_host, tmp_path / "mark"))


def test_who_lowers_its_mark_belongs_to_nobody_and_is_ended(python_host: Host, tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid", and the limit lowered by which it is known."""
    lowered = daemon(tmp_path / "mark").replace(
        "os.close(tell)\nwhile",
        "import resource; resource.setrlimit(10, (77, 77))\nos.close(tell)\nwhile",
    )
    assert python_host.run("python3", "-c", lowered).returncode == 0
    pid = left_by(python_host, tmp_path / "mark")
    wait_until(lambda: not is_alive(pid), "it is gone")


HOPS = """\
import os, sys
if os.fork(): sys.stdin.read(), os._exit(0)
os.setsid()
for n in range(3): os.close(n)
for _ in range(100000):
    if os.fork(): os._exit(0)
"""
TREE = """\
import os, sys, time
def grow(depth):
    for _ in range(3 if depth else 0):
        if not os.fork():
            os.setsid()
            grow(depth - 1)
            for n in range(3): os.close(n)
            time.sleep(1000)
grow(3)
print('grown', flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "script", [HOPS, TREE], ids=["one that forks and dies for ever", "a family of sessions"]
)
def test_nobody_is_left_of(python_host: Host, script: str) -> None:
    """security.md, Processes: "Fork bomb, double fork and setsid to escape the group"."""
    before = family_of(python_host)
    found = python_host.object("python3", "-c", script, input=b"")
    assert found["state"] == "ok"
    assert family_of(python_host) == before


def family_of(host: Host) -> list[int]:
    """All who live below the runner, in any session."""
    found, above = [], {host.runner_pid()}
    while above:
        parent = above.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
            lines = [Path(f"/proc/{parent}/task/{task}/children").read_text() for task in tasks]
        except OSError:
            continue  # it has ended meanwhile
        for children in lines:
            found += map(int, children.split())
            above |= set(map(int, children.split()))
    return sorted(found)


def test_the_dead_among_orphans_are_reaped_while_the_command_runs(python_host: Host) -> None:
    """security.md, Processes: "zombies"."""
    script = (
        "import os, sys\nfor _ in range(50):\n  if not os.fork(): os.fork() or os._exit(0); os._exit(0)\n"
    )
    script += "for _ in range(50): os.wait()\nprint(flush=True); sys.stdin.read()"
    with python_host.popen("python3", "-c", script) as client:
        assert client.stdout is not None
        client.stdout.readline()
        wait_until(lambda: len(family_of(python_host)) == 1, "only the command is there")
        client.stdin.close()  # type: ignore[union-attr]
        assert client.wait() == 0


def test_background_keep_leaves_even_daemons_alone(make_host: Callable[..., Host], tmp_path: Path) -> None:
    """protocol.md 8: "unless the rule says `background keep`"; other commands that end do not touch them."""
    host = make_host("sh ...\n    background keep\npython3 ...\n").start()
    script = "setsid sh -c 'echo $$ > mark; exec sleep 1000' >/dev/null 2>&1 </dev/null & exit 0"
    assert host.run("sh", "-c", script.replace("mark", str(tmp_path / "mark"))).returncode == 0
    pid = left_by(host, tmp_path / "mark")
    try:
        for number in range(2):
            assert host.run("python3", "-c", daemon(tmp_path / f"{number}")).returncode == 0
            assert not is_alive(left_by(host, tmp_path / f"{number}"))
        assert is_alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not family_of(host), "it is reaped")


def test_nobody_stays_by_the_mark_of_one_that_may(make_host: Callable[..., Host], tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid", and both limits lowered to those of a daemon that
    `background keep` lets live."""
    host = make_host("sh ...\n    background keep\n    nice 1\npython3 ...\n    nice 1\n").start()
    with host.popen("python3", "-c", daemon(tmp_path / "mark", wait=1000)) as client:
        forger = left_by(host, tmp_path / "mark")
        script = f"setsid sh -c 'echo $$ > {tmp_path}/kept; exec sleep 1000' >&- 2>&- <&- & exit 0"
        assert host.run("sh", "-c", script).returncode == 0
        kept = left_by(host, tmp_path / "kept")
        try:
            wanted = resource.prlimit(kept, 10)[1]
            resource.prlimit(forger, 10, (wanted, wanted))
            assert resource.prlimit(forger, 5)[1] < resource.prlimit(kept, 5)[1]  # out of its reach
            wait_until(lambda: not is_alive(forger), "it is gone")
            assert is_alive(kept)
        finally:
            os.kill(kept, signal.SIGKILL)
            client.kill()


def test_one_command_that_ends_leaves_the_daemons_of_another_alone(python_host: Host, tmp_path: Path) -> None:
    """security.md, Processes: "double fork and setsid": what bears another's mark is another's."""
    with python_host.popen("python3", "-c", daemon(tmp_path / "mark", wait=1000)) as client:
        pid = left_by(python_host, tmp_path / "mark")
        for _ in range(3):
            assert python_host.run("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 0").returncode == 0
        assert is_alive(pid)
        client.kill()
    python_host.wait_for("rexec-server: end .*status=lost")
    assert not is_alive(pid)

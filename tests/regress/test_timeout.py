"""A command whose time is over is ended with all of its group, and the client ends with 124."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.regress.conftest import Host, processes_of, wait_until

RULES = "sh ...\ndash ...\n    timeout 2s\nbash ...\n    timeout 1h\n"
FAMILY = "echo $$; sleep 1000 & sleep 1000 & wait"
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 1000; done"
STOPPED = "echo $$; kill -STOP $$"
# All at once: the time of each is long enough for a busy machine to get so far.
RUNS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a client's": ("sh", FAMILY, ("--timeout", "2s")),
    "ignores TERM": ("sh", STUBBORN, ("--timeout", "2s")),
    "stopped itself": ("sh", STOPPED, ("--timeout", "2s")),
    "the rule's": ("dash", FAMILY, ()),
    "the rule's, which is smaller": ("dash", FAMILY, ("--timeout", "1h")),
    "a client's, which is smaller": ("bash", FAMILY, ("--timeout", "2s")),
}
OUTPUT = "head -c 300000 /dev/zero; sleep 1000"

pytestmark = pytest.mark.xdist_group("timeout")  # or the time is waited for more than once


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = Host(tmp_path_factory.mktemp("timeout"), RULES).start()
    yield made
    made.end()


@pytest.fixture(scope="module")
def clients(host: Host) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A client for each of the runs, and one that has output, begun at once."""
    begun = {
        name: host.popen(shell, "-c", script, options=("--json", *options), stdin=subprocess.DEVNULL)
        for name, (shell, script, options) in RUNS.items()
    }
    begun["output"] = host.popen("dash", "-c", OUTPUT, stdin=subprocess.DEVNULL)
    yield begun
    for client in begun.values():
        client.kill()
        client.communicate()


@pytest.mark.parametrize("name", RUNS)
def test_a_command_is_ended_with_its_group_when_its_time_is_over(
    clients: dict[str, subprocess.Popen[bytes]], name: str
) -> None:
    """cli.md: "124: the server ended it: total or idle timeout"; "`--timeout`: the smaller of it and the
    rule's". security.md, Processes: "a child that ignores TERM or stops itself"."""
    out, err = clients[name].communicate()
    found = json.loads(out)
    assert (found["state"], found["exit_code"], found["error"]) == ("timeout", 124, "timed out")
    assert (clients[name].returncode, err) == (124, b"")
    leader = int(found["stdout"])
    wait_until(lambda: not processes_of(leader), "the group is gone")


def test_the_output_before_the_timeout_is_whole(clients: dict[str, subprocess.Popen[bytes]]) -> None:
    """cli.md: "no exit frame with matching byte counts means 255": 124 comes with all that was written."""
    out, err = clients["output"].communicate()
    assert clients["output"].returncode == 124
    assert len(out) == 300_000
    assert err.startswith(b"rexec: ")
    assert b"timed out" in err

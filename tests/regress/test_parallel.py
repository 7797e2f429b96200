"""A rule with `parallel` runs so many at once, whoever asks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.regress.conftest import Host, wait_until

RULES = "cat\n    parallel 2\nsh ...\n    parallel 1\nnothere ...\n    parallel 1\ntrue\n"


@contextmanager
def running(host: Host, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs until its input ends."""
    with host.popen(*words) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"x\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"x\n"
        try:
            yield client
        finally:
            client.stdin.close()


def test_one_more_is_denied_until_one_has_ended(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `parallel 2`: "a failed one is a denial with the same record"."""
    host = make_host(RULES).start()
    other = host.guest("bob")
    with running(host, "cat"), running(host, "cat"):
        for env in ({}, other):  # whoever asks
            done = host.run("cat", env=env, options=("--accept-new",))
            assert done.returncode == 126
            assert b"cmds.txt:1 runs at most 2 at once: wait until one has ended" in done.stderr
        host.wait_for("rexec-server: deny .* rule=cmds.txt:1 .*runs at most 2 at once", count=2)
        assert host.run("true").returncode == 0
        assert host.count("rexec-server: allow .*rule=cmds.txt:1 ") == 2
    wait_until(lambda: host.run("cat").returncode == 0, "there is room again")


def test_what_cannot_be_started_does_not_count(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `parallel`: counted is what runs."""
    host = make_host(RULES).start()
    for _ in range(3):
        assert host.run("nothere").returncode == 127
    for turn in range(1, 4):
        assert host.run("sh", "-c", "exit 4").returncode == 4
        host.wait_for("rexec-server: end .*status=4", count=turn)


def test_a_reload_gives_nobody_a_fresh_start(make_host: Callable[..., Host]) -> None:
    """security.md, Around the allow list: "Policy reload while a request is judged"; counts survive."""
    host = make_host(RULES).start()
    with running(host, "sh", "-c", "exec cat"):
        host.allow_list.write_text("# another line\n" + RULES)
        host.process.send_signal(1)  # type: ignore[union-attr]
        host.wait_for("rexec-server: reload result=done")
        done = host.run("sh", "-c", "true", options=("--json",))
        assert json.loads(done.stdout)["rule"] == "cmds.txt:4"
        assert done.returncode == 126
    wait_until(lambda: host.run("sh", "-c", "true").returncode == 0, "there is room again")


def test_those_who_are_gone_leave_their_place(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "descriptors left over": so is nothing of a count."""
    host = make_host(RULES).start()
    with running(host, "sh", "-c", "exec cat") as client:
        client.kill()
        host.wait_for("rexec-server: end ")
        assert host.run("sh", "-c", "true").returncode == 0

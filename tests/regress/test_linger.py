"""A background child does not hold a result up, and does not outlive its command."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

from tests.regress.conftest import Host, processes_of, wait_until


def test_a_background_child_delays_the_result_by_the_linger_only(shared_host: Host) -> None:
    """security.md, Processes: "A background child that holds stdout: the result comes within the linger"."""
    before = time.monotonic()
    found = shared_host.object("sh", "-c", "echo $$; sleep 1000 & exit 3")
    assert time.monotonic() - before < 30
    assert (found["state"], found["exit_code"], found["lingered"]) == ("failed", 3, True)
    leader = int(str(found["stdout"]))
    wait_until(lambda: not processes_of(leader), "the background child is gone")


def test_a_result_without_company_does_not_linger(shared_host: Host) -> None:
    """cli.md: "a result ended by the linger keeps the command's own exit code"; this one was not."""
    assert shared_host.object("true")["lingered"] is False


def test_output_of_a_background_child_within_the_linger_arrives(shared_host: Host) -> None:
    """protocol.md 8: "pipes at end of file, or the linger over where a background child holds them"."""
    script = "(until grep -q '^State:.Z' /proc/$$/status; do :; done; echo late) & echo early"
    found = shared_host.object("sh", "-c", script)
    assert (found["stdout"], found["lingered"], found["state"]) == ("early\nlate\n", False, "ok")


def test_a_child_that_holds_no_stream_is_ended_with_its_command(shared_host: Host) -> None:
    """cli.md: "`nohup x &` does not outlive its command"."""
    script = "echo $$; nohup sleep 1000 >/dev/null 2>&1 </dev/null & exit 0"
    found = shared_host.object("sh", "-c", script)
    assert (found["state"], found["lingered"]) == ("ok", False)
    leader = int(str(found["stdout"]))
    wait_until(lambda: not processes_of(leader), "the background child is gone")


def test_background_keep_lets_it_live(make_host: Callable[..., Host]) -> None:
    """protocol.md 8: "`killpg` of what is left of the group, unless the rule says `background keep`"."""
    host = make_host("sh ...\n    background keep\n").start()
    done = host.run("sh", "-c", "sleep 1000 >/dev/null 2>&1 </dev/null & echo $!", options=("--json",))
    child = int(json.loads(done.stdout)["stdout"])
    host.wait_for("rexec-server: end ")
    try:
        assert os.path.exists(f"/proc/{child}")
    finally:
        os.kill(child, signal.SIGKILL)

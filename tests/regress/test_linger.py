"""A background child does not hold a result up, and does not outlive its command."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rexec
from rexec.client.streams import HeldSink
from rexec.protocol import frames as f
from rexec.protocol.frames import Stream
from tests.regress.conftest import RULES, Host, has_ended, processes_of, wait_until

BRIEF = str(Path(__file__).with_name("brief.py"))


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
    over = (
        "read_state() { while read -r name state _; do [ $name = State: ] && return; done </proc/$$/status; }"
    )
    script = (
        f"{over}; (until read_state; [ $state = Z ]; do :; done; echo late) & echo early"  # without a fork
    )
    found = shared_host.object("sh", "-c", script)
    assert (found["stdout"], found["lingered"], found["state"]) == ("early\nlate\n", False, "ok")


def test_a_child_that_holds_no_stream_is_ended_with_its_command(shared_host: Host) -> None:
    """cli.md: "`nohup x &` does not outlive its command"."""
    script = "echo $$; nohup sleep 1000 >/dev/null 2>&1 </dev/null & exit 0"
    found = shared_host.object("sh", "-c", script)
    assert (found["state"], found["lingered"]) == ("ok", False)
    leader = int(str(found["stdout"]))
    wait_until(lambda: not processes_of(leader), "the background child is gone")


class Brief(Host):
    """A server that gives a background child a millisecond: a linger is over at any moment there is."""

    def server_words(self, *options: str, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> list[str]:
        return [sys.executable, BRIEF, *super().server_words(*options, listen=listen)[1:]]


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[Brief]:
    host = Brief(tmp_path, RULES)
    yield host
    host.end()


def test_what_is_in_the_pipe_when_the_linger_is_over_arrives(brief: Brief) -> None:
    """security.md, Processes: "Exit seen before the last output: ... every one whole"; also slowly."""
    with rexec.connect(brief.start().address, home=brief.home) as host:
        for _ in range(20):
            result = host.run(["head", "-c", "1000000", "/dev/zero"])
            assert (result.state, len(result.stdout or b""), result.lingered) == ("ok", 1_000_000, False)
        found = host.run(["sh", "-c", "head -c 1000000 /dev/zero; (sleep 1000; echo late) & exit 3"])
        assert (found.exit_code, len(found.stdout or b""), found.lingered) == (3, 1_000_000, True)
        found = host.run(["sh", "-c", "echo begun; exec 2>&-; yes & exit 3"])
        assert (found.exit_code, (found.stdout or b"")[:6], found.lingered) == (3, b"begun\n", True)


def test_output_that_a_stop_cuts_off_is_no_success(brief: Brief) -> None:
    """cli.md: "Output that did not arrive whole is never a success", though its command ended well before."""
    session = brief.start("--drain", "1ms").session()
    words = (b"sh", b"-c", b"echo $$; exec head -c 300000 /dev/zero")
    command = session.start(f.Exec(0, f.Form.ARGV, words), None, HeldSink(), HeldSink())
    session.run(lambda: command.is_held(Stream.STDOUT))
    leader = int(session.take(command, Stream.STDOUT).split(b"\n")[0])
    wait_until(lambda: has_ended(leader), "all is in the pipe")
    assert brief.process is not None
    brief.process.terminate()
    brief.wait_for("rexec-server: end ")
    while not command.is_over:
        session.pump()
        session.take(command, Stream.STDOUT)
    assert command.result().exit_code == 255, command.result()
    session.close()


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

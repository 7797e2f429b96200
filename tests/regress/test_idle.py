"""A rule with `idle` ends a command by which no byte goes for so long, in either direction."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests.regress.conftest import Host, processes_of, wait_until

RULES = "sh ...\n    idle 500ms\ncat\n    idle 500ms\nyes\n    idle 500ms\n"
PATIENT = "sh ...\n    idle 4s\n"  # ten times the pauses below, and less than all of them together


def test_silence_ends_the_command_with_all_its_group(make_host: Callable[..., Host]) -> None:
    """cli.md: "124: the server ended it: total or idle timeout"."""
    host = make_host(RULES).start()
    found = host.object("sh", "-c", "echo $$; sleep 1000 & sleep 1000")
    assert (found["state"], found["exit_code"]) == ("timeout", 124)
    assert found["error"] == "timed out: no byte for 0.5 s (cmds.txt:1)"
    leader = int(str(found["stdout"]))
    wait_until(lambda: not processes_of(leader), "the group is gone")
    host.wait_for("rexec-server: end .* status=idle")


def test_output_on_either_stream_keeps_it_alive(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `idle 10s`; it is silence that counts, not the time in all."""
    host = make_host(PATIENT).start()
    script = "for n in 1 2 3 4 5 6 7 8 9; do sleep 0.3; echo $n; sleep 0.3; echo $n >&2; done"
    found = host.object("sh", "-c", script)
    assert (found["state"], found["stdout_bytes"], found["stderr_bytes"]) == ("ok", 18, 18)


def test_input_keeps_it_alive(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `idle 10s`: a command that only takes is not idle either."""
    host = make_host(PATIENT).start()
    with host.popen("sh", "-c", "while read line; do :; done; echo end") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        end = time.monotonic() + 5
        while time.monotonic() < end:
            os.write(client.stdin.fileno(), b"line\n")
            host.run("true", timeout=60)  # takes a while: some 100 ms
        client.stdin.close()
        assert client.stdout.read() == b"end\n"
    assert client.returncode == 0


def test_a_client_that_takes_nothing_is_silence(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "Output flood with a client that does not read": `idle` ends that, too."""
    host = make_host(RULES).start()
    with host.popen("yes") as client:
        host.wait_for("rexec-server: end .* status=idle")
        client.kill()

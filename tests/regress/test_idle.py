"""A rule with `idle` ends a command by which no byte goes for so long, in either direction."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.regress.conftest import Host, processes_of, wait_until

RULES = "sh ...\n    idle 1s\nyes\n    idle 1s\n"
PATIENT = "sh ...\n    idle 4s\n"  # ten times the pauses below, and less than all of them together


def test_silence_ends_the_command_with_all_its_group(make_host: Callable[..., Host]) -> None:
    """cli.md: "124: the server ended it: total or idle timeout"."""
    host = make_host(RULES).start()
    found = host.object("sh", "-c", "echo $$; sleep 1000 & sleep 1000")
    assert (found["state"], found["exit_code"]) == ("timeout", 124)
    assert found["error"] == "timed out: no byte for 1 s (cmds.txt:1)"
    leader = int(str(found["stdout"]))
    wait_until(lambda: not processes_of(leader), "the group is gone")
    host.wait_for("rexec-server: end .* status=idle")


def test_a_byte_in_either_direction_keeps_it_alive(make_host: Callable[..., Host]) -> None:
    """allow-list.md: `idle 10s`; it is silence that counts, not the time in all; and a command that only
    takes is not idle either."""
    host = make_host(PATIENT).start()
    turns = "1 2 3 4 5 6 7 8 9"
    giving = f"for n in {turns}; do sleep 0.3; echo $n; sleep 0.3; echo $n >&2; done"
    typing = f"for n in {turns}; do sleep 0.3; echo line; sleep 0.3; echo line; done"
    with (
        subprocess.Popen(["sh", "-c", typing], stdout=subprocess.PIPE) as typist,
        host.popen("sh", "-c", giving) as giver,  # both at once: it is the same time
        host.popen("sh", "-c", "while read line; do :; done; echo end", stdin=typist.stdout) as taker,
    ):
        assert giver.communicate() == (b"1\n2\n3\n4\n5\n6\n7\n8\n9\n",) * 2
        assert taker.communicate() == (b"end\n", b"")
    assert (giver.returncode, taker.returncode) == (0, 0)


def test_a_client_that_takes_nothing_is_silence(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: "Output flood with a client that does not read": `idle` ends that, too."""
    host = make_host(RULES).start()
    with host.popen("yes") as client:
        host.wait_for("rexec-server: end .* status=idle")
        client.kill()

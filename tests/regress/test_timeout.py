"""A command whose time is over is ended with all of its group, and the client ends with 124."""

from __future__ import annotations

from collections.abc import Callable

from tests.regress.conftest import RULES, Host, processes_of, wait_until

FAMILY = "echo $$; sleep 1000 & sleep 1000 & wait"
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 1000; done"


def ends_by_timeout(host: Host, script: str, *options: str) -> dict[str, object]:
    found = host.object("sh", "-c", script, options=options)
    leader = int(str(found["stdout"]))
    wait_until(lambda: not processes_of(leader), "the group is gone")
    return found


def test_the_time_that_a_client_asks_for_ends_the_whole_group(shared_host: Host) -> None:
    """cli.md: "124: the server ended it: total or idle timeout"."""
    found = ends_by_timeout(shared_host, FAMILY, "--timeout", "0.3s")
    assert (found["state"], found["exit_code"], found["error"]) == ("timeout", 124, "timed out")


def test_a_command_that_ignores_term_is_killed_when_its_time_is_over(shared_host: Host) -> None:
    """security.md, Processes: "a child that ignores TERM or stops itself"."""
    found = ends_by_timeout(shared_host, STUBBORN, "--timeout", "0.2s")
    assert (found["state"], found["exit_code"]) == ("timeout", 124)


def test_a_command_that_stopped_itself_is_ended_when_its_time_is_over(shared_host: Host) -> None:
    """security.md, Processes: "a child that ignores TERM or stops itself"."""
    found = ends_by_timeout(shared_host, "echo $$; kill -STOP $$", "--timeout", "0.2s")
    assert (found["state"], found["exit_code"]) == ("timeout", 124)


def test_the_time_of_a_rule_holds_without_asking(make_host: Callable[..., Host]) -> None:
    """cli.md: "`--timeout`: the smaller of it and the rule's"."""
    host = make_host("sh ...\n    timeout 1s\n").start()
    for options in ((), ("--timeout", "1h")):
        found = ends_by_timeout(host, FAMILY, *options)
        assert (found["state"], found["exit_code"]) == ("timeout", 124)


def test_the_clients_time_holds_where_the_rules_is_longer(make_host: Callable[..., Host]) -> None:
    """cli.md: "`--timeout`: the smaller of it and the rule's"."""
    host = make_host("sh ...\n    timeout 1h\n").start()
    assert ends_by_timeout(host, FAMILY, "--timeout", "0.2s")["state"] == "timeout"


def test_the_output_before_the_timeout_is_whole(make_host: Callable[..., Host]) -> None:
    """cli.md: "no exit frame with matching byte counts means 255": 124 comes with all that was written."""
    host = make_host(RULES).start()
    script = "head -c 300000 /dev/zero; sleep 1000"
    done = host.run("sh", "-c", script, options=("--timeout", "1s"))
    assert done.returncode == 124
    assert len(done.stdout) == 300_000
    assert done.stderr.startswith(b"rexec: ")
    assert b"timed out" in done.stderr

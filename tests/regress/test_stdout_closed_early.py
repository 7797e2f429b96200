"""Who stops reading stdout ends the client by SIGPIPE, and with it the remote group."""

from __future__ import annotations

import signal
import subprocess

from tests.regress.conftest import Host, processes_of, wait_until


def test_yes_into_head_ends_both_sides(host: Host) -> None:
    """security.md, People's terminals: "stdout closed early"; cli.md: "the client ends by SIGPIPE and the
    remote group is ended"."""
    with host.popen("yes") as client:
        assert client.stdout is not None
        with subprocess.Popen(["head", "-1"], stdin=client.stdout, stdout=subprocess.PIPE) as head:
            client.stdout.close()
            assert head.communicate()[0] == b"y\n"
        assert client.wait() == -signal.SIGPIPE
    host.wait_for("rexec-server: end ")


def test_the_whole_group_goes_with_the_reader(host: Host) -> None:
    """cli.md: "When the client is gone for good, so is the command, with all its children"."""
    script = "echo $$; sleep 1000 & yes"
    with host.popen("sh", "-c", script) as client:
        assert client.stdout is not None
        leader = int(client.stdout.readline())
        client.stdout.close()
        assert client.wait() == -signal.SIGPIPE
    host.wait_for("rexec-server: end ")
    wait_until(lambda: not processes_of(leader), "the group is gone")


def test_a_command_that_wrote_before_nobody_read_is_no_success(host: Host) -> None:
    """cli.md: "Output that did not arrive whole is never a success"."""
    with host.popen("seq", "100000") as client:
        assert client.stdout is not None
        client.stdout.close()
        assert client.wait() == -signal.SIGPIPE

"""Output that cannot be written is never taken for a success, whichever form it has."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.regress.conftest import CLIENT, Host


def run(host: Host, redirect: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a client behind a shell that redirects its output."""
    line = [CLIENT, *words[:-1], host.address, *words[-1].split()]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", *line],
        env=host.environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_lost_output_is_255_and_a_line(shared_host: Host, redirect: str, options: tuple[str, ...]) -> None:
    """security.md: "a result is whole or an error"."""
    done = run(shared_host, redirect, *options, "printf lost")
    reason = b"no space left on device" if "full" in redirect else b"bad file descriptor"
    assert done.returncode == 255
    assert b"stdout: " + reason in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_command_that_writes_nothing_loses_nothing(shared_host: Host) -> None:
    assert run(shared_host, ">&-", "true").returncode == 0


def test_a_status_that_cannot_be_written_is_255(shared_host: Host) -> None:
    """cli.md: "`--status-fd N` writes one JSON object and a newline to descriptor N"."""
    done = run(shared_host, "3>/dev/full", "--status-fd", "3", "true")
    assert (done.returncode, done.stderr) == (255, b"rexec: descriptor 3: no space left on device\n")


def test_nothing_listening_is_said_with_address_and_way_out(shared_host: Host) -> None:
    done = shared_host.run("true", address="127.0.0.1", options=("-p", "1"))
    assert done.returncode == 255
    error, hint = done.stderr.decode().splitlines()
    assert error == "rexec: 127.0.0.1: connection refused"
    assert hint.startswith("rexec: hint: nothing listens on 127.0.0.1:1: ")


def test_an_option_behind_the_host_is_told_where_it_belongs(shared_host: Host) -> None:
    done = shared_host.run("-t", "true")
    assert done.returncode == 126
    assert done.stderr.endswith(b"rexec: hint: options of rexec stand before the host\n")
    assert os.fsdecode(done.stderr).count("\n") == 2


def test_a_whole_command_line_in_quotes_is_told_that_no_shell_parts_it(shared_host: Host) -> None:
    done = shared_host.run("true -x")
    assert done.returncode == 126
    assert done.stderr.endswith(b"hint: no shell parts this into words: leave the quotes around it away\n")

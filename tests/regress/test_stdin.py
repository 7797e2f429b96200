"""stdin is streamed, its end included, and a command that does not want it is not held up by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rexec.limits import MIB, PIPE_BULK
from tests.regress.conftest import CLIENT, Host

FLOOD = [sys.executable, "-c", "import os\nwhile True: os.write(1, bytes(65536))"]


def test_a_half_close_is_seen_before_the_answer_is_written(shared_host: Host) -> None:
    """cli.md: "stdin is streamed, end of file included"."""
    script = "import sys; size = len(sys.stdin.buffer.read()); print(size); print('x' * size)"
    done = shared_host.run("python3", "-c", script, input=b"z" * 3_000_000)
    assert done.stdout == b"3000000\n" + b"x" * 3_000_000 + b"\n"


def test_the_pipe_of_a_command_that_gets_much_grows(shared_host: Host, tmp_path: Path) -> None:
    """performance.md: "Grow the child's pipes to 1 MiB with F_SETPIPE_SZ", once bulk is seen."""
    (tmp_path / "much").write_bytes(b"z" * 3_000_000)
    script = "import fcntl, sys; print(len(sys.stdin.buffer.read()), fcntl.fcntl(0, fcntl.F_GETPIPE_SZ))"
    with (
        open(tmp_path / "much", "rb") as much,
        shared_host.popen("python3", "-c", script, stdin=much) as client,
    ):
        out, _ = client.communicate()
    assert out == b"3000000 %d\n" % PIPE_BULK


def test_each_line_arrives_when_it_was_typed(shared_host: Host) -> None:
    """cli.md: "stdin is streamed": nothing waits for the end of it."""
    with shared_host.popen("sh", "-c", "while read line; do echo got $line; done") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for number in range(5):
            client.stdin.write(b"%d\n" % number)
            client.stdin.flush()
            assert client.stdout.readline() == b"got %d\n" % number
        client.stdin.close()
        assert client.wait() == 0


@pytest.mark.parametrize("program", [("true",), ("sh", "-c", "sleep 0.2; exit 3"), ("head", "-c", "10")])
def test_a_flood_that_nobody_reads_ends_with_the_command(shared_host: Host, program: tuple[str, ...]) -> None:
    """security.md, Processes: "A program that never reads stdin while stdin floods: it ends, the client
    ends"."""
    with (
        subprocess.Popen(FLOOD, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as flood,
        shared_host.popen(*program, stdin=flood.stdout) as client,
    ):
        assert flood.stdout is not None
        flood.stdout.close()
        out, err = client.communicate()
    assert client.returncode == (3 if program[0] == "sh" else 0)
    assert (len(out), err) == (10 if program[0] == "head" else 0, b"")


def test_a_command_that_ends_without_reading_ends_the_client_at_once(shared_host: Host) -> None:
    """cli.md: "a command that ends without reading stdin ends the client at once"."""
    with shared_host.popen("true") as client:  # its stdin stays open and silent
        assert client.wait() == 0


def test_a_command_that_closes_its_stdin_goes_on(shared_host: Host) -> None:
    """security.md, Processes: "A program that never reads stdin while stdin floods"."""
    script = "exec <&-; echo closed; sleep 0.2; echo done"
    done = shared_host.run("sh", "-c", script, input=bytes(8 * MIB))
    assert (done.returncode, done.stdout) == (0, b"closed\ndone\n")


def test_a_command_that_closes_its_stdout_runs_on(shared_host: Host) -> None:
    """cli.md: "The exit code is the command's": the end of its output is not its end."""
    script = "echo early; exec >&- 2>&-; read line; exit ${line}"
    done = shared_host.run("sh", "-c", script, input=b"9\n")
    assert (done.returncode, done.stdout) == (9, b"early\n")


def test_n_is_an_empty_stdin(shared_host: Host) -> None:
    """cli.md: "-n: stdin is empty"; what the client has is left alone."""
    reading, writing = os.pipe()
    os.write(writing, b"still mine\n")
    with shared_host.popen("wc", options=("-n",), stdin=reading) as client:
        out, _ = client.communicate()
    assert out.split() == [b"0", b"0", b"0"]
    assert os.read(reading, 100) == b"still mine\n"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_traceback(shared_host: Host, closed: str) -> None:
    """cli.md: "stdin is streamed": a closed one is empty. Output for a closed stdout is lost: an error."""
    script = f'exec "$@" {closed}'
    words = [
        "sh",
        "-c",
        script,
        "sh",
        CLIENT,
        shared_host.address,
        "sh",
        "-c",
        "cat; echo o; echo e >&2; exit 4",
    ]
    done = subprocess.run(
        words, env=shared_host.environment(), input=b"in\n", capture_output=True, check=False
    )
    is_lost = ">&-" in closed.split()
    assert done.returncode == (255 if is_lost else 4)
    assert done.stdout == (b"" if ">&-" in closed.split() else b"o\n" if "<&-" in closed else b"in\no\n")
    if not is_lost:
        assert done.stderr == (b"" if "2>&-" in closed else b"e\n")

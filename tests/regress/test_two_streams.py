"""stdout and stderr arrive complete and apart, whichever of them is read first."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from rexec.limits import KEEPALIVE_IDLE, MIB
from tests.regress.conftest import Host

INTERLEAVED = """
import os
for turn in range(160):
    os.write(1, b"o" * 65536)
    os.write(2, b"e" * 65536)
"""


def test_ten_mib_on_each_interleaved_arrive_complete_and_apart(shared_host: Host) -> None:
    """Promise: "10 MiB on each of stdout and stderr interleaved, complete and apart"."""
    done = shared_host.run("python3", "-c", INTERLEAVED)
    assert done.returncode == 0
    assert done.stdout == b"o" * 10 * MIB
    assert done.stderr == b"e" * 10 * MIB


def test_stderr_first_and_then_stdout_is_no_deadlock(shared_host: Host) -> None:
    """security.md, Processes: "1 MB on stderr and then on stdout: no deadlock"."""
    script = "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero"
    with shared_host.popen("sh", "-c", script) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        assert len(client.stderr.read(1_000_000)) == 1_000_000
        assert len(client.stdout.read()) == 1_000_000
        assert client.wait() == 0


def test_stdout_first_and_then_stderr_is_no_deadlock(shared_host: Host) -> None:
    """security.md, Processes: "1 MB on stderr and then on stdout: no deadlock", the other way round."""
    script = "head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2"
    with shared_host.popen("sh", "-c", script) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        assert len(client.stdout.read(3_000_000)) == 3_000_000
        assert len(client.stderr.read()) == 1_000_000
        assert client.wait() == 0


def test_a_stream_that_is_not_read_does_not_stop_the_other(shared_host: Host) -> None:
    """protocol.md 6: "a consumer that reads stderr first never blocks"."""
    script = "yes >&2 & head -c 3000000 /dev/zero; kill $!; wait"
    with shared_host.popen("sh", "-c", script) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        assert len(client.stdout.read(3_000_000)) == 3_000_000
        while client.stderr.read(MIB):
            pass
        assert client.wait() in (0, 143)


def test_both_streams_may_go_to_one_pipe(shared_host: Host) -> None:
    """cli.md: "stdout carries the command's bytes": `2>&1` loses none of either."""
    reading, writing = os.pipe()
    with shared_host.popen("python3", "-c", INTERLEAVED, stdout=writing, stderr=writing) as client:
        os.close(writing)
        with open(reading, "rb") as pipe:
            data = pipe.read()
        assert client.wait() == 0
    assert (data.count(b"o"), data.count(b"e")) == (10 * MIB, 10 * MIB)


def test_a_stderr_of_dev_null_does_not_hold_stdout_back(shared_host: Host) -> None:
    """cli.md: "stdout carries the command's bytes and nothing else"."""
    with open(os.devnull, "wb") as nothing:
        client = shared_host.popen("python3", "-c", INTERLEAVED, stderr=nothing)
        out, _ = client.communicate()
    assert (client.returncode, len(out)) == (0, 10 * MIB)


def test_the_last_byte_that_a_slow_reader_takes_is_the_end(shared_host: Host) -> None:
    """cli.md: "a command that ends ... ends the client at once": the end may come before the reader does."""
    script = "yes >&2 & head -c 3000000 /dev/zero; kill $!; wait"

    def run(turn: int) -> float:
        with shared_host.popen("sh", "-c", script) as client:
            assert client.stdout is not None
            assert client.stderr is not None
            client.stdout.read(3_000_000)
            last = time.monotonic()
            while client.stderr.read1(MIB):
                last = time.monotonic()
            client.wait()
            return time.monotonic() - last

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(run, range(40))) < KEEPALIVE_IDLE - 5  # it was a ping that woke the client up

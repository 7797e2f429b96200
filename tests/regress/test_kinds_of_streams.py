"""Files, /dev/null, sockets and pipes all serve as the client's streams, and none is left changed."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from pathlib import Path

import pytest

from rexec.limits import MIB
from tests.regress.conftest import Host


def test_a_socket_that_is_stdin_and_stdout_at_once(shared_host: Host) -> None:
    """cli.md: "stdin is streamed, end of file included", as inetd and rsync hand a stream over."""
    ours, theirs = socket.socketpair()
    data = bytes(range(256)) * 16 * 1024
    with ours, shared_host.popen("cat", stdin=theirs, stdout=theirs) as client:
        theirs.close()
        writer = threading.Thread(target=lambda: (ours.sendall(data), ours.shutdown(socket.SHUT_WR)))
        writer.start()
        with ours.makefile("rb") as back:
            assert back.read() == data
        writer.join()
        assert client.wait() == 0


def test_regular_files(shared_host: Host, tmp_path: Path) -> None:
    """cli.md: "stdin is streamed": from where the file stands, and output is appended where asked for."""
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(b"skipped" + b"x" * MIB)
    sink.write_bytes(b"before\n")
    with source.open("rb", buffering=0) as reading, sink.open("ab") as writing:
        reading.seek(7)
        client = shared_host.popen("cat", stdin=reading, stdout=writing)
        assert client.communicate()[1] == b""
    assert client.returncode == 0
    assert sink.read_bytes() == b"before\n" + b"x" * MIB


def test_dev_null(shared_host: Host) -> None:
    """cli.md: "stdin is streamed, end of file included"."""
    with open(os.devnull, "r+b", buffering=0) as nothing:
        client = shared_host.popen("sh", "-c", "cat; yes | head -c 3000000", stdin=nothing, stdout=nothing)
        assert client.communicate()[1] == b""
    assert client.returncode == 0


@pytest.mark.parametrize("number", [0, 1])
def test_a_shared_pipe_does_not_become_non_blocking(shared_host: Host, number: int) -> None:
    """cli.md: "stdout carries the command's bytes": others who write there must not see EAGAIN."""
    ends = os.pipe()
    stream = {"stdin": ends[0]} if number == 0 else {"stdout": ends[1]}
    with shared_host.popen("sh", "-c", "echo ready >&2; cat", **stream) as client:
        assert client.stderr is not None
        assert client.stderr.readline() == b"ready\n"
        assert not any(fcntl.fcntl(end, fcntl.F_GETFL) & os.O_NONBLOCK for end in ends)
        if client.stdin is not None:
            client.stdin.close()
        os.close(ends[1])
        assert client.wait() == 0
    os.close(ends[0])


def test_a_full_disk_is_an_error(shared_host: Host) -> None:
    """cli.md: "Output that did not arrive whole is never a success"."""
    with open("/dev/full", "wb", buffering=0) as full:
        client = shared_host.popen("seq", "100", stdout=full)
        _, err = client.communicate()
    assert client.returncode == 255
    assert err.startswith(b"rexec: ")
    assert b"Traceback" not in err
    assert b"no space left" in err

"""The kinds of streams that programs give their ssh, each with a command that gives back what it reads."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import shlex
import socket
import subprocess
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.limits import MIB
from tests.regress.conftest import PATIENCE, Host
from tests.regress.ssh import SHELL_RULES, ssh, ssh_popen, ssh_words

DATA = bytes(range(256)) * (12 * 1024)  # 3 MiB


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("far"), SHELL_RULES).start()
    yield host
    host.end()


def is_nonblocking(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK)


@pytest.mark.parametrize("nonblocking", [False, True])
def test_one_and_the_same_socket(far: Host, nonblocking: bool) -> None:
    """remote-shell.md: "scp, sftp, sshfs, pdsh, brz and libvirt give one and the same socket as stdin and
    stdout", and "rsync leaves the client's stdout non-blocking"."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(not nonblocking)
    with ours, theirs, ssh_popen(far, "cat", stdin=theirs, stdout=theirs) as client:
        writer = threading.Thread(target=lambda: (ours.sendall(DATA), ours.shutdown(socket.SHUT_WR)))
        writer.start()
        back = bytearray()
        while len(back) < len(DATA):
            back += ours.recv(MIB)
        writer.join()
        assert client.wait(60) == 0
        assert bytes(back) == DATA
        assert is_nonblocking(theirs.fileno()) is nonblocking


@pytest.mark.parametrize("number", [0, 1, 2])
def test_pipes_that_somebody_left_non_blocking(far: Host, number: int) -> None:
    """remote-shell.md: "EAGAIN on write is normal ... Leave no O_NONBLOCK behind", and none taken away."""
    reading, writing = os.pipe()
    os.set_blocking(reading if number == 0 else writing, False)
    streams = {("stdin", "stdout", "stderr")[number]: reading if number == 0 else writing}
    words = "cat" if number < 2 else "sh -c 'cat >&2'"
    with ssh_popen(far, words, **streams) as client:  # type: ignore[arg-type]
        os.close(streams.popitem()[1])
        other = writing if number == 0 else reading
        source = os.fdopen(other, "wb") if number == 0 else client.stdin
        sink = client.stdout if number == 0 else os.fdopen(other, "rb")
        assert source is not None
        assert sink is not None
        writer = threading.Thread(target=lambda: (source.write(DATA), source.close()))
        writer.start()
        assert hashlib.sha1(sink.read()).digest() == hashlib.sha1(DATA).digest()
        writer.join()
        assert client.wait(60) == 0
        sink.close()


def test_files(far: Host, tmp_path: Path) -> None:
    """remote-shell.md: "stdin or stdout may be a regular file (epoll refuses it), `/dev/null`, closed"."""
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(DATA)
    with source.open("rb") as reading, sink.open("wb") as writing:
        assert ssh(far, "cat", stdin=reading, stdout=writing).returncode == 0
    assert sink.read_bytes() == DATA
    with open(os.devnull, "r+b") as null:
        done = ssh(far, "cat", stdin=null, stdout=null, stderr=null)
    assert done.returncode == 0


def test_a_terminal_without_a_terminal_for_the_command(far: Host) -> None:
    """remote-shell.md: "or a terminal without `-t` (Ansible)"."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    before = fcntl.fcntl(theirs, fcntl.F_GETFL)
    client = ssh_popen(far, "head -n 1", stdin=theirs, stdout=theirs)
    os.write(ours, b"typed\n")
    assert client.wait(60) == 0
    assert os.read(ours, 100) == b"typed\n"
    assert fcntl.fcntl(theirs, fcntl.F_GETFL) == before
    os.close(ours)
    os.close(theirs)
    _, err = client.communicate()
    assert err == b""


def test_a_reader_that_has_enough(far: Host) -> None:
    """security.md: "`yes | head` ends fast"."""
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -n 2', "sh", *ssh_words(far, "yes")],
        env=far.environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"y\ny\n", b"")


def test_a_socket_whose_other_end_is_closed_is_the_end_of_input_alone(far: Host) -> None:
    """scp closes its one socket and then waits for the exit status, which is the command's."""
    ours, theirs = socket.socketpair()
    with ssh_popen(far, "sh -c 'echo ready; cat >/dev/null; exit 3'", stdin=theirs, stdout=theirs) as client:
        theirs.close()
        assert ours.recv(100) == b"ready\n"
        ours.close()
        assert client.wait(60) == 3


def test_a_command_whose_output_nobody_reads_has_its_time(shared_host: Host, tmp_path: Path) -> None:
    """ssh closes its end and waits; mosh closes the pipe while its server still leaves its terminal."""
    done = tmp_path / "done"
    script = f"trap '' PIPE; echo first; read x; echo second; echo third; : > {done}; exit 7"
    with ssh_popen(shared_host, f"sh -c {shlex.quote(script)}") as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == b"first\n"
        client.stdout.close()
        client.stdin.write(b"\n")
        client.stdin.close()
        assert client.wait(PATIENCE) == 7
    assert done.exists()

"""The fence of an event loop: what it needs goes on, and nothing else does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rexec.process import eventloop

FENCED = """
import asyncio, ctypes, fcntl, mmap, os, signal, socket, ssl, sys, termios, threading
from rexec.process import eventloop
there = socket.create_server(("127.0.0.1", 0))
listening = socket.create_server(("127.0.0.1", 0))
parent = os.getppid()
library = ctypes.CDLL(None, use_errno=True)
master, slave = os.openpty()
eventloop.forgo_capabilities()
print(eventloop.hold_files(), eventloop.filter_calls())

def raw(number):
    if library.syscall(number, 0, 0, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")

def fast_open():
    listening.shutdown(socket.SHUT_RD)
    listening.sendto(b"x", socket.MSG_FASTOPEN, there.getsockname())

def in_memory():
    descriptor = os.memfd_create("x")
    os.write(descriptor, b"certificate")
    return open(f"/proc/self/fd/{descriptor}").read()

async def loop():
    left, right = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=left)
    right.send(b"hello")
    return await reader.read(5)

def ran():
    return asyncio.run(loop())

def rights():
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [0])
    return len(socket.recv_fds(right, 9, 9)[1])

try:
    print(WHAT)
except OSError as error:
    print("refused", error.errno)
"""
EPERM, EACCES, ENOSYS = 1, 13, 38


def fenced(what: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FENCED.replace("WHAT", what)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    installed, said = done.stdout.splitlines()
    assert installed == "True True"
    return said


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("ran()", "b'hello'"),
        ("rights()", "1"),
        ("in_memory()", "certificate"),
        ("fcntl.fcntl(os.pipe()[0], fcntl.F_SETPIPE_SZ, 65536)", "65536"),
        ("fcntl.ioctl(master, termios.TIOCSWINSZ, bytes(8))", str(bytes(8))),
        ("len(termios.tcgetattr(master))", "7"),
        ("os.write(1, b'')", "0"),
        ("signal.signal(signal.SIGHUP, print)", "0"),
    ],
)
def test_what_an_event_loop_does_goes_on(what: str, said: str) -> None:
    assert fenced(what).removeprefix("Handlers.SIG_DFL") in (said, "")


@pytest.mark.parametrize(
    "what",
    [
        "open('/etc/passwd')",
        "open('/proc/self/mem')",
        "open('/tmp/x', 'w')",
        "open('/dev/tty')",
        "os.listdir('/')",
        "os.stat('/etc')",
        "os.chmod('/nowhere', 0)",
        "os.unlink('/nowhere')",
        "os.readlink('/proc/self/exe')",
        "os.chdir('/')",
    ],
)
def test_files_are_out_of_reach(what: str) -> None:
    """Promise: the listener "fences itself with Landlock and seccomp"."""
    assert fenced(what) in (f"refused {EPERM}", f"refused {EACCES}", f"refused {ENOSYS}")


@pytest.mark.parametrize(
    "what",
    [
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.kill(parent, 0)",
        "os.killpg(0, signal.SIGKILL)",
        "signal.pidfd_send_signal(0, 9)",
        "socket.socket()",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "listening.sendmsg([b'x'], [], socket.MSG_FASTOPEN, there.getsockname())",
        "fast_open()",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)",
        "os.setuid(0)",
        "os.setgroups([])",
        "socket.sethostname('x')",
        "os.nice(1)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        "fcntl.ioctl(slave, termios.TIOCSTI, b'x')",
        "fcntl.fcntl(master, fcntl.F_SETOWN, parent)",
        "raw(425)",  # io_uring_setup
        "raw(435)",  # clone3
        "raw(437)",  # openat2
        "raw(438)",  # pidfd_getfd
        "raw(0x40000000 + 39)",  # getpid of x32
    ],
)
def test_nothing_is_started_signalled_or_reached(what: str) -> None:
    """Promise: "a taken listener starts nothing"; security.md: "TIOCSTI into the operator's terminal"."""
    assert fenced(what) in (f"refused {EPERM}", f"refused {ENOSYS}")


def test_no_capability_is_left() -> None:
    """Where root serves without another user, root's rights go all the same."""
    program = "from rexec.process import eventloop; eventloop.forgo_capabilities(); "
    program += "print(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name in ("CapInh", "CapPrm", "CapEff"):
        assert re.search(rf"{name}:\s0+$", done.stdout, re.M), name


def test_the_table_has_no_number_twice() -> None:
    for column in (0, 1):
        numbers = [call.number for call in eventloop.calls(column)]
        assert len(numbers) == len(set(numbers))


@pytest.mark.system
@pytest.mark.parametrize(
    ("column", "header"),
    [
        (0, f"/usr/include/{os.uname().machine}-linux-gnu/asm/unistd_64.h"),
        (1, "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_the_numbers_are_the_kernels(column: int, header: str) -> None:
    """The headers of Linux say which number is which call; elsewhere newfstatat is called fstatat."""
    text = Path(header).read_text()
    found = {name: int(number) for name, number in re.findall(r"__NR(?:3264)?_(\w+)\s+(\d+)", text)}
    found.setdefault("newfstatat", found.get("fstatat", -1))
    for name, numbers in eventloop.table().items():
        if numbers[column] or not column:
            assert found[name] == numbers[column], name

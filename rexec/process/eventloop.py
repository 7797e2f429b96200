"""The fence of an event loop: what the listener still needs of the kernel once all is open and loaded.

It serves the sockets that it holds, and the pipes and terminals that it is handed. It starts nothing,
signals nobody, opens no socket and no connection, reads and writes no file, and gets no memory that can
be executed. Landlock holds the files, a filter of system calls all the rest.

One call that names a file stays: `ssl` loads a new certificate from a path, which leads to a file in
memory. Landlock lets none but such files through; without it, what the account may read is readable.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import termios

from rexec.process import landlock, seccomp
from rexec.process.abi import native
from rexec.process.seccomp import Call

_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_EXECUTABLE = 4  # PROT_EXEC
_EMPTY_PATH = 0x1000  # AT_EMPTY_PATH: the descriptor itself, as fstat(3) of newer libraries asks
_DUPLICATE, _DUPLICATE_CLOEXEC = 0, 1030  # fcntl(2), here and below
_FLAGS = (1, 2, 3, 4)
_PIPE_SIZE = (1031, 1032)
_NOT_TO_READ = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_TMPFILE | os.O_PATH
_NEWER_ATTRIBUTES = 0x802C542A  # TCGETS2

# What an event loop asks for: name, number on x86_64, number elsewhere (asm-generic/unistd.h). 0: not there.
# Those with arguments to look at stand first: the kernel remembers its answers to the others.
_LOOKED_AT = {
    # MSG_FASTOPEN connects, also a listening socket that was shut down
    "sendto": (44, 206, Call(0, without=((3, socket.MSG_FASTOPEN),))),
    "sendmsg": (46, 211, Call(0, without=((2, socket.MSG_FASTOPEN),))),
    # no TIOCSTI: stderr may be somebody's terminal
    "ioctl": (16, 29, Call(0, among=((1, (
        termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX,
        termios.TCGETS, _NEWER_ATTRIBUTES, termios.TIOCSWINSZ,
    )),))),
    # no F_SETOWN, which signals others
    "fcntl": (72, 25, Call(0, among=((1, (_DUPLICATE, *_FLAGS, _DUPLICATE_CLOEXEC, *_PIPE_SIZE)),))),
    "mmap": (9, 222, Call(0, without=((2, _EXECUTABLE),))),
    "mprotect": (10, 226, Call(0, without=((2, _EXECUTABLE),))),
    "setsockopt": (54, 208, Call(0, among=((1, (socket.IPPROTO_TCP,)), (2, (socket.TCP_NODELAY,))))),
    "getsockopt": (55, 209, Call(0, among=((1, (socket.SOL_SOCKET,)),))),
    # no datagrams: those could be sent to whoever has a name
    "socketpair": (53, 199, Call(0, among=((0, (socket.AF_UNIX,)), (1, (
        socket.SOCK_STREAM, socket.SOCK_STREAM | socket.SOCK_CLOEXEC,
    ))))),
    "openat": (257, 56, Call(0, without=((2, _NOT_TO_READ),))),
    "newfstatat": (262, 79, Call(0, among=((3, (_EMPTY_PATH,)),))),
}  # fmt: skip
_PLAIN = """
read 0 63               write 1 64              readv 19 65             writev 20 66
close 3 57              lseek 8 62              fstat 5 80              fsync 74 82
dup 32 23               dup3 292 24             pipe2 293 59            memfd_create 319 279
accept 43 202           accept4 288 242         listen 50 201           shutdown 48 210
recvfrom 45 207         recvmsg 47 212          getsockname 51 204      getpeername 52 205
epoll_create1 291 20    epoll_ctl 233 21        epoll_wait 232 0        epoll_pwait 281 22
epoll_pwait2 441 441    poll 7 0                ppoll 271 73            select 23 0
pselect6 270 72         eventfd2 290 19         munmap 11 215           mremap 25 216
brk 12 214              madvise 28 233          futex 202 98            sched_yield 24 124
rt_sigaction 13 134     rt_sigprocmask 14 135   rt_sigreturn 15 139     sigaltstack 131 132
restart_syscall 219 128 clock_gettime 228 113   clock_getres 229 114    clock_nanosleep 230 115
nanosleep 35 101        gettimeofday 96 169     time 201 0              getrandom 318 278
getpid 39 172           gettid 186 178          getppid 110 173         getuid 102 174
geteuid 107 175         getgid 104 176          getegid 108 177         wait4 61 260
waitid 247 95           exit 60 93             exit_group 231 94
"""


def table() -> dict[str, tuple[int, int]]:
    """Return the numbers of every call that stays, by its name: on x86_64 and elsewhere."""
    words = _PLAIN.split()
    plain = zip(words[::3], words[1::3], words[2::3], strict=True)
    looked_at = {name: (here, there) for name, (here, there, _) in _LOOKED_AT.items()}
    return looked_at | {name: (int(here), int(there)) for name, here, there in plain}


def calls(column: int) -> list[Call]:
    """Return the calls that stay, with the numbers of one column of the table."""
    found = [
        _LOOKED_AT[name][2]._replace(number=numbers[column]) if name in _LOOKED_AT else Call(numbers[column])
        for name, numbers in table().items()
    ]
    return [call for call in found if call.number or not column]  # 0 is read(2) on x86_64 alone


def forgo_capabilities() -> None:
    """Give up what makes root more than a name (capabilities(7)). Raises `OSError`."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.capset(header, bytes(24)):  # two halves of effective, permitted and inheritable
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def hold_files() -> bool:
    """Take every file, TCP connection, and other process out of reach; False where the kernel cannot."""
    if not landlock.version():
        return False
    landlock.forgo_privileges()
    try:
        rules = landlock.Ruleset(landlock.known_rights(), scoped=True, no_tcp=True)
        rules.enforce()
        rules.close()
    except OSError:  # the sixteen that a process may have are used up
        return False
    return True


def filter_calls() -> bool:
    """Leave the system calls of the table and no other; False where the kernel cannot."""
    abi = native()
    if abi is None:
        return False
    landlock.forgo_privileges()
    try:
        seccomp.allow_only(calls(0 if abi.alias_bit else 1))
    except OSError:
        return False
    return True

"""The numbers of this machine's system calls, for what Python does not offer.

A machine that is not in the table has no fence: a wrong number would hold nothing and tell nobody.
"""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import CDLL, Array, _NamedFuncPointer, c_char

    Argument = int | bytes | Array[c_char] | None


class Foreign(NamedTuple):
    """Another set of system calls of the same kernel: its AUDIT_ARCH, and its execve and execveat."""

    arch: int
    execs: tuple[int, int]


class Abi(NamedTuple):
    """The native system calls of a machine (linux/audit.h, asm/unistd.h)."""

    arch: int
    foreign: Foreign
    alias_bit: int  # of x32, which has the AUDIT_ARCH of x86_64; 0: there is no such thing
    alias_execs: tuple[int, ...]
    execve: int
    execveat: int
    socket: int
    socketpair: int
    memfd_create: int
    seccomp: int
    keyctl: int
    prlimit64: int
    io_uring_setup: int = 425  # from here on every machine has the same numbers
    landlock_create_ruleset: int = 444
    landlock_add_rule: int = 445
    landlock_restrict_self: int = 446


_OPENAT2 = 437
_X32 = 0x40000000
_ABIS = {
    "x86_64": Abi(
        0xC000003E, Foreign(0x40000003, (11, 358)), _X32, (520, 545), 59, 322, 41, 53, 319, 317, 250, 302
    ),
    "aarch64": Abi(0xC00000B7, Foreign(0x40000028, (11, 387)), 0, (), 221, 281, 198, 199, 279, 277, 219, 261),
}


@cache
def native() -> Abi | None:
    """Return the numbers of this machine; None: they are not known."""
    return _ABIS.get(os.uname().machine) if os.sysconf("SC_LONG_BIT") == 64 else None


@cache
def _library() -> CDLL:
    """Load the C library once, before the fork: a forked child pays for each page that it writes."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def system_call(number: int, *arguments: Argument) -> int:
    """Make a system call by its number. Raises `OSError`."""
    import ctypes

    # an int of Python would arrive as 32 bits
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    found = int(_library().syscall(ctypes.c_long(number), *passed))
    return _checked(found, ctypes.get_errno())


def open_how(directory: int, name: bytes, how: bytes) -> int:
    """Call openat2(2), which has the same number on every machine. Raises `OSError`."""
    import ctypes

    found = _openat2()(_OPENAT2, directory, name, how, len(how))
    return _checked(int(found), ctypes.get_errno() if found < 0 else 0)


@cache
def _openat2() -> _NamedFuncPointer:
    """Prepare a call that is made often: a reporter makes one for every other file that is named."""
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).syscall
    call.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long)
    call.restype = ctypes.c_long
    return call


def process_control(operation: int, value: int) -> None:
    """Call prctl(2). Raises `OSError`."""
    import ctypes

    nothing = ctypes.c_ulong(0)
    found = _library().prctl(operation, ctypes.c_ulong(value), nothing, nothing, nothing)
    _checked(found, ctypes.get_errno())


def _checked(found: int, error: int) -> int:
    if found < 0:
        raise OSError(error, os.strerror(error))
    return found

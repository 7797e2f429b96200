"""The filter of system calls: which ones are refused, and which ones the runner is asked about (seccomp(2)).

Numbers mean different calls under each set that a machine serves, so the filter looks at the set first
and refuses all but the native one: a 32-bit program under a fence finds no system calls. It only ever
looks at numbers; words that a call points to could change after the look.

A program may add filters of its own. They cannot weaken this one: the strictest answer of all holds, a
question to the runner comes before each that lets a call through, and the kernel takes no second
listener.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

from rexec.process import filecalls
from rexec.process.abi import native, system_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rexec.process.abi import Abi

    Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
    Program = list[Instruction]

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # linux/bpf_common.h
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24  # of struct seccomp_data; low halves of arguments
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000

_SET_FILTER, _ACTION_AVAILABLE, _NOTIFICATION_SIZES = 1, 2, 3
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5
SIZES = (80, 24, 64)  # of struct seccomp_notif, _notif_resp and seccomp_data, as this code knows them
_CONTINUE_SINCE = (5, 5)  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

_AF_UNIX = 1
_SOCK_TYPE, _SOCK_STREAM, _SOCK_SEQPACKET = 0xF, 1, 5
_NOEXEC_SEAL = 8  # MFD_NOEXEC_SEAL


def is_available() -> bool:
    """Tell whether this kernel asks the runner about calls, in the form that this code knows."""
    abi = native()
    if abi is None or _release() < _CONTINUE_SINCE:
        return False
    try:
        system_call(abi.seccomp, _ACTION_AVAILABLE, 0, struct.pack("=I", _NOTIFY))
        sizes = ctypes.create_string_buffer(6)
        system_call(abi.seccomp, _NOTIFICATION_SIZES, 0, sizes)
    except OSError:
        return False
    return struct.unpack("=3H", sizes.raw) == SIZES


def _release() -> tuple[int, ...]:
    first, second = os.uname().release.split(".")[:2]
    return int(first), int("".join(filter(str.isdigit, second)) or 0)


def install(*, execs: bool, only_listed: bool, sockets: bool, files: bool = False) -> int:
    """Filter this process and all that it starts, for good; return the listener's descriptor, or -1.

    `execs`: whoever listens is asked about every start of a program; `only_listed`: some are let through,
    so that programs must have a name; `sockets`: there are to be none; `files`: about every call that names
    a file. Where none of it is asked for, nobody listens. The limits of other processes are out of reach in
    any case. Raises `OSError`.
    """
    abi = native()
    assert abi is not None
    program = _filter(abi, execs, only_listed, sockets, files)
    if not execs and not sockets and not files:
        _set(abi, program, 0)
        return -1
    try:
        return _set(abi, program, _NEW_LISTENER | _WAIT_KILLABLE)
    except OSError as error:
        if error.errno != errno.EINVAL:  # before Linux 5.19: a signal interrupts a call that waits, no more
            raise
        return _set(abi, program, _NEW_LISTENER)


def _set(abi: Abi, program: Program, flags: int) -> int:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    return system_call(abi.seccomp, _SET_FILTER, flags, header)


class Call(NamedTuple):
    """A call that stays allowed where the low halves of some arguments, by their place, are as they should.

    `among` gives the values that one may have, `without` the bits that none may have.
    """

    number: int
    among: tuple[tuple[int, tuple[int, ...]], ...] = ()
    without: tuple[tuple[int, int], ...] = ()


def allow_only(calls: Iterable[Call]) -> None:
    """Refuse every call but these to this process, for good; nobody is asked. Raises `OSError`."""
    abi = native()
    assert abi is not None
    allowed = [line for call in calls for line in _when(call.number, _judged(call))]
    refused = [_refuse(errno.ENOSYS)]  # what a library does without, as on an older kernel
    _set(abi, [_load(_ARCH), *_unless(abi.arch, refused), _load(_NUMBER), *allowed, *refused], 0)


def _judged(call: Call) -> Program:
    """Look at the arguments of a call and allow it, or refuse it; the number is not loaded any more."""
    program: Program = []
    for place, values in call.among:
        program.append(_load(_FIRST + 8 * place))
        last = len(values)
        program += [(_EQUAL, last - index, 0, value) for index, value in enumerate(values)]
        program.append(_refuse(errno.EPERM))
    for place, bits in call.without:
        program += [_load(_FIRST + 8 * place), (_AND, 0, 0, bits), *_unless(0, [_refuse(errno.EPERM)])]
    return [*program, (_RETURN, 0, 0, _ALLOW)]


# --- the program, put together from its end -------------------------------------------------------


def _filter(abi: Abi, execs: bool, only_listed: bool, sockets: bool, files: bool) -> Program:
    return [
        _load(_ARCH),
        *_when(abi.foreign.arch, [_load(_NUMBER), *_strangers(abi.foreign.execs, execs)]),
        *_unless(abi.arch, [_refuse(errno.ENOSYS)]),
        _load(_NUMBER),
        *_aliases(abi, execs),
        *_limits(abi),
        *(_executions(abi) if execs else []),
        *(_nameless_programs(abi) if only_listed else []),
        *(_sockets(abi) if sockets else []),
        *(_files(abi) if files else []),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _strangers(numbers: tuple[int, ...], execs: bool) -> Program:
    """Refuse all calls of a foreign set; the runner hears of those that start programs."""
    asked = [line for number in numbers for line in _when(number, [_ASK])] if execs else []
    return [*asked, _refuse(errno.ENOSYS)]


def _aliases(abi: Abi, execs: bool) -> Program:
    """Refuse the set that has the mark of the native one; -1, which a tracer sets, is among its numbers."""
    if not abi.alias_bit:
        return []
    refused = _strangers(tuple(abi.alias_bit | number for number in abi.alias_execs), execs)
    return [(_AT_LEAST, 0, len(refused), abi.alias_bit), *refused]


def _limits(abi: Abi) -> Program:
    """Refuse limits of others: by a low one for CPU or files, the runner itself could be ended."""
    own = [_load(_FIRST), *_unless(0, [_refuse(errno.EPERM)]), (_RETURN, 0, 0, _ALLOW)]
    return _when(abi.prlimit64, own)


def _executions(abi: Abi) -> Program:
    return [*_when(abi.execve, [_ASK]), *_when(abi.execveat, [_ASK])]


def _nameless_programs(abi: Abi) -> Program:
    """Refuse files in memory that could be executed: Landlock does not see them."""
    sealed = [_load(_SECOND), (_AND, 0, 0, _NOEXEC_SEAL), *_unless(_NOEXEC_SEAL, [_refuse(errno.ENOSYS)])]
    return _when(abi.memfd_create, [*sealed, (_RETURN, 0, 0, _ALLOW)])


def _sockets(abi: Abi) -> Program:
    """Refuse every socket but a connected pair; io_uring makes sockets too, without any call to look at.

    A name lookup by glibc tries local sockets at each turn, so these are refused without a word.
    """
    ask = [_load(_FIRST), *_when(_AF_UNIX, [_refuse(errno.EACCES)]), _ASK]
    pair = [_load(_SECOND), (_AND, 0, 0, _SOCK_TYPE)]  # a datagram pair could be sent elsewhere
    for kind in (_SOCK_STREAM, _SOCK_SEQPACKET):
        pair += _when(kind, [(_RETURN, 0, 0, _ALLOW)])
    return [
        *_when(abi.io_uring_setup, [_refuse(errno.ENOSYS)]),
        *_when(abi.socket, ask),
        *_when(abi.socketpair, [*pair, _refuse(errno.EACCES)]),
    ]


def _files(abi: Abi) -> Program:
    """Ask about calls that name files; refuse what would hide a name, or give it another meaning."""
    which = 0 if abi.alias_bit else 1
    program = _when(abi.io_uring_setup, [_refuse(errno.ENOSYS)])
    for numbers in filecalls.ROOTS.values():
        program += _when(numbers[which], [_refuse(errno.EPERM)])
    for number in filecalls.by_number(which):
        program += _when(number, [_ASK])
    return program


_ASK: Instruction = (_RETURN, 0, 0, _NOTIFY)


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _refuse(error: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)


def _when(value: int, then: Program) -> Program:
    """Run `then`, which returns, where the loaded word is `value`."""
    return [(_EQUAL, 0, len(then), value), *then]


def _unless(value: int, then: Program) -> Program:
    return [(_EQUAL, len(then), 0, value), *then]

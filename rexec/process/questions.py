"""Calls that wait for an answer, and the words in the memory of those who wait (seccomp_unotify(2)).

What such a word says may be something else by the time the kernel reads it: nothing is let through
because of it that must be refused.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import NamedTuple

from rexec.process.seccomp import SIZES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; number, arch, ip, six arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102  # SECCOMP_IOCTL_NOTIF_*
_SET_FLAGS, _SWITCH_AT_ONCE = 0x40082104, 1  # SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
_LET_THROUGH = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_EMPTY = bytes(SIZES[0])  # the kernel wants it so
PATH_MAX = 4096  # bytes that the kernel takes, with the NUL
_PAGE = 4096
_FIRST = 256  # bytes of the first look: most names are shorter
_LENT_MAX = 64  # memories
_ADDRESS_MAX = 1 << 62  # no memory of a program is beyond it


class Asked(NamedTuple):
    """One system call that waits for an answer; the process is a thread, if there are more."""

    id: int
    pid: int
    number: int
    arch: int
    arguments: tuple[int, ...]


def receive(listener: int) -> Asked | None:
    """Take the next call that waits; None: who asked is dead, or asks anew."""
    data = bytearray(_EMPTY)
    try:
        fcntl.ioctl(listener, _RECEIVE, data, True)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR):
            return None
        raise
    found = _NOTIFICATION.unpack(data)
    return Asked(found[0], found[1], found[3], found[4], found[6:])


def answer(listener: int, asked: Asked, error: int) -> None:
    """Refuse a call with an error, or let it through with 0; nothing where it no longer waits."""
    data = _ANSWER.pack(asked.id, 0, -error, 0 if error else _LET_THROUGH)
    try:
        fcntl.ioctl(listener, _SEND, data)
    except OSError as failure:
        if failure.errno not in (errno.ENOENT, errno.EINPROGRESS):
            raise


def is_waiting(listener: int, asked: Asked) -> bool:
    """Tell whether a call still waits, so that its number is still that of the same process."""
    try:
        fcntl.ioctl(listener, _IS_VALID, struct.pack("=Q", asked.id))
    except OSError:
        return False
    return True


def switch_at_once(listener: int) -> None:
    """Let who asks and who answers take turns on one processor, where the kernel can (Linux 6.6)."""
    try:
        fcntl.ioctl(listener, _SET_FLAGS, _SWITCH_AT_ONCE)
    except OSError:
        pass


def open_memory(pid: int) -> int:
    """Open the memory of a process to read it, -1 where that is not ours to do; its reading may block."""
    try:
        return os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


class Memory:
    """The memory of other processes of this account (process_vm_readv(2)); each look asks the kernel anew.

    Yama, where it is active, lets nobody look but an ancestor, which is the runner (ptrace(2)). What that one
    opens is lent: `borrow` returns a descriptor, or -1. Whoever starts a program has another memory then.
    """

    def __init__(self, borrow: Callable[[int], int] = open_memory) -> None:
        self._borrow = borrow
        self._lent: dict[int, int] = {}
        self._data = bytearray(_PAGE)
        self._local = (ctypes.c_ulong * 2)(ctypes.addressof(ctypes.c_char.from_buffer(self._data)), 0)
        self._remote = (ctypes.c_ulong * 2)()
        self._places = ctypes.addressof(self._local), ctypes.addressof(self._remote)
        self._call = ctypes.CDLL(None, use_errno=True).process_vm_readv
        self._call.restype = ctypes.c_ssize_t
        self._call.argtypes = (ctypes.c_int, *((ctypes.c_void_p, ctypes.c_ulong) * 2), ctypes.c_ulong)

    def word(self, pid: int, address: int) -> bytes:
        """Return the word up to its NUL, as much as the kernel takes of one. Raises `OSError`."""
        found = b""
        while len(found) < PATH_MAX and address < _ADDRESS_MAX:
            # not beyond the page: the next one may not be there
            size = min(_FIRST, _PAGE - address % _PAGE, PATH_MAX - len(found))
            size = self._read(pid, address, size)
            end = self._data.find(0, 0, size)
            if end >= 0:
                return found + self._data[:end]
            found += self._data[:size]
            address += size
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))

    def block(self, pid: int, address: int, size: int) -> bytes:
        """Return so many bytes, a page at most. Raises `OSError`."""
        if address >= _ADDRESS_MAX or self._read(pid, address, min(size, _PAGE)) < size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return bytes(self._data[:size])

    def lend(self, pid: int) -> None:
        """Open a memory now, for a child of this process that may not."""
        self.forget()
        self._lent[pid] = self._borrow(pid)

    def forget(self) -> None:
        """Give back what was lent."""
        for descriptor in self._lent.values():
            if descriptor >= 0:
                os.close(descriptor)
        self._lent.clear()

    def _read(self, pid: int, address: int, size: int) -> int:
        number = self._read_directly(pid, address, size)
        if number > 0:
            return number
        error = -number or errno.EFAULT
        if error == errno.EPERM:
            number = self._read_lent(pid, address, size)
            if number > 0:
                return number
            error = errno.EPERM if number < 0 else errno.EFAULT
        raise OSError(error, os.strerror(error))

    def _read_directly(self, pid: int, address: int, size: int) -> int:
        """Return how many bytes were read, or the number of an error below zero."""
        local, remote = self._places
        self._local[1] = self._remote[1] = size
        self._remote[0] = address
        found = int(self._call(pid, local, 1, remote, 1, 0))
        return found if found >= 0 else -ctypes.get_errno()

    def _read_lent(self, pid: int, address: int, size: int) -> int:
        """Return how many bytes were read, -1 where nothing is lent."""
        for _ in range(2):
            if pid not in self._lent:
                if len(self._lent) >= _LENT_MAX:
                    self.forget()
                self._lent[pid] = self._borrow(pid)
            descriptor = self._lent[pid]
            if descriptor < 0:
                return -1
            try:
                found = os.preadv(descriptor, [memoryview(self._data)[:size]], address)
            except OSError:
                return 0
            if found:
                return found
            os.close(self._lent.pop(pid))  # of a program that is over: the process has another one by now
        return 0

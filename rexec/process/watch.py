"""What a fenced program asks the kernel for, answered by the runner (seccomp_unotify(2)).

The first start of a program is the permit's own: the process that asks has run nothing but our code.
Every later one is refused and not looked at by the kernel again, so that nothing can be changed between
our look and the kernel's; the path is read for the record alone, by a child: a program can put it where
reading does not end.

With `exec-only` a listed program is let through, and there the kernel reads the path again: another
thread may have written a different one by then. Landlock bounds what that can start to the listed
programs and their interpreters, the loader among them. Whoever can win this race runs code of its own
already, and gains nothing by it that it could not do by mapping the file itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
from typing import NamedTuple

from rexec.limits import ESCAPE_PATIENCE, ESCAPES_AT_ONCE
from rexec.policy.request import text_of
from rexec.policy.wording import shown
from rexec.process.abi import native
from rexec.process.account import become, is_ours
from rexec.process.bounded import answer_within
from rexec.process.seccomp import SIZES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.rules import Permit

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; number, arch, ip, six arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102  # SECCOMP_IOCTL_NOTIF_*
_LET_THROUGH = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_PATH_MAX = 4096
_PAGE = 4096
_ADDRESS_MAX = 1 << 62  # no memory of a program is beyond it, and no offset of a file
_MINE = ("/proc/", "/dev/")  # what leads elsewhere for each process that looks
_REFUSED, _ABSENT, _LISTED = b"r", b"a", b"l"


class Escape(NamedTuple):
    """An attempt that the fence refused: the process, what it wanted, and the option that forbids it."""

    pid: int
    path: str  # of a program, or `a socket`; harmless to show
    option: str  # noexec, exec-only, net none

    def __str__(self) -> str:
        """Say what happened, to stand behind the name of the rule and ``is`` or ``has``."""
        return f"{self.option}: {self.path} was not {'opened' if self.option == 'net none' else 'started'}"


class _Asked(NamedTuple):
    """One system call that waits for an answer."""

    id: int
    pid: int
    number: int
    arch: int
    arguments: tuple[int, ...]


class Watch:
    """The runner's end of a fence: `fd` is readable while somebody waits for an answer.

    It begins before the filter exists: `handover` is the end of a socket by which the listener comes.
    """

    def __init__(self, permit: Permit, handover: socket.socket) -> None:
        self._fence = permit.fence
        self._account = permit.account if permit.grant.run_as is not None else None
        self._listed = _spellings(permit.fence.exec_only or ())
        self._is_patient = True
        self._handover: socket.socket | None = handover
        self._listener = -1
        self._pid = 0  # of the process that may start the first program; 0: it has
        self._poll = select.epoll()
        self._poll.register(handover, select.EPOLLIN)
        self.fd = self._poll.fileno()

    def expect(self, pid: int) -> None:
        """Note which process is to become the permit's program."""
        self._pid = pid

    def close(self) -> None:
        """Stop answering: whatever still lives behind the fence can start nothing any more."""
        self._drop_handover()
        self._drop_listener()
        self._poll.close()

    def attend(self) -> list[Escape]:
        """Answer those who wait, up to a bound; return what was refused."""
        escapes: list[Escape] = []
        for _ in range(ESCAPES_AT_ONCE):
            ready = self._poll.poll(0)
            if not ready:
                break
            descriptor, events = ready[0]
            if descriptor != self._listener:
                self._take_listener()
            elif events & select.EPOLLIN:
                escapes += self._answer()
            else:  # EPOLLHUP: nobody is left behind the fence
                self._drop_listener()
        return escapes

    def _take_listener(self) -> None:
        assert self._handover is not None
        _, passed, _, _ = socket.recv_fds(self._handover, 1, 1, socket.MSG_CMSG_CLOEXEC)
        self._drop_handover()
        if passed:
            (self._listener,) = passed
            self._poll.register(self._listener, select.EPOLLIN)

    def _drop_handover(self) -> None:
        if self._handover is not None:
            self._poll.unregister(self._handover)
            self._handover.close()
            self._handover = None

    def _drop_listener(self) -> None:
        if self._listener >= 0:
            self._poll.unregister(self._listener)
            os.close(self._listener)
            self._listener = -1

    # --- one call -----------------------------------------------------------------------------

    def _answer(self) -> list[Escape]:
        asked = self._receive()
        if asked is None:
            return []
        if self._is_first(asked):
            self._send(asked.id, flags=_LET_THROUGH)
            return []
        error, escape = self._judge(asked)
        self._send(asked.id, error=-error, flags=0 if error else _LET_THROUGH)
        return [escape] if escape is not None else []

    def _receive(self) -> _Asked | None:
        data = bytearray(SIZES[0])
        try:
            fcntl.ioctl(self._listener, _RECEIVE, data, True)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # who asked is dead, or asks anew
                return None
            raise
        id_, pid, _, number, arch, _, *arguments = _NOTIFICATION.unpack(data)
        return _Asked(id_, pid, number, arch, tuple(arguments))

    def _send(self, id_: int, *, error: int = 0, flags: int = 0) -> None:
        try:
            fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(id_, 0, error, flags))
        except OSError as failure:
            if failure.errno not in (errno.ENOENT, errno.EINPROGRESS):  # it no longer waits
                raise

    def _is_first(self, asked: _Asked) -> bool:
        """Tell whether this is the start of the permit's program, which is spent by it."""
        abi = native()
        assert abi is not None
        if asked.pid != self._pid or asked.arch != abi.arch or asked.number == abi.socket:
            return False
        self._pid = 0
        return True

    def _judge(self, asked: _Asked) -> tuple[int, Escape | None]:
        """Return the error, 0 to let the call through, and what there is to report."""
        abi = native()
        assert abi is not None
        is_native = asked.arch == abi.arch
        if is_native and asked.number == abi.socket:
            return errno.EACCES, Escape(asked.pid, f"a socket ({_family(asked.arguments[0])})", "net none")
        is_at = is_native and asked.number == abi.execveat
        verdict, name = self._look_up(asked, asked.arguments[1 if is_at else 0])
        if verdict == _ABSENT:
            return errno.ENOENT, None
        if verdict == _LISTED and is_native:
            return 0, None
        option = "noexec" if self._fence.noexec else "exec-only"
        return errno.EPERM, Escape(asked.pid, shown(text_of(name)) or "a program without a name", option)

    def _look_up(self, asked: _Asked, address: int) -> tuple[bytes, bytes]:
        """Ask what is named there; a memory or a disk that does not answer is asked no more."""
        if not self._is_patient:
            return _REFUSED, b""
        found = answer_within(ESCAPE_PATIENCE, lambda: self._name_at(asked, address))
        if found is None:
            self._is_patient = False
            return _REFUSED, b""
        return found[:1], found[1:]

    def _name_at(self, asked: _Asked, address: int) -> bytes:
        """Return the verdict on a name in the memory of a process, and the name. Runs in a child."""
        try:
            name = self._text_at(asked, address)
        except OSError:
            return _REFUSED
        if self._account is not None and not is_ours(self._account):
            become(self._account)  # what is there, it may learn by its own rights alone
        return self._verdict(text_of(name)) + name

    def _verdict(self, name: str) -> bytes:
        if name in self._listed:
            return _LISTED
        if not name.startswith("/") or name.startswith(_MINE):
            return _REFUSED
        if not os.path.lexists(name):
            return _ABSENT  # a search along PATH came by, which is to go on
        return _LISTED if self._listed and os.path.realpath(name) in self._listed else _REFUSED

    def _text_at(self, asked: _Asked, address: int) -> bytes:
        memory = os.open(f"/proc/{asked.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # still the same process, now that its memory is open: its number was not given to another
            fcntl.ioctl(self._listener, _IS_VALID, struct.pack("=Q", asked.id))
            return _word_at(memory, address)
        finally:
            os.close(memory)


def _word_at(memory: int, address: int) -> bytes:
    """Read up to the NUL, page by page: the next one may not be there."""
    found = b""
    while len(found) < _PATH_MAX and address < _ADDRESS_MAX:
        data = os.pread(memory, _PAGE - (address + len(found)) % _PAGE, address + len(found))
        word, end, _ = data.partition(b"\0")
        found += word
        if end or not data:
            break
    return found


def _spellings(programs: tuple[str, ...]) -> frozenset[str]:
    return frozenset(programs).union(map(os.path.realpath, programs))


def _family(number: int) -> str:
    try:
        return socket.AddressFamily(number & 0xFFFFFFFF).name
    except ValueError:
        return f"family {number & 0xFFFFFFFF}"

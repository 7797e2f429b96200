"""Who a command leaves behind, wherever it went: it comes to this process, and bears the command's mark.

The runner is a child subreaper (prctl(2)): whoever loses its parent becomes its child, after any number
of forks and setsid. Which command it belongs to says its mark, the hard limits of RLIMIT_LOCKS and
RLIMIT_RSS: Linux ignores both since 2.4, a child inherits them, execve(2) keeps them, and only root can
raise them. A process that lowers its own bears the mark of nobody, and is ended as such. From one sealed
mark to the next the first falls and the second rises, so that none can be turned into another by falls.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    Mark = tuple[int, int]  # hard limits: of RLIMIT_LOCKS and RLIMIT_RSS

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LOCKS = 10  # asm-generic/resource.h; the module resource has no name for it
_RSS = resource.RLIMIT_RSS
_HIGHEST = 1 << 62  # below RLIM_INFINITY, and fits the module resource
_SUM = _HIGHEST + (1 << 61)  # of a pair: programs that size their memory by RLIMIT_RSS find it without bound
NOBODY = (-1, -1)
_OFFSET_BYTES = 6  # where the marks of a process begin below that
_STEP_BYTES = 2  # how far apart they are: a server inside a command makes marks of its own


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it. Raises `OSError`."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Marks:
    """Makes marks: what is started after `renew` bears the new one."""

    def __init__(self) -> None:
        self._last = max(0, _highest() - _random(_OFFSET_BYTES))

    def renew(self) -> Mark:
        """Return a mark that nothing bears yet, and put it on this process for its children."""
        try:
            self._sink()
        except ValueError:  # somebody of our account has lowered it further (prlimit(2))
            self._last = _highest()
            self._sink()
        return self._last, resource.getrlimit(_RSS)[1]

    def _sink(self) -> None:
        self._last = max(0, self._last - 1 - _random(_STEP_BYTES))
        resource.setrlimit(_LOCKS, (self._last, self._last))


def _highest() -> int:
    _, hard = resource.getrlimit(_LOCKS)
    return _HIGHEST if hard == resource.RLIM_INFINITY else min(hard, _HIGHEST)


def sealed(mark: Mark) -> Mark:
    """Return what a mark becomes by `seal`; without room for it, as in a command of a command, it stays."""
    first, second = mark
    wanted = _SUM - first
    return first, wanted if second == resource.RLIM_INFINITY or second >= wanted else second


def seal() -> None:
    """Make the mark of this process one that cannot be turned into another sealed one, for good."""
    _, hard = sealed(mark_of(0))
    soft, _ = resource.getrlimit(_RSS)  # there are programs that look at it
    resource.setrlimit(_RSS, (hard if soft == resource.RLIM_INFINITY else min(soft, hard), hard))


def _random(size: int) -> int:
    return int.from_bytes(os.urandom(size))


class Orphanage:
    """The children of this process, and those among them that it did not start."""

    def __init__(self) -> None:
        pid = os.getpid()
        try:
            self._list = os.open(f"/proc/self/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
            self._list = -1

    def close(self) -> None:
        if self._list >= 0:
            os.close(self._list)
            self._list = -1

    def orphans(self, known: Collection[int]) -> list[int]:
        """List the children, dead or alive, that are not `known`; none is forgotten until it is reaped."""
        if self._list < 0:
            return [pid for pid in children_by_parent(os.getpid()) if pid not in known]
        data = b""
        while more := os.pread(self._list, 1 << 16, len(data)):
            data += more
        return [pid for pid in map(int, data.split()) if pid not in known]


def children_by_parent(parent: int) -> list[int]:
    """List the children of a process by asking every process for its parent."""
    found = []
    for pid in _all_pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                _, ppid, *_ = file.read().rpartition(b")")[2].split()
        except (OSError, ValueError):
            continue
        if int(ppid) == parent:
            found.append(pid)
    return found


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def mark_of(pid: int) -> Mark:
    """Return the mark that a process bears, nobody's where there is no such process."""
    try:
        return resource.prlimit(pid, _LOCKS)[1], resource.prlimit(pid, _RSS)[1]
    except PermissionError:  # it has become somebody else
        return _mark_as_listed(pid)
    except OSError:
        return NOBODY


def _mark_as_listed(pid: int) -> Mark:
    """Return the mark as everybody may read it (proc(5))."""
    try:
        with open(f"/proc/{pid}/limits", "rb") as file:
            hard = {line[:16]: line.split()[-2] for line in file}
        return _number(hard[b"Max file locks  "]), _number(hard[b"Max resident set"])
    except (OSError, LookupError, ValueError):
        return NOBODY


def _number(listed: bytes) -> int:
    return resource.RLIM_INFINITY if listed == b"unlimited" else int(listed)


def is_reaped(pid: int) -> bool:
    """Reap a child if it is dead; False while it lives."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def send(pid: int, number: int) -> None:
    """Send a signal to a child that is not reaped, whose pid is therefore its own."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # dead, or somebody else by a set-uid program


def kill_marked(mark: Mark) -> None:
    """Kill every process that bears a mark of ours, however deep it stands; but not this process."""
    for pid in _all_pids():
        if mark_of(pid) == mark and pid != os.getpid():
            _kill_if_marked(pid, mark)


def _kill_if_marked(pid: int, mark: Mark) -> None:
    """Kill by a descriptor that was looked at, since the pid of a grandchild may change hands."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if mark_of(pid) == mark:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        os.close(descriptor)

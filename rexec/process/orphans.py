"""Who a command leaves behind, wherever it went: it comes to this process, and bears the command's mark.

The runner is a child subreaper (prctl(2)): whoever loses its parent becomes its child, after any number
of forks and setsid. Which command it belongs to says its mark, the hard limit of RLIMIT_LOCKS: Linux
ignores that limit since 2.4.25, a child inherits it, execve(2) keeps it, and only root can raise it. A
process that lowers its own bears the mark of nobody, and is ended as such.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LOCKS = 10  # asm-generic/resource.h; the module resource has no name for it
_HIGHEST = 1 << 62  # below RLIM_INFINITY, and fits the module resource
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
        _, hard = resource.getrlimit(_LOCKS)
        highest = _HIGHEST if hard == resource.RLIM_INFINITY else min(hard, _HIGHEST)
        self._last = max(0, highest - _random(_OFFSET_BYTES))

    def renew(self) -> int:
        """Return a mark that nothing bears yet, and put it on this process for its children."""
        self._last = max(0, self._last - 1 - _random(_STEP_BYTES))
        resource.setrlimit(_LOCKS, (self._last, self._last))
        return self._last


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


def mark_of(pid: int) -> int:
    """Return the mark that a process bears; -1 where there is no such process."""
    try:
        return resource.prlimit(pid, _LOCKS)[1]
    except PermissionError:  # it has become somebody else
        return _mark_as_listed(pid)
    except OSError:
        return -1


def _mark_as_listed(pid: int) -> int:
    """Return the mark as everybody may read it (proc(5))."""
    try:
        with open(f"/proc/{pid}/limits", "rb") as file:
            (hard,) = (line.split()[-2] for line in file if line.startswith(b"Max file locks"))
        return int(hard)
    except (OSError, ValueError):
        return -1


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


def kill_marked(mark: int) -> None:
    """Kill every process that bears a mark of ours, however deep it stands; but not this process."""
    for pid in _all_pids():
        if mark_of(pid) == mark and pid != os.getpid():
            _kill_if_marked(pid, mark)


def _kill_if_marked(pid: int, mark: int) -> None:
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

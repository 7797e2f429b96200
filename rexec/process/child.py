"""One command as processes: `start(permit) -> Child`, and the orderly end of its group.

Nothing here reaps by accident: the exit is noticed with WNOWAIT, so that the zombie keeps its pid,
and with it the number of its process group, until the group has been dealt with.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from rexec.policy.request import bytes_of
from rexec.policy.wording import shown
from rexec.process.descriptors import AS_GIVEN
from rexec.process.places import Astray, open_directory

if TYPE_CHECKING:
    from rexec.policy.rules import Permit


class NotStarted(NamedTuple):
    """A permitted program that could not be started: exit code 126 or 127, and why."""

    exit_code: int
    message: str


class Ending(NamedTuple):
    """How the leader of the group ended, and what the command used."""

    status: int  # 0-255, or 0 where `signal` says more
    signal: str  # a name without SIG, or ""
    user_us: int
    system_us: int
    max_rss_kib: int


class Child:
    """A running command: the leader's pid (also its group and session) and our ends of its streams.

    `streams` are stdin where it has one, stdout and stderr, or with a terminal its master alone.
    """

    __slots__ = ("_popen", "has_stdin", "has_terminal", "pid", "pidfd", "streams")

    def __init__(
        self, pid: int, streams: tuple[int, ...], popen: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._popen = popen
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.streams = streams
        self.has_terminal = len(streams) == 1
        self.has_stdin = len(streams) != 2

    def is_over(self) -> bool:
        """Tell whether the leader has exited, without reaping it."""
        return os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; the unreaped leader guarantees that it is still ours."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # all of it is gone, or has become somebody else (a set-uid program)

    def reap(self) -> Ending:
        """Collect the leader; its pid is free after this, so that no signal may follow."""
        _, status, usage = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if self._popen is not None:
            self._popen.returncode = code  # it is not to look for itself
        os.close(self.pidfd)
        return Ending(
            max(code, 0),
            signal_name(-code) if code < 0 else "",
            int(usage.ru_utime * 1_000_000),
            int(usage.ru_stime * 1_000_000),
            usage.ru_maxrss,
        )


def signal_name(number: int) -> str:
    """Return the name of a signal without SIG; real-time signals by number, as in RTMIN+3."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"RTMIN+{number - signal.SIGRTMIN}"


def start(permit: Permit) -> Child | NotStarted:
    """Start the program of a permit: exact argv, made-up environment, own session, descriptors 0-2 only."""
    ours: list[int] = []
    theirs: list[int] = []
    try:
        where = open_directory(permit)
        if where >= 0:
            theirs.append(where)
        return _start(permit, where, ours, theirs)
    except Astray:
        return NotStarted(126, astray(permit))
    except OSError as error:
        for descriptor in ours:
            os.close(descriptor)
        return why_not(permit, error)
    finally:
        for descriptor in theirs:
            os.close(descriptor)


def _start(permit: Permit, where: int, ours: list[int], theirs: list[int]) -> Child:
    before = len(theirs)
    open_streams(permit, ours, theirs)
    return _held(_spawn(permit, theirs[before:], where), ours)


def astray(permit: Permit) -> str:
    """Say that a directory leads out of its root."""
    return f"working directory {shown(permit.cwd)} leads out of {permit.cwd_root}"


def open_streams(permit: Permit, ours: list[int], theirs: list[int]) -> None:
    """Fill `theirs` with the child's descriptors and `ours` with the other ends; /dev/null has none."""
    if permit.stdin:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        theirs.append(reading)
        ours.append(writing)
    else:
        theirs.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    for _ in ("stdout", "stderr"):
        reading, writing = os.pipe2(os.O_CLOEXEC)
        theirs.append(writing)
        ours.append(reading)


def _held(popen: subprocess.Popen[bytes], ours: list[int]) -> Child:
    """Take hold of a started process; one that cannot be held is ended, so that it never runs unseen."""
    try:
        return Child(popen.pid, tuple(ours), popen)
    except OSError:
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        raise


def _spawn(permit: Permit, streams: list[int], where: int) -> subprocess.Popen[bytes]:
    """Start by vfork: no option here may need code between fork and exec."""
    with AS_GIVEN:
        return subprocess.Popen(
            [bytes_of(word) for word in permit.argv],
            executable=bytes_of(permit.path),
            env={bytes_of(name): bytes_of(value) for name, value in permit.env},
            cwd=bytes_of(permit.cwd) if where < 0 else f"/proc/self/fd/{where}",
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            umask=permit.umask,
            start_new_session=True,
            close_fds=True,
            restore_signals=True,
        )


def why_not(permit: Permit, error: OSError) -> NotStarted:
    """Return why a permitted program was not started."""
    if error.errno == errno.E2BIG:
        return NotStarted(126, "argument list too long")
    reason = (error.strerror or "unknown error").lower()
    if error.filename is not None and error.filename == bytes_of(permit.cwd):
        return NotStarted(127, f"working directory {shown(permit.cwd)}: {reason}")
    return NotStarted(127, f"{permit.path or permit.argv[0]}: {reason}")

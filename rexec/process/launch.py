"""Commands that need code before exec, started by a fork of our own: a controlling terminal, another
account, limits, a fence, a digest.

The runner never waits for an exec, since a fenced one waits for the runner. `begin` returns at once;
`Launch.error` is the read end of a pipe that closes with the exec, or first brings why there was none.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

from rexec.policy.grant import NO_LIMITS
from rexec.policy.request import bytes_of
from rexec.policy.wording import shown
from rexec.process import become
from rexec.process.account import is_ours
from rexec.process.become import Ends, Line, Stage
from rexec.process.child import Child, NotStarted, astray, open_streams, why_not
from rexec.process.orphans import send
from rexec.process.pty import open_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.policy.rules import Permit
    from rexec.process.become import Prepare
    from rexec.process.reports import Reports
    from rexec.process.watch import Watch
    from rexec.protocol.frames import Pty


def needs_launch(permit: Permit) -> bool:
    """Tell whether a command without a terminal needs code before exec too."""
    grant = permit.grant
    return (
        permit.fence.is_asked_for
        or grant.limits != NO_LIMITS
        or grant.nice is not None
        or grant.sha256 is not None
        or (grant.run_as is not None and not is_ours(permit.account))
    )


class Launch:
    """A child between fork and exec: `error` becomes readable when it is known how that went.

    `fence`, where there is one, is to be attended from now on, and to be closed when the command is over
    or was not started.
    """

    __slots__ = ("_permit", "_streams", "error", "fence", "pid")

    def __init__(
        self, permit: Permit, pid: int, error: int, streams: tuple[int, ...], fence: Watch | Reports | None
    ) -> None:
        self._permit = permit
        self._streams = streams
        self.pid = pid
        self.error = error
        self.fence = fence

    def finish(self) -> Child | NotStarted:
        """Say how it went, once `error` is readable; closes it, and the streams of a failed start."""
        report = os.read(self.error, become.REPORT.size)
        os.close(self.error)
        if not report:
            return Child(self.pid, self._streams)
        for stream in self._streams:
            os.close(stream)
        send(self.pid, signal.SIGKILL)  # it is about to exit; somebody of its account may have stopped it
        os.waitpid(self.pid, 0)
        number, stage = become.REPORT.unpack(report)
        return _explain(self._permit, OSError(number, os.strerror(number)), Stage(stage))


def begin(permit: Permit, terminal: Pty | None, prepare: Prepare | None = None) -> Launch | NotStarted:
    """Fork a child that becomes the permit's program, with a terminal of its own or with pipes.

    With `prepare` it starts none, and does instead what that returns.
    """
    ours: list[int] = []
    theirs: list[int] = []
    if prepare is not None:
        from rexec.process import fence  # noqa: F401 - loaded now: the child can load nothing any more
    try:
        return _fork(permit, terminal, ours, theirs, prepare)
    except OSError as error:
        for descriptor in ours:
            os.close(descriptor)
        return why_not(permit, error)
    finally:
        for descriptor in theirs:
            os.close(descriptor)


def _fork(
    permit: Permit, terminal: Pty | None, ours: list[int], theirs: list[int], prepare: Prepare | None
) -> Launch:
    """Open what both sides need, noting it in `ours` and `theirs` as it comes, and fork."""
    if terminal is None:
        open_streams(permit, ours, theirs)
    else:
        master, slave = open_terminal(terminal)
        ours.append(master)
        theirs.append(slave)
    streams = tuple(ours)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ours.append(reading)
    theirs.append(writing)
    watch, end = _open_watch(permit) if prepare is None else (None, -1)
    if end >= 0:
        theirs.append(end)
    try:
        pid = os.fork()
    except OSError:
        if watch is not None:
            watch.close()
        raise
    if not pid:
        used = (theirs[0],) * 3 if terminal is not None else (theirs[0], theirs[1], theirs[2])
        line = Line(end, watch.shared if watch is not None else None)
        become.become(permit, Ends(used, terminal is not None, writing, line), prepare)
    if watch is not None:
        watch.expect(pid)
    return Launch(permit, pid, reading, streams, watch)


def _open_watch(permit: Permit) -> tuple[Watch | Reports | None, int]:
    """Return the watch over a fence and the child's end of the line to it, or -1."""
    if not permit.fence.is_asked_for:
        return None, -1
    from rexec.process import fence  # what it needs is loaded for the first command that has one
    from rexec.process.watch import Watch

    if not fence.needs_watch(permit.fence):
        return None, -1
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        if fence.needs_reporter(permit.fence):
            from rexec.process import reporter  # noqa: F401 - the child can load nothing any more
            from rexec.process.reports import Reports

            return Reports(mine), other.detach()
        return Watch(permit, mine), other.detach()
    except OSError:
        mine.close()
        other.close()
        raise


def _explain(permit: Permit, error: OSError, stage: Stage) -> NotStarted:
    """Say what went wrong, with the exit code of a shell: 127 for what is not there, else 126."""
    reason = (error.strerror or "unknown error").lower()
    if stage is Stage.PROGRAM or stage is Stage.DIRECTORY:
        error.filename = bytes_of(permit.path if stage is Stage.PROGRAM else permit.cwd)
        return why_not(permit, error)
    return NotStarted(126, _REASONS[stage](permit, reason))


_REASONS: dict[Stage, Callable[[Permit, str], str]] = {
    Stage.ASTRAY: lambda permit, _: astray(permit),
    Stage.ACCOUNT: lambda permit, reason: f"cannot run as {shown(permit.account.name)}: {reason}",
    Stage.NICE: lambda permit, reason: f"cannot set nice {permit.grant.nice}: {reason}",
    Stage.LIMITS: lambda _, reason: f"cannot set the limits: {reason}",
    Stage.FENCE: lambda _, reason: f"cannot put up the fence: {reason}",
    Stage.SWAPPED: lambda permit, _: f"{shown(permit.path)} is not the program with this sha256",
}

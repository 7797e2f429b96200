"""The commands that run: their exits, their time, and the end of all that belongs to them.

A command is over in this order: the leader's exit is noticed and it stays a zombie; the listener says
that both streams are drained (or that they lingered long enough); what is left of the group is
killed; the leader is reaped; the end is reported. Ending it before its time is TERM to the group,
and KILL after `KILL_AFTER` for whatever is left then.
"""

from __future__ import annotations

import heapq
import selectors
import signal
import time
from typing import TYPE_CHECKING

from rexec.limits import KILL_AFTER
from rexec.protocol.frames import Cause
from rexec.server.orders import Drained, Ended, Over

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.policy.rules import Permit
    from rexec.process.child import Child, Ending
    from rexec.server.orders import OrderSocket

FORWARDED = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "KILL", "ALRM", "CONT", "STOP", "TSTP", "WINCH")
WAIT_MAX = 3600.0  # seconds: epoll_wait(2) takes no more than an int of milliseconds
TIMERS_KEPT = 64  # dead timers are not worth looking for below this number
RECHECK = 0.02  # seconds between looks at who is left of a group that is being ended
_STATUS = {
    Cause.TIMEOUT: "timeout",
    Cause.IDLE: "idle",
    Cause.OUTPUT_LIMIT: "output",
    Cause.DRAINED: "drained",
    Cause.LOST: "gone",
}


class Job:
    """One command that runs, or whose end is not complete."""

    __slots__ = ("cause", "child", "drained", "killed", "number", "over", "permit", "started", "told", "user")

    def __init__(self, number: int, child: Child, permit: Permit, user: str) -> None:
        self.number = number
        self.child = child
        self.permit = permit
        self.user = user
        self.started = time.monotonic()
        self.cause: Cause | None = None  # why we end it, if we do
        self.over = False  # the leader has exited
        self.told = False  # and the listener knows
        self.killed = False  # KILL was sent: nobody of the group is left to wait for
        self.drained: Drained | None = None


class Supervisor:
    """All jobs of one runner."""

    def __init__(self, selector: selectors.BaseSelector, link: OrderSocket, log: Log) -> None:
        self._selector = selector
        self._link = link
        self._log = log
        self._jobs: dict[int, Job] = {}
        self._timers: list[tuple[float, int, int, Callable[[Job], None]]] = []
        self._ticket = 0
        self.listening = True  # somebody wants reports

    def __len__(self) -> int:
        return len(self._jobs)

    def begin(self, job: Job) -> None:
        """Take charge of a command that was just started."""
        self._jobs[job.number] = job
        self._selector.register(job.child.pidfd, selectors.EVENT_READ, job)
        if job.permit.timeout is not None:
            self._after(job.permit.timeout, job, lambda job: self._end(job, Cause.TIMEOUT))

    def signal(self, number: int, name: str) -> None:
        """Forward a signal by name to a group, if it still runs and the name is one of the known."""
        job = self._jobs.get(number)
        if job is not None and name in FORWARDED and not job.killed:
            job.child.signal(getattr(signal, f"SIG{name}"))

    def end(self, number: int, cause: Cause) -> None:
        """End a command before its time."""
        job = self._jobs.get(number)
        if job is not None:
            self._end(job, cause)

    def end_all(self, cause: Cause) -> None:
        """End every command; those whose leader is gone wait for no drain any more."""
        for job in list(self._jobs.values()):
            if job.drained is None:
                job.drained = Drained(job.number, 0, 0)
            self._end(job, cause)

    def drained(self, order: Drained) -> None:
        """Note that nothing more will be read from a command."""
        job = self._jobs.get(order.child)
        if job is not None and job.drained is None:
            job.drained = order
            self._finish(job)

    def exited(self, job: Job) -> None:
        """Note that a leader's pidfd became readable."""
        if job.over or not job.child.is_over():
            return
        job.over = True
        self._selector.unregister(job.child.pidfd)
        self._finish(job)

    def wait(self) -> float | None:
        """Return the seconds until the next timer, or None."""
        return min(WAIT_MAX, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else None

    def fire(self) -> None:
        """Do what the clock asks for."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, number, action = heapq.heappop(self._timers)
            job = self._jobs.get(number)
            if job is not None:
                action(job)

    def _after(self, delay: float, job: Job, action: Callable[[Job], None]) -> None:
        self._ticket += 1  # ties are broken before the heap compares functions
        heapq.heappush(self._timers, (time.monotonic() + delay, self._ticket, job.number, action))

    def _end(self, job: Job, cause: Cause) -> None:
        if job.cause is not None:
            return
        if not job.over:
            job.cause = cause
        job.child.signal(signal.SIGTERM)
        job.child.signal(signal.SIGCONT)  # a stopped process takes no TERM
        self._after(KILL_AFTER, job, self._kill)
        if job.over:
            self._finish(job)

    def _kill(self, job: Job) -> None:
        job.killed = True
        job.child.signal(signal.SIGKILL)
        if job.over:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        """Complete the end of a job as far as it can be now."""
        if not job.over:
            return
        if job.drained is None:
            if not job.told and self.listening:
                job.told = True
                self._link.send(Over(job.number))
            return
        if job.cause is not None and not job.killed and job.child.has_company():
            self._after(RECHECK, job, self._finish)
            return  # they have until the KILL that is already on its timer
        if not job.killed and not job.permit.background_keep:
            job.child.signal(signal.SIGKILL)
        del self._jobs[job.number]
        self._tidy()
        self._report(job, job.drained, job.child.reap())

    def _tidy(self) -> None:
        """Drop the timers of commands that are over once they outnumber the others."""
        if len(self._timers) > 2 * len(self._jobs) + TIMERS_KEPT:
            self._timers = [timer for timer in self._timers if timer[2] in self._jobs]
            heapq.heapify(self._timers)

    def _report(self, job: Job, drained: Drained, ending: Ending) -> None:
        natural = Cause.SIGNALLED if ending.signal else Cause.EXITED
        cause = natural if job.cause is None else job.cause
        self._log.event(
            "end",
            user=job.user,
            rule=job.permit.rule.label,
            status=_STATUS.get(cause) or ending.signal or ending.status,
            bytes=drained.stdout + drained.stderr,
        )
        if self.listening:
            wall = int((time.monotonic() - job.started) * 1_000_000)
            self._link.send(Ended(job.number, cause, wall_us=wall, **ending._asdict()))

"""The commands that run: their exits, their time, and the end of all that belongs to them.

A command is over in this order: the leader's exit is noticed and it stays a zombie; the listener says
that both streams are drained (or that they lingered long enough); what is left of the group, and
whoever left it (`leftovers`), is killed; the leader is reaped; the end is reported. Ending it before
its time is TERM, and KILL after `KILL_AFTER` for whatever is left then.
"""

from __future__ import annotations

import heapq
import selectors
import signal
import time
from typing import TYPE_CHECKING

from rexec.limits import KILL_AFTER, UNHURRIED
from rexec.process.orphans import send
from rexec.protocol.frames import Cause
from rexec.server.orders import Drained, Ended, Escaped, Over

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.process.child import Child, Ending
    from rexec.server.evidence import Evidence
    from rexec.server.hearer import Hearer
    from rexec.server.leftovers import Leftovers
    from rexec.server.starting import Pending
    from rexec.server.tally import Tally

FORWARDED = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "KILL", "ALRM", "CONT", "STOP", "TSTP", "WINCH")
WAIT_MAX = 3600.0  # seconds: epoll_wait(2) takes no more than an int of milliseconds
TIMERS_KEPT = 64  # dead timers are not worth looking for below this number
RECHECK = 0.02  # seconds between looks at who is left of a command that is being ended ...
RECHECK_FIRST = 0.001  # ... at first; then twice as long each time
LOOK = 1.0  # seconds between looks at orphans while anything runs
# What the log calls an end that was not the command's own: the names of the protocol and of the audit log.
_STATUS: dict[Cause, str] = {
    cause: cause.name.lower() for cause in Cause if cause not in (Cause.EXITED, Cause.SIGNALLED)
}


class Job:
    """One command that runs, or whose end is not complete."""

    __slots__ = (
        "cause", "child", "drained", "held", "killed", "looks", "mark", "number", "outcome", "over", "permit",
        "started", "ticket", "told", "user", "warned", "watcher",
    )  # fmt: skip

    def __init__(self, pending: Pending, child: Child) -> None:
        self.number = pending.number
        self.child = child
        self.permit = pending.permit
        self.user = pending.user
        self.mark = pending.mark  # of all its processes
        self.ticket = pending.ticket
        self.watcher = pending.watcher
        self.outcome = pending.outcome
        self.started = pending.began
        self.cause: Cause | None = None  # why we end it, if we do
        self.over = False  # the leader has exited
        self.held = 0.0  # seconds until the next look at a leader that is dead and that a tracer keeps
        self.told = False  # and the listener is told, if it does not see that by itself
        self.killed = False  # KILL was sent: nobody of the group is left to wait for
        self.warned: set[int] = set()  # orphans that TERM was sent to
        self.looks = 0  # at who is left, since KILL was sent
        self.drained: Drained | None = None


class Supervisor:
    """All jobs of one runner."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        link: Hearer,
        log: Log,
        evidence: Evidence,
        leftovers: Leftovers,
        tally: Tally,
    ) -> None:
        self._selector = selector
        self._link = link
        self._log = log
        self._evidence = evidence
        self._leftovers = leftovers
        self._tally = tally
        self._next_look = 0.0
        self._jobs: dict[int, Job] = {}
        self._timers: list[tuple[float, int, int, Callable[[Job], None]]] = []
        self._ticket = 0
        self._untold: dict[int, float] = {}  # numbers of leaders that have exited, and when to say so
        self.listening = True  # somebody wants reports

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, number: int) -> bool:
        return number in self._jobs

    def of_user(self, user: str) -> int:
        """Return how many commands of a user run."""
        return sum(job.user == user for job in self._jobs.values())

    def begin(self, job: Job) -> None:
        """Take charge of a command that was just started."""
        self._jobs[job.number] = job
        self._leftovers.begin(job.child.pid, job.mark)
        self._selector.register(job.child.pidfd, selectors.EVENT_READ, job)
        if job.permit.timeout is not None:
            left = job.started + job.permit.timeout - time.monotonic()
            self._after(left, job, lambda job: self._end(job, Cause.TIMEOUT))

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
            if job.cause is None:
                self._end(job, cause)
            else:  # it was told to end before; the drain may be all that it waited for
                self._finish(job)

    def drained(self, order: Drained) -> None:
        """Note that nothing more will be read from a command."""
        job = self._jobs.get(order.child)
        if job is not None and job.drained is None:
            job.drained = order
            self._finish(job)

    def exited(self, job: Job) -> None:
        """Note that a leader's pidfd became readable, or look again at one that is held."""
        if job.over:
            return
        if not job.held:
            self._selector.unregister(job.child.pidfd)
        if not job.child.is_over():  # dead, but only its tracer may see that (ptrace(2)), if it cares to
            job.held = min(LOOK, 2 * job.held or RECHECK_FIRST)
            self._after(job.held, job, self.exited)
            return
        job.over = True
        self._finish(job)

    def wait(self) -> float | None:
        """Return the seconds until something is to be done, or None."""
        due = [self._timers[0][0]] if self._timers else []
        if self._untold:
            due.append(next(iter(self._untold.values())))
        if self._leftovers.is_waiting:
            due.append(self._next_look)
        return min(WAIT_MAX, max(0.0, min(due) - time.monotonic())) if due else None

    def fire(self) -> None:
        """Do what the clock asks for."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, number, action = heapq.heappop(self._timers)
            job = self._jobs.get(number)
            if job is not None:
                action(job)
        for number in [number for number, when in self._untold.items() if when <= now]:
            del self._untold[number]
            self._link.send(Over(number), hurry=False)
        if self._next_look <= now and self._leftovers.is_waiting:
            self._next_look = now + LOOK
            self._leftovers.look()

    def _after(self, delay: float, job: Job, action: Callable[[Job], None]) -> None:
        self._ticket += 1  # ties are broken before the heap compares functions
        heapq.heappush(self._timers, (time.monotonic() + delay, self._ticket, job.number, action))

    def _end(self, job: Job, cause: Cause) -> None:
        if job.cause is not None:
            return
        if not job.over or (cause is Cause.OUTPUT_LIMIT and job.drained is None):
            job.cause = cause  # it may be over already: what it wrote was cut off all the same
        job.child.signal(signal.SIGTERM)
        job.child.signal(signal.SIGCONT)  # a stopped process takes no TERM
        self._warn(job)
        self._after(KILL_AFTER, job, self._kill)
        if job.over:
            self._finish(job)

    def _warn(self, job: Job) -> bool:
        """Send TERM to the orphans that have not got it yet; True while somebody but the leader lives."""
        orphans = self._leftovers.of(job.mark)
        for pid in orphans:
            if pid not in job.warned:
                job.warned.add(pid)
                send(pid, signal.SIGTERM)
                send(pid, signal.SIGCONT)
        return bool(orphans)

    def _kill(self, job: Job) -> None:
        job.killed = True
        job.child.signal(signal.SIGKILL)
        self._kill_rest(job)

    def _kill_rest(self, job: Job) -> None:
        """Kill whoever left the group, though nobody takes their output or a tracer holds the leader."""
        if job.over and job.drained is not None:
            self._finish(job)
        elif not self._leftovers.end(job.mark, thoroughly=True):
            self._after(LOOK, job, self._kill_rest)

    def _finish(self, job: Job) -> None:
        """Complete the end of a job as far as it can be now."""
        if not job.over:
            return
        if job.drained is None:
            if not job.told and self.listening:
                job.told = True  # later: most ends the listener sees by the end of both streams
                self._untold[job.number] = time.monotonic() + UNHURRIED
            return
        self._untold.pop(job.number, None)
        if job.cause is not None and not job.killed and self._warn(job):
            self._after(RECHECK, job, self._finish)
            return  # they have until the KILL that is already on its timer
        stays = job.permit.background_keep and job.cause is None
        if job.watcher is not None:
            job.watcher.close(keep=stays)
            job.watcher = None
        if stays:
            self._leftovers.keep(job.mark)
        elif not self._sweep(job):
            return
        del self._jobs[job.number]
        self._tally.over(job.permit)
        self._tidy()
        ending = job.child.reap()
        self._leftovers.forget(job.child.pid)
        self._report(job, job.drained, ending)

    def _sweep(self, job: Job) -> bool:
        """Kill all that is left of a command; False while it has to be looked at again."""
        job.killed = True
        job.child.signal(signal.SIGKILL)
        if self._leftovers.end(job.mark, thoroughly=job.looks > 0):
            return True
        if job.looks * RECHECK > KILL_AFTER:  # asleep in the kernel, or another's by set-uid
            left = len(self._leftovers.of(job.mark))
            self._log.event("stays", user=job.user, rule=job.permit.rule.label, processes=left)
            return True
        self._after(min(RECHECK, RECHECK_FIRST * 2**job.looks), job, self._finish)
        job.looks += 1
        return False

    def _tidy(self) -> None:
        """Drop the timers of commands that are over once they outnumber the others."""
        if len(self._timers) > 2 * len(self._jobs) + TIMERS_KEPT:
            self._timers = [timer for timer in self._timers if timer[2] in self._jobs]
            heapq.heapify(self._timers)

    def _report(self, job: Job, drained: Drained, ending: Ending) -> None:
        natural = Cause.SIGNALLED if ending.signal else Cause.EXITED
        cause = natural if job.cause is None else job.cause
        seconds, truncated = time.monotonic() - job.started, False
        if job.outcome is not None and cause is Cause.EXITED:
            told = job.outcome(ending)
            cause, ending, truncated = told.cause, told.ending, told.truncated
            seconds = seconds if told.seconds is None else told.seconds
            for text in told.notices if self.listening else ():
                self._link.send(Escaped(job.number, text))
        receipt = self._evidence.ended(job.ticket, job.user, job.permit, cause, drained, ending, seconds)
        self._log.event(
            "end",
            user=job.user,
            rule=job.permit.rule.label,
            status=_STATUS.get(cause) or ending.signal or ending.status,
            bytes=drained.stdout + drained.stderr,
        )
        if self.listening:
            wall = int(seconds * 1_000_000)
            ended = Ended(
                job.number, cause, wall_us=wall, receipt=receipt, truncated=truncated, **ending._asdict()
            )
            self._link.send(ended, hurry=False)

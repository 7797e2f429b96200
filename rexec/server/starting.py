"""Commands between their permit and their first instruction.

A plain program runs as soon as it is asked for. One that needs code before exec is forked here, and
nobody waits for it: its pipe says later how that went, and until then its end and its signals are noted.
"""

from __future__ import annotations

import selectors
import signal
import time
from typing import TYPE_CHECKING

from rexec.limits import KILL_AFTER
from rexec.process.child import NotStarted, start
from rexec.process.launch import Launch, begin, needs_launch
from rexec.process.orphans import sealed, send
from rexec.protocol.frames import Cause
from rexec.server import copies, orders
from rexec.server.supervisor import Job
from rexec.server.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.policy.grant import Grant
    from rexec.policy.rules import Permit
    from rexec.process.become import Prepare
    from rexec.process.child import Child, Ending
    from rexec.process.orphans import Mark
    from rexec.protocol.frames import Pty
    from rexec.server.detached.entry import Outcome
    from rexec.server.evidence import Evidence
    from rexec.server.hearer import Hearer
    from rexec.server.leftovers import Leftovers
    from rexec.server.supervisor import Supervisor
    from rexec.server.tally import Tally
    from rexec.server.ticket import Ticket

_SIGNALS_KEPT = 8  # that came before their command ran


class Pending:
    """A command that is permitted and not known to run yet; `cause`: it is to be ended as soon as it does."""

    __slots__ = (
        "began", "cause", "launch", "mark", "number", "outcome", "patience", "permit", "signals", "ticket",
        "user", "watcher",
    )  # fmt: skip

    def __init__(self, number: int, user: str, permit: Permit, ticket: Ticket, mark: Mark) -> None:
        self.number = number
        self.user = user
        self.permit = permit
        self.ticket = ticket
        self.mark = mark
        self.began = time.monotonic()
        self.launch: Launch | None = None
        self.watcher: Watcher | None = None
        self.signals: list[str] = []  # that came too early
        self.cause: Cause | None = None
        self.outcome: Callable[[Ending], Outcome] | None = None  # what is told in the place of its own end
        self.patience = 0.0  # when it is killed, if it is to be ended and does not even run by then


class Starting:
    """All commands of one runner that are on their way to run."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        link: Hearer,
        log: Log,
        evidence: Evidence,
        jobs: Supervisor,
        leftovers: Leftovers,
        tally: Tally,
    ) -> None:
        self._selector = selector
        self._link = link
        self._log = log
        self._evidence = evidence
        self._jobs = jobs
        self._leftovers = leftovers
        self._tally = tally
        self._pending: dict[int, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def of_user(self, user: str) -> int:
        """Return how many commands of a user are on their way."""
        return sum(pending.user == user for pending in self._pending.values())

    def __contains__(self, number: int) -> bool:
        return number in self._pending

    def show(
        self, number: int, user: str, permit: Permit, ticket: Ticket, prepare: Prepare,
        outcome: Callable[[Ending], Outcome],
    ) -> None:  # fmt: skip
        """Show a detached command; `outcome` says how it ended for who saw all of it."""
        pending = Pending(number, user, permit, ticket, self._leftovers.mark())
        pending.outcome = outcome
        self._launched(pending, begin(permit, None, prepare))

    def run(self, number: int, user: str, permit: Permit, terminal: Pty | None, ticket: Ticket) -> None:
        """Start a command; the listener hears of it when it runs, or cannot."""
        pending = Pending(number, user, permit, ticket, self._leftovers.mark())
        if permit.pty is None:
            terminal = None
        if permit.rule.copies:
            self._launched(pending, begin(permit, None, copies.prepare))
            return
        if terminal is None and not needs_launch(permit):
            self._started(pending, start(permit))
            return
        self._launched(pending, begin(permit, terminal))

    def _launched(self, pending: Pending, launch: Launch | NotStarted) -> None:
        """Wait for a child to become what it is to be."""
        if isinstance(launch, NotStarted):
            self._started(pending, launch)
            return
        pending.launch = launch
        pending.mark = sealed(pending.mark)
        self._pending[pending.number] = pending
        self._leftovers.begin(launch.pid, pending.mark)
        self._selector.register(launch.error, selectors.EVENT_READ, pending)
        if launch.fence is not None:
            pending.watcher = Watcher(
                self._selector, self._link, self._log, self._evidence, pending, launch.fence, self._leftovers
            )

    def launched(self, pending: Pending) -> None:
        """Go on with a child that has become its program, or has not."""
        launch = pending.launch
        assert launch is not None
        self._selector.unregister(launch.error)
        del self._pending[pending.number]
        self._leftovers.forget(launch.pid)
        self._started(pending, launch.finish())
        for name in pending.signals:
            self._jobs.signal(pending.number, name)
        if pending.cause is not None:
            self._jobs.end(pending.number, pending.cause)

    def signal(self, number: int, name: str) -> None:
        """Send a signal to a command as soon as it runs."""
        pending = self._pending.get(number)
        if pending is not None and len(pending.signals) < _SIGNALS_KEPT:
            pending.signals.append(name)

    def end(self, number: int, cause: Cause) -> None:
        """End a command as soon as it runs."""
        pending = self._pending.get(number)
        if pending is not None and pending.cause is None:
            pending.cause = cause
            pending.patience = time.monotonic() + KILL_AFTER

    def end_all(self, cause: Cause) -> None:
        for number in self._pending:
            self.end(number, cause)

    def fire(self) -> None:
        """End those who do not come to run: a program on a disk that does not answer hangs in its exec."""
        now = time.monotonic()
        for number, pending in self._pending.items():
            timeout = pending.permit.timeout
            if timeout is not None and now > pending.began + timeout:
                self.end(number, Cause.TIMEOUT)
            if pending.cause is not None and pending.launch is not None and now > pending.patience:
                send(pending.launch.pid, signal.SIGKILL)

    def _started(self, pending: Pending, child: Child | NotStarted) -> None:
        number, permit, label = pending.number, pending.permit, pending.permit.rule.label
        if isinstance(child, NotStarted):
            if pending.watcher is not None:
                pending.watcher.close()
            self._tally.over(permit)
            self._evidence.failed(pending.ticket, pending.user, label, child)
            self._log.event("end", user=pending.user, rule=label, status=child.message, bytes=0)
            pending.ticket.close()
            self._link.send(orders.Broken(number, child.exit_code, child.message, label))
            return
        self._jobs.begin(Job(pending, child))
        linger = int(permit.linger * 1000)
        begun = orders.Begun(
            number,
            label,
            child.has_stdin,
            child.has_terminal,
            linger,
            _bounds(permit.grant),
            pending.ticket.recording,
            None if permit.grant.resume is None else int(permit.grant.resume * 1000),
        )
        self._link.send(begun, (*child.streams, *pending.ticket.descriptors), hurry=False)
        if pending.watcher is not None:
            pending.watcher.announce()


def _bounds(grant: Grant) -> orders.Bounds | None:
    """Return what the listener is to hold a command to, None for a plain rule."""
    if grant.idle is None and grant.output is None and grant.stdin_max is None:
        return None
    return orders.Bounds(
        idle_ms=None if grant.idle is None else int(grant.idle * 1000),
        output=None if grant.output is None else grant.output.size,
        kill=grant.output is not None and grant.output.kill,
        stdin=grant.stdin_max,
    )

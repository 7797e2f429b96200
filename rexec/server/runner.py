"""The runner: the one process that verifies, decides, starts and records; it has no network.

It is forked before anything heavy is imported, waits for orders of the listener on a Unix socket, and
treats them as what they are: words from a process that may have been taken over. A command is started
for a session whose proof was verified here, by a permit that `policy.decide` made here. When the
listener goes away, everything it asked for is ended.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from rexec.errors import ConnectionLost, RemoteProtocolError, RexecError
from rexec.limits import POLICY_SHOWN_MAX, REPORTS_MAX
from rexec.policy.captures import hidden
from rexec.policy.decide import decide, string_shown
from rexec.policy.forms import KILL
from rexec.policy.request import text_of
from rexec.policy.rules import Deny, Missing
from rexec.process.capabilities import bequeath_none
from rexec.process.checks import asks_the_disk, discharge
from rexec.process.descriptors import AS_GIVEN
from rexec.process.orphans import become_subreaper
from rexec.protocol.frames import Cause, Form
from rexec.server import answers, copies, orders
from rexec.server.asking import asked_of, request_of
from rexec.server.detached.office import Body, Hatch, Office
from rexec.server.detached.register import Register
from rexec.server.evidence import Refused
from rexec.server.leftovers import Leftovers
from rexec.server.seats import Crowded, Seats
from rexec.server.starting import Pending, Starting
from rexec.server.supervisor import Job, Supervisor
from rexec.server.tally import Tally
from rexec.server.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.policy.rules import Permit
    from rexec.server.evidence import Evidence
    from rexec.server.holdings import Holdings
    from rexec.server.orders import Message
    from rexec.server.ordersocket import OrderSocket
    from rexec.server.seats import Seat
    from rexec.server.socketfile import SocketFiles
    from rexec.server.ticket import Ticket


class Runner:
    """The state of the runner between two orders."""

    def __init__(
        self,
        link: OrderSocket,
        holdings: Holdings,
        again: Callable[[], Holdings],
        log: Log,
        evidence: Evidence,
        socket_files: SocketFiles,
    ) -> None:
        self.why = "the listener is gone"  # for the log, at the end
        self._link = link
        self._socket_files = socket_files
        self._held = holdings
        self._again = again
        self._log = log
        self._evidence = evidence
        self._seats = Seats()
        self._offered: tuple[Holdings, str] | None = None  # read anew, and why
        self._selector = selectors.DefaultSelector()
        self._watched = selectors.EVENT_READ  # of the link
        register = Register(holdings.home, lambda: self._held.keep_jobs, log, evidence)
        self._tally = Tally(register.running_by)
        leftovers = Leftovers()
        self._detached = Office(self._selector, link, log, evidence, leftovers, register)
        self._jobs = Supervisor(self._selector, link, log, evidence, leftovers, self._tally)
        self._starting = Starting(self._selector, link, log, evidence, self._jobs, leftovers, self._tally)

    def run(self) -> None:
        """Serve the listener until it is gone and every command has ended."""
        self._selector.register(self._link, self._watched)
        while self._jobs.listening or len(self._jobs) or len(self._starting):
            wait = self._detached.register.wait(self._evidence.wait(self._jobs.wait()))
            for key, events in self._selector.select(wait):
                if isinstance(key.data, Job):
                    self._jobs.exited(key.data)
                elif isinstance(key.data, Pending):
                    self._starting.launched(key.data)
                elif isinstance(key.data, Watcher | Hatch | Body):
                    key.data.attend()
                else:
                    self._attend(events)
            self._link.flush()  # what this turn brought, with one call
            self._jobs.fire()
            self._starting.fire()
            self._evidence.tick()
            self._detached.register.tick()
            self._watch()

    def _attend(self, events: int) -> None:
        """Go on with the listener; one that does not take its reports gives no orders meanwhile."""
        if events & selectors.EVENT_WRITE:
            self._link.flush()
        try:
            self._take_orders()
        except RemoteProtocolError as error:
            self._log.event("stop", why=f"runner: the listener broke the protocol: {error}")
            self._lose()
        except ConnectionLost:
            self._lose()

    def _take_orders(self) -> None:
        if self._link.waiting <= REPORTS_MAX:
            for message in self._link.receive():
                self._obey(message)
                if self._link.waiting > REPORTS_MAX:
                    break  # the rest is had when there is room again

    def _watch(self) -> None:
        """Look for orders, or for room for what waits to be sent; with room, what is here is had at once."""
        self._link.flush()
        waiting = self._link.waiting
        events = selectors.EVENT_READ if waiting <= REPORTS_MAX else 0
        events |= selectors.EVENT_WRITE if waiting or self._link.has_more else 0
        if self._jobs.listening and events != self._watched:
            self._selector.modify(self._link, events)
            self._watched = events

    def _lose(self) -> None:
        """Go on without a listener: end all that it asked for."""
        self._selector.unregister(self._link)
        self._jobs.listening = False
        self._socket_files.remove()
        self._jobs.end_all(Cause.LOST)
        self._starting.end_all(Cause.LOST)

    def _obey(self, message: Message) -> None:
        if not isinstance(message, orders.Bound):  # all sockets are open, whatever it says
            self._evidence.begin(self._held)
        match message:
            case orders.Judge():
                self._judge(message)
            case orders.Start():
                self._start(message)
            case orders.Ask():
                self._ask(message)
            case orders.Send():
                self._jobs.signal(message.child, message.signal)
                self._starting.signal(message.child, message.signal)
            case orders.End(child=number, cause=cause):
                if cause not in orders.END_CAUSES:
                    raise RemoteProtocolError(f"{cause.name} is no reason to end a command")
                self._starting.end(number, cause)
                self._jobs.end(number, cause)
                self._detached.end(number, cause)
            case orders.Drained():
                self._jobs.drained(message)
                self._detached.drained(message)
            case orders.Leave():
                self._settle(message)
                self._seats.leave(message.session)
            case orders.Reload():
                self._reload(message.reason)
            case orders.Adopt():
                self._adopt(message.refusal)
            case orders.Bound():
                self._socket_files.note(message.name)
            case orders.Opened():
                self._detached.begin()
                self._link.send(orders.Ready())
            case orders.Stopping():
                if message.signal not in orders.STOP_SIGNALS:
                    raise RemoteProtocolError("no signal stops a server but TERM and INT")
                self.why = message.signal
            case orders.Bequeathed():
                self._socket_files.forget()
            case orders.Beat():
                self._link.send(orders.Beaten())
            case _:
                raise RemoteProtocolError(f"{type(message).__name__} is not an order")

    # --- who ----------------------------------------------------------------------------------

    def _judge(self, order: orders.Judge) -> None:
        """Verify a proof; every refusal looks the same to the client, and says why in the log."""
        try:
            seat = self._seats.judge(order, self._held)
        except Crowded as error:
            self._log.event("refused", from_=order.peer or "unix", user=order.user, why=error)
            self._link.send(orders.Judged(order.session, False, busy=str(error)))
            return
        if isinstance(seat, str):
            self._log.event("refused", from_=order.peer or "unix", user=order.user, why=seat)
            self._link.send(orders.Judged(order.session, False))
        else:
            who = seat.principal
            self._link.send(orders.Judged(order.session, True, who.user, who.fingerprint))

    # --- what ---------------------------------------------------------------------------------

    def _start(self, order: orders.Start) -> None:
        number = order.child
        if number in self._jobs or number in self._starting or number in self._detached:
            raise RemoteProtocolError("a command that runs is started again")
        seat = self._seats.get(order.session)
        principal = None if seat is None else self._held.keyring.still(seat.principal, seat.peer)
        if seat is None or principal is None:
            self._reject(order, seat, Deny("the key is no longer authorised", None))
            return
        if order.unknown:
            self._reject(order, seat, Deny(f"this server does not {order.unknown}", None))
            return
        if order.receipt and self._evidence.journal is None:
            self._reject(order, seat, Deny("this server gives no receipts: it keeps no audit log", None))
            return
        self._settle(order)
        policy = self._held.policy  # one generation decides and runs
        request = request_of(order, seat, principal)
        if order.form is Form.JOB:
            request = self._detached.about(request, principal)
        verdict = decide(policy, request)
        repeated = self._evidence.repeated(seat, order, verdict)
        if repeated is not None:
            self._link.send(repeated)
        elif isinstance(verdict, Deny):
            self._reject(order, seat, verdict)
        elif isinstance(verdict, Missing):
            self._record("deny", seat, order, verdict.rule, logged=verdict.logged, why=verdict.message)
            self._link.send(orders.Broken(order.child, 127, verdict.message, verdict.rule))
        else:
            self._allow(order, seat, verdict)

    def _allow(self, order: orders.Start, seat: Seat, permit: Permit) -> None:
        """Discharge what the permit obliges to, write the decision down, start."""
        if asks_the_disk(permit):
            self._link.flush()  # a report that waits for others does not wait for a disk
        why = None if permit.rule.command == KILL else self._crowded(seat.principal.user)
        why = why or self._unfit(permit) or discharge(permit)
        why = why or self._tally.admit(permit, time.monotonic())
        if why is not None:
            self._reject(order, seat, Deny(why, permit.rule.label, logged=permit.logged))
            return
        try:
            why = self._begin(order, seat, permit)
        except Refused as error:
            self._tally.over(permit)
            why = str(error)
        if why is not None:
            self._reject(order, seat, Deny(why, permit.rule.label, logged=permit.logged))

    def _begin(self, order: orders.Start, seat: Seat, permit: Permit) -> str | None:
        """Write the decision down and start; or say why a detached command cannot be. Raises `Refused`."""
        number, user, label = order.child, seat.principal.user, permit.rule.label

        def record(**more: object) -> Ticket:
            return self._record("allow", seat, order, label, logged=permit.logged, permit=permit, **more)

        if permit.detached:
            why = self._detached.start(number, seat.principal, permit, lambda job: record(job=job))
            self._tally.over(permit)  # from now on it is counted where others see it too
            return why
        ticket = record()
        if permit.rule.shows:
            told = partial(self._detached.outcome, permit)
            self._starting.show(number, user, permit, ticket, self._detached.prepare(permit), told)
        else:
            self._starting.run(number, user, permit, order.pty, ticket)
        return None

    def _settle(self, order: orders.Start | orders.Leave) -> None:
        """Note what a client will not ask for again."""
        seat = self._seats.get(order.session)
        if order.settled and seat is not None:
            self._evidence.settle(seat.owner, order.settled)

    def _unfit(self, permit: Permit) -> str | None:
        return copies.refusal(permit) if permit.rule.copies else None

    def _crowded(self, user: str) -> str | None:
        """Return why a user may start nothing more now."""
        most = self._held.crowds.commands_per_user
        if len(self._jobs) + len(self._starting) + len(self._detached) < most:
            return None
        running = sum(those.of_user(user) for those in (self._jobs, self._starting, self._detached))
        return (
            f"{user} runs {running} commands at once already: wait until one has ended"
            if running >= most
            else None
        )

    def _reject(self, order: orders.Start, seat: Seat | None, deny: Deny) -> None:
        self._record("deny", seat, order, deny.rule, logged=deny.logged, why=deny.message)
        told = deny.terse if self._held.terse else deny
        self._link.send(orders.Rejected(order.child, told.message, told.rule, told.confirm))

    def _record(
        self,
        event: str,
        seat: Seat | None,
        order: orders.Start,
        rule: str | None,
        *,
        logged: tuple[str, ...] = (),
        permit: Permit | None = None,
        **more: object,
    ) -> Ticket:
        """Write the decision down, before anything runs. Raises `Refused`."""
        words = logged or self._unjudged(order)
        generation = self._held.policy.generation
        ticket = self._evidence.decided(event, seat, order, rule, generation, words, permit, **more)
        self._log.event(
            event,
            user=seat and seat.principal.user,
            key=seat and seat.principal.fingerprint,
            from_=seat and (seat.peer or "unix"),
            rule=rule,
            argv=words,
            **more,
        )
        return ticket

    def _unjudged(self, order: orders.Start) -> tuple[str, ...]:
        """Return the words of a command that no rule was asked about, as logs may show them."""
        words = tuple(map(text_of, order.words))
        if order.form is Form.STRING:
            return string_shown(self._held.policy, " ".join(words))
        return hidden(self._held.policy.index.get(words[0], ()), words) if words else ()

    def _ask(self, order: orders.Ask) -> None:
        seat = self._seats.get(order.session)
        principal = None if seat is None else self._held.keyring.still(seat.principal, seat.peer)
        if seat is None or principal is None:
            self._link.send(orders.Answer(order.question, False, b"the key is no longer authorised"))
            return
        if order.subject == "jobs":
            rows = self._detached.register.rows(principal.user, principal.fingerprint)
            self._link.send(orders.Answer(order.question, True, rows))
            return
        request = asked_of(order, seat, principal)
        known, body = answers.answer(self._held.policy, request, order.subject, terse=self._held.terse)
        self._link.send(orders.Answer(order.question, known, body))

    # --- the files ----------------------------------------------------------------------------

    def _reload(self, reason: str) -> None:
        """Read list, keys and configuration again; on any error all of it stays as it was."""
        try:
            held = self._again()
        except RexecError as error:
            self._keep(str(error))
            return
        self._offered = held, reason
        self._link.send(held.offer())

    def _keep(self, why: str) -> None:
        self._evidence.reloaded(self._held, "kept", why=why)
        self._log.event("reload", result="kept", why=why)
        self._link.send(orders.Reloaded(False, why))

    def _adopt(self, refusal: str) -> None:
        """Let what was read take effect, if the listener can serve with it."""
        if self._offered is None:
            raise RemoteProtocolError("nothing was offered")
        held, reason = self._offered
        self._offered = None
        if refusal:
            self._keep(refusal[:POLICY_SHOWN_MAX])
            return
        self._held = held
        self._tally.tidy(time.monotonic())
        self._evidence.reloaded(held, "done", rules=len(held.policy.rules), cause=reason)
        self._log.event("reload", result="done", rules=len(held.policy.rules), cause=reason)
        self._link.send(orders.Reloaded(True, ""))


def settle() -> None:
    """Make this process the runner: away from the terminal, deaf to what is meant for the listener.

    Handlers, unlike ignored signals, do not reach the children (execve(2)).
    """
    os.setsid()
    become_subreaper()
    bequeath_none()
    AS_GIVEN.raise_limit()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # for all that is started here: no core dumps
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)

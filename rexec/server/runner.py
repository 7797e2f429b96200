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
from typing import TYPE_CHECKING

from rexec.auth import method
from rexec.auth.transcript import NONCE, TLS_FINISHED
from rexec.errors import ConnectionLost, RemoteProtocolError, RexecError
from rexec.policy.decide import decide
from rexec.policy.request import Request, text_of
from rexec.policy.rules import Deny, Missing
from rexec.process import pty
from rexec.process.child import NotStarted, start
from rexec.protocol.frames import Cause, Form, Pty
from rexec.server import answers, orders
from rexec.server.keyring import Bindings
from rexec.server.supervisor import Job, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.auth.authorized import Principal
    from rexec.policy.rules import Permit
    from rexec.process.child import Child
    from rexec.server.holdings import Holdings
    from rexec.server.orders import Message, OrderSocket


class Seat:
    """One session whose proof was verified."""

    __slots__ = ("ends", "peer", "principal")

    def __init__(self, principal: Principal, peer: str, ends: str) -> None:
        self.principal = principal
        self.peer = peer
        self.ends = ends


class Pending:
    """A command that is permitted and not known to run yet; `cause`: it is to be ended as soon as it does."""

    __slots__ = ("cause", "launch", "number", "permit", "user")

    def __init__(
        self, number: int, user: str, permit: Permit, launch: pty.Launch | NotStarted | None = None
    ) -> None:
        self.number = number
        self.user = user
        self.permit = permit
        self.launch = launch
        self.cause: Cause | None = None


class Runner:
    """The state of the runner between two orders."""

    def __init__(
        self,
        link: OrderSocket,
        holdings: Holdings,
        again: Callable[[], Holdings],
        log: Log,
    ) -> None:
        self._link = link
        self._held = holdings
        self._again = again
        self._log = log
        self._bindings = Bindings()
        self._seats: dict[int, Seat] = {}
        self._pending: dict[int, Pending] = {}
        self._selector = selectors.DefaultSelector()
        self._jobs = Supervisor(self._selector, link, log)

    def run(self) -> None:
        """Serve the listener until it is gone and every command has ended."""
        self._selector.register(self._link, selectors.EVENT_READ)
        while self._jobs.listening or len(self._jobs) or self._pending:
            for key, _ in self._selector.select(self._jobs.wait()):
                if isinstance(key.data, Job):
                    self._jobs.exited(key.data)
                elif isinstance(key.data, Pending):
                    self._launched(key.data)
                else:
                    self._take_orders()
            self._jobs.fire()

    def _take_orders(self) -> None:
        try:
            for message in self._link.receive():
                self._obey(message)
        except (ConnectionLost, RemoteProtocolError, BrokenPipeError, ConnectionResetError):
            self._selector.unregister(self._link)
            self._jobs.listening = False
            self._jobs.end_all(Cause.LOST)
            for pending in self._pending.values():
                pending.cause = Cause.LOST

    def _obey(self, message: Message) -> None:
        match message:
            case orders.Judge():
                self._judge(message)
            case orders.Start():
                self._start(message)
            case orders.Ask():
                self._ask(message)
            case orders.Send():
                self._jobs.signal(message.child, message.signal)
            case orders.End(child=number, cause=cause):
                if number in self._pending:
                    self._pending[number].cause = cause
                self._jobs.end(number, cause)
            case orders.Drained():
                self._jobs.drained(message)
            case orders.Leave():
                self._seats.pop(message.session, None)
            case orders.Reload():
                self._reload(message.reason)
            case _:
                raise RemoteProtocolError(f"{type(message).__name__} is not an order")

    # --- who ----------------------------------------------------------------------------------

    def _judge(self, order: orders.Judge) -> None:
        """Verify a proof; every refusal looks the same to the client, and says why in the log."""
        principal, why = self._principal(order)
        if principal is None:
            self._log.event("refused", from_=order.peer or "unix", user=order.user, why=why)
            self._link.send(orders.Judged(order.session, False))
            return
        self._seats[order.session] = Seat(principal, order.peer, order.ends)
        self._link.send(orders.Judged(order.session, True, principal.user))

    def _principal(self, order: orders.Judge) -> tuple[Principal | None, str]:
        try:
            key = method.verify(order.method, order.body, self._context(order))
        except method.BadProof as error:
            return None, str(error)
        if not all(
            self._bindings.is_fresh(seen, order.connection) for seen in (order.finished, order.nonce) if seen
        ):
            return None, "binding was seen before"
        principal = self._held.keyring.admit(key, order.user, order.peer)
        return principal, f"key {key.fingerprint()} is not authorised"

    def _context(self, order: orders.Judge) -> method.Context:
        bindings = {NONCE: order.nonce}
        if order.finished:
            bindings[TLS_FINISHED] = order.finished
        return method.Context(
            bindings=bindings,
            dialled=None if order.finished else order.here,
            spki_sha256=self._held.host_hash,
            hello=order.hello,
            user=order.user,
        )

    # --- what ---------------------------------------------------------------------------------

    def _start(self, order: orders.Start) -> None:
        seat = self._seats.get(order.session)
        principal = None if seat is None else self._held.keyring.still(seat.principal, seat.peer)
        if seat is None or principal is None:
            self._reject(order, seat, Deny("the key is no longer authorised", None))
            return
        if order.unknown:
            self._reject(order, seat, Deny(f"this server does not {order.unknown}", None))
            return
        policy = self._held.policy  # one generation decides and runs
        request = self._request(order, seat, principal)
        verdict = decide(policy, request)
        if isinstance(verdict, Deny):
            self._reject(order, seat, verdict)
        elif isinstance(verdict, Missing):
            self._record("deny", seat, order, verdict.rule, why=verdict.message)
            self._link.send(orders.Broken(order.child, 127, verdict.message, verdict.rule))
        else:
            self._record("allow", seat, order, verdict.rule.label)
            self._run(order, seat, verdict)

    def _request(self, order: orders.Start, seat: Seat, principal: Principal) -> Request:
        return Request(
            user=principal.user,
            groups=frozenset(principal.groups),
            words=tuple(map(text_of, order.words)),
            form=_FORMS[order.form],
            env=tuple((text_of(name), text_of(value)) for name, value in order.env),
            cwd=None if order.cwd is None else text_of(order.cwd),
            timeout=None if order.timeout_ms is None else order.timeout_ms / 1000,
            pty=None if order.pty is None else order.pty.term,
            stdin=order.stdin,
            peer=seat.peer,
            connection=seat.ends,
            now=time.time(),
            utc_offset=time.localtime().tm_gmtoff,
            pty_allowed=principal.pty_allowed,
        )

    def _reject(self, order: orders.Start, seat: Seat | None, deny: Deny) -> None:
        self._record("deny", seat, order, deny.rule, why=deny.message)
        self._link.send(orders.Rejected(order.child, deny.message, deny.rule))

    def _record(
        self, event: str, seat: Seat | None, order: orders.Start, rule: str | None, **more: object
    ) -> None:
        """Write the decision down, before anything runs."""
        self._log.event(
            event,
            user=seat and seat.principal.user,
            key=seat and seat.principal.fingerprint,
            from_=seat and (seat.peer or "unix"),
            rule=rule,
            argv=[text_of(word) for word in order.words],
            **more,
        )

    def _run(self, order: orders.Start, seat: Seat, permit: Permit) -> None:
        if permit.pty is None or order.pty is None:
            self._started(Pending(order.child, seat.principal.user, permit), start(permit))
            return
        launch = pty.begin(permit, order.pty)
        pending = Pending(order.child, seat.principal.user, permit, launch)
        if isinstance(launch, NotStarted):
            self._started(pending, launch)
        else:
            self._pending[order.child] = pending
            self._selector.register(launch.error, selectors.EVENT_READ, pending)

    def _launched(self, pending: Pending) -> None:
        """Go on with a child that has become its program, or has not."""
        assert isinstance(pending.launch, pty.Launch)
        self._selector.unregister(pending.launch.error)
        del self._pending[pending.number]
        self._started(pending, pending.launch.finish())
        if pending.cause is not None:
            self._jobs.end(pending.number, pending.cause)

    def _started(self, pending: Pending, child: Child | NotStarted) -> None:
        number, permit, label = pending.number, pending.permit, pending.permit.rule.label
        if isinstance(child, NotStarted):
            self._log.event("end", user=pending.user, rule=label, status=child.message, bytes=0)
            self._link.send(orders.Broken(number, child.exit_code, child.message, label))
            return
        self._jobs.begin(Job(number, child, permit, pending.user))
        linger = int(permit.linger * 1000)
        try:
            begun = orders.Begun(number, child.pid, label, child.has_stdin, child.has_terminal, linger)
            self._link.send(begun, child.streams)
        finally:
            for end in child.streams:
                os.close(end)

    def _ask(self, order: orders.Ask) -> None:
        seat = self._seats.get(order.session)
        principal = None if seat is None else self._held.keyring.still(seat.principal, seat.peer)
        if seat is None or principal is None:
            self._link.send(orders.Answer(order.question, False, b"the key is no longer authorised"))
            return
        terminal = Pty("xterm", 80, 24) if order.pty else None
        as_start = orders.Start(order.session, 0, Form.ARGV, order.words, (), None, None, True, terminal, "")
        request = self._request(as_start, seat, principal)
        known, body = answers.answer(self._held.policy, request, order.subject)
        self._link.send(orders.Answer(order.question, known, body))

    # --- the files ----------------------------------------------------------------------------

    def _reload(self, reason: str) -> None:
        """Read list, keys and configuration again; on any error all of it stays as it was."""
        try:
            held = self._again()
        except RexecError as error:
            self._log.event("reload", result="kept", why=str(error))
            self._link.send(orders.Reloaded(False, str(error)))
            return
        self._held = held
        self._log.event("reload", result="done", rules=len(held.policy.rules), cause=reason)
        self._link.send(orders.Reloaded(True, ""))


_FORMS = {Form.ARGV: "argv", Form.STRING: "string", Form.SUBSYSTEM: "subsystem"}


def settle() -> None:
    """Make this process the runner: away from the terminal, deaf to what is meant for the listener.

    Handlers, unlike ignored signals, do not reach the children (execve(2)).
    """
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # for all that is started here: no core dumps
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)

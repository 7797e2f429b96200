"""The runner's part in detached commands: has wardens started, tells clients, lets users see what is theirs.

A client that detaches a command gets its id as output, and an end, as soon as the program runs. What the
runner keeps of it is the pipe that its warden closes when all is over, and the warden's pid until it is
reaped: the warden is nobody's orphan.
"""

from __future__ import annotations

import os
import selectors
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from rexec.limits import JOB_VISITORS
from rexec.policy.forms import ATTACH, KILL
from rexec.policy.request import Job as Subject
from rexec.policy.wording import shown
from rexec.process.child import NotStarted
from rexec.protocol.frames import Cause
from rexec.server import orders
from rexec.server.detached.entry import Outcome
from rexec.server.detached.folder import JOB, new_id
from rexec.server.detached.register import Full, Register, bound_of
from rexec.server.detached.showing import BROKEN, MISSED, showing
from rexec.server.detached.warden import ANSWER_MAX, Charge, be_warden
from rexec.server.evidence import cut_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.auth.authorized import Principal
    from rexec.policy.request import Request
    from rexec.policy.rules import Permit
    from rexec.process.become import Prepare
    from rexec.process.child import Ending
    from rexec.server.detached.folder import Folder, Jobs
    from rexec.server.evidence import Evidence
    from rexec.server.hearer import Hearer
    from rexec.server.leftovers import Leftovers
    from rexec.server.ticket import Ticket

    Decide = Callable[[str], Ticket]  # writes the decision down, with the id; raises `Refused`


class Hatch:
    """One warden of this runner's; `number` is the command's at the listener, until that is told."""

    __slots__ = (
        "began",
        "cause",
        "has_begun",
        "id",
        "number",
        "office",
        "permit",
        "report",
        "ticket",
        "user",
    )

    def __init__(self, office: Office, number: int, user: str, permit: Permit, name: str) -> None:
        self.office = office
        self.number = number
        self.user = user
        self.permit = permit
        self.id = name
        self.began = time.monotonic()
        self.has_begun = False
        self.cause = Cause.EXITED  # how the client is told that it was
        self.ticket: Ticket | None = None
        self.report = -1

    def attend(self) -> None:
        """Hear what the warden says."""
        self.office.hear(self)


class Body:
    """A warden's process, until it is reaped."""

    __slots__ = ("office", "pid", "pidfd")

    def __init__(self, office: Office, pid: int) -> None:
        self.office = office
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def attend(self) -> None:
        """Bury it."""
        self.office.bury(self)


class Office:
    """All of it, for one runner."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        link: Hearer,
        log: Log,
        evidence: Evidence,
        leftovers: Leftovers,
        register: Register,
    ) -> None:
        self._selector = selector
        self._link = link
        self._log = log
        self._evidence = evidence
        self._leftovers = leftovers
        self.register = register
        self._hatches: dict[str, Hatch] = {}
        self._told: dict[int, Hatch] = {}  # whose client has not taken the id yet

    def begin(self) -> None:
        """Take over what earlier servers have left."""
        self.register.begin(self._hatches.__contains__)

    def __contains__(self, number: int) -> bool:
        return number in self._told

    def of_user(self, user: str) -> int:
        return self.register.running_of(user)

    def __len__(self) -> int:
        return self.register.running()

    # --- a command that is to run on ------------------------------------------------------------

    def start(self, number: int, principal: Principal, permit: Permit, decide: Decide) -> str | None:
        """Start a command that runs on without its client; or say why not. Raises `Refused`.

        Its directory is there before the decision is written, and the decision before its warden.
        """
        bound = bound_of(permit)
        try:
            self.register.make_room(principal.user, bound)
            jobs = self.register.made()
        except Full as full:
            return str(full)
        except OSError as error:
            return _no_place(self.register.path, error)
        with jobs:
            hatch = Hatch(self, number, principal.user, permit, new_id())
            journal = self._evidence.journal
            about: dict[str, object] = {
                "user": principal.user,
                "key": principal.fingerprint,
                "words": cut_words(list(permit.logged))["argv"],
                "label": permit.rule.label,
                "rule": permit.rule.fingerprint,
                "started": time.time(),
                "bound": bound,
                "log": "" if journal is None else journal.directory,
                "decision": 0,
            }
            try:
                folder = jobs.begin(hatch.id, about)
            except OSError as error:
                return _no_place(self.register.path, error)
            self.register.expect(hatch.id, about)
            try:
                hatch.ticket = decide(hatch.id)
                folder.write(JOB, {**about, "decision": hatch.ticket.number}, lasting=True)
                self._fork(hatch, jobs, folder, bound)
            except OSError as error:
                if hatch.ticket is not None:
                    hatch.ticket.close()
                self._fail(hatch, NotStarted(126, _no_place(self.register.path, error)))
            except BaseException:
                self.register.discard(hatch.id)
                raise
            finally:
                folder.close()
        return None

    def _fork(self, hatch: Hatch, jobs: Jobs, folder: Folder, bound: int) -> None:
        assert hatch.ticket is not None
        mark = self._leftovers.mark()
        hatch.report, theirs = os.pipe2(os.O_CLOEXEC)
        spare = -1
        try:
            spare = os.dup(theirs)  # its number is the one by which the warden is held: that cannot fail then
            pid = os.fork()
        except OSError:
            os.close(hatch.report)
            raise
        else:
            if not pid:
                charge = Charge(hatch.user, hatch.permit, hatch.ticket, bound)
                be_warden(jobs, folder, hatch.id, charge, theirs)
        finally:
            os.close(theirs)
            if spare >= 0:
                os.close(spare)
        hatch.ticket.close()
        self._leftovers.begin(pid, mark)
        self._hatches[hatch.id] = self._told[hatch.number] = hatch
        self._selector.register(hatch.report, selectors.EVENT_READ, hatch)
        body = Body(self, pid)
        self._selector.register(body.pidfd, selectors.EVENT_READ, body)

    def hear(self, hatch: Hatch) -> None:
        """Take what a warden says: that the program runs, why not, or that all is over."""
        said = os.read(hatch.report, 1 + ANSWER_MAX)
        if said == b"\0" and not hatch.has_begun:
            hatch.has_begun = True
            self._hand_over(hatch)
            self.register.look()
            return
        self._selector.unregister(hatch.report)
        os.close(hatch.report)
        del self._hatches[hatch.id]
        if said and not hatch.has_begun:
            self._fail(hatch, NotStarted(said[0], said[1:].decode("utf-8", "replace")))
        elif not hatch.has_begun:
            self._fail(hatch, NotStarted(126, "who was to look after it came to its end"))
        self.register.look()

    def bury(self, body: Body) -> None:
        """Reap a warden; one that wrote no end was killed, and its command is lost."""
        self._selector.unregister(body.pidfd)
        os.close(body.pidfd)
        os.waitpid(body.pid, 0)
        self._leftovers.forget(body.pid)
        self.register.look()

    def _fail(self, hatch: Hatch, failure: NotStarted) -> None:
        """Tell the client that its program does not run."""
        label = hatch.permit.rule.label
        self.register.discard(hatch.id)
        self._told.pop(hatch.number, None)
        if hatch.ticket is not None:
            self._evidence.failed(hatch.ticket, hatch.user, label, failure)
        self._log.event("end", user=hatch.user, rule=label, status=failure.message, bytes=0, job=hatch.id)
        self._link.send(orders.Broken(hatch.number, failure.exit_code, failure.message, label))

    def _hand_over(self, hatch: Hatch) -> None:
        """Give the client the id, as the output of a command that is over."""
        begun = orders.Begun(hatch.number, hatch.permit.rule.label, False, False, 0, None)
        self._link.send(begun, _saying(f"{hatch.id}\n".encode()))

    def end(self, number: int, cause: Cause) -> None:
        """Note that a client is not there any more, or could not be given its id; the command runs on."""
        hatch = self._told.get(number)
        if hatch is not None:
            hatch.cause = cause

    def drained(self, order: orders.Drained) -> None:
        """Note that a client has its id."""
        hatch = self._told.pop(order.child, None)
        if hatch is not None:
            if hatch.ticket is not None:
                self._evidence.answered(hatch.ticket, hatch.cause)
            wall = int((time.monotonic() - hatch.began) * 1_000_000)
            self._link.send(orders.Ended(order.child, hatch.cause, 0, "", 0, 0, 0, wall))

    # --- one that is to be seen -----------------------------------------------------------------

    def about(self, request: Request, principal: Principal) -> Request:
        """Say which command a request is about, among those of the same key."""
        if len(request.words) < 2:
            return request
        found = self.register.find(principal.user, principal.fingerprint, request.words[-1])
        if isinstance(found, str):
            return replace(request, flaw=found)
        return replace(request, job=Subject(found.id, found.label, found.rule))

    def prepare(self, permit: Permit) -> Prepare:
        """Return what shows the command of a permit."""
        return showing(os.path.join(self.register.path, permit.argv[-1]))

    def outcome(self, permit: Permit, ending: Ending) -> Outcome:
        """Say how it ended for who was shown a command to the end."""
        way, name = permit.argv[0], permit.argv[-1]
        self.register.look()
        entry = self.register.get(name)
        found = None if entry is None else entry.outcome
        missed = ("some of the output went before it could be shown",) if ending.status == MISSED else ()
        if ending.status == BROKEN and entry is not None and found is None:
            missed = (f"{JOB_VISITORS} are shown it already, or its files cannot be read",)
        is_lost = ending.status == BROKEN or (way == ATTACH and found is None)
        if is_lost or found is None or way == KILL:
            cause = Cause.LOST if is_lost else Cause.EXITED
            return Outcome(cause, ending._replace(status=0), None, bool(missed), missed)
        notices = missed + found.notices
        if way == ATTACH:
            return found._replace(truncated=found.truncated or bool(missed), notices=notices)
        return Outcome(
            Cause.EXITED, ending._replace(status=0), None, found.truncated or bool(missed), notices
        )


def _saying(data: bytes) -> tuple[int, ...]:
    """Return the read ends of a stdout that says so and of a stderr that says nothing; none where too many
    descriptors are open.
    """
    opened: list[int] = []
    try:
        opened += os.pipe2(os.O_CLOEXEC)
        opened += os.pipe2(os.O_CLOEXEC)
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        return ()
    stdout, written, stderr, closed = opened
    os.write(written, data)
    os.close(written)
    os.close(closed)
    return stdout, stderr


def _no_place(path: str, error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"a detached command needs a place for its output, and {shown(path)} is none: {reason}"

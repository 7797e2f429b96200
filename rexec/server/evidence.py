"""What the runner writes down: decisions before anything runs, ends, reloads, escapes.

Where the log is `required` and cannot be written, nothing runs; else the server says so on stderr and
goes on, and the log says how much is missing as soon as it can be written again.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rexec import __version__, files
from rexec.audit import receipt, segments
from rexec.audit.chain import moment
from rexec.audit.journal import Journal
from rexec.errors import ConfigError
from rexec.limits import AUDIT_WORDS_MAX
from rexec.server import repeats
from rexec.server.ledger import IDS, Ledger, Unkept, contents_of
from rexec.server.ticket import NO_TICKET, Asked, Tape, Ticket, tape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rexec.audit.log import Log
    from rexec.auth.private import PrivateKey
    from rexec.policy.rules import Deny, Missing, Permit
    from rexec.process.child import Ending, NotStarted
    from rexec.protocol.frames import Cause
    from rexec.server.config import Settings
    from rexec.server.holdings import Holdings
    from rexec.server.ledgerfile import Key
    from rexec.server.orders import Drained, Repeated, Start
    from rexec.server.seats import Seat

AUDIT = "audit"
_NEIGHBOURS = 64  # servers that may share one home


class Refused(Exception):
    """What has to be written down before a command runs could not be; says why."""


class Evidence:
    """The audit log as the runner sees it; `journal` is None where there is none."""

    def __init__(
        self, journal: Journal | None, log: Log, *, required: bool = False, ledger: Ledger | None = None
    ) -> None:
        self.journal = journal
        self.required = required
        self.ledger = ledger  # None: no client may ask again
        self._log = log
        self._key: PrivateKey | None = None
        self._begun = False

    def begin(self, held: Holdings) -> None:
        """Write that the server starts, the first time that it is said."""
        if self._begun:
            return
        self._begun = True
        if self.journal is not None:
            policy = held.policy
            self._key = held.host_key()
            self.journal.begin(
                self._key,
                version=__version__,
                pid=os.getpid(),
                policy=policy.name,
                generation=policy.generation,
                rules=len(policy.rules),
            )

    def decided(
        self,
        event: str,
        seat: Seat | None,
        order: Start,
        rule: str | None,
        generation: str,
        words: Iterable[str],
        permit: Permit | None = None,
        **more: object,
    ) -> Ticket:
        """Write a decision; return what its end needs. Raises `Refused`."""
        id = self._keep(seat, order) if permit else None
        try:
            ticket = self._decided(event, seat, order, rule, generation, words, permit, **more)
        except Refused:
            self._drop(id)
            raise
        if id is not None:
            ticket = Ticket(ticket.number, ticket.tape, ticket.asked, id)
        return ticket

    def repeated(self, seat: Seat, order: Start, verdict: Permit | Deny | Missing) -> Repeated | None:
        """Return what is answered to a command that was asked for before; None: nothing is known of it."""
        return repeats.answer(self.ledger, seat.owner, order, verdict)

    def settle(self, owner: bytes, numbers: bytes) -> None:
        """Note the ids that a client will not ask for again."""
        if self.ledger is not None and owner:
            self.ledger.settle(owner, numbers)

    def _keep(self, seat: Seat | None, order: Start) -> Key | None:
        """Note that a command is started that its client may ask for again. Raises `Refused`."""
        if self.ledger is None or seat is None or not seat.owner:
            return None
        id = seat.owner, order.number
        try:
            self.ledger.begin(id, contents_of(order), seat.principal.user)
            if self.required:
                self.ledger.sync()
        except Unkept as error:
            self._drop(id)
            self._log.event("ids", result="lost", why=str(error))
            why = f"the ids of commands cannot be kept ({error}): only clients with --no-resume are served"
            raise Refused(why) from None
        return id

    def _drop(self, id: Key | None) -> None:
        if self.ledger is not None and id is not None:
            self.ledger.drop(id)

    def _decided(
        self,
        event: str,
        seat: Seat | None,
        order: Start,
        rule: str | None,
        generation: str,
        words: Iterable[str],
        permit: Permit | None = None,
        **more: object,
    ) -> Ticket:
        if self.journal is None:
            return NO_TICKET
        logged = list(words)
        taped, about = self._granted(self.journal, order, permit)
        number = self.journal.write(
            event,
            **_who(seat),
            rule=rule,
            generation=generation,
            **cut_words(logged),
            **about,
            **more,
        )
        asked = Asked(receipt.words_hash(order.words), logged) if permit and order.receipt else None
        ticket = Ticket(number, taped, asked)
        needed = permit is not None and (self.required or asked is not None)
        if needed and not (number and (not self.required or self.journal.sync())):
            ticket.discard()
            raise Refused(_unwritten(self.journal.trouble))
        return ticket

    def _granted(
        self, journal: Journal, order: Start, permit: Permit | None
    ) -> tuple[Tape | None, dict[str, object]]:
        """Begin what a permit asks for besides; return it, and what the record says of it."""
        if permit is None:
            return None, {}
        about: dict[str, object] = {"cwd": permit.cwd, "as": permit.account.name}
        if permit.pty is not None:
            about["pty"] = permit.pty
        if permit.grant.record == "no":
            return None, about
        name = f"{journal.head.seq + 1:012d}-{os.urandom(4).hex()}.cast"
        try:
            taped = tape(journal.directory, name, permit, order.pty, required=self.required)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._log.event("audit", result="lost", why=f"recording: {why}")
            if self.required:
                raise Refused(_unwritten(f"its recording: {why}")) from None
            return None, {**about, "recording_lost": why}
        return taped, about if taped is None else {**about, "recording": taped.name}

    def ended(
        self,
        ticket: Ticket,
        user: str,
        permit: Permit,
        cause: Cause,
        drained: Drained,
        ending: Ending,
        seconds: float,
    ) -> bytes:
        """Write how a command ended; return the receipt for it where the client asked for one."""
        if self.ledger is not None and ticket.id is not None:
            status = repeats.number_of(ending.signal) if ending.signal else ending.status
            self.ledger.end(ticket.id, cause, status)
        if self.journal is None:
            return b""
        end = told(user, permit.rule.label, cause, drained, ending)
        self.journal.write(
            "end", of=ticket.number, **end, seconds=round(seconds, 6), **taped(ticket, drained)
        )
        if ticket.asked is None or self._key is None:
            return b""
        head = self.journal.head
        return receipt.make(
            self._key,
            ticket.asked.argv_sha256,
            ticket.asked.logged,
            **end,
            time=moment(time.time_ns()),
            decision=ticket.number,
            head={"seq": head.seq, "hash": head.hash},
        )

    def answered(self, ticket: Ticket, cause: Cause) -> None:
        """Note that a client was told all that it asked for, though what it had started runs on."""
        if self.ledger is not None and ticket.id is not None:
            self.ledger.end(ticket.id, cause, 0)

    def failed(self, ticket: Ticket, user: str, rule: str, failure: NotStarted) -> None:
        """Write that a permitted program could not be started."""
        self._drop(ticket.id)
        self.event(
            "end", of=ticket.number, user=user, rule=rule, cause="failed", exit=failure.exit_code,
            why=failure.message,
        )  # fmt: skip

    def event(self, event: str, **fields: object) -> int:
        """Write anything else."""
        return 0 if self.journal is None else self.journal.write(event, **fields)

    def reloaded(self, held: Holdings, result: str, **more: object) -> None:
        """Write that the files were read again, and with which result."""
        if self.journal is not None:
            self.journal.write("reload", result=result, generation=held.policy.generation, **more)
            self._key = self.journal.key = held.host_key()

    def wait(self, other: float | None) -> float | None:
        """Return the seconds until the log or something `other` has to be looked at."""
        mine = None if self.journal is None else self.journal.wait()
        return other if mine is None else mine if other is None else min(mine, other)

    def tick(self) -> None:
        """Do what the clock asks for."""
        if self.journal is not None:
            self.journal.tick()

    def close(self, why: str) -> None:
        """Write that the server stops."""
        if self.journal is not None:
            self.journal.close(why)
        if self.ledger is not None:
            self.ledger.close()

    def forget(self) -> None:
        """Leave the log to the other process."""
        if self.journal is not None:
            self.journal.forget()
        if self.ledger is not None:
            self.ledger.forget()


def _unwritten(why: str) -> str:
    return f"the audit log cannot be written ({why}), and nothing runs without it"


def _who(seat: Seat | None) -> dict[str, object]:
    if seat is None:
        return {"user": None, "key": None, "from": None}
    who = seat.principal
    return {"user": who.user, "key": who.fingerprint, "from": seat.peer or "unix", "connection": seat.ends}


def told(user: str, rule: str, cause: Cause, drained: Drained, ending: Ending) -> dict[str, object]:
    """Return what records and receipts say of an end."""
    return {
        "user": user,
        "rule": rule,
        "cause": cause.name.lower(),
        "exit": None if ending.signal else ending.status,
        "signal": ending.signal,
        "stdin": drained.stdin,
        "stdout": drained.stdout,
        "stderr": drained.stderr,
    }


def taped(ticket: Ticket, drained: Drained) -> dict[str, object]:
    """Return what a record says of a recording that is over."""
    if ticket.tape is None:
        return {}
    found = drained.recorded
    if found is not None and not found.whole:
        ticket.tape.cut(found.size)
    if found is None:  # the listener is gone, or could not take it
        return {"recording": ticket.tape.name, "recording_whole": False}
    return {
        "recording": ticket.tape.name,
        "recording_bytes": found.size,
        "recording_sha256": found.sha256[:32].hex(),
        "recording_whole": found.whole,
    }


def cut_words(words: list[str]) -> dict[str, object]:
    """Return an argument vector as records have it: whole, or its beginning and a hash of all of it."""
    room, kept = AUDIT_WORDS_MAX, 0
    for word in words:
        room -= 6 * len(word) + 3  # a character takes six bytes at most, a word its quotes and comma
        if room < 0:
            break
        kept += 1
    else:
        return {"argv": words}
    data = (word.encode("utf-8", "surrogateescape") for word in words)
    return {"argv": words[:kept], "argc": len(words), "argv_sha256": receipt.words_hash(data)}


def opened(settings: Settings, log: Log, *, succeeds: bool = False) -> Evidence:
    """Open the log that the settings name; `succeeds` a server that writes one yet. Raises `ConfigError`."""
    found = _opened(settings, log, succeeds=succeeds)
    if settings.resume_for:
        try:
            found.ledger = _ledger(settings, log)
        except ConfigError:
            found.forget()
            raise
    return found


def _ledger(settings: Settings, log: Log) -> Ledger:
    """Open what is known of the commands of the last hour. Raises `ConfigError`."""

    def complain(why: str) -> None:
        log.event("ids", result="lost", why=why)

    return Ledger(os.path.join(settings.home, IDS), complain)


def _opened(settings: Settings, log: Log, *, succeeds: bool) -> Evidence:
    required = settings.audit == "required"
    if settings.audit_dir is not None:
        made = _beside if succeeds else _journal_in
        return Evidence(made(settings, settings.audit_dir, log), log, required=required)
    try:
        own = os.path.join(settings.home, AUDIT)
        return Evidence(_beside(settings, own, log), log, required=required)
    except ConfigError as error:
        if required:
            raise
        log.event("audit", result="none", why=str(error))
        return Evidence(None, log)


def _beside(settings: Settings, own: str, log: Log) -> Journal:
    """Open the log in a directory, or in one beside it where another server on the same home has it."""
    for number in range(1, _NEIGHBOURS + 1):
        try:
            return _journal_in(settings, own if number == 1 else f"{own}-{number}", log)
        except segments.Busy:
            pass
    raise segments.Busy(f"{own}: more than {_NEIGHBOURS} servers", hint="--audit-dir DIR")


def _journal_in(settings: Settings, path: str, log: Log) -> Journal:
    files.ensure_home(path)
    return _journal(settings, path, log)


def _journal(settings: Settings, path: str, log: Log) -> Journal:
    def complain(why: str) -> None:
        log.event("audit", result="lost", why=why)

    return Journal(path, complain, size_max=settings.audit_size)

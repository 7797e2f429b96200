"""What is answered to a command that was asked for before."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from rexec.policy.rules import Permit
from rexec.protocol.frames import Cause
from rexec.server import ledgerfile
from rexec.server.ledger import Unkept, contents_of
from rexec.server.orders import Repeated

if TYPE_CHECKING:
    from rexec.policy.rules import Deny, Missing
    from rexec.server.ledger import Ledger
    from rexec.server.ledgerfile import Record
    from rexec.server.orders import Start

_UNKNOWN = "the command was started once, and this server knows nothing of it"
_GIVEN_UP = (Cause.LOST, Cause.DRAINED)  # ends that were not the command's own
_ENDS = {
    Cause.TIMEOUT: "already ran, until its time was over",
    Cause.IDLE: "already ran, until it was idle for too long",
    Cause.OUTPUT_LIMIT: "already ran, up to the output that its rule allows",
    Cause.INPUT_LIMIT: "already ran, up to the input that its rule allows",
}


def is_lost(record: Record) -> bool:
    """Tell whether a command was cut off, so that its rule may let it run again."""
    return record.kind == ledgerfile.LOST or (record.kind == ledgerfile.ENDED and record.cause in _GIVEN_UP)


def answer(
    ledger: Ledger | None, owner: bytes, order: Start, verdict: Permit | Deny | Missing
) -> Repeated | None:
    """Return what is known of a command; None where it is to be decided about and started.

    One that was cut off is started anew only where its rule says that this does no harm, and its caller
    has seen none of it.
    """
    record = None
    if ledger is not None and owner:
        try:
            record = ledger.find((owner, order.number))
        except Unkept as error:
            return Repeated(order.child, False, message=f"the ids of commands cannot be read ({error})")
    if record is None:
        return Repeated(order.child, False, message=_UNKNOWN) if order.begun else None
    told = told_of(order.child, record, contents_of(order))
    if told.is_other or order.begun or not is_lost(record):
        return told
    return None if isinstance(verdict, Permit) and verdict.grant.idempotent else told


def told_of(child: int, record: Record, contents: bytes) -> Repeated:
    """Return what is known of a command."""
    if record.contents != contents:
        return Repeated(child, True)
    if record.kind == ledgerfile.BEGUN:
        return Repeated(child, False, message="the command was started once, and has not ended yet")
    if record.kind == ledgerfile.LOST:
        return Repeated(child, False, message="the command was started once, and nobody knows how it ended")
    cause = Cause(record.cause)
    if cause in _GIVEN_UP:
        return Repeated(child, False, message="the command was started once, and ended before its time")
    if cause is Cause.SIGNALLED:
        return Repeated(child, False, Cause.ALREADY_RAN, 128 + record.status, _name(record.status))
    return Repeated(child, False, Cause.ALREADY_RAN, record.status, message=_ENDS.get(cause, ""))


def number_of(name: str) -> int:
    """Return the number of a signal by its name without SIG; 0 for a real-time one."""
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        return 0


def _name(number: int) -> str:
    return signal.Signals(number).name.removeprefix("SIG") if number else ""

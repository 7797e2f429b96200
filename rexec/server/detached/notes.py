"""What a warden writes down where a runner would write to the audit log, which a server does later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rexec.protocol.frames import Cause
from rexec.server.evidence import Evidence, taped, told

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.policy.rules import Permit
    from rexec.process.child import Ending
    from rexec.server.orders import Drained
    from rexec.server.ticket import Ticket


class Notes(Evidence):
    """The end and the escapes of one command, as records of the audit log have them."""

    def __init__(self, log: Log, ticket: Ticket) -> None:
        super().__init__(None, log)
        self.told: dict[str, object] = {}
        self.escapes: list[dict[str, object]] = []
        self.is_wanted = False  # its user had it ended: what its program made of that is how it ended
        self.message = ""  # why it was ended before its time
        self.notices: list[str] = []  # for who is shown it

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
        if self.is_wanted and cause is Cause.LOST:
            cause = Cause.SIGNALLED if ending.signal else Cause.EXITED
        self.told = {
            **told(user, permit.rule.label, cause, drained, ending),
            "seconds": round(seconds, 6),
            **taped(ticket, drained),
        }
        return b""

    def event(self, event: str, **fields: object) -> int:
        self.escapes.append({"event": event, **fields, "at": round(time.time(), 3)})
        return 0

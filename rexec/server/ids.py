"""The ids of one session's commands: nothing is ever started twice."""

from __future__ import annotations

from rexec.errors import RemoteProtocolError
from rexec.limits import IDS_MAX
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause


class Ids:
    """What was asked for, the latest IDS_MAX of it; of all before, that it was."""

    def __init__(self) -> None:
        self._contents: dict[int, int] = {}  # id -> hash of the Exec
        self._forgotten = -1  # at and below it, what was asked is only known to have been

    def repeated(self, frame: f.Exec) -> f.Frame | None:
        """Return the answer to an Exec whose id was used before, and note one that is new."""
        contents = hash(frame)
        known = self._contents.get(frame.id)
        if known is not None and known != contents:
            raise RemoteProtocolError(f"Exec {frame.id} came again with other contents")
        if known is not None or frame.id <= self._forgotten:
            return f.Exit(Cause.ALREADY_RAN, output_kept=False)
        self._contents[frame.id] = contents
        if len(self._contents) > IDS_MAX:
            self._forgotten = next(iter(self._contents))
            del self._contents[self._forgotten]
        return None

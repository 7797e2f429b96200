"""What a server knows of one detached command, by its directory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rexec.process.child import Ending
from rexec.process.orphans import kill_marked
from rexec.protocol.frames import Cause
from rexec.server.detached.folder import END, JOB, MARK, RECORDED, boot

if TYPE_CHECKING:
    from rexec.server.detached.folder import Folder


class Outcome(NamedTuple):
    """How it ended, as who is shown it to the end hears it; `notice` says what of its output is not there."""

    cause: Cause
    ending: Ending
    seconds: float | None  # None: as long as it was shown
    truncated: bool
    notices: tuple[str, ...]


class Entry:
    """One command; `end` is None as long as nobody has written how it ended."""

    __slots__ = (
        "bound", "decision", "end", "id", "is_recorded", "key", "label", "log", "rule", "size", "started",
        "user", "words",
    )  # fmt: skip

    def __init__(self, name: str, about: dict[str, Any]) -> None:
        """Take what was written before it ran. Raises `LookupError`, `TypeError`, `ValueError`."""
        self.id = name
        self.user = str(about["user"])
        self.key = str(about["key"])  # the fingerprint of the key that had it started
        self.words = [str(word) for word in about["words"]]  # as logs may show them
        self.label = str(about["label"])
        self.rule = str(about["rule"])  # the fingerprint of the rule
        self.started = float(about["started"])
        self.bound = int(about["bound"])  # bytes of output that are kept
        self.decision = int(about["decision"])  # the number of its record ...
        self.log = str(about["log"])  # ... and the log that it is in
        self.end: dict[str, Any] | None = None
        self.is_recorded = False
        self.size = 0  # bytes of its files, once it is over

    def look(self, folder: Folder) -> None:
        """See whether it is over by now; one that nobody looks after any more is."""
        if self.end is None and not folder.has(END) and not folder.holder() and not folder.has(END):
            self._give_up(folder)
        if self.end is None and folder.has(END):
            self.end = folder.read(END)
            self.size = folder.size()
        self.is_recorded = self.is_recorded or folder.has(RECORDED)

    def _give_up(self, folder: Folder) -> None:
        """Write that its warden was killed or the machine stopped, and end what may be left of it."""
        try:
            found = folder.read(MARK)
            if found["boot"] == boot():
                first, second = found["mark"]
                kill_marked((int(first), int(second)))
        except (OSError, LookupError, TypeError, ValueError):
            pass  # it had not begun
        folder.write(END, {"cause": "lost", "ended": time.time()})

    @property
    def is_over(self) -> bool:
        return self.end is not None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, if it has."""
        end = self.end
        if end is None:
            return None
        number = {name: int(end.get(name) or 0) for name in ("user_us", "system_us", "max_rss_kib")}
        ending = Ending(int(end.get("status") or 0), str(end.get("signal") or ""), **number)
        missing = any(end.get(name) for name in ("dropped", "lost", "cut_off"))
        return Outcome(self.cause, ending, float(end.get("seconds") or 0), missing, tuple(self._notices(end)))

    @property
    def cause(self) -> Cause:
        name = str(self.end and self.end.get("cause")).upper()
        return Cause[name] if name in Cause.__members__ else Cause.LOST

    def _notices(self, end: dict[str, Any]) -> list[str]:
        told = [str(text) for text in end.get("notices", ())]
        if end.get("dropped"):
            told.append(f"the oldest {int(end['dropped']):,} bytes of output are not kept")
        if end.get("lost"):
            told.append(
                f"the latest {int(end['lost']):,} bytes of output could not be kept: {end['why_lost']}"
            )
        return told

    def row(self) -> dict[str, object]:
        """Return it as its user sees it in the list of all."""
        end = self.end or {}
        status, signal = end.get("status"), end.get("signal")
        code: object = None
        if self.is_over:
            code = status if self.cause is Cause.EXITED else None
        return {
            "id": self.id,
            "state": self._state(),
            "exit_status": code,
            "signal": signal or None,
            "started": self.started,
            "wall_s": end.get("seconds", 0.0) if self.is_over else max(0.0, time.time() - self.started),
            "rule": self.label,
            "command": self.words,
        }

    def _state(self) -> str:
        if self.end is None:
            return "running"
        if self.cause is Cause.EXITED:
            return "failed" if self.end.get("status") else "ok"
        return _STATES.get(self.cause, "lost")


_STATES = {
    Cause.SIGNALLED: "signal",
    Cause.TIMEOUT: "timeout",
    Cause.IDLE: "timeout",
    Cause.OUTPUT_LIMIT: "ended",
}


def entry_of(name: str, folder: Folder) -> Entry:
    """Read what a directory says. Raises `OSError`, `ValueError`."""
    try:
        return Entry(name, folder.read(JOB))
    except (LookupError, TypeError) as error:
        raise ValueError(f"{JOB} is not what it was written as") from error

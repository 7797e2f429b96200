"""All detached commands of a home: those that run, and the results that are kept.

What is known is in the directories alone, which a server that starts reads, and several may look at. Whose
warden is gone without an end was lost. What ended is written to the audit log once, by whichever server sees
it first. Old results go when their time is over, and before it when there are too many.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from rexec.limits import JOB_LOOK, JOB_OUTPUT, JOBS_BYTES, JOBS_MAX, JOBS_PER_USER, JOBS_USER_BYTES, MIB
from rexec.server.detached.entry import Entry, entry_of
from rexec.server.detached.folder import END, RECORDED, Folder, Jobs, jobs_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.policy.rules import Permit, Rule
    from rexec.server.evidence import Evidence

_HALF_MADE = 3_600.0  # seconds after which what was not finished was left by a server that was killed
_MOST = 3_600.0  # seconds between looks at what may be too old


class Full(Exception):
    """Nothing more can be kept; says why."""


def bound_of(permit: Permit) -> int:
    """Return how many bytes of files keep what a command writes."""
    output = permit.grant.output
    return (
        JOB_OUTPUT if output is None else 2 * output.size + MIB
    )  # what its rule lets through, and the heads


class Register:
    """What one server knows of them; `keep` says for how many seconds a result is kept."""

    def __init__(self, home: str, keep: Callable[[], float], log: Log, evidence: Evidence) -> None:
        self.path = jobs_path(home)
        self._keep = keep
        self._log = log
        self._evidence = evidence
        self._entries: dict[str, Entry] = {}
        self._expected: set[str] = set()  # that count, and have no directory yet which others could see
        self._bad: set[str] = set()
        self._next_look = 0.0
        self._own: Callable[[str], bool] = lambda _: False

    def begin(self, is_own: Callable[[str], bool]) -> None:
        """Read what is there; `is_own` tells of a command whether its end is heard of."""
        self._own = is_own
        jobs = self._opened()
        if jobs is not None:
            with jobs:
                jobs.sweep(time.time() - _HALF_MADE)
        self.look()

    # --- how many -------------------------------------------------------------------------------

    def running_of(self, user: str) -> int:
        return sum(entry.user == user and not entry.is_over for entry in self._entries.values())

    def running(self) -> int:
        return sum(not entry.is_over for entry in self._entries.values())

    def running_by(self, rule: Rule) -> int:
        """Return how many commands of a rule run."""
        if not self._entries:
            return 0
        self.look()
        fingerprint = rule.fingerprint
        return sum(entry.rule == fingerprint and not entry.is_over for entry in self._entries.values())

    def make_room(self, user: str, bound: int) -> None:
        """Let old results go where there are too many. Raises `Full`."""
        self.look()
        while True:
            everybody = list(self._entries.values())
            mine = [entry for entry in everybody if entry.user == user]
            if len(mine) >= JOBS_PER_USER:
                self._drop_oldest(mine, f"{user} has {JOBS_PER_USER} detached commands already")
            elif _bytes(mine) + bound > JOBS_USER_BYTES:
                text = f"the detached commands of {user} may keep {JOBS_USER_BYTES // MIB} MiB at most"
                self._drop_oldest(mine, text)
            elif len(everybody) >= JOBS_MAX or _bytes(everybody) + bound > JOBS_BYTES:
                most = Counter(entry.user for entry in everybody if entry.is_over).most_common(1)
                theirs = [entry for entry in everybody if most and entry.user == most[0][0]]
                self._drop_oldest(theirs, "this server keeps as many detached commands as it can")
            else:
                return

    def _drop_oldest(self, entries: list[Entry], text: str) -> None:
        over = [entry for entry in entries if entry.is_over and entry.is_recorded]
        if not over:
            raise Full(text)
        oldest = min(over, key=_ended)
        if not self._remove(oldest):
            raise Full(f"{text}, and the oldest of them cannot be removed")

    # --- which ----------------------------------------------------------------------------------

    def expect(self, name: str, about: dict[str, object]) -> None:
        """Count a command that is about to be started: the next one is judged before its warden is there."""
        self._entries[name] = Entry(name, about)
        self._expected.add(name)

    def find(self, user: str, key: str, beginning: str) -> Entry | str:
        """Return the command of somebody whose id begins so, or why there is not one."""
        self.look()
        found = [entry for entry in self._of(user, key) if beginning and entry.id.startswith(beginning)]
        if len(found) > 1:
            return f"more than one detached command of yours has an id that begins with {beginning}"
        return found[0] if found else ""

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def rows(self, user: str, key: str) -> bytes:
        """Return the list of somebody's commands, the latest last."""
        self.look()
        mine = sorted(self._of(user, key), key=lambda entry: entry.started)
        return json.dumps([entry.row() for entry in mine]).encode()

    def _of(self, user: str, key: str) -> list[Entry]:
        known = (entry for name, entry in self._entries.items() if name not in self._expected)
        return [entry for entry in known if entry.user == user and entry.key == key]

    # --- looking --------------------------------------------------------------------------------

    def wait(self, other: float | None) -> float | None:
        """Return the seconds until this, or something `other`, has to be looked at."""
        if not self._entries:
            return other
        mine = max(0.0, self._next_look - time.monotonic())
        return mine if other is None else min(mine, other)

    def tick(self) -> None:
        """Do what the clock asks for."""
        if self._entries and self._next_look <= time.monotonic():
            self.look()

    def look(self) -> None:
        """See what is there, what ended, and what is too old."""
        foreign = [entry for entry in self._entries.values() if not (entry.is_over or self._own(entry.id))]
        self._next_look = time.monotonic() + (JOB_LOOK if foreign else self._patience())
        jobs = self._opened()
        if jobs is None:
            self._entries = {name: self._entries[name] for name in self._expected}
            return
        with jobs:
            names = set(jobs.ids())
            for gone in self._entries.keys() - names - self._expected:
                del self._entries[gone]
            for name in names - self._bad:
                self._look_at(jobs, name)
        for entry in list(self._entries.values()):
            if entry.is_over and entry.is_recorded and _ended(entry) + self._keep() <= time.time():
                self._remove(entry)

    def _patience(self) -> float:
        """Return the seconds until the next result is too old."""
        ends = [_ended(entry) for entry in self._entries.values() if entry.is_over]
        return min(_MOST, max(JOB_LOOK, min(ends) + self._keep() - time.time())) if ends else _MOST

    def _look_at(self, jobs: Jobs, name: str) -> None:
        known = None if name in self._expected else self._entries.get(name)
        if known is not None and known.is_over and known.is_recorded:
            return
        try:
            with Folder(name, above=jobs) as folder:
                entry = known or entry_of(name, folder)
                self._entries[name] = entry
                self._expected.discard(name)
                entry.look(folder)
                if entry.is_over and not entry.is_recorded:
                    self._record(entry, folder)
        except (OSError, ValueError) as error:
            if name not in self._entries:
                self._bad.add(name)
                self._log.event("jobs", result="bad", id=name, why=str(error))

    def _record(self, entry: Entry, folder: Folder) -> None:
        """Write the end to the log, unless another server is about to."""
        descriptor = folder.open(END, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not folder.has(RECORDED):
                self._tell(entry)
                entry.is_recorded = True
                os.close(folder.open(RECORDED, os.O_WRONLY | os.O_CREAT))
            entry.is_recorded = True
        except OSError:
            pass  # it is being written; or the disk is full, and then this server knows that it did
        finally:
            os.close(descriptor)

    def _tell(self, entry: Entry) -> None:
        end = entry.end or {}
        journal = self._evidence.journal
        is_here = journal is not None and journal.directory == entry.log
        number = entry.decision if is_here else 0
        for escape in end.get("escapes", ()):
            about = {name: value for name, value in escape.items() if name not in ("event", "of")}
            self._evidence.event("escape", of=number, job=entry.id, **about)
            self._log.event("escape", job=entry.id, **about)
        about = {name: end[name] for name in end if name in _TOLD or name.startswith("recording")}
        about.update(user=entry.user, rule=entry.label, cause=entry.cause.name.lower())
        self._evidence.event("end", of=number, job=entry.id, **about)
        outcome = entry.outcome
        assert outcome is not None
        status: object = outcome.ending.signal or outcome.ending.status
        if outcome.cause.name not in ("EXITED", "SIGNALLED"):
            status = outcome.cause.name.lower()
        size = int(end.get("stdout") or 0) + int(end.get("stderr") or 0)
        self._log.event("end", user=entry.user, rule=entry.label, status=status, bytes=size, job=entry.id)

    # --- the disk -------------------------------------------------------------------------------

    def _opened(self) -> Jobs | None:
        try:
            return Jobs(self.path)
        except OSError:
            return None

    def made(self) -> Jobs:
        """Open the directory of all, made where there is none. Raises `OSError`."""
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            pass
        return Jobs(self.path)

    def discard(self, name: str) -> None:
        """Leave nothing of a command that was not started."""
        self._entries.pop(name, None)
        self._expected.discard(name)
        jobs = self._opened()
        if jobs is not None:
            with jobs:
                jobs.discard(name)

    def _remove(self, entry: Entry) -> bool:
        jobs = self._opened()
        if jobs is None:
            return False
        with jobs:
            is_gone = jobs.remove(entry.id)
        if is_gone:
            del self._entries[entry.id]
        return is_gone


_TOLD = frozenset(("exit", "signal", "stdin", "stdout", "stderr", "seconds"))


def _ended(entry: Entry) -> float:
    return float((entry.end or {}).get("ended") or 0)


def _bytes(entries: list[Entry]) -> int:
    return sum(entry.size if entry.is_over else entry.bound for entry in entries)

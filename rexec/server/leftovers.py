"""What commands leave behind: whose it is, and the end of it.

Every orphan below the runner is its child, and bears the mark of the command that it came from
(`process.orphans`). One that bears the mark of no command that runs, or was kept, is ended on sight.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from rexec.process.orphans import Marks, Orphanage, is_reaped, kill_marked, mark_of, send

if TYPE_CHECKING:
    from rexec.process.orphans import Mark

_ROUNDS = 8  # looks at orphans that are all dead


class Leftovers:
    """The orphans of all commands of one runner."""

    def __init__(self) -> None:
        self._marks = Marks()
        self._orphanage = Orphanage()
        self._leaders: dict[int, Mark] = {}  # pid -> mark; not reaped yet
        self._kept: set[Mark] = set()  # marks of ended commands whose orphans may stay
        self._leaving: set[int] = set()  # who is to be reaped by somebody, soon

    def close(self) -> None:
        self._orphanage.close()

    def mark(self) -> Mark:
        """Return the mark of the command that is started next."""
        return self._marks.renew()

    def begin(self, pid: int, mark: Mark) -> None:
        """Note who leads a command, from its fork on."""
        self._leaders[pid] = mark

    def forget(self, pid: int) -> None:
        """Note that a leader is reaped."""
        self._leaders.pop(pid, None)

    def dismiss(self, pid: int, *, keep: bool) -> None:
        """Count one that began with a command among its orphans, and kill it unless those may stay."""
        self.forget(pid)
        self._leaving.add(pid)
        if not keep:
            send(pid, signal.SIGKILL)

    def keep(self, mark: Mark) -> None:
        """Let those who bear a mark outlive their command."""
        self._kept.add(mark)

    @property
    def is_waiting(self) -> bool:
        """Whether somebody may come or go who is to be looked after."""
        return bool(self._leaders or self._kept or self._leaving)

    def of(self, mark: Mark) -> list[int]:
        """List the living orphans that end with a command: its own, and those that are nobody's."""
        alive = self._alive()
        if not alive:
            return alive
        living = self._living()
        return [pid for pid in alive if (found := mark_of(pid)) == mark or found not in living]

    def end(self, mark: Mark, *, thoroughly: bool) -> bool:
        """Kill the orphans that end with a command; True once none is left.

        `thoroughly` looks at all processes there are, and so finds those who are no orphans yet
        because their parents fork faster than they die.
        """
        orphans = self.of(mark)
        for pid in orphans:
            send(pid, signal.SIGKILL)
        if orphans and thoroughly:
            kill_marked(mark)  # never another's mark: that a process may have set to what it likes
        return not orphans

    def look(self) -> None:
        """Reap the dead, end those who are nobody's, forget the marks that nobody bears any more."""
        living = self._living()
        seen = set()
        alive = self._alive()
        self._leaving.intersection_update(alive)
        for pid in alive:
            mark = mark_of(pid)
            seen.add(mark)
            if mark not in living:
                send(pid, signal.SIGKILL)
        self._kept &= seen

    def _living(self) -> set[Mark]:
        return self._kept.union(self._leaders.values())

    def _alive(self) -> list[int]:
        """List the living orphans, and reap the dead: who died just now may have left another."""
        for _ in range(_ROUNDS):
            orphans = self._orphanage.orphans(self._leaders)
            alive = [pid for pid in orphans if not is_reaped(pid)]
            if alive or not orphans:
                return alive
        return self._orphanage.orphans(self._leaders)  # somebody who forks and dies without an end

"""What is told of a command that tries to leave its fence: to the log, to the audit, to its user.

A program may try in a loop. The first attempts are told one by one, the rest is counted. Where a reporter
sees them, that one ends with the command, as do the orphans that it counts among, but not before.
"""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from rexec.limits import ESCAPES_TOLD
from rexec.server import orders

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.process.reports import Reports
    from rexec.process.starts import Escape
    from rexec.process.watch import Watch
    from rexec.server.evidence import Evidence
    from rexec.server.hearer import Hearer
    from rexec.server.leftovers import Leftovers
    from rexec.server.starting import Pending

_HAD = ("net none", "confine")


class Watcher:
    """The watch over one fenced command; the listener hears of it when it knows the command."""

    __slots__ = (
        "_evidence", "_is_over", "_leftovers", "_link", "_log", "_of", "_reporter", "_selector", "_waiting",
        "_watch", "attempts",
    )  # fmt: skip

    def __init__(
        self,
        selector: selectors.BaseSelector,
        link: Hearer,
        log: Log,
        evidence: Evidence,
        of: Pending,
        watch: Watch | Reports,
        leftovers: Leftovers,
    ) -> None:
        self._selector = selector
        self._link = link
        self._log = log
        self._evidence = evidence
        self._of = of
        self._watch = watch
        self._leftovers = leftovers
        self._reporter = 0
        self._waiting: list[str] | None = []
        self.attempts = 0
        self._is_over = False
        selector.register(watch.fd, selectors.EVENT_READ, self)

    def attend(self) -> None:
        """Answer the program, and tell what was refused."""
        if self._is_over:  # its end may come with its last word
            return
        for escape in self._watch.attend():
            self.attempts += 1
            if self.attempts <= ESCAPES_TOLD:
                act = {"act": escape.act} if escape.act else {}
                self._write(path=escape.path, option=escape.option, **act)
                self._tell(f"{self._rule} {_words(escape)}")
        if self._watch.reporter and not self._reporter:
            self._reporter = self._watch.reporter
            self._leftovers.begin(self._reporter, self._of.mark)

    def announce(self) -> None:
        """Tell what was refused before the listener knew of the command."""
        waiting, self._waiting = self._waiting or (), None
        for text in waiting:
            self._tell(text)

    def close(self, *, keep: bool = False) -> None:
        """Stop answering: whatever is left behind the fence can start nothing any more.

        `keep`: it may go on to use its files, and its reporter with it.
        """
        self.attend()  # what was refused before the end was told before it
        self._is_over = True
        self._selector.unregister(self._watch.fd)
        more = max(self.attempts - ESCAPES_TOLD, 0) + self._watch.untold
        self._watch.close()
        if self._reporter:
            self._leftovers.dismiss(self._reporter, keep=keep)
        if more > 0:
            self._write(more=more)
            self._tell(f"{self._rule} refused {more:,} more attempts")
        self._of.watcher = None  # two that hold each other stay until the collector comes by

    @property
    def _rule(self) -> str:
        return self._of.permit.rule.label

    def _write(self, **what: object) -> None:
        self._evidence.event("escape", of=self._of.ticket.number, user=self._of.user, rule=self._rule, **what)
        self._log.event("escape", user=self._of.user, rule=self._rule, **what)

    def _tell(self, text: str) -> None:
        if self._waiting is None:
            self._link.send(orders.Escaped(self._of.number, text))
        else:
            self._waiting.append(text)


def _words(escape: Escape) -> str:
    return f"{'has' if escape.option in _HAD else 'is'} {escape}"

"""What is told of a command that tries to leave its fence: to the log, to the audit, to its user.

A program may try in a loop. The first attempts are told one by one, the rest is counted.
"""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from rexec.limits import ESCAPES_TOLD
from rexec.server import orders

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.process.watch import Escape, Watch
    from rexec.server.evidence import Evidence
    from rexec.server.ordersocket import OrderSocket
    from rexec.server.starting import Pending


class Watcher:
    """The watch over one fenced command; the listener hears of it when it knows the command."""

    __slots__ = (
        "_evidence", "_is_over", "_link", "_log", "_of", "_selector", "_waiting", "_watch", "attempts",
    )  # fmt: skip

    def __init__(
        self,
        selector: selectors.BaseSelector,
        link: OrderSocket,
        log: Log,
        evidence: Evidence,
        of: Pending,
        watch: Watch,
    ) -> None:
        self._selector = selector
        self._link = link
        self._log = log
        self._evidence = evidence
        self._of = of
        self._watch = watch
        self._waiting: list[str] | None = []
        self.attempts = 0
        self._is_over = False
        selector.register(watch.fd, selectors.EVENT_READ, self)

    def attend(self) -> None:
        """Answer the program, and tell what was refused."""
        for escape in () if self._is_over else self._watch.attend():  # its end may come with its last word
            self.attempts += 1
            if self.attempts <= ESCAPES_TOLD:
                self._write(path=escape.path, option=escape.option)
                self._tell(f"{self._rule} {_words(escape)}")

    def announce(self) -> None:
        """Tell what was refused before the listener knew of the command."""
        waiting, self._waiting = self._waiting or (), None
        for text in waiting:
            self._tell(text)

    def close(self) -> None:
        """Stop answering: whatever is left behind the fence can start nothing any more."""
        self._is_over = True
        self._selector.unregister(self._watch.fd)
        self._watch.close()
        more = self.attempts - ESCAPES_TOLD
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
    return f"{'has' if escape.option == 'net none' else 'is'} {escape}"

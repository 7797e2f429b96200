"""Attempts to reach a server, until one of them is welcome: which loss is worth another, and for how long.

What was sent before the welcome may have been read. So a further attempt comes by the same name and with
the same key, to a server that knows by them what it was asked already.
"""

from __future__ import annotations

from rexec.client.greeting import Greeting
from rexec.errors import ConnectError, ConnectionLost, RexecError
from rexec.limits import RESUME_RESET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rexec.client.config import Target
    from rexec.client.greeting import Ends, Terms
    from rexec.client.identity import Signer
    from rexec.client.resume import Pauses


class Attempts:
    """The attempts of one client; `told` hears of it where the second fails too."""

    def __init__(
        self,
        target: Target,
        signers: Iterable[Signer],
        terms: Terms,
        told: Callable[[str, bool], None] = lambda text, is_good: None,
    ) -> None:
        self.target = target
        self.why: RexecError | None = None  # the last one failed
        self._first: RexecError | None = None
        self._signers = signers
        self._terms = terms
        self._told = told
        self._is_told = False
        self._greeting: Greeting | None = None  # the last one that began

    def begin(self, ends: Ends) -> Greeting:
        """Return the greeting of a connection that was made."""
        before = self._greeting
        if before is None:
            self._greeting = Greeting(self.target, ends, self._signers, self._terms)
        else:
            self._greeting = before.anew(ends)
        return self._greeting

    def fail(self, error: ConnectionLost | ConnectError) -> None:
        """Note a connection that was there and broke; raises an error that is worth no other attempt."""
        if isinstance(error, ConnectError) and not error.is_lost:
            raise error
        greeting = self._greeting
        if not (self.target.resume_for if greeting is None else greeting.is_worth_another):
            raise error
        self.why = error
        self._first = self._first or error

    @property
    def _has_asked(self) -> bool:
        return self._greeting is not None and self._greeting.trying is not None

    @property
    def patience(self) -> float:
        """Return the seconds until nobody is sought any more: few where nothing was asked yet."""
        most = self.target.resume_for
        return most if self._has_asked else min(most, RESUME_RESET)

    def go_on(self, pauses: Pauses, now: float) -> None:
        """Set the time of the next attempt after `why`; raises it where there is none left."""
        assert self.why is not None
        if not self._is_told:
            self._is_told = True
            self._told(f"{self._first}; trying again", False)
        try:
            pauses.again(self.why, now)
        except RexecError as error:
            if self._has_asked:  # what was asked may have been read
                raise ConnectionLost(f"{self._first}; not resumed: {error}") from None
            raise

"""How many descriptors this process may have: all that it can, while its children get what it was given.

`subprocess` has no way to set a limit between fork and exec by vfork. So the limit is lowered for the
moment of a start, and two low descriptors are kept free for the pipe that `subprocess` opens meanwhile.
"""

from __future__ import annotations

import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

_KIND = resource.RLIMIT_NOFILE
_LAST = 0x7FFFFFFF


class AsGiven:
    """A context in which the limit is as it was before `raise_limit`; without that, nothing happens."""

    __slots__ = ("_spare", "_status", "given")

    def __init__(self) -> None:
        self.given: tuple[int, int] | None = None
        self._status = (0, 0)
        self._spare: tuple[int, ...] = ()

    def raise_limit(self) -> None:
        """Raise the limit of this process as far as it may."""
        soft, hard = resource.getrlimit(_KIND)
        if soft == hard:
            return
        self.given = soft, hard
        self._status = hard, hard
        self._spare = os.pipe2(os.O_CLOEXEC)  # while low numbers are free
        resource.setrlimit(_KIND, self._status)

    def renew(self) -> None:
        """Keep others free, in a process that has closed all that it had."""
        self._spare = os.pipe2(os.O_CLOEXEC) if self.given is not None else ()

    def restore(self) -> None:
        """Set the limit as it was, for good: in a child that is to become a program."""
        if self.given is not None:
            resource.setrlimit(_KIND, self.given)

    def __enter__(self) -> None:
        if self.given is not None:
            for descriptor in self._spare:
                os.close(descriptor)
            self._spare = ()
            resource.setrlimit(_KIND, self.given)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.given is not None:
            resource.setrlimit(_KIND, self._status)
            try:
                self._spare = os.pipe2(os.O_CLOEXEC)
            except OSError:
                pass  # none is left at all: the next start says so


AS_GIVEN = AsGiven()


def close_all_but(first: int, kept: Collection[int]) -> None:
    """Close all descriptors of this process from a number on, but for those that are kept; -1 is none."""
    for descriptor in sorted(kept):
        if descriptor >= first:
            os.closerange(first, descriptor)
            first = descriptor + 1
    os.closerange(first, _LAST)

"""The ids of one session's commands: nothing is ever started twice."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rexec.errors import RemoteProtocolError
from rexec.limits import IDS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rexec.protocol import frames as f


class Ids:
    """What was asked for, the latest IDS_MAX of it; of all before, that it was.

    Where the client may ask again, also what it will not: the ids whose end it has acknowledged.
    """

    def __init__(self, *, are_asked_again: bool = False) -> None:
        self._are_asked_again = are_asked_again
        self._contents: dict[int, int] = {}  # id -> hash of the Exec
        self._forgotten = -1  # at and below it, what was asked is only known to have been
        self._running: set[int] = set()
        self._over: deque[tuple[int, int]] = deque()  # how many frames were sent with the end, and the id

    def is_known(self, frame: f.Exec) -> bool:
        """Tell whether an id was used before, and note one that is new."""
        contents = hash(frame)
        known = self._contents.get(frame.id)
        if known is not None and known != contents:
            raise RemoteProtocolError(f"Exec {frame.id} came again with other contents")
        if known is not None or frame.id <= self._forgotten:
            return True
        self._contents[frame.id] = contents
        if self._are_asked_again:
            self._running.add(frame.id)
        if len(self._contents) > IDS_MAX:
            self._forgotten = next(iter(self._contents))
            del self._contents[self._forgotten]
        return False

    def over(self, number: int, sent: int) -> None:
        """Note that the end of a command was sent, `sent` frames being on their way with it."""
        if number in self._running:
            self._running.discard(number)
            self._over.append((sent, number))

    def settled(self, confirmed: int) -> bytes:
        """Return, once, the ids that the client will not ask for again: it has so many of our frames."""
        found = []
        while self._over and self._over[0][0] <= confirmed:
            found.append(self._over.popleft()[1])
        return _packed(found)

    def all(self) -> bytes:
        """Return the ids of a client that asks for nothing again, since it said goodbye."""
        return _packed((*self._running, *(number for _, number in self._over)))


def _packed(numbers: Iterable[int]) -> bytes:
    return b"".join(number.to_bytes(8) for number in numbers)

"""The outputs of all commands, which the loop looks at as one.

A short command opens two pipes and closes them again, and what the loop does to know a descriptor and to
forget it costs more than to read it. So they are in an epoll(7) of their own, inside the loop's.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rexec.protocol.frames import Stream

    Ready = Callable[[Stream], None]


class Outlets:
    """Calls whoever waits for a descriptor when it can be read, again and again.

    `before` and `after` are called around all that is ready at once.
    """

    __slots__ = ("_after", "_before", "_epoll", "_loop", "_waiting")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._before = before
        self._after = after
        self._epoll = select.epoll()
        self._waiting: dict[int, tuple[Ready, Stream]] = {}
        loop.add_reader(self._epoll.fileno(), self._look)

    def close(self) -> None:
        """Look no more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def add(self, descriptor: int, ready: Ready, stream: Stream) -> None:
        """Call `ready` with `stream` while there is something to read, be it the end."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._waiting[descriptor] = ready, stream

    def remove(self, descriptor: int) -> None:
        """Look at a descriptor no more; to be said before it is closed."""
        del self._waiting[descriptor]
        if not self._epoll.closed:  # what is left at the end is put away all the same
            self._epoll.unregister(descriptor)

    def _look(self) -> None:
        self._before()
        for descriptor, _ in self._epoll.poll(0):
            waiting = self._waiting.get(descriptor)
            if waiting is not None:  # else one before it in this round has closed it
                ready, stream = waiting
                try:
                    ready(stream)
                except Exception as error:  # of one command: the others are none the worse for it
                    message = "the output of a command could not be read"
                    self._loop.call_exception_handler({"message": message, "exception": error})
        self._after()

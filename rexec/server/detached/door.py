"""Where those who show a detached command come to its warden: they hear of news, and pass words on."""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from rexec.limits import JOB_VISITORS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rexec.server.detached.folder import Folder

_WORD_MAX = 64  # bytes of what is asked at once: the name of a signal


class Visitor:
    """One connection."""

    __slots__ = ("door", "heard", "line")

    def __init__(self, door: Door, line: socket.socket) -> None:
        self.door = door
        self.line = line
        self.heard = b""

    def attend(self) -> None:
        """Take what is asked; who asks for nothing that is known is not listened to any more."""
        try:
            data = self.line.recv(_WORD_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *words, self.heard = (self.heard + data).split(b"\n")
        for word in words:
            self.door.order(word.decode("ascii", "replace"))
        if not data or len(self.heard) > _WORD_MAX:
            self.door.show_out(self)


class Door:
    """The listening socket, and who came."""

    def __init__(
        self, folder: Folder, selector: selectors.BaseSelector, order: Callable[[str], None]
    ) -> None:
        """Open it. Raises `OSError`."""
        self.order = order
        self._selector = selector
        self._socket = folder.listen()
        self._visitors: set[Visitor] = set()
        self._is_open = True
        selector.register(self._socket, selectors.EVENT_READ, self)

    def attend(self) -> None:
        """Let somebody in; of too many, one who has to wait sees what there is, later."""
        try:
            line, _ = self._socket.accept()
        except OSError:
            return
        if len(self._visitors) >= JOB_VISITORS:
            line.close()
            return
        line.setblocking(False)
        visitor = Visitor(self, line)
        self._visitors.add(visitor)
        self._selector.register(line, selectors.EVENT_READ, visitor)

    def wake(self) -> None:
        """Let all know that there is something new; who has not read that yet will see it too."""
        for visitor in self._visitors:
            try:
                visitor.line.send(b".")
            except OSError:
                pass  # full, or gone: then its end is seen

    def show_out(self, visitor: Visitor) -> None:
        if visitor in self._visitors:
            self._visitors.discard(visitor)
            self._selector.unregister(visitor.line)
            visitor.line.close()

    def close(self) -> None:
        """Let all know that nothing more comes."""
        for visitor in tuple(self._visitors):
            self.show_out(visitor)
        if self._is_open:
            self._is_open = False
            self._selector.unregister(self._socket)
            self._socket.close()

"""Who hears what becomes of commands: the listener at the other end of a socket, or a warden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rexec.server.orders import Message


class Hearer(Protocol):
    """Takes reports, and with them the descriptors that they bring."""

    def send(self, message: Message, descriptors: tuple[int, ...] = (), *, hurry: bool = True) -> object:
        """Take one; it does not wait for anybody. In no `hurry`, it may leave with the next."""

"""The control socket by which several commands share one connection: its messages, and a guest's way in.

A master holds the connection and listens; a guest hands over a request and its three descriptors, and
hears how it ended. Both see by the socket that the other is the same user. One packet of the socket
(SOCK_SEQPACKET) is one message; what does not fit into one is no request for a master.

Nothing here knows of connections: a guest that finds no master has not paid for one. So the sockets are
those of `_socket`, whose wrapper costs more than all that a guest does.
"""

from __future__ import annotations

import sys
from _socket import (
    AF_UNIX,
    MSG_CMSG_CLOEXEC,
    MSG_NOSIGNAL,
    SCM_RIGHTS,
    SO_PEERCRED,
    SOCK_CLOEXEC,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    socket,
    socketpair,
)

from rexec.errors import RexecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from types import TracebackType
else:
    import posix as os

GREETING = b"rexec-control/1"
MESSAGE_MAX = 128 * 1024  # bytes: what a packet takes with the default buffers, and a shell line is shorter
_INT = 4  # bytes of a descriptor in a control message, and of each field of struct ucred
_SIZE = len(str(MESSAGE_MAX))  # digits of a field's, at most
_PATIENCE = 5.0  # seconds until a master that says nothing is passed by


class Unreachable(RexecError):
    """There is no master that could be asked."""


class Line:
    """One end of a conversation, non-blocking but for `hear`."""

    __slots__ = ("socket",)

    def __init__(self, end: socket) -> None:
        self.socket = end

    def fileno(self) -> int:
        return self.socket.fileno()

    def say(self, *fields: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message; raises `OSError` where the other end is gone or the message is too long."""
        data = b"".join(b"%d:%b" % (len(field), field) for field in fields)
        if len(data) > MESSAGE_MAX:
            raise Unreachable("too long a request to be handed over")
        rights = b"".join(number.to_bytes(_INT, sys.byteorder) for number in descriptors)
        control = [(SOL_SOCKET, SCM_RIGHTS, rights)] if rights else []
        self.socket.sendmsg([data], control, MSG_NOSIGNAL)

    def hear(self) -> tuple[list[bytes], list[int]]:
        """Return the fields of the next message, none at the end, and descriptors that came along."""
        try:
            data, control, _, _ = self._next()
        except ConnectionResetError:  # told first, and once: it left a word of ours unread
            data, control, _, _ = self._next()
        rights = b"".join(part for level, kind, part in control if (level, kind) == (SOL_SOCKET, SCM_RIGHTS))
        numbers = [
            int.from_bytes(rights[at : at + _INT], sys.byteorder)
            for at in range(0, len(rights) - _INT + 1, _INT)
        ]
        return _fields(data), numbers

    def _next(self) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        return self.socket.recvmsg(MESSAGE_MAX, 64 * _INT, MSG_CMSG_CLOEXEC)

    def peer_uid(self) -> int:
        """Return the user at the other end (unix(7), SO_PEERCRED)."""
        found = self.socket.getsockopt(SOL_SOCKET, SO_PEERCRED, 3 * _INT)
        return int.from_bytes(found[_INT : 2 * _INT], sys.byteorder)

    def close(self) -> None:
        self.socket.close()


def _fields(data: bytes) -> list[bytes]:
    fields = []
    while data:
        size, _, data = data.partition(b":")
        if not (size.isdigit() and len(size) <= _SIZE) or int(size) > len(data):
            return []  # the same as an end: nobody of ours speaks so
        fields.append(data[: int(size)])
        data = data[int(size) :]
    return fields


def pair() -> tuple[Line, Line]:
    """Return the two ends of a conversation."""
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    return Line(ours), Line(theirs)


class Attempt:
    """Closes a socket that no conversation comes of; what went wrong is `Unreachable`."""

    __slots__ = ("_path", "_socket")

    def __init__(self, end: socket, path: str) -> None:
        self._socket = end
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if error is None:
            return
        self._socket.close()
        if isinstance(error, OSError):
            raise Unreachable(f"{self._path}: {_words(error)}") from None
        if isinstance(error, ValueError):  # a NUL in it
            raise Unreachable(f"{self._path!a}: is no path") from None


def knock(path: str) -> Line:
    """Connect to the master at `path`, who is still to be `heard`. Raises `Unreachable`."""
    line = Line(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC))
    with Attempt(line.socket, path):
        line.socket.settimeout(_PATIENCE)  # one that was stopped is no use
        line.socket.connect(path)
        if line.peer_uid() != os.geteuid():
            raise Unreachable(f"{path}: belongs to another user")
    return line


def heard(line: Line, path: str) -> Line:
    """Wait for the master to say who it is; return the conversation. Raises `Unreachable`."""
    with Attempt(line.socket, path):
        if line.hear()[0][:1] != [GREETING]:
            raise Unreachable(f"{path}: no master of ours")
        line.socket.settimeout(None)
    return line


def reach(path: str) -> Line:
    """Return a conversation with the master at `path`. Raises `Unreachable`."""
    return heard(knock(path), path)


def _words(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()

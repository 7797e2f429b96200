"""The Unix socket between listener and runner.

A message is a u32 length, a type number of one byte, and a record of `protocol.wire`. Descriptors come with
their message (SCM_RIGHTS, unix(7)). Sending does not wait: what does not go is queued.
"""

from __future__ import annotations

import array
import errno
import os
import select
import socket
import struct
from collections import deque

from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.limits import KIB, MIB
from rexec.server.orders import MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.server.orders import Message

_HEADER = struct.Struct("!IB")
_SEND = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)  # as numbers: to join flags takes longer than to send
_RECEIVE = int(socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_CTRUNC)
_GATHERED = 8  # messages that may wait for one in a hurry
_TOGETHER = 4 * KIB  # bytes of several messages that go with one call
_DESCRIPTORS = 4  # at most, with one message
_LONGEST = 16 * MIB  # bytes of one message: an Exec, or the list of a very long policy


class OrderSocket:
    """One end of the socket between the two processes; the runner's takes no descriptors."""

    def __init__(self, end: socket.socket, *, takes_descriptors: bool = True) -> None:
        self.socket = end
        self._is_stuck = False  # what is queued waits for the other process
        self.waiting = 0  # bytes that are to be sent and do not go yet
        self._ancillary = socket.CMSG_SPACE(_DESCRIPTORS * 4 * 8) if takes_descriptors else 0
        self._received = bytearray()
        self._descriptors: deque[list[int]] = deque()  # of one message each
        self._unsent: deque[tuple[memoryview, tuple[int, ...]]] = deque()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: Message, descriptors: tuple[int, ...] = (), *, hurry: bool = True) -> bool:
        """Send a message, or queue it; False while some is left. Descriptors that went are closed here.

        One that is in no hurry waits for the next that is, or for `flush`.
        """
        payload = message.encode()
        data = memoryview(_HEADER.pack(len(payload), message.code) + payload)
        self.waiting += len(data)
        self._unsent.append((data, descriptors))
        if self._is_stuck:
            return False
        return True if not hurry and len(self._unsent) < _GATHERED else self.flush()

    def flush(self) -> bool:
        """Send what goes without waiting; False while some is left."""
        while self._unsent:
            pieces, descriptors = self._together()
            try:
                sent = self._put(pieces, descriptors)
            except BlockingIOError:
                self._is_stuck = True
                return False
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:  # unix(7): too many on their way; some will arrive
                    self._is_stuck = True
                    return False
                self._drop()  # the end is seen where we read
                return True
            self.waiting -= sent
            _close(descriptors)  # they go with the first byte
            for _ in pieces:
                self._unsent.popleft()
            if sent < sum(map(len, pieces)):
                whole = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
                self._unsent.appendleft((whole[sent:], ()))
        self._is_stuck = False
        return True

    def _together(self) -> tuple[list[memoryview], tuple[int, ...]]:
        """Return what goes with one call: messages of which one may bring descriptors."""
        pieces: list[memoryview] = []
        descriptors: tuple[int, ...] = ()
        size = 0
        for data, brings in self._unsent:
            size += len(data)
            if pieces and (size > _TOGETHER or (brings and descriptors)):
                break
            pieces.append(data)
            descriptors = descriptors or brings
        return pieces, descriptors

    def _put(self, pieces: list[memoryview], descriptors: tuple[int, ...]) -> int:
        if not descriptors:
            return self.socket.send(pieces[0] if len(pieces) == 1 else b"".join(pieces), _SEND)
        rights = array.array("i", descriptors)
        return self.socket.sendmsg(pieces, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _SEND)

    def _drop(self) -> None:
        for _, descriptors in self._unsent:
            _close(descriptors)
        self._unsent.clear()
        self._is_stuck = False
        self.waiting = 0

    def receive(self) -> Iterator[Message]:
        """Yield the messages that are here; raises `ConnectionLost` at the end of the other process.

        Who stops in the middle gets the rest the next time, and nothing else: what is not wanted yet stays
        where its sender counts it.
        """
        if self.has_more:
            yield from self._messages()
            return
        try:
            data, ancillary, flags, _ = self.socket.recvmsg(256 * KIB, self._ancillary, _RECEIVE)
        except BlockingIOError:
            yield from self._messages()
            return
        except OSError:
            data, ancillary, flags = b"", [], 0
        for _, _, rights in ancillary:
            numbers = array.array("i")
            numbers.frombytes(rights[: len(rights) - len(rights) % numbers.itemsize])
            self._descriptors.append(list(numbers))
        if not ancillary and self._ancillary and flags & _TRUNCATED:
            self._descriptors.append([])  # this process has no room for a single one more
        if not data:
            raise ConnectionLost("the other process is gone")
        self._received += data
        yield from self._messages()

    @property
    def has_more(self) -> bool:
        """Whether a message is here that was not taken, of which the socket knows nothing any more."""
        came = self._received
        return len(came) >= _HEADER.size and len(came) >= _HEADER.size + _HEADER.unpack_from(came)[0]

    def wait(self) -> Message:
        """Wait for one message; raises `ConnectionLost`."""
        while True:
            select.select([self], [], [])
            for message in self.receive():
                return message

    def take_descriptors(self) -> list[int]:
        """Return the descriptors of the message at hand: fewer than were sent where we may open no more."""
        return self._descriptors.popleft()

    def _messages(self) -> Iterator[Message]:
        while len(self._received) >= _HEADER.size:
            length, code = _HEADER.unpack_from(self._received)
            end = _HEADER.size + length
            if code not in MESSAGES or length > _LONGEST:
                raise RemoteProtocolError("a message that is none")
            if len(self._received) < end:
                return
            payload = bytes(memoryview(self._received)[_HEADER.size : end])
            del self._received[:end]
            yield MESSAGES[code].decode(payload)


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)

"""The bytes of descriptors that a guest keeps, such as its terminal: through pipes to its master and back."""

from __future__ import annotations

import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from rexec.cli.terminal import Attached
else:
    import posix as os

_READ = 64 * 1024
_PIECE = 4096  # what a terminal that poll calls writable takes without waiting, mostly


class Relay:
    """The bytes of one descriptor that stays ours, through a pipe to or from the master."""

    __slots__ = ("_data", "_from", "_to", "error", "is_output", "theirs")

    def __init__(self, descriptor: int) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        outgoing = descriptor == 0
        self.theirs = reading if outgoing else writing
        self._from, self._to = (descriptor, writing) if outgoing else (reading, descriptor)
        self._data = b""
        self.is_output = not outgoing
        self.error: OSError | None = None
        if outgoing:
            os.set_blocking(writing, False)

    @property
    def wanted(self) -> tuple[int, int]:
        """The descriptor to poll, and for what; -1 where all is over."""
        if self._data:
            return self._to, select.POLLOUT
        return self._from, select.POLLIN

    def move(self) -> None:
        """Move what can be moved, once the poll has said so."""
        try:
            if not self._data:
                self._data = self.read()
                if not self._data:
                    self.end()
                return
            self._data = self._data[self.write(self._data) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self.error = error
            self.end()

    def read(self) -> bytes:
        """Take some bytes; none is the end."""
        return os.read(self._from, _READ)

    def write(self, data: bytes) -> int:
        """Write some, and return how many."""
        return os.write(self._to, data[:_PIECE])

    def end(self) -> None:
        """Close what is ours of the pipe, and move nothing more."""
        for number in (self._from, self._to):
            if number > 2:
                os.close(number)
        self._from = self._to = -1
        self._data = b""


class TypedRelay(Relay):
    """What is typed at a raw terminal, without what is meant for us."""

    __slots__ = ("_source",)

    def __init__(self, descriptor: int, attached: Attached) -> None:
        super().__init__(descriptor)
        self._source = attached.source()

    def read(self) -> bytes:
        return self._source.read(_READ)


class ShownRelay(Relay):
    """What a remote program writes to our terminal, whose changes are noted."""

    __slots__ = ("_attached",)

    def __init__(self, descriptor: int, attached: Attached) -> None:
        super().__init__(descriptor)
        self._attached = attached

    def write(self, data: bytes) -> int:
        self._attached.watch(data[:_PIECE])
        return super().write(data)


def relay_of(descriptor: int, attached: Attached | None) -> Relay:
    """Return what moves the bytes of a descriptor; those of a raw terminal are looked at."""
    if attached is None or descriptor == 2:
        return Relay(descriptor)
    return TypedRelay(descriptor, attached) if descriptor == 0 else ShownRelay(descriptor, attached)

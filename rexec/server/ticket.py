"""What a permitted command has with it until its end is written down."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from rexec.audit import asciicast, segments
from rexec.policy.wording import show
from rexec.server.orders import Recording

if TYPE_CHECKING:
    from rexec.policy.rules import Permit
    from rexec.protocol.frames import Pty
    from rexec.server.ledgerfile import Key

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Asked(NamedTuple):
    """A receipt that the client wants: its words, by their hash and as logs may show them."""

    argv_sha256: str
    logged: list[str]


class Tape(NamedTuple):
    """The file of a recording, open until the listener has it."""

    path: str
    descriptor: int
    about: Recording

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    def cut(self, size: int) -> None:
        """Take off half a line, which the listener may not; it may be taken over, so that nothing grows."""
        try:
            if size < os.stat(self.path).st_size:
                os.truncate(self.path, size)
        except OSError:
            pass  # its hash is of what stands before


class Ticket:
    """What ties an end to its decision: the number of that record, and what else was promised."""

    __slots__ = ("asked", "id", "number", "tape")

    def __init__(
        self,
        number: int = 0,
        tape: Tape | None = None,
        asked: Asked | None = None,
        id: Key | None = None,
    ) -> None:
        self.number = number
        self.tape = tape
        self.asked = asked
        self.id = id  # of the command, where its client may ask for it again

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What goes to the listener with the streams of the command."""
        return () if self.tape is None else (self.tape.descriptor,)

    @property
    def recording(self) -> Recording | None:
        return None if self.tape is None else self.tape.about

    def close(self) -> None:
        """Close what was to go to the listener: the command was not started."""
        for descriptor in self.descriptors:
            os.close(descriptor)

    def discard(self) -> None:
        """Leave nothing of a recording behind: the command may not run after all."""
        self.close()
        if self.tape is not None:
            os.unlink(self.tape.path)


NO_TICKET = Ticket()


def tape(directory: str, name: str, permit: Permit, terminal: Pty | None, *, required: bool) -> Tape | None:
    """Begin the recording that the rule asks for, if it does. Raises `OSError`."""
    if permit.grant.record == "no":
        return None
    folder = os.path.join(directory, segments.RECORDINGS)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    size = () if terminal is None or permit.pty is None else (terminal.columns, terminal.rows)
    header = asciicast.header(show(permit.logged), permit.pty, *size)
    path = os.path.join(folder, name)
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        if os.write(descriptor, header) < len(header):
            raise OSError(0, "no space left on device")
    except OSError:
        os.close(descriptor)
        os.unlink(path)
        raise
    return Tape(path, descriptor, Recording(header, permit.grant.record == "io", required))

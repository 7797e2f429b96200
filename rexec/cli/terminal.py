"""The local terminal while a remote program has it: raw, and always given back as it was.

A small guardian process holds the terminal's modes meanwhile, so that they come back even when this
one is killed. It knows nothing else and ends with us.
"""

from __future__ import annotations

import os
import signal
import sys
import termios

from rexec.client.streams import FdSource, Source
from rexec.process.modes import CHARACTERS, CONTROL, INPUT, LOCAL, OUTPUT, encode_modes
from rexec.protocol.frames import Pty, Resize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_READ = 4096
HELP = (
    "\r\nSupported escapes, at the start of a line:\r\n"
    "  ~.   end the session\r\n"
    "  ~?   this text\r\n"
    "  ~~   send one ~\r\n"
)


def request(descriptor: int | None, environ: Mapping[str, str]) -> Pty:
    """Return what to ask the server for: a terminal like ours, or a plain one where we have none."""
    term = environ.get("TERM", "dumb" if descriptor is None else "xterm")
    if descriptor is None:
        return Pty(term, 80, 24)
    columns, rows = os.get_terminal_size(descriptor)
    return Pty(term, columns, rows, modes=encode_modes(termios.tcgetattr(descriptor)))


def new_size(descriptor: int) -> Resize:
    """Return the size of our terminal as it is now."""
    columns, rows = os.get_terminal_size(descriptor)
    return Resize(columns, rows)


def raw_modes(attributes: list[Any]) -> list[Any]:
    """Return modes in which every byte passes as it is, both ways (termios(3), cfmakeraw)."""
    raw = list(attributes)
    raw[INPUT] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    raw[OUTPUT] &= ~termios.OPOST
    raw[LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[CONTROL] = raw[CONTROL] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[CHARACTERS] = list(attributes[CHARACTERS])
    raw[CHARACTERS][termios.VMIN], raw[CHARACTERS][termios.VTIME] = 1, 0
    return raw


class Guardian:
    """A process that holds a terminal's modes and sets them again if we end without dismissing it.

    It is best posted by a process that has no threads yet.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._saved = termios.tcgetattr(descriptor)
        self._told = -1
        self.pid = 0

    def raw(self) -> None:
        """Let every byte of the terminal pass as it is."""
        # TCSADRAIN keeps what was typed ahead; TCSAFLUSH would throw it away.
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, raw_modes(self._saved))

    def restore(self, when: int = termios.TCSADRAIN) -> None:
        """Set the modes that it holds."""
        try:
            termios.tcsetattr(self.descriptor, when, self._saved)
        except termios.error:
            pass  # the terminal is gone

    def dismiss(self) -> None:
        """Restore the terminal and end the process; both may come twice."""
        if not self.pid:
            return
        self.restore()
        try:
            os.write(self._told, b".")
        except BrokenPipeError:
            pass  # somebody killed it
        os.close(self._told)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def post(self) -> None:
        """Start the process."""
        heard, self._told = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(heard)
            return
        try:
            os.close(self._told)
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTOU):
                signal.signal(number, signal.SIG_IGN)
            self._keep_only(heard)
            if not os.read(heard, 1):
                self.restore(termios.TCSANOW)
        finally:
            os._exit(0)

    def _keep_only(self, heard: int) -> None:
        """Hold nothing open that somebody waits for the end of."""
        for descriptor in range(3):
            if descriptor != self.descriptor:
                os.close(descriptor)
        os.closerange(3, heard)
        os.closerange(heard + 1, os.sysconf("SC_OPEN_MAX"))


class RawTerminal:
    """A terminal that is raw between `enter` and `leave`; `leave` may come twice."""

    def __init__(self, descriptor: int) -> None:
        self._guardian = Guardian(descriptor)

    def enter(self) -> None:
        self._guardian.post()
        self._guardian.raw()

    def leave(self) -> None:
        self._guardian.dismiss()


class Escapes:
    """Finds `~.`, `~?` and `~~` at the start of a line in what is typed, as ssh does."""

    def __init__(self) -> None:
        self._at_start = True
        self._pending = False
        self.ended = False
        self.asked = False

    def feed(self, data: bytes) -> bytes:
        """Return what is to be sent; `ended` and `asked` say what was meant for us."""
        out = bytearray()
        for byte in data:
            if self._pending:
                self._pending = False
                if self._escape(byte, out):
                    continue
            elif self._at_start and byte == 0x7E:
                self._pending = True
                continue
            out.append(byte)
            self._at_start = byte in b"\r\n"
        return bytes(out)

    def _escape(self, byte: int, out: bytearray) -> bool:
        """Judge the byte after a tilde; True where it is not to be sent."""
        if byte == ord("."):
            self.ended = True
            return True
        if byte == ord("?"):
            self.asked = True
            self._at_start = True
            return True
        if byte != 0x7E:
            out.append(0x7E)
        return False


class TerminalSource(Source):
    """What is typed at the terminal, without what is meant for us."""

    def __init__(self, descriptor: int, escapes: Escapes, show: Callable[[str], None]) -> None:
        self.descriptor = descriptor
        self._escapes = escapes
        self._show = show

    def read(self, room: int) -> bytes:
        try:
            typed = os.read(self.descriptor, min(room, _READ))
        except OSError:
            return b""  # the terminal is gone
        if not typed:
            return b""
        data = self._escapes.feed(typed)
        if self._escapes.asked:
            self._escapes.asked = False
            self._show(HELP)
        if not data:
            raise BlockingIOError  # nothing for the other end, and not the end either
        return data


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class Attached:
    """A remote command's terminal as this side has it: `local` is ours, None where we give none."""

    def __init__(self, local: int | None, environ: Mapping[str, str]) -> None:
        self._local = local
        self._escapes = Escapes()
        self._raw: RawTerminal | None = None
        self.pty = request(local, environ)

    @property
    def ended(self) -> bool:
        """Whether `~.` was typed."""
        return self._escapes.ended

    @property
    def is_local(self) -> bool:
        return self._local is not None

    def source(self) -> Source:
        """Return what is typed, or what comes on stdin where that is no terminal."""
        if self._local is None:
            return FdSource(0)
        return TerminalSource(self._local, self._escapes, _show)

    def size(self) -> Resize | None:
        """Return the size of our terminal as it is now."""
        return None if self._local is None else new_size(self._local)

    def enter(self) -> None:
        """Give the terminal away, once."""
        if self._local is not None and self._raw is None:
            self._raw = RawTerminal(self._local)
            self._raw.enter()

    def leave(self) -> None:
        """Take it back."""
        if self._raw is not None:
            self._raw.leave()

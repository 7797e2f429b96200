"""The local terminal while a remote program has it: raw, and always given back as it was."""

from __future__ import annotations

import os
import sys
import termios

from rexec.cli.guardian import Guardian
from rexec.client.streams import FdSink, FdSource, Source
from rexec.errors import UsageError
from rexec.process.modes import encode_modes
from rexec.protocol.frames import Pty, Resize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rexec.client.streams import Sink

_READ = 4096
HELP = (
    "\r\nSupported escapes, at the start of a line:\r\n"
    "  ~.   end the session\r\n"
    "  ~?   this text\r\n"
    "  ~~   send one ~\r\n"
)


def request(descriptor: int | None, environ: Mapping[str, str]) -> Pty:
    """Return what to ask the server for: a terminal like ours, or a plain one where we have none.

    Raises `UsageError`.
    """
    term = environ.get("TERM", "dumb" if descriptor is None else "xterm")
    if not term.isascii():
        raise UsageError(f"TERM {term!a} is no type of a terminal")
    if descriptor is None:
        return Pty(term, 80, 24)
    columns, rows = os.get_terminal_size(descriptor)
    return Pty(term, columns, rows, modes=encode_modes(termios.tcgetattr(descriptor)))


def line_end(descriptor: int) -> str:
    """Return what ends a line there: a raw terminal adds no return of its own (termios(3), OPOST)."""
    try:
        output_modes = termios.tcgetattr(descriptor)[1]
    except termios.error:
        return "\n"
    return "\n" if output_modes & termios.OPOST else "\r\n"


def new_size(descriptor: int) -> Resize:
    """Return the size of our terminal as it is now."""
    columns, rows = os.get_terminal_size(descriptor)
    return Resize(columns, rows)


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


class TerminalSink(FdSink):
    """Output to a terminal; `watch` sees it before it is written, for we may be killed meanwhile."""

    def __init__(self, descriptor: int, watch: Callable[[bytes], None]) -> None:
        super().__init__(descriptor)
        self._watch = watch

    def put(self, data: bytes | memoryview) -> int:
        self._watch(bytes(data))
        return super().put(data)


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class Attached:
    """A remote command's terminal as this side has it: `local` is ours, None where we give none."""

    def __init__(self, local: int | None, environ: Mapping[str, str]) -> None:
        self._local = local
        self._escapes = Escapes()
        self._guardian: Guardian | None = None
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

    def sink(self) -> Sink:
        """Return where output goes."""
        return FdSink(1) if self._local is None else TerminalSink(1, self.watch)

    def size(self) -> Resize | None:
        """Return the size of our terminal as it is now."""
        return None if self._local is None else new_size(self._local)

    def enter(self) -> None:
        """Give the terminal away, once."""
        if self._local is not None and self._guardian is None:
            self._guardian = Guardian(self._local)
            self._guardian.post()
            self._guardian.raw()

    def leave(self, *, keep_screen: bool = False) -> None:
        """Take it back; the screen may stay as a program left it that ended by itself. Twice is no error."""
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            if not keep_screen:
                guardian.give_back()
            guardian.dismiss()

    def watch(self, data: bytes) -> None:
        """Note what a program is about to do to our terminal, which is given away by then."""
        self.enter()
        assert self._guardian is not None
        self._guardian.watch(data)

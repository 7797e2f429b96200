"""What gives the local terminal back as it was, even when this process is killed.

A small process holds the terminal's modes meanwhile, and the sequences that undo what a remote program
did to its screen. It knows nothing else and ends with us.
"""

from __future__ import annotations

import os
import signal
import termios

from rexec.cli.ctlseqs import Changes
from rexec.process.modes import CHARACTERS, CONTROL, INPUT, LOCAL, OUTPUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_END = b"\0"  # of a word to the guardian: what to write, or _DISMISSED
_DISMISSED = b"."
_WORD_MAX = 4096  # PIPE_BUF: longer words might be cut


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
        self._words = -1
        self._changes = Changes()
        self._always = b""
        self._told = b""
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
        os.set_blocking(self._words, True)  # this one has to arrive
        self._say(_DISMISSED)
        os.close(self._words)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def watch(self, data: bytes) -> None:
        """Look at output that is about to be written, for what would have to be undone."""
        if self._changes.feed(data):
            self._tell()

    @property
    def took_over(self) -> bool:
        """Whether a full-screen program was watched since the terminal was last given back."""
        return self._changes.took_over

    def hold(self, undo: bytes) -> None:
        """Undo this too, should we end without dismissing it."""
        self._always = undo
        self._tell()

    def give_back(self) -> None:
        """Undo what was watched, now."""
        _write(self.descriptor, self._changes.undo())
        self._changes = Changes()
        self._tell()

    def _tell(self) -> None:
        word = self._always + self._changes.undo()
        if word != self._told:
            self._told = word
            self._say(word)

    def _say(self, word: bytes) -> None:
        if not self.pid:
            return
        try:
            os.write(self._words, word[: _WORD_MAX - 1] + _END)
        except (BrokenPipeError, BlockingIOError):
            pass  # somebody killed or stopped it

    def post(self) -> None:
        """Start the process."""
        heard, self._words = os.pipe()
        os.set_blocking(self._words, False)
        self.pid = os.fork()
        if self.pid:
            os.close(heard)
            return
        try:
            os.close(self._words)
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTOU):
                signal.signal(number, signal.SIG_IGN)
            self._keep_only(heard)
            word = _last_word(heard)
            if word != _DISMISSED:
                self.restore(termios.TCSANOW)
                _write(self.descriptor, word)
        finally:
            os._exit(0)

    def _keep_only(self, heard: int) -> None:
        """Hold nothing open that somebody waits for the end of."""
        for descriptor in range(3):
            if descriptor != self.descriptor:
                os.close(descriptor)
        os.closerange(3, heard)
        os.closerange(heard + 1, os.sysconf("SC_OPEN_MAX"))


def _last_word(heard: int) -> bytes:
    """Wait for the end of what is said; return the last word of it."""
    last = begun = b""
    while piece := os.read(heard, _WORD_MAX):
        *words, begun = (begun + piece).split(_END)
        last = words[-1] if words else last
    return last


def _write(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        pass  # the terminal is gone, or was opened for reading alone

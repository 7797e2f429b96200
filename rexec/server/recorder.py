"""What a command wrote, and what was typed, as a recording: the listener's, since the bytes pass it alone.

The runner opened the file and wrote its beginning. What was typed while a terminal does not echo, such
as a passphrase, is not recorded.
"""

from __future__ import annotations

import os
import termios
from hashlib import sha256
from typing import TYPE_CHECKING

from rexec.audit.asciicast import INPUT, OUTPUT, Writer
from rexec.server.orders import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.audit.log import Log
    from rexec.server.orders import Recording

_LFLAG = 3  # of tcgetattr(3)


class Recorder:
    """Writes to the descriptor of one recording, which is its own."""

    def __init__(
        self, descriptor: int, about: Recording, *, terminal: bool, log: Log, fail: Callable[[str], None]
    ) -> None:
        self._descriptor = descriptor
        self._about = about
        self._log = log
        self._fail = fail
        self._terminal = terminal
        self._writer = Writer(terminal=terminal)
        self._size = os.fstat(descriptor).st_size
        self._digest = sha256(about.header)
        self._broken = False

    def output(self, stream: str, data: memoryview) -> None:
        """Record what the command wrote."""
        self._put(self._writer.event(OUTPUT, stream, data))

    def sees_input(self, terminal: int) -> bool:
        """Say whether what is typed now is to be recorded."""
        if not self._about.input:
            return False
        if not self._terminal:
            return True
        try:
            return bool(termios.tcgetattr(terminal)[_LFLAG] & termios.ECHO)
        except termios.error:
            return False

    def input(self, data: bytes) -> None:
        """Record what was typed."""
        self._put(self._writer.event(INPUT, "stdin", data))

    def _put(self, line: bytes) -> None:
        if self._broken or not line:
            return
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:  # the runner cuts off half a line
            self._break((error.strerror or str(error)).lower())
            return
        self._size += len(line)
        self._digest.update(line)

    def _break(self, why: str) -> None:
        """Go on without the rest, or not at all where it is required."""
        self._broken = True
        self._log.event("audit", result="lost", why=f"recording: {why}")
        if self._about.required:
            self._fail(f"its recording cannot be written ({why}), and it does not run without it")

    def close(self) -> Recorded:
        """Return what was recorded."""
        os.close(self._descriptor)
        return Recorded(self._size, self._digest.digest(), not self._broken)

"""Commands from stdin where that is no terminal: one a line, nothing echoed, nothing local.

Each command's stdin is empty. The first failure ends the script with its exit code, unless `-k` says
to go on; then the first failure's code is what all of it ends with.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from rexec.cli.destination import target_of
from rexec.cli.oneshot import carried
from rexec.cli.output import say
from rexec.cli.persons import ask_passphrase
from rexec.cli.prompt import words
from rexec.cli.signals import Signals, die_by
from rexec.client.command import signal_number
from rexec.client.connect import connect
from rexec.client.identity import signers
from rexec.client.request import request
from rexec.client.streams import FdSink
from rexec.errors import UsageError
from rexec.limits import EXEC_MAX, KIB

if TYPE_CHECKING:
    from rexec.cli.options import Line
    from rexec.client.command import Command
    from rexec.client.session import Session
    from rexec.protocol import frames as f

PROGRAM = "rexec"
_READ = 64 * KIB
_STOPPING = ("INT", "TERM", "HUP")


class Lines:
    """The logical lines of a text that arrives in pieces, each with the number of its first line."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._looked = 0  # up to here no line ends
        self._begun = ""
        self._number = 0
        self.first = 1  # where the latest logical line began
        self.ended = False

    @property
    def is_empty(self) -> bool:
        """Whether all that came was taken."""
        return not self._data and not self._begun

    def take(self, data: bytes) -> None:
        """Note what came; nothing is the end."""
        self._data += data
        self.ended = self.ended or not data

    def next(self) -> str | None:
        """Return a line that is whole, or None where more has to come first."""
        while (text := self._physical()) is not None:
            if not self._begun:
                self.first = self._number
            self._begun += text
            goes_on = isinstance(words.parse(self._begun), words.Incomplete)
            if goes_on and len(self._begun) <= EXEC_MAX:
                self._begun += "\n"
                continue
            return self._taken()
        return self._taken() if self.ended and self._begun else None

    def _taken(self) -> str:
        found, self._begun = self._begun, ""
        return found

    def _physical(self) -> str | None:
        end = self._data.find(b"\n", self._looked)
        if end < 0 and (not self.ended or not self._data):
            self._looked = len(self._data)
            return None
        end = len(self._data) if end < 0 else end
        text = self._data[:end].decode("utf-8", "surrogateescape")
        del self._data[: end + 1]
        self._looked = 0
        self._number += 1
        return text


class Script:
    """One run of `rexec HOST < script`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._target = target_of(line)
        self._lines = Lines()
        self._signals = Signals()
        self._code = 0
        self._interrupted = False

    def run(self) -> int:
        """Return the exit code."""
        keys = signers(self._target.home, self._target.identities, os.environ, ask_passphrase)
        session = connect(self._target, keys, say=self._note, told=self._told)
        session.noticed = self._complain
        session.told = self._told
        self._signals.catch()
        session.wakeup = self._signals.descriptor
        try:
            while (text := self._next(session)) is not None:
                code = self._obey(session, text)
                self._code = self._code or code
                if self._is_stopped() or (code and not self._line.keep_going):
                    break
        finally:
            session.close()
        if self._interrupted or (self._signals.last == "INT" and not self._code):
            die_by(signal.SIGINT)
        return self._code or (self._signalled() if self._is_stopped() else 0)

    def _is_stopped(self) -> bool:
        return self._signals.last in _STOPPING

    def _signalled(self) -> int:
        return 128 + signal_number(self._signals.last or "")

    # --- lines ----------------------------------------------------------------------------------

    def _next(self, session: Session) -> str | None:
        """Return the next line, keeping the connection alive meanwhile; None at the end."""
        while True:
            text = self._lines.next()
            if session.is_lost and (text is not None or not self._is_at_end()):
                self._complain("connection lost")
                self._code = self._code or 255
                return None
            if text is not None or self._lines.ended or self._is_stopped():
                return text
            self._wait(session)

    def _is_at_end(self) -> bool:
        """Whether the script is known to hold nothing more."""
        if not self._lines.ended and select.select([0], [], [], 0)[0]:
            self._read()
        return self._lines.ended and self._lines.is_empty

    def _wait(self, session: Session) -> None:
        poll, patience = session.prepare()
        poll.register(0, select.POLLIN)
        ready = dict(poll.poll(patience))
        if ready.pop(0, 0):
            self._read()
        session.serve(ready)
        self._signals.forward(lambda name: None, lambda: None)

    def _read(self) -> None:
        try:
            self._lines.take(os.read(0, _READ))
        except BlockingIOError:
            pass  # somebody left it non-blocking, and somebody else was faster
        except OSError:
            self._lines.take(b"")

    def _obey(self, session: Session, text: str) -> int:
        try:
            found = _remote(text)
            if not found.words:
                return 0
            exec_ = request(
                self._target, [_bytes(word) for word in found.words], None, None, None, stdin=False
            )
            carried(exec_)
            return self._run(session, exec_)
        except UsageError as error:
            self._complain(str(error))
            return error.exit_code

    # --- a command ------------------------------------------------------------------------------

    def _run(self, session: Session, exec_: f.Exec) -> int:
        command = session.start(exec_, None, FdSink(1), FdSink(2))
        while not (command.is_over or self._signals.gave_up or session.closed_sink is not None):
            session.pump(self._signals.patience())
            self._signals.forward(lambda name: session.signal(command, name), lambda: None)
        if session.closed_sink is command:
            session.close()
            die_by(signal.SIGPIPE)
        self._interrupted = self._signals.was_interrupted(command.result().signal)
        if self._signals.gave_up and not command.is_over:
            return self._signalled()
        return self._result(command)

    def _result(self, command: Command) -> int:
        result = command.result()
        if result.error is not None:
            word = "denied: " if result.state == "denied" else ""
            self._complain(f"{word}{result.error}")
        return result.exit_code

    def _complain(self, text: str) -> None:
        """Say what is wrong, and in which line."""
        if not self._line.quiet_all:
            say(PROGRAM, f"{self._target.name}: stdin:{self._lines.first}: {text}")

    def _note(self, text: str) -> None:
        if not self._line.quiet:
            say(PROGRAM, text)

    def _told(self, text: str, is_good: bool) -> None:
        """Say what becomes of the line; good news are for those who want many words."""
        if self._line.verbose or not is_good:
            self._note(f"{self._target.name}: {text}")


def _remote(text: str) -> words.Line:
    """Return what a line asks for. Raises `UsageError`, also where something of it would be local."""
    found = words.line_of(text)
    if isinstance(found, words.Wrong):
        raise UsageError(f"{found.message} (column {found.position + 1})")
    if found.has_local_part or found.background:
        raise UsageError("there are no local parts in a script: quote the operator if an argument is meant")
    return found


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")

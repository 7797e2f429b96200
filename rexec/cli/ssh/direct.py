"""One command on a connection of its own."""

from __future__ import annotations

import gc
import os

from rexec.cli.oneshot import OneShot
from rexec.cli.options import Line
from rexec.cli.ssh.destination import target_of
from rexec.cli.ssh.request import offered
from rexec.client.streams import CarriedSource
from rexec.errors import UsageError
from rexec.protocol.frames import Form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.ssh.settings import Settings
    from rexec.client.result import Result
    from rexec.client.streams import Source

FAILED = 255
# What ssh would have passed on from the far side is said however quiet the client has to be.
_FAR = ("denied", "not_found", "timeout", "ended")


class Direct(OneShot):
    """One run of `rexec-ssh HOST COMMAND...`."""

    program = "rexec-ssh"

    def __init__(self, line: Line, settings: Settings) -> None:
        self.form = Form.SUBSYSTEM if settings.is_subsystem else Form.STRING
        super().__init__(line)
        self.offered = offered(settings, os.environ)
        self._carries = settings.carries
        self.waits_unread = not settings.carries  # mosh closes its end, and the far one is to live on

    def _source(self) -> Source | None:
        return CarriedSource(0) if self._carries else super()._source()

    def _finish(self, result: Result) -> int:
        super()._finish(result)
        return FAILED if result.state in ("signal", "lost") else min(result.exit_code, FAILED)

    def _is_said(self, result: Result) -> bool:
        return not self.line.quiet_all or result.state in _FAR

    def _hint(self) -> str | None:
        return None


def run(settings: Settings) -> int:
    """Run the command, or the prompt where there is none; return the exit code."""
    line = line_of(settings)
    if line.command:
        return Direct(line, settings).run()
    if not os.isatty(0):
        raise UsageError(
            "no command, and no terminal for a prompt", hint="there is no login shell: name a command"
        )
    from rexec.cli import prompt

    gc.enable()
    return prompt.run(line)


def line_of(settings: Settings) -> Line:
    """Return the same in terms of `rexec`. Raises `UsageError`."""
    line = Line()
    line.host = settings.host
    line.command = [settings.text] if settings.text else []
    line.target = target_of(settings)
    line.terminal = settings.gets_terminal
    line.no_terminal = settings.tty == "no"
    line.no_stdin = settings.no_stdin
    line.quiet = 2 if settings.quiet else int(settings.terse)
    line.verbose = settings.verbose
    return line

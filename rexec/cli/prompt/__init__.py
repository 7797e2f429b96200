"""`rexec HOST` without a command: a prompt at a terminal, else a script on stdin."""

from __future__ import annotations

import os

from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.options import Line

_ONE_COMMAND = (("json", "--json"), ("status_fd", "--status-fd"), ("explain", "--explain"))


def run(line: Line) -> int:
    """Return the exit code of a prompt, or of the script on stdin."""
    for field, name in _ONE_COMMAND:
        if getattr(line, field) not in (None, False):
            raise UsageError(f"{name} needs a command", hint="rexec [OPTIONS] [USER@]HOST COMMAND [ARG]...")
    if not os.isatty(0):
        from rexec.cli.prompt.script import Script

        if line.terminal:
            raise UsageError("-t needs a command, or a terminal on stdin")
        return Script(line).run()
    if line.keep_going:
        raise UsageError("-k is for a script on stdin, and here is a terminal")
    from rexec.cli.prompt.shell import main

    return main(line)

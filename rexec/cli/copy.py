"""`rexec-cp`: copy files, with the habits of scp.

What this may print: progress on a terminal, and lines on stderr that begin with `rexec-cp: `, one for each
file that was not copied. stdout is for the file that `-` asks for, and for nothing else.
"""

from __future__ import annotations

import os
import sys

from rexec.cli import begin, lacking
from rexec.cli.copyline import USAGE, parse
from rexec.cli.output import report, say, show
from rexec.errors import RexecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # without enums

PROGRAM = "rexec-cp"


class _Signalled(BaseException):
    """A signal ends all copies."""

    def __init__(self, number: int) -> None:
        self.number = number


def main() -> NoReturn:
    """Run the command line and exit with the code that the help promises."""
    begin()
    try:
        code = run(sys.argv[1:])
    except RexecError as error:
        code = report(PROGRAM, error)
    except (_Signalled, BrokenPipeError) as end:
        from rexec.cli.signals import die_by

        die_by(end.number if isinstance(end, _Signalled) else signal.SIGPIPE)
        code = 255
    except (OSError, ImportError, MemoryError) as error:
        code = report(PROGRAM, lacking(error))
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; return the exit code."""
    line = parse(arguments)
    if line.help or line.version:
        from rexec import __version__

        return show(USAGE if line.help else f"rexec {__version__}\n")
    from rexec.cli.copies import Copies

    copies = Copies(line, lambda text: say(PROGRAM, text))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _signalled)
    try:
        return copies.run()
    finally:
        copies.close()


def _signalled(number: int, _: object) -> None:
    raise _Signalled(number)

"""`rexec`: run one command on a host, with the habits of ssh.

What this may print: the command's own bytes; and on stderr lines that begin with `rexec: `, in lower
case without a full stop, one for what went wrong and at most one for the way out. Options are parsed
here and not by click, whose import takes longer than the whole command may (docs/decisions/0002).
"""

from __future__ import annotations

import gc
import sys

from rexec.cli import begin, lacking
from rexec.cli.options import USAGE, parse
from rexec.errors import RexecError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import NoReturn
else:
    import posix as os

PROGRAM = "rexec"


def main() -> NoReturn:
    """Run the command line and exit with the code that cli.md promises."""
    gc.disable()  # until a command runs: what is imported and made before is no garbage
    begin()
    try:
        code = run(sys.argv[1:])
    except RexecError as error:
        from rexec.cli.output import report

        code = report(PROGRAM, error)
    except (OSError, ImportError, MemoryError) as error:
        from rexec.cli.output import report

        code = report(PROGRAM, lacking(error))
    except KeyboardInterrupt:
        import signal

        from rexec.cli.signals import die_by

        die_by(signal.SIGINT)
        code = 130
    os._exit(code)  # nothing is left to be cleaned up, and tearing the interpreter down takes time


def run(arguments: list[str]) -> int:
    """Run one command line; return the exit code."""
    line = parse(arguments)
    if line.help or line.version:
        from rexec import __version__
        from rexec.cli.output import show

        return show(USAGE if line.help else f"rexec {__version__}\n")
    if line.host is None:
        raise UsageError("no host", hint="rexec [OPTIONS] [USER@]HOST [COMMAND [ARG]...]")
    if line.receipt is not None and (not line.command or line.lists or line.explain or line.is_of_jobs):
        raise UsageError("--receipt goes with a command", hint="rexec --receipt FILE HOST COMMAND [ARG]...")
    if line.keep_going and (line.command or line.lists or line.is_of_jobs):
        raise UsageError("-k goes with a script on stdin", hint="--kill ID ends a detached command")
    if line.is_of_jobs:
        from rexec.cli.jobs import JobShot

        return JobShot(line).run()
    if line.lists and line.explain:
        raise UsageError("--list and --explain exclude each other")
    if line.lists and line.command:
        raise UsageError("--list takes no command", hint="--explain says which rule decides about one")
    if not line.command and not line.lists:
        from rexec.cli import prompt

        gc.enable()
        return prompt.run(line)
    from rexec.cli.destination import check, set_out, target_of

    line.target = target_of(line)
    check(line, line.target)
    set_out(line.target)
    from rexec.cli.oneshot import OneShot

    return OneShot(line).run()

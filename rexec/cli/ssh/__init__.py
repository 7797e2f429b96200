"""`rexec-ssh`: the client behind ssh's command line, for the programs that start `ssh`.

What this may print: the command's own bytes; and on stderr lines that begin with `rexec-ssh: `. Every
failure of its own is exit 255, as ssh's: programs tell by it that the way, and not the command, failed.
Options are parsed and a master is looked for before anything is imported that a connection needs.
"""

from __future__ import annotations

import gc
import sys

from rexec.cli import begin, lacking
from rexec.cli.ssh.options import USAGE, parse
from rexec.errors import RexecError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import NoReturn

    from rexec.cli.ssh.settings import Settings
else:
    import posix as os

PROGRAM = "rexec-ssh"
FAILED = 255


def carry() -> NoReturn:
    """Do the same for a client whose connection passes here: when that is gone, all is over."""
    main(carries=True)


def main(*, carries: bool = False) -> NoReturn:
    """Run the command line and exit with a code as ssh's."""
    gc.disable()  # until a command runs: what is imported and made before is no garbage
    begin()
    settings: Settings | None = None
    try:
        settings = parse(sys.argv[1:])
        settings.carries = carries
        code = run(settings)
    except RexecError as error:
        if settings is None or not settings.quiet:
            from rexec.cli.output import report

            report(PROGRAM, error)
        code = FAILED
    except (OSError, ImportError, MemoryError) as error:
        from rexec.cli.output import report

        code = report(PROGRAM, lacking(error))
    except KeyboardInterrupt:
        import signal

        from rexec.cli.signals import die_by

        die_by(signal.SIGINT)
        code = FAILED
    os._exit(code)  # nothing is left to be cleaned up, and tearing the interpreter down takes time


def run(settings: Settings) -> int:
    """Run one command line; return the exit code."""
    if settings.shows_version:
        from rexec import __version__

        sys.stderr.write(f"{PROGRAM} {__version__}, in place of OpenSSH\n")
        return 0
    if settings.host is None:
        raise UsageError("no host", hint=USAGE)
    if settings.config_file is not None:
        from rexec.cli.ssh.configuration import read_file

        read_file(settings)
    if settings.shows_settings:
        from rexec.cli.ssh.shown import show

        return show(settings)
    from rexec.cli.ssh import shared

    path = shared.place_of(settings)
    if settings.control is not None:
        return shared.order(settings, path)
    opens = path is not None and settings.master in ("yes", "auto")
    _refuse(settings, opens=opens)
    line = None
    if path is not None and settings.master != "yes" and (settings.command or settings.remote_command):
        line = shared.knocked(path)
    from rexec.cli.ssh.request import prepare

    prepare(settings)
    warn(settings)
    code = None
    if path is not None and line is not None:
        code = shared.run(settings, line, path)
    if code is None and path is not None and opens and (settings.text or settings.no_command):
        from rexec.cli.ssh import opening

        code = opening.run(settings, path)
    if code is None:
        code = _connect(settings)
    return code


def _connect(settings: Settings) -> int:
    """Run the command on a connection of its own; return the exit code."""
    if settings.text:
        from rexec.cli.destination import set_out
        from rexec.cli.ssh.destination import target_of

        set_out(target_of(settings))
    from rexec.cli.ssh import direct

    return direct.run(settings)


def warn(settings: Settings) -> None:
    """Say, once, what was noticed about the command line."""
    while settings.warnings:
        text = settings.warnings.pop(0)
        if not (settings.quiet or settings.terse):
            from rexec.cli.output import say

            say(PROGRAM, text)


def _refuse(settings: Settings, *, opens: bool) -> None:
    """Refuse to connect for nothing: only a master waits for commands of others."""
    if settings.no_command and opens:
        return
    if settings.no_command or settings.background:
        raise UsageError(
            "-N cannot be had: without a command there is nothing to do"
            if settings.no_command
            else "-f cannot be had: a command stays with its client (rexec --detach leaves one behind)",
            hint="with -M and -S PATH, -N keeps a connection for others, and -f in the background",
        )

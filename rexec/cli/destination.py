"""Where a command line leads, and the first steps there.

They are made before anything is imported that a connection needs: the line, and the server on the other
side of it, have their share of the work to do meanwhile.
"""

from __future__ import annotations

from rexec import files
from rexec.client.config import Wishes, load_config, resolve, variables
from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from rexec.cli.options import Line
    from rexec.client.config import Target
else:
    import posix as os


def set_out(target: Target) -> None:
    """Begin to connect, where nothing but the connection can go wrong any more; that is told later."""
    from rexec.transport.approach import Approach

    target.approach = Approach(target.address, target.connect_timeout, target.via)
    if target.approach.passage is not None:
        from rexec.cli.signals import end_along

        end_along(target.approach.passage)
    if target.tls:
        target.approach.hail()


def target_of(line: Line) -> Target:
    """Return where a command line leads, with what the configuration says besides."""
    if line.target is not None:
        return line.target
    home = files.home(line.home, files.environ())
    config = load_config(home, line.config)
    wishes = Wishes(home)
    for name in (
        "port",
        "user",
        "identity",
        "env",
        "cwd",
        "timeout",
        "no_tls",
        "accept_new",
        "connect_timeout",
        "no_resume",
        "resume_for",
    ):
        setattr(wishes, name, getattr(line, name))
    line.keep_going = line.keep_going or bool(config.client.get("keep_going"))
    line.json = line.json or bool(config.client.get("json"))
    line.quiet = line.quiet or int(config.client.get("quiet", False))
    line.verbose = line.verbose or int(config.client.get("verbose", False))
    return resolve(line.host or "", wishes, config)


def check(line: Line, target: Target) -> None:
    """Refuse what cannot be, before anybody is connected to. Raises `UsageError`."""
    variables(target)
    if line.status_fd is not None:
        try:
            os.fstat(line.status_fd)
        except OSError:
            raise UsageError(f"--status-fd {line.status_fd}: not an open descriptor") from None
    if line.receipt is not None:
        _be_free(line.receipt)


def _be_free(receipt: str) -> None:
    """Refuse a place where no receipt could be kept."""
    if files.stamp(receipt) is not None:
        raise UsageError(f"--receipt {receipt}: already exists, and is never overwritten")
    from os.path import dirname, isdir

    folder = dirname(receipt) or "."
    if not isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--receipt {receipt}: {folder} is no directory that you may write")

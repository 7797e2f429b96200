"""Where a working directory really is: what was looked at is what the child enters, not its name."""

from __future__ import annotations

import os

from rexec.policy.request import bytes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.rules import Permit


class Astray(Exception):
    """A directory that the client chose leads out of the root of the rule."""


def open_directory(permit: Permit) -> int:
    """Open a directory that the client chose and judge where it is; -1: it chose none.

    Raises `OSError` with the name of the directory, and `Astray`.
    """
    if permit.cwd_root is None:
        return -1
    where = os.open(bytes_of(permit.cwd), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    real = os.readlink(f"/proc/self/fd/{where}")
    root = os.path.realpath(permit.cwd_root)
    if os.path.commonpath((real, root)) == root:
        return where
    os.close(where)
    raise Astray

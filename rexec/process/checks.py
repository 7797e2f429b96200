"""What a permit leaves to the disk: where links lead, what a path is, which program a name means.

Looked at as the account that is to run the command, before the decision is recorded. What a program
finds later is another matter: only `confine` holds it to what was seen here.
"""

from __future__ import annotations

import errno
import os
import stat

from rexec.limits import CHECK_PATIENCE
from rexec.policy.paths import matches, root_of
from rexec.policy.request import bytes_of, text_of
from rexec.policy.wording import shown
from rexec.process.account import become, is_ours
from rexec.process.bounded import answer_within
from rexec.process.child import astray
from rexec.process.places import Astray, open_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.rules import PathCheck, Permit


def discharge(permit: Permit) -> str | None:
    """Return why the disk does not allow what the rule does, or None."""
    why = None
    if permit.grant.sha256 is not None:
        why = _wrong_program(permit)
    if why is None and (permit.checks or permit.cwd_root is not None):
        why = _wrong_place(permit) if _runs_as_us(permit) else _asked_as_the_account(permit)
    return None if why is None else f"{permit.rule.label}: {why}"


def _runs_as_us(permit: Permit) -> bool:
    return permit.grant.run_as is None or is_ours(permit.account)


def _wrong_program(permit: Permit) -> str | None:
    from rexec.process.digest import Swapped, open_program

    try:
        os.close(open_program(permit))
    except Swapped:
        return f"{shown(permit.path)} is not the program with this sha256"
    except FileNotFoundError:
        return None  # nothing is there to start either, and that has a message of its own
    except OSError as error:
        return f"{shown(permit.path)}: {_reason(error)}"
    return None


def _asked_as_the_account(permit: Permit) -> str | None:
    """Look as another account, which a process of its own becomes."""

    def look() -> bytes:
        try:
            become(permit.account)
        except OSError as error:
            return f"cannot look as {permit.account.name}: {_reason(error)}".encode()
        return (_wrong_place(permit) or "").encode()

    answer = answer_within(CHECK_PATIENCE, look)
    if answer is None:
        return f"the disk did not answer within {CHECK_PATIENCE:g} s"
    return answer.decode() or None


def _wrong_place(permit: Permit) -> str | None:
    """Return what is wrong with the directory or one of the arguments, or None."""
    try:
        where = open_directory(permit)
        if where >= 0:
            os.close(where)
    except Astray:
        return astray(permit)
    except OSError:
        pass  # it is not there: no denial, but no start either
    return next((why for check in permit.checks if (why := _wrong_path(check)) is not None), None)


def _wrong_path(check: PathCheck) -> str | None:
    name = shown(check.shown)
    try:
        real, found = _resolved(check)
    except OSError as error:
        return f'"{name}": {_reason(error)}'
    if not matches(_resolved_glob(check.glob), text_of(real)):
        return f'"{name}" leads out of {shown(root_of(check.glob))}'
    return _wrong_kind(check, found)


def _resolved(check: PathCheck) -> tuple[bytes, os.stat_result | None]:
    """Follow all links; what is not there is judged by where it would be."""
    path = bytes_of(check.path)
    if check.kind == "new":
        directory, name = os.path.split(path)
        real = os.path.join(os.path.realpath(directory, strict=True), name)
        return real, os.lstat(real) if os.path.lexists(real) else None
    try:
        real = os.path.realpath(path, strict=True)
        return real, os.stat(real)
    except FileNotFoundError:
        return os.path.realpath(path), None


def _resolved_glob(glob: str) -> str:
    """Resolve the links of the root: it is the rule's own word."""
    root = root_of(glob)
    rest = glob.removeprefix(root).removeprefix("/")
    return os.path.join(text_of(os.path.realpath(bytes_of(root))), rest) if rest else os.path.realpath(root)


def _wrong_kind(check: PathCheck, found: os.stat_result | None) -> str | None:
    name = shown(check.shown)
    if check.kind == "new":
        return None if found is None else f'"{name}" is there already'
    if found is None:
        return f'"{name}": no such {_KINDS[check.kind]}' if check.kind else None
    is_so = {"file": stat.S_ISREG, "dir": stat.S_ISDIR}.get(check.kind)
    return None if is_so is None or is_so(found.st_mode) else f'"{name}" is not a {_KINDS[check.kind]}'


_KINDS = {"file": "file", "dir": "directory"}


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO).lower()

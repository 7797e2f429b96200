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


def asks_the_disk(permit: Permit) -> bool:
    """Tell whether the disk has to be asked, which may take as long as it likes."""
    return permit.grant.sha256 is not None or bool(permit.checks) or permit.cwd_root is not None


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
    for check in permit.checks:
        why = _wrong_path(check)
        if why is not None:
            return why + _seen_from(check)
    return None


def _seen_from(check: PathCheck) -> str:
    """Say from which directory a relative argument was seen; one that is hidden is not to be guessed."""
    base = check.path.removesuffix("/" + check.shown)
    return "" if base == check.path else f" (seen from {shown(base or '/')})"


def located(check: PathCheck) -> tuple[str, bytes]:
    """Return the glob of a check with its root resolved, and where its path leads. Raises `OSError`."""
    real, found = _resolved(check)
    glob = _resolved_glob(check.glob)
    if not matches(glob, text_of(real)):
        raise OSError(errno.EACCES, f"leads out of {shown(root_of(check.glob))}")
    if check.kind == "new" and found is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return glob, real


def leads_to(check: PathCheck, path: str) -> tuple[str, bytes]:
    """Return the glob of a check with its root resolved, and where another path leads. Raises `OSError`."""
    return _resolved_glob(check.glob), _followed(bytes_of(path))[0]


def _wrong_path(check: PathCheck) -> str | None:
    name = shown(check.shown)
    try:
        real, found = _resolved(check)
        glob = _resolved_glob(check.glob)
    except OSError as error:
        return f'"{name}": {_reason(error)}'
    if not matches(glob, text_of(real)):
        return f'"{name}" leads out of {shown(root_of(check.glob))}'
    return _wrong_kind(check, found)


def _resolved(check: PathCheck) -> tuple[bytes, os.stat_result | None]:
    """Follow all links; what is not there is judged by where it would be."""
    path = bytes_of(check.path)
    if check.kind == "new":
        directory, name = os.path.split(path)
        real = os.path.join(_followed(directory)[0], name)
        return real, os.lstat(real) if os.path.lexists(real) else None
    try:
        return _followed(path)
    except FileNotFoundError:
        return _would_be(path), None


def _followed(path: bytes) -> tuple[bytes, os.stat_result]:
    """Have the kernel follow all links, which gives up after 40: nobody can put more of them in our way."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return os.readlink(b"/proc/self/fd/%d" % descriptor), os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _would_be(path: bytes) -> bytes:
    """Say where a path leads of which the last parts are not there; links that lead nowhere are followed."""
    for _ in range(_LINKS_MAX):
        missing: list[bytes] = []
        while True:
            path, name = os.path.split(path)
            missing.insert(0, name)
            try:
                real, _ = _followed(path)
                break
            except FileNotFoundError:
                continue
        if b".." in missing:  # behind what is not there: no way for the kernel either
            break
        place = os.path.join(real, missing[0])
        if not os.path.islink(place):
            return os.path.join(place, *missing[1:])
        path = os.path.join(real, os.readlink(place), *missing[1:])
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _resolved_glob(glob: str) -> str:
    """Resolve the links of the root: it is the rule's own word."""
    root = root_of(glob)
    rest = glob.removeprefix(root).removeprefix("/")
    try:
        real, _ = _followed(bytes_of(root))
    except FileNotFoundError:
        real = _would_be(bytes_of(root))
    return os.path.join(text_of(real), rest) if rest else text_of(real)


def _wrong_kind(check: PathCheck, found: os.stat_result | None) -> str | None:
    name = shown(check.shown)
    if check.kind == "new":
        return None if found is None else f'"{name}" is there already'
    if found is None:
        return f'"{name}": no such {_KINDS[check.kind]}' if check.kind else None
    is_so = {"file": stat.S_ISREG, "dir": stat.S_ISDIR}.get(check.kind)
    return None if is_so is None or is_so(found.st_mode) else f'"{name}" is not a {_KINDS[check.kind]}'


_KINDS = {"file": "file", "dir": "directory"}
_LINKS_MAX = 40  # links followed for one path, as the kernel


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO).lower()

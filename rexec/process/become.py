"""Between fork and exec: what turns a forked child into the program of a permit, step by step.

The order is the point. What needs the rights of the server comes first, then the account, then what
is looked at as that account, then what can only be done once; the limits stand last, since they would
hold the steps before them too. A step that fails is reported and nothing is started.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import struct
import termios
from enum import IntEnum
from typing import NamedTuple

from rexec.policy.request import bytes_of
from rexec.process import account
from rexec.process.descriptors import AS_GIVEN, close_all_but
from rexec.process.orphans import seal
from rexec.process.places import Astray, open_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap
    from typing import NoReturn

    from rexec.policy.grant import Fence, Limits
    from rexec.policy.rules import Permit

    # Called in the child as its account: returns the fence, and what is done behind it until the exit status.
    Prepare = Callable[[Permit], tuple[Fence, Callable[[], int]]]

REPORT = struct.Struct("!iB")  # errno and stage
_FIRST_FREE = 3  # descriptor behind the streams
_SCRIPT = b"#!"
_OF_LIBRARY = (32, 33)  # signals that the C library keeps for itself


class Stage(IntEnum):
    """Where a start failed."""

    PROGRAM = 0
    DIRECTORY = 1
    ASTRAY = 2  # a directory that leads out of its root
    ACCOUNT = 3
    NICE = 4
    LIMITS = 5
    FENCE = 6
    SWAPPED = 7  # the program is another one than its digest says


class Line(NamedTuple):
    """The child's end of the line to who is asked about its calls, or -1, and what a reporter counts in."""

    runner: int = -1
    shared: mmap | None = None


class Ends(NamedTuple):
    """The descriptors that a child gets: its streams, its end of the report, and of the line of a fence."""

    streams: tuple[int, int, int]
    is_terminal: bool
    report: int
    line: Line


class Failed(Exception):
    """A step failed that has a stage of its own."""

    def __init__(self, stage: Stage, number: int) -> None:
        super().__init__()
        self.stage = stage
        self.number = number


def become(permit: Permit, ends: Ends, prepare: Prepare | None = None) -> NoReturn:
    """Turn the forked child into the program, or report why not and exit."""
    ends = _out_of_the_way(ends)
    try:
        _do_all(permit, ends, prepare)
    except Failed as failed:
        os.write(ends.report, REPORT.pack(failed.number, failed.stage))
    except BaseException as error:
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, MemoryError):
            number = errno.ENOMEM
        os.write(ends.report, REPORT.pack(number or errno.EIO, Stage.PROGRAM))
    finally:
        os._exit(255)


def _out_of_the_way(ends: Ends) -> Ends:
    """Give the descriptors numbers behind the streams, which are put in their places one by one."""
    moved = [
        end if end < 0 or end >= _FIRST_FREE else fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        for end in (*ends.streams, ends.report, ends.line.runner)
    ]
    line = ends.line._replace(runner=moved[4])
    return Ends((moved[0], moved[1], moved[2]), ends.is_terminal, moved[3], line)


def _do_all(permit: Permit, ends: Ends, prepare: Prepare | None) -> None:
    _step(Stage.LIMITS, seal)
    _take_streams(ends)
    _default_signals()
    program = _open_digested(permit)
    _step(Stage.NICE, lambda: os.nice(permit.grant.nice) if permit.grant.nice else 0)
    _step(Stage.ACCOUNT, lambda: _change_account(permit, ends))
    os.umask(permit.umask)
    _enter_directory(permit)
    close_all_but(_FIRST_FREE, (ends.report, ends.line.runner, program))
    if prepare is not None:
        _do_instead(permit, ends, prepare)
    _step(Stage.FENCE, lambda: _put_up_fence(permit, ends))
    arguments = [bytes_of(word) for word in permit.argv]
    environment = {bytes_of(name): bytes_of(value) for name, value in permit.env}
    target = bytes_of(permit.path) if program < 0 else program
    _step(Stage.LIMITS, AS_GIVEN.restore)
    _step(Stage.LIMITS, lambda: set_limits(permit.grant.limits, beside=_tasks_beside(permit)))
    os.execve(target, arguments, environment)  # noqa: S606 - the permit's own program


def _do_instead(permit: Permit, ends: Ends, prepare: Prepare) -> NoReturn:
    """Do what is done instead of starting a program. All that it needs is loaded: a fence lets nothing in."""
    from rexec.process import fence

    inside, do = prepare(permit)
    if inside.is_asked_for:
        _step(Stage.FENCE, lambda: fence.hold(inside))
    _step(Stage.LIMITS, AS_GIVEN.restore)
    _step(Stage.LIMITS, lambda: set_limits(permit.grant.limits))
    os.close(ends.report)  # as an exec would
    try:
        os._exit(do())
    except BaseException:
        os._exit(255)


def _step(stage: Stage, action: Callable[[], object]) -> None:
    """Do one step; whatever goes wrong in it is reported as its own."""
    try:
        action()
    except OSError as error:
        raise Failed(stage, error.errno or errno.EIO) from None


def _take_streams(ends: Ends) -> None:
    os.setsid()
    if ends.is_terminal:
        fcntl.ioctl(ends.streams[0], termios.TIOCSCTTY, 0)
    for number, stream in enumerate(ends.streams):
        os.dup2(stream, number, inheritable=True)


def _default_signals() -> None:
    """Set every ignored signal to default and empty the mask: a program inherits both (execve(2))."""
    with open("/proc/self/status", "rb") as file:
        (ignored,) = (int(line.split()[1], 16) for line in file if line.startswith(b"SigIgn:"))
    for number in range(1, ignored.bit_length() + 1):
        if ignored >> (number - 1) & 1 and number not in _OF_LIBRARY:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _open_digested(permit: Permit) -> int:
    """Open the program that the rule names by its digest: this descriptor is what will be started.

    The interpreter of a script opens it by its number, and therefore inherits it.
    """
    if permit.grant.sha256 is None:
        return -1
    from rexec.process.digest import Swapped, open_program

    try:
        program = open_program(permit)
    except Swapped:
        raise Failed(Stage.SWAPPED, errno.EACCES) from None
    if os.pread(program, len(_SCRIPT), 0) == _SCRIPT:
        os.set_inheritable(program, True)
    return program


def _change_account(permit: Permit, ends: Ends) -> None:
    if permit.grant.run_as is None or account.is_ours(permit.account):
        return
    for stream in (0, 1, 2):  # programs open them anew by name, such as /dev/stdout
        if ends.is_terminal or stat.S_ISFIFO(os.fstat(stream).st_mode):
            os.fchown(stream, permit.account.uid, -1)
    account.become(permit.account)


def _enter_directory(permit: Permit) -> None:
    try:
        where = open_directory(permit)
        if where >= 0:
            os.fchdir(where)
            os.close(where)
        else:
            os.chdir(bytes_of(permit.cwd))
    except Astray:
        raise Failed(Stage.ASTRAY, errno.EACCES) from None
    except OSError as error:
        raise Failed(Stage.DIRECTORY, error.errno or errno.EIO) from None


def _put_up_fence(permit: Permit, ends: Ends) -> None:
    """Put up the fence where there is one."""
    if permit.fence.is_asked_for:
        from rexec.process import fence

        fence.put_up(permit.fence, permit.path, os.ttyname(0) if ends.is_terminal else None, ends.line)


def _tasks_beside(permit: Permit) -> int:
    """Return how many tasks of ours the kernel counts among those of the program's account."""
    if not permit.fence.confined:
        return 0
    from rexec.process import fence, reporter

    return reporter.TASKS if fence.needs_reporter(permit.fence) else 0


def set_limits(limits: Limits, *, beside: int = 0) -> None:
    """Lower the resource limits to what the rule says; none is ever raised.

    `beside` tasks of ours are of the same account, and take nothing away from what `procs` says.
    """
    for name, kind in _KINDS.items():
        wanted = getattr(limits, name)
        if wanted is not None:
            wanted += beside if name == "procs" else 0
            _, hard = resource.getrlimit(kind)
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            last = soft + 1 if name == "cpu" and soft != hard else soft  # XCPU first, then KILL
            resource.setrlimit(kind, (soft, last))


_KINDS = {
    "cpu": resource.RLIMIT_CPU,
    "procs": resource.RLIMIT_NPROC,
    "files": resource.RLIMIT_NOFILE,
    "fsize": resource.RLIMIT_FSIZE,
    "mem": resource.RLIMIT_AS,
}

"""The fence of a rule, put up by the process that is to become its program, just before it does.

What holds what: `noexec` and `net none` are a filter of system calls that asks the runner
(`process.watch`); `confine` and what `exec-only` may start are Landlock. With `confine` too there is a
filter: Landlock does not keep the program from the limits of other processes, and tells nobody what it
refused. This one asks a reporter (`process.reporter`), which sees what Landlock is about to refuse. With
`noexec` too there is a Landlock domain, if the kernel has it: it keeps the program from taking another
process of the account by ptrace(2), which could start what it may not.
"""

from __future__ import annotations

import errno
import os
import socket
from functools import cache

from rexec.process import landlock, seccomp
from rexec.process.bounds import Bounds
from rexec.process.interpreters import interpreters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.grant import Fence
    from rexec.process.become import Line

LANDLOCK, SECCOMP = "landlock", "seccomp"

_READ, _USE = landlock.TO_READ, landlock.READ_FILE | landlock.WRITE_FILE
_TALK = _USE | landlock.IOCTL_DEV
# What a dynamic program needs to start and to be itself, and nothing that tells of anybody.
_NEEDED = (
    *(
        (f"{above}/{name}", _READ)
        for above in ("", "/usr", "/usr/local")
        for name in ("lib", "lib32", "lib64")
    ),
    ("/etc/ld.so.cache", _READ),  # where the libraries are
    ("/etc/locale.alias", _READ),  # in which words
    ("/usr/share/locale", _READ),
    ("/etc/localtime", _READ),  # how times are shown
    ("/usr/share/zoneinfo", _READ),
    ("/dev/null", _USE | landlock.TRUNCATE),
    ("/dev/zero", _USE),
    ("/dev/full", _USE),
    *((f"/sys/devices/system/cpu/{name}", _READ) for name in ("online", "possible")),  # what machine it is
    *((f"/proc/{name}", _READ) for name in ("filesystems", "sys/vm/overcommit_memory")),
    ("/dev/random", landlock.READ_FILE),
    ("/dev/urandom", landlock.READ_FILE),
)
_WITH_TERMINAL = (
    ("/dev/tty", _TALK),
    ("/etc/terminfo", _READ),
    ("/usr/share/terminfo", _READ),
)


_RENAMES_SINCE = 2  # the version that can allow them; every ruleset of an older one refuses them


@cache
def features() -> frozenset[str]:
    """Name what this kernel can hold a program to: landlock, seccomp."""
    found = ((LANDLOCK, landlock.version() > 0), (SECCOMP, seccomp.is_available()))
    return frozenset(name for name, is_there in found if is_there)


def needs_watch(fence: Fence) -> bool:
    """Tell whether somebody will be asked about system calls."""
    if SECCOMP not in features():
        return False
    return fence.noexec or fence.exec_only is not None or not fence.net or needs_reporter(fence)


def needs_reporter(fence: Fence) -> bool:
    """Tell whether it is a reporter that is asked, and not the runner."""
    return fence.confined and features() == {LANDLOCK, SECCOMP}


def put_up(fence: Fence, program: str, terminal: str | None, line: Line) -> None:
    """Fence this process in, and hand the end at which it is asked to the runner or to a reporter.

    `program` may be started next; `terminal` is the name of the terminal, if any. Raises `OSError`.
    """
    landlock.forgo_privileges()
    asked = line.runner
    if LANDLOCK in features():
        asked = _hold_files(fence, program, terminal, line)
    if SECCOMP not in features():
        return
    listener = _install(fence)
    if asked >= 0:
        with socket.socket(fileno=asked) as end:
            socket.send_fds(end, [b"\0"], [listener] if listener >= 0 else [], socket.MSG_NOSIGNAL)
    if listener >= 0:
        os.close(listener)


def _install(fence: Fence) -> int:
    """Filter system calls; return who listens, or -1.

    There can be one listener: in a container that has its own, files are still held, and nobody tells of it.
    """
    only_listed = fence.exec_only is not None
    execs, sockets = fence.noexec or only_listed, not fence.net
    files = needs_reporter(fence)
    try:
        return seccomp.install(execs=execs, only_listed=only_listed, sockets=sockets, files=files)
    except OSError as error:
        if error.errno != errno.EBUSY or execs or sockets:
            raise
        return seccomp.install(execs=False, only_listed=False, sockets=False)


def hold(fence: Fence) -> None:
    """Fence in a process that starts no program: nothing can be, and nobody is asked. Raises `OSError`."""
    landlock.forgo_privileges()
    if LANDLOCK in features():
        rules = landlock.Ruleset(landlock.known_rights(), scoped=True, no_tcp=True)
        for place in fence.ro:
            rules.allow(place, landlock.TO_READ)
        for place in fence.rw:
            rules.allow(place, landlock.TO_READ | landlock.TO_WRITE)
        rules.enforce()
        rules.close()
    if SECCOMP in features():
        seccomp.install(execs=False, only_listed=False, sockets=False)


def _hold_files(fence: Fence, program: str, terminal: str | None, line: Line) -> int:
    """Give rights on files; return who is to be asked about calls: the runner, or a reporter, begun here.

    The reporter stands behind the same rules, and the program behind them once more.
    """
    asked = line.runner
    if not fence.confined and fence.exec_only is None and landlock.version() < _RENAMES_SINCE:
        return asked  # it could rename nothing from one directory to another
    handled = landlock.known_rights() if fence.confined else landlock.EXECUTE | landlock.REFER
    rules = landlock.Ruleset(handled, scoped=fence.confined, no_tcp=not fence.net)
    given = list(_given(fence, program, terminal))
    for place, rights in given:
        rules.allow(place, rights)
    rules.enforce()
    if needs_reporter(fence):
        from rexec.process import reporter

        asked = reporter.begin(fence, Bounds(given, handled & landlock.known_rights()), line)
        rules.enforce()
    rules.close()
    return asked


def _given(fence: Fence, program: str, terminal: str | None) -> Iterator[tuple[str, int]]:
    """Give all places with the rights on them: all but EXECUTE where the rule confines no files."""
    starts = 0 if fence.noexec or fence.exec_only is not None else landlock.EXECUTE
    if fence.confined:
        yield from _confine(fence, terminal, landlock.TO_READ | starts)
    else:
        yield "/", landlock.REFER | starts
    for listed in (program, *(fence.exec_only or ())):
        for place in (listed, *interpreters(listed)):
            yield place, landlock.EXECUTE | landlock.READ_FILE


def _confine(fence: Fence, terminal: str | None, reading: int) -> Iterator[tuple[str, int]]:
    yield from _NEEDED
    if terminal is not None:
        yield from (*_WITH_TERMINAL, (terminal, _TALK))
    for place in fence.ro:
        yield place, reading
    for place in fence.rw:
        yield place, landlock.TO_READ | landlock.TO_WRITE  # what it wrote is not started

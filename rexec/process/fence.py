"""The fence of a rule, put up by the process that is to become its program, just before it does.

What holds what: `noexec` and `net none` are a filter of system calls that asks the runner
(`process.watch`); `confine` and what `exec-only` may start are Landlock. With `confine` too there is a
filter, that asks nobody: Landlock does not keep the program from the limits of other processes. With
`noexec` too there is a Landlock domain, if the kernel has it: it keeps the program from taking another
process of the account by ptrace(2), which could start what it may not.
"""

from __future__ import annotations

from functools import cache

from rexec.process import landlock, seccomp
from rexec.process.interpreters import interpreters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.grant import Fence

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
    ("/etc/localtime", _READ),  # how times are shown
    ("/usr/share/zoneinfo", _READ),
    ("/dev/null", _USE | landlock.TRUNCATE),
    ("/dev/zero", _USE),
    ("/dev/full", _USE),
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
    """Tell whether the runner will be asked about system calls."""
    return SECCOMP in features() and (fence.noexec or fence.exec_only is not None or not fence.net)


def put_up(fence: Fence, program: str, terminal: str | None) -> int:
    """Fence this process in; return the descriptor of the listener, or -1 where nobody listens.

    `program` may be started next; `terminal` is the name of the terminal, if any. Raises `OSError`.
    """
    landlock.forgo_privileges()
    if LANDLOCK in features():
        _hold_files(fence, program, terminal)
    if SECCOMP not in features():
        return -1
    only_listed = fence.exec_only is not None
    return seccomp.install(execs=fence.noexec or only_listed, only_listed=only_listed, sockets=not fence.net)


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
    if SECCOMP in features():
        seccomp.install(execs=False, only_listed=False, sockets=False)


def _hold_files(fence: Fence, program: str, terminal: str | None) -> None:
    """Give rights on files: all but EXECUTE where the rule confines no files, else what is named."""
    starts = fence.noexec or fence.exec_only is not None
    if not fence.confined and fence.exec_only is None and landlock.version() < _RENAMES_SINCE:
        return  # it could rename nothing from one directory to another
    handled = landlock.known_rights() if fence.confined else landlock.EXECUTE | landlock.REFER
    rules = landlock.Ruleset(handled, scoped=fence.confined, no_tcp=not fence.net)
    if fence.confined:
        _confine(rules, fence, terminal, landlock.TO_READ | (0 if starts else landlock.EXECUTE))
    else:
        rules.allow("/", landlock.REFER | (0 if starts else landlock.EXECUTE))
    for listed in (program, *(fence.exec_only or ())):
        for place in (listed, *interpreters(listed)):
            rules.allow(place, landlock.EXECUTE | landlock.READ_FILE)
    rules.enforce()


def _confine(rules: landlock.Ruleset, fence: Fence, terminal: str | None, reading: int) -> None:
    for place, rights in _NEEDED:
        rules.allow(place, rights)
    if terminal is not None:
        for place, rights in (*_WITH_TERMINAL, (terminal, _TALK)):
            rules.allow(place, rights)
    for place in fence.ro:
        rules.allow(place, reading)
    for place in fence.rw:
        rules.allow(place, landlock.TO_READ | landlock.TO_WRITE)  # what it wrote is not started

"""Which starts of programs, and which sockets, a fence refuses: decided here, and told with the path.

With `exec-only` a listed program is let through, and there the kernel reads the path again: another
thread may have written a different one by then. Landlock bounds what that can start to the listed
programs and their interpreters, the loader among them. Whoever can win this race runs code of its own
already, and gains nothing by it that it could not do by mapping the file itself.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import NamedTuple

from rexec.policy.request import text_of
from rexec.policy.wording import shown
from rexec.process.abi import native
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.policy.grant import Fence
    from rexec.process.questions import Asked

    Found = tuple[bytes, bytes]  # a verdict and a name

_MINE = ("/proc/", "/dev/")  # what leads elsewhere for each process that looks
REFUSED, ABSENT, LISTED = b"r", b"a", b"l"
_DEEDS = {
    "read": "read",
    "write": "written",
    "make": "made",
    "remove": "removed",
    "rename": "renamed",
    "link": "linked",
    "start": "started",
}


class Escape(NamedTuple):
    """An attempt that the fence refused: the process, what it wanted, and the option that forbids it.

    With `confine`, `act` is what it wanted to do with a file: read, write, make, remove, rename, link or
    start. Without a path its attempts are not seen any more.
    """

    pid: int
    path: str  # of a program or a file, or `a socket`; harmless to show
    option: str  # noexec, exec-only, net none, confine
    act: str = ""

    def __str__(self) -> str:
        """Say what happened, to stand behind the name of the rule and ``is`` or ``has``."""
        if self.option == "confine" and not self.path:
            return "confine: what it tries to open is not seen any more"
        deed = _DEEDS.get(self.act) or ("opened" if self.option == "net none" else "started")
        return f"{self.option}: {shown(self.path)} was not {deed}"


class Starts:
    """The part of a fence that is decided by whoever is asked."""

    def __init__(self, fence: Fence) -> None:
        self._option = "noexec" if fence.noexec else "exec-only" if fence.exec_only is not None else ""
        self._listed = _spellings(fence.exec_only or ())
        abi = native()
        assert abi is not None
        self._abi = abi

    def is_start(self, asked: Asked) -> bool:
        """Tell whether a call starts a program, in the set of calls that has any."""
        return asked.arch == self._abi.arch and asked.number in (self._abi.execve, self._abi.execveat)

    def error(self, asked: Asked) -> int:
        """Return what a call is refused with where nothing is looked at; 0: it is not decided here."""
        if asked.arch != self._abi.arch:
            return errno.EPERM
        if asked.number == self._abi.socket:
            return errno.EACCES
        return errno.EPERM if self._option and self.is_start(asked) else 0

    def decide(self, asked: Asked, look_up: Callable[[Asked, int], Found]) -> tuple[int, Escape | None]:
        """Return the error, 0 to let the call through, and what there is to report.

        `look_up` returns the verdict on the name at an address of the one who asks, and the name.
        """
        is_native = asked.arch == self._abi.arch
        if is_native and asked.number == self._abi.socket:
            return errno.EACCES, Escape(asked.pid, f"a socket ({_family(asked.arguments[0])})", "net none")
        is_at = is_native and asked.number == self._abi.execveat
        verdict, name = look_up(asked, asked.arguments[1 if is_at else 0])
        if verdict == ABSENT:
            return errno.ENOENT, None
        if verdict == LISTED and is_native:
            return 0, None
        path = neutral(text_of(name)) or "a program without a name"
        return errno.EPERM, Escape(asked.pid, path, self._option)

    def verdict(self, name: str) -> bytes:
        """Judge a name, by what is there under it."""
        if name in self._listed:
            return LISTED
        if not name.startswith("/") or name.startswith(_MINE):
            return REFUSED
        if not os.path.lexists(name):
            return ABSENT  # a search along PATH came by, which is to go on
        return LISTED if self._listed and os.path.realpath(name) in self._listed else REFUSED


def _spellings(programs: tuple[str, ...]) -> frozenset[str]:
    return frozenset(programs).union(map(os.path.realpath, programs))


def _family(number: int) -> str:
    try:
        return socket.AddressFamily(number & 0xFFFFFFFF).name
    except ValueError:
        return f"family {number & 0xFFFFFFFF}"

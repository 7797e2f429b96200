"""Calls that name a file which Landlock may refuse: their numbers, and where their names stand.

Whoever has a descriptor has what it was opened for; so calls that name nothing are none of these.
`io_uring` names files without a call to look at, and a root of one's own would make other files of the
same names: behind such a filter neither is to be had.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from rexec.process.abi import native

_HERE = -1  # there is no argument for the directory: names start at the working directory


class FileCall(NamedTuple):
    """What a call does, where its one or two names stand, each with its directory, and its flags."""

    act: str
    numbers: tuple[int, int]  # on x86_64 and elsewhere (asm-generic/unistd.h); 0: it is not there
    names: tuple[tuple[int, int], ...]
    more: int = -1


TABLE = {
    "openat": FileCall("open", (257, 56), ((0, 1),), 2),
    "open": FileCall("open", (2, 0), ((_HERE, 0),), 1),
    "openat2": FileCall("open2", (437, 437), ((0, 1),), 2),
    "creat": FileCall("creat", (85, 0), ((_HERE, 0),)),
    "truncate": FileCall("truncate", (76, 45), ((_HERE, 0),)),
    "unlink": FileCall("remove", (87, 0), ((_HERE, 0),)),
    "rmdir": FileCall("remove", (84, 0), ((_HERE, 0),)),
    "unlinkat": FileCall("remove", (263, 35), ((0, 1),)),
    "rename": FileCall("rename", (82, 0), ((_HERE, 0), (_HERE, 1))),
    "renameat": FileCall("rename", (264, 38), ((0, 1), (2, 3))),
    "renameat2": FileCall("rename", (316, 276), ((0, 1), (2, 3)), 4),
    "link": FileCall("link", (86, 0), ((_HERE, 0), (_HERE, 1))),
    "linkat": FileCall("link", (265, 37), ((0, 1), (2, 3)), 4),
    "symlink": FileCall("symlink", (88, 0), ((_HERE, 1),)),
    "symlinkat": FileCall("symlink", (266, 36), ((1, 2),)),
    "mkdir": FileCall("mkdir", (83, 0), ((_HERE, 0),)),
    "mkdirat": FileCall("mkdir", (258, 34), ((0, 1),)),
    "mknod": FileCall("mknod", (133, 0), ((_HERE, 0),), 1),
    "mknodat": FileCall("mknod", (259, 33), ((0, 1),), 2),
    "bind": FileCall("bind", (49, 200), ((_HERE, 1),), 2),
    "execve": FileCall("start", (59, 221), ((_HERE, 0),)),
    "execveat": FileCall("start", (322, 281), ((0, 1),), 4),
}
ROOTS = {"chroot": (161, 51)}  # refused: it would give a name another meaning


def column() -> int:
    """Return which of two numbers is that of this machine."""
    abi = native()
    assert abi is not None
    return 0 if abi.alias_bit else 1


@cache
def by_number(which: int) -> dict[int, FileCall]:
    """Return the calls of one column by their numbers."""
    return {call.numbers[which]: call for call in TABLE.values() if call.numbers[which]}

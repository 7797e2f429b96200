"""Who has a port or a socket already, as far as /proc shows it to this user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTENS = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it (proc(5))
_ACCEPTS = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix


class Occupant(NamedTuple):
    """A process that listens; `is_server`: it is a rexec-server; `uid`: of its real user, if seen."""

    pid: int
    name: str
    is_server: bool
    uid: int | None = None


def occupant_of_port(port: int) -> Occupant | None:
    """Return who listens on a TCP port; None: nobody that can be seen."""
    return _holder(set(_inodes_of_port(port)))


def occupant_of_path(path: str) -> Occupant | None:
    """Return who listens on a Unix socket; None: nobody that can be seen."""
    found = set()
    for row in _rows("/proc/net/unix"):
        if len(row) > 7 and int(row[3], 16) & _ACCEPTS and row[7] == path:
            found.add(row[6])
    return _holder(found)


def _inodes_of_port(port: int) -> Iterator[str]:
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in _rows(name):
            if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port:
                yield row[9]


def _rows(name: str) -> list[list[str]]:
    try:
        with open(name, encoding="utf-8", errors="surrogateescape") as table:
            return [line.split() for line in table][1:]
    except OSError:
        return []


def _holder(inodes: set[str]) -> Occupant | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()) if wanted else ()):
        if wanted & set(_links(pid)):
            return Occupant(pid, *_name(pid), _uid(pid))
    return None


def _links(pid: int) -> Iterator[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # another user's, or gone
        return
    for name in names:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            pass


def _name(pid: int) -> tuple[str, bool]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = [os.path.basename(os.fsdecode(word)) for word in file.read().split(b"\0")[:2]]
    except OSError:
        return "", False
    is_server = "rexec-server" in words
    return "rexec-server" if is_server else words[0], is_server


def _uid(pid: int) -> int | None:
    """Read its real user; the owner of /proc/PID is root for whoever hides its memory (proc(5))."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("Uid:")), None)
    except OSError:
        return None

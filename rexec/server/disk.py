"""The allow list on the disk, and the disk's answers to the parser's questions."""

from __future__ import annotations

import glob
import grp
import hashlib
import os
import pwd
import stat
import time

from rexec import files
from rexec.errors import ConfigError
from rexec.limits import POLICY_MAX
from rexec.policy.disk import Account, Found, Owned
from rexec.policy.parse import parse
from rexec.policy.source import Source
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.policy.rules import Policy

_OTHERS = stat.S_IWGRP | stat.S_IWOTH  # "writable by others" means group or other
_LINKS_MAX = 40  # links followed for one path, as the kernel


def load(path: str, name: str | None = None) -> Policy:
    """Read an allow list; raise `PolicyRefused` when it is bad, `ConfigError` when it cannot be trusted.

    Messages and labels call it `name`, or else the last part of `path`.
    """
    return parse(text_of(path), neutral(os.path.basename(path)) if name is None else name, LocalDisk(path))


def text_of(path: str) -> str:
    """Read the text of an allow list; raise `ConfigError` when it cannot be trusted."""
    return files.read_trusted(path, POLICY_MAX)


class LocalDisk:
    """This machine, asked once for each program of a file; `path` is where the file itself is."""

    def __init__(self, path: str = "") -> None:
        self._path = path

    def find(self, command: str, path: tuple[str, ...]) -> Found | None:
        """Find a program by absolute path, or by name along `path`."""
        places = [command] if command.startswith("/") else [os.path.join(place, command) for place in path]
        for place in places:
            found = _look_at(place)
            if found is not None:
                return found
        return None

    def account(self) -> Account:
        """Name the account of this process; HOME is no witness, the password file is."""
        try:
            entry = pwd.getpwuid(os.geteuid())
        except KeyError:
            return Account(str(os.geteuid()), "/", os.geteuid(), os.getegid(), tuple(os.getgroups()))
        return _account(entry, os.getegid(), tuple(os.getgroups()))

    def other_account(self, user: str, group: str | None) -> Account | None:
        """Name another account, with another first group where one is given; None: there is none."""
        try:
            entry = pwd.getpwnam(user)
            gid = entry.pw_gid if group is None else grp.getgrnam(group).gr_gid
        except KeyError:
            return None
        return _account(entry, gid, tuple(os.getgrouplist(user, gid)))

    def features(self) -> frozenset[str]:
        """Name what the kernel can hold a program to: landlock, seccomp."""
        from rexec.process import fence  # for those who ask for it

        return fence.features()

    def is_directory(self, path: str) -> bool:
        """Tell whether `path` is a directory now."""
        return os.path.isdir(path)

    def is_there(self, path: str) -> bool:
        """Tell whether anything has this name, or is where we may not look."""
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            pass
        return True

    def digest(self, path: str) -> str | None:
        """Compute the SHA-256 of a file, in hex; None where it cannot be read."""
        try:
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def clock(self) -> float:
        """Tell the time, for what is over when the file is read; Unix time."""
        return time.time()

    def included(self, pattern: str, within: Source, *, globs: bool) -> list[Source]:
        """Read the files that `pattern` names, seen from `within`, by name; raise `ConfigError`.

        ``*`` and ``?`` in it stand for themselves unless it `globs`.
        """
        above = os.path.dirname(within.place or self._path)
        literal = not globs or not set("*?") & set(pattern)
        names = (
            [pattern] if literal else sorted(glob.glob(pattern.replace("[", "[[]"), root_dir=above or "."))
        )
        return [self._included(name, above, within, literal) for name in names]

    def _included(self, name: str, above: str, within: Source, literal: bool) -> Source:
        place = os.path.normpath(os.path.join(above, name))
        if not literal:
            _trust_directory(os.path.dirname(place) or ".")
        label = os.path.normpath(os.path.join(os.path.dirname(within.name), name))
        return Source.of(neutral(label), place, files.read_trusted(place, POLICY_MAX))


def _trust_directory(path: str) -> None:
    """Refuse to take whatever lies in a directory to which others may add. Raises `ConfigError`."""
    found = os.stat(path)
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path}: belongs to another user (uid {found.st_uid})")
    if found.st_mode & _OTHERS:
        raise ConfigError(f"{path}: others may add files to it", hint=f"chmod go-w {path}, or name each file")


def _account(entry: pwd.struct_passwd, gid: int, groups: tuple[int, ...]) -> Account:
    home = entry.pw_dir if entry.pw_dir.startswith("/") else "/"
    return Account(entry.pw_name, home, entry.pw_uid, gid, groups)


def _look_at(place: str) -> Found | None:
    try:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            on_the_way = _on_the_way(place)
            return Found(place, tuple(_lax_places(on_the_way)), tuple(_owned_places(on_the_way)))
    except OSError:  # it went away while it was looked at
        pass
    return None


def _on_the_way(program: str) -> list[tuple[str, os.stat_result]]:
    """Find what could be replaced for another program: the file, and each directory on the way to it."""
    above = dict.fromkeys(directory for hop in _hops(program) for directory in _directories_above(hop))
    shown = neutral(program)
    return [
        (shown, os.stat(program)),
        *((f"{neutral(directory)}, above {shown},", os.stat(directory)) for directory in above),
    ]


def _lax_places(places: list[tuple[str, os.stat_result]]) -> Iterator[str]:
    for shown, found in places:
        if found.st_mode & _OTHERS:
            yield f"{shown} is writable by others"


def _owned_places(places: list[tuple[str, os.stat_result]]) -> Iterator[Owned]:
    for shown, found in places:
        if found.st_uid not in (0, os.geteuid()):
            yield Owned(found.st_uid, f"{shown} belongs to another user (uid {found.st_uid})")


def _hops(path: str) -> Iterator[str]:
    """Give the path as spelled, and what each link on the way makes of it."""
    yield path
    for _ in range(_LINKS_MAX):
        directory = os.path.realpath(os.path.dirname(path))
        path = os.path.join(directory, os.path.basename(path))
        yield path
        if not os.path.islink(path):
            return
        path = os.path.join(directory, os.readlink(path))


def _directories_above(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path

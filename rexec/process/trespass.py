"""What a confined program asks for and Landlock refuses: judged as the kernel does, for the record alone.

Landlock decides by itself. What is told here is what is there, what ordinary permissions would allow, and
what no rule gives: who looks for a file that is not there, or that its account may not use anyway, is not
held by the fence. Nor is a process told of that looks at itself in /proc.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import NamedTuple

from rexec.process import landlock
from rexec.process.filecalls import by_number, column
from rexec.process.interpreters import interpreters
from rexec.process.shortcuts import Shortcuts
from rexec.process.whereabouts import locate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.process.bounds import Bounds
    from rexec.process.filecalls import FileCall
    from rexec.process.questions import Asked, Memory

_OPEN_HOW = struct.Struct("=QQQ")
_FOLLOW, _EMPTY_PATH = 0x400, 0x1000  # AT_SYMLINK_FOLLOW, AT_EMPTY_PATH
_EXCHANGE = 2  # RENAME_EXCHANGE
_AF_UNIX = 1
_ADDRESS_MAX = 110  # bytes of a struct sockaddr_un
_LINKS_MAX = 40
_OF_ENTRY = {
    stat.S_IFDIR: landlock.MAKE_DIR,
    stat.S_IFLNK: landlock.MAKE_SYM,
    stat.S_IFCHR: landlock.MAKE_CHAR,
    stat.S_IFBLK: landlock.MAKE_BLOCK,
    stat.S_IFIFO: landlock.MAKE_FIFO,
    stat.S_IFSOCK: landlock.MAKE_SOCK,
}
_MAKE_LINKS = ("symlink", "rename", "link")
_REMOVE = landlock.REMOVE_DIR | landlock.REMOVE_FILE
_MOVE = _REMOVE | landlock.TO_MAKE | landlock.REFER
_READ, _WRITE = landlock.READ_FILE | landlock.READ_DIR, landlock.WRITE_FILE


class Trespass(NamedTuple):
    """Where a call wanted to go, and what for: read, write, make, remove, rename, link or start."""

    path: bytes
    act: str


class _Place(NamedTuple):
    """A file that is there (`name` empty), or an entry of a directory; the descriptor is of what is there."""

    path: bytes
    descriptor: int
    name: bytes = b""


class Judge:
    """Tells whether a call trespasses. It may be slow, and blocks where the disk or a memory does."""

    def __init__(self, bounds: Bounds, memory: Memory) -> None:
        self._bounds = bounds
        self._memory = memory
        self._shortcuts = Shortcuts()
        self._calls = {
            number: (call, getattr(self, f"_{call.act}")) for number, call in by_number(column()).items()
        }

    def judge(self, asked: Asked) -> Trespass | None:
        """Return the trespass of a call; None: none, or nobody can know. `PermissionError`: of its memory."""
        found = self._calls.get(asked.number)
        if found is None:
            return None
        call, judging = found
        if call.act in _MAKE_LINKS:
            self._shortcuts.forget()
        trespass: Trespass | None = judging(asked, call)
        return trespass

    # --- files that are opened ----------------------------------------------------------------

    def _open(self, asked: Asked, call: FileCall) -> Trespass | None:
        return self._opened(asked, call, asked.arguments[call.more], 0)

    def _creat(self, asked: Asked, call: FileCall) -> Trespass | None:
        return self._opened(asked, call, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0)

    def _open2(self, asked: Asked, call: FileCall) -> Trespass | None:
        how = self._memory.block(asked.pid, asked.arguments[call.more], _OPEN_HOW.size)
        flags, _, resolve = _OPEN_HOW.unpack(how)
        return self._opened(asked, call, flags, resolve)

    def _opened(self, asked: Asked, call: FileCall, flags: int, resolve: int) -> Trespass | None:
        if flags & os.O_PATH:
            return None
        access = flags & os.O_ACCMODE
        wanted = 0
        if access in (os.O_RDONLY, os.O_RDWR):
            wanted |= _READ
        if access in (os.O_WRONLY, os.O_RDWR):
            wanted |= _WRITE
        if flags & os.O_TRUNC:
            wanted |= landlock.TRUNCATE
        make = flags & os.O_CREAT and flags & os.O_TMPFILE != os.O_TMPFILE
        follow = not (flags & os.O_NOFOLLOW or (make and flags & os.O_EXCL))
        directory, name = self._name(asked, call, 0)
        if not resolve and self._is_inside(
            asked.pid, directory, name, wanted, follow=follow, make=bool(make)
        ):
            return None
        try:
            found = _Place(*locate(asked.pid, directory, name, follow=follow, resolve=resolve))
        except FileNotFoundError:
            if not make or resolve:
                return None
            wanted = landlock.MAKE_REG | wanted & ~landlock.TRUNCATE & ~landlock.READ_DIR
            return self._entered(self._entry(asked.pid, directory, name, follow=follow), wanted, "make")
        if make and flags & os.O_EXCL:  # it is there
            os.close(found.descriptor)
            return None
        return self._touched(found, wanted, asked.pid)

    def _is_inside(
        self, pid: int, directory: int | None, name: bytes, wanted: int, *, follow: bool, make: bool
    ) -> bool:
        """Tell, for the price of one look at most, that there is nothing to tell."""
        try:
            path = self._shortcuts.path(pid, directory, name, follow=follow)
        except FileNotFoundError:
            return not make
        if make:
            wanted |= landlock.MAKE_REG
        return path is not None and not self._bounds.lacks(path, wanted)

    def _truncate(self, asked: Asked, call: FileCall) -> Trespass | None:
        directory, name = self._name(asked, call, 0)
        found = _Place(*locate(asked.pid, directory, name, follow=True))
        return self._touched(found, landlock.TRUNCATE, asked.pid)

    def _touched(self, place: _Place, wanted: int, pid: int) -> Trespass | None:
        """Judge a file that is there, and close it."""
        path, descriptor, _ = place
        try:
            if not path.startswith(b"/") or not self._bounds.lacks(path, wanted):
                return None
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                wanted &= ~landlock.READ_FILE
            else:
                wanted &= ~landlock.READ_DIR
            if not stat.S_ISREG(found.st_mode):
                wanted &= ~landlock.TRUNCATE
            if not found.st_nlink or self._is_own(path, pid) or _is_no_terminal(found):
                return None
            lacking = self._bounds.truly_lacks(path, descriptor, wanted)
            mode = (os.R_OK if wanted & _READ else 0) | (os.W_OK if wanted & ~_READ else 0)
            if not lacking or not _may(descriptor, mode):
                return None
            return Trespass(path, "read" if not lacking & ~_READ else "write")
        finally:
            os.close(descriptor)

    def _is_own(self, path: bytes, pid: int) -> bool:
        """Tell whether a process looks at itself, by its number or that of its first thread."""
        if not path.startswith(b"/proc/"):
            return False
        number = path.split(b"/")[2]
        return number.isdigit() and os.path.exists(b"/proc/%s/task/%d" % (number, pid))

    # --- entries of directories ---------------------------------------------------------------

    def _remove(self, asked: Asked, call: FileCall) -> Trespass | None:
        directory, name = self._name(asked, call, 0)
        if self._is_inside(asked.pid, directory, name, _REMOVE, follow=False, make=False):
            return None
        entry = self._entry(asked.pid, directory, name)
        kind = _kind(entry)
        right = landlock.REMOVE_DIR if kind == stat.S_IFDIR else landlock.REMOVE_FILE
        return self._entered(entry, right if kind else 0, "remove")

    def _rename(self, asked: Asked, call: FileCall) -> Trespass | None:
        names = [self._name(asked, call, which) for which in (0, 1)]
        if all(self._is_inside(asked.pid, *name, _MOVE, follow=False, make=False) for name in names):
            return None
        old = self._entry(asked.pid, *names[0])
        kind = _kind(old)
        leaving = landlock.REMOVE_DIR if kind == stat.S_IFDIR else landlock.REMOVE_FILE
        found = self._entered(old, leaving if kind else 0, "rename")
        if found is not None or not kind:
            return found
        new = self._entry(asked.pid, *names[1])
        wanted = _OF_ENTRY.get(kind, landlock.MAKE_REG)
        return self._entered(new, wanted, "rename")

    def _link(self, asked: Asked, call: FileCall) -> Trespass | None:
        flags = asked.arguments[call.more] if call.more >= 0 else 0
        directory, name = self._name(asked, call, 0)
        if not name and flags & _EMPTY_PATH:
            return self._entered(
                self._entry(asked.pid, *self._name(asked, call, 1)), landlock.MAKE_REG, "link"
            )
        path, descriptor = locate(asked.pid, directory, name, follow=bool(flags & _FOLLOW))
        try:
            new = self._entry(asked.pid, *self._name(asked, call, 1))
            if os.path.dirname(path) != new.path and self._bounds.lacks(path, landlock.REFER):
                os.close(new.descriptor)
                if self._bounds.truly_lacks(path, descriptor, landlock.REFER):
                    return Trespass(path, "link")
                return None
            return self._entered(new, landlock.MAKE_REG, "link")
        finally:
            os.close(descriptor)

    def _symlink(self, asked: Asked, call: FileCall) -> Trespass | None:
        return self._made(asked, call, landlock.MAKE_SYM)

    def _mkdir(self, asked: Asked, call: FileCall) -> Trespass | None:
        return self._made(asked, call, landlock.MAKE_DIR)

    def _mknod(self, asked: Asked, call: FileCall) -> Trespass | None:
        kind = stat.S_IFMT(asked.arguments[call.more] & 0xFFFF)
        return self._made(asked, call, _OF_ENTRY.get(kind, landlock.MAKE_REG))

    def _bind(self, asked: Asked, call: FileCall) -> Trespass | None:
        size = asked.arguments[call.more]
        if not 2 < size <= _ADDRESS_MAX:
            return None
        data = self._memory.block(asked.pid, asked.arguments[1], size)
        name = data[2:].partition(b"\0")[0]
        if int.from_bytes(data[:2], "little") != _AF_UNIX or not name:
            return None
        return self._entered_anew(self._entry(asked.pid, None, name), landlock.MAKE_SOCK)

    def _made(self, asked: Asked, call: FileCall, right: int) -> Trespass | None:
        directory, name = self._name(asked, call, 0)
        if self._is_inside(asked.pid, directory, name, right, follow=False, make=False):
            return None
        return self._entered_anew(self._entry(asked.pid, directory, name), right)

    def _entered_anew(self, entry: _Place, right: int) -> Trespass | None:
        return self._entered(entry, 0 if _kind(entry) else right, "make")

    def _entry(self, pid: int, directory: int | None, name: bytes, *, follow: bool = False) -> _Place:
        """Find the directory of what may not be there; `follow` goes past links that lead nowhere yet."""
        base: tuple[int, int | None] = pid, directory
        opened = -1
        try:
            for _ in range(_LINKS_MAX):
                above, slash, last = name.rstrip(b"/").rpartition(b"/")
                if last in (b"", b".", b".."):
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                path, descriptor = locate(*base, above or slash or b".", follow=True)
                if opened >= 0:
                    os.close(opened)
                opened = descriptor
                target = _link_at(descriptor, last) if follow else b""
                if not target:
                    opened = -1
                    return _Place(path, descriptor, last)
                base, name = (os.getpid(), descriptor), target
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        finally:
            if opened >= 0:
                os.close(opened)

    def _entered(self, entry: _Place, wanted: int, act: str) -> Trespass | None:
        """Judge what is to be done with an entry of a directory, and close that."""
        path, descriptor, name = entry
        try:
            if not wanted or not path.startswith(b"/"):
                return None
            shown = path.rstrip(b"/") + b"/" + name
            if not self._bounds.lacks(shown, wanted):
                return None
            if not self._bounds.truly_lacks(path, descriptor, wanted) or not _may(
                descriptor, os.W_OK | os.X_OK
            ):
                return None
            return Trespass(shown, act)
        finally:
            os.close(descriptor)

    # --- programs -----------------------------------------------------------------------------

    def _start(self, asked: Asked, call: FileCall) -> Trespass | None:
        flags = asked.arguments[call.more] if call.more >= 0 else 0
        directory, name = self._name(asked, call, 0)
        if not name and flags & _EMPTY_PATH and directory is not None:
            name, directory = b"/proc/%d/fd/%d" % (asked.pid, directory & 0xFFFFFFFF), None
        found = self._program(asked.pid, directory, name)
        if not isinstance(found, bytes):
            return found
        for program in interpreters(os.fsdecode(found)):
            found = self._program(asked.pid, None, os.fsencode(program))
            if not isinstance(found, bytes):
                return found
        return None

    def _program(self, pid: int, directory: int | None, name: bytes) -> Trespass | bytes | None:
        """Return the path of a program that may be started; None: it is none."""
        path, descriptor = locate(pid, directory, name, follow=True)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or not found.st_nlink or not _may(descriptor, os.X_OK):
                return None
            if self._bounds.lacks(path, landlock.EXECUTE) and self._bounds.truly_lacks(
                path, descriptor, landlock.EXECUTE
            ):
                return Trespass(path, "start")
            return path
        finally:
            os.close(descriptor)

    def _name(self, asked: Asked, call: FileCall, which: int) -> tuple[int | None, bytes]:
        """Return a name of a call, and the descriptor that it starts at."""
        directory, name = call.names[which]
        word = self._memory.word(asked.pid, asked.arguments[name])
        return (None if directory < 0 else asked.arguments[directory]), word


def _may(descriptor: int, mode: int) -> bool:
    """Tell whether ordinary permissions would let this account."""
    return os.access(b"/proc/self/fd/%d" % descriptor, mode)


def _is_no_terminal(found: os.stat_result) -> bool:
    """Tell whether it is /dev/tty, which is nothing where there is no terminal: shells try it."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(5, 0)


def _kind(entry: _Place) -> int:
    """Return of what kind an entry is, 0 where it is not there."""
    try:
        return stat.S_IFMT(os.lstat(entry.name, dir_fd=entry.descriptor).st_mode)
    except OSError:
        return 0


def _link_at(directory: int, name: bytes) -> bytes:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return b""

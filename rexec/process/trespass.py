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
from rexec.process.questions import PATH_MAX
from rexec.process.whereabouts import locate, real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rexec.process.filecalls import FileCall
    from rexec.process.questions import Asked, Memory

_LOOK = os.O_PATH | os.O_CLOEXEC
_REMEMBERED = 4096  # directories whose rights are known
_DEPTH = 512  # directories above one another that are looked at before something is told
_OPEN_HOW = struct.Struct("=QQQ")
_FOLLOW, _EMPTY_PATH = 0x400, 0x1000  # AT_SYMLINK_FOLLOW, AT_EMPTY_PATH
_EXCHANGE = 2  # RENAME_EXCHANGE
_AF_UNIX = 1
_LINKS_MAX = 40
_OF_ENTRY = {
    stat.S_IFDIR: landlock.MAKE_DIR,
    stat.S_IFLNK: landlock.MAKE_SYM,
    stat.S_IFCHR: landlock.MAKE_CHAR,
    stat.S_IFBLK: landlock.MAKE_BLOCK,
    stat.S_IFIFO: landlock.MAKE_FIFO,
    stat.S_IFSOCK: landlock.MAKE_SOCK,
}
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


class Bounds:
    """What a rule gives: the rights on files and on all below directories, as Landlock holds them."""

    def __init__(self, places: Iterable[tuple[str, int]], handled: int) -> None:
        self._handled = handled
        self._known: dict[bytes, int] = {}
        self._trees: list[tuple[bytes, int]] = []
        self._files: dict[bytes, int] = {}
        self._inodes: dict[tuple[int, int], int] = {}
        for place, rights in places:
            self._note(place, rights & handled)

    def _note(self, place: str, rights: int) -> None:
        try:
            descriptor = os.open(os.fsencode(place), _LOOK)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        try:
            found, path = os.fstat(descriptor), real(descriptor)
        finally:
            os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._trees.append((path.rstrip(b"/") + b"/", rights))
        else:
            rights &= landlock.OF_FILES
            self._files[path] = self._files.get(path, 0) | rights
        key = found.st_dev, found.st_ino
        self._inodes[key] = self._inodes.get(key, 0) | rights

    def lacks(self, path: bytes, wanted: int) -> int:
        """Return which rights a real path seems not to have."""
        above = path[: path.rfind(b"/") + 1]
        given = self._known.get(above)
        if given is None:
            given = 0
            for tree, rights in self._trees:
                if above.startswith(tree):
                    given |= rights
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[above] = given
        lacking = wanted & self._handled & ~given
        if lacking:
            lacking &= ~self._files.get(path, 0)
            for tree, rights in self._trees:
                if path + b"/" == tree:
                    lacking &= ~rights
        return lacking

    def truly_lacks(self, path: bytes, descriptor: int, wanted: int) -> int:
        """Look at what is open and at all directories above it, as the kernel: names change, files do not."""
        found = os.fstat(descriptor)
        lacking = wanted & self._handled & ~self._inodes.get((found.st_dev, found.st_ino), 0)
        if stat.S_ISDIR(found.st_mode):
            here = os.open(b"..", _LOOK, dir_fd=descriptor)
        else:
            here = os.open(os.path.dirname(path), _LOOK | os.O_NOFOLLOW)
        try:
            before = found.st_dev, found.st_ino
            for _ in range(_DEPTH):
                found = os.fstat(here)
                key = found.st_dev, found.st_ino
                lacking &= ~self._inodes.get(key, 0)
                if not lacking or key == before:
                    break
                before = key
                there = os.open(b"..", _LOOK, dir_fd=here)
                os.close(here)
                here = there
        finally:
            os.close(here)
        return lacking


class Judge:
    """Tells whether a call trespasses. It may be slow, and blocks where the disk or a memory does."""

    def __init__(self, bounds: Bounds, memory: Memory) -> None:
        self._bounds = bounds
        self._memory = memory
        self._calls = by_number(column())
        self._own = b"/proc/%d/" % os.getpid()

    def judge(self, asked: Asked) -> Trespass | None:
        """Return the trespass of a call; None: none, or nobody can know. `PermissionError`: of its memory."""
        call = self._calls.get(asked.number)
        if call is None:
            return None
        judging: Callable[[Asked, FileCall], Trespass | None] = getattr(self, f"_{call.act}")
        return judging(asked, call)

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
        """Tell whether a process looks at itself; by /proc/self, we saw ourselves instead."""
        if not path.startswith(b"/proc/"):
            return False
        if path.startswith((self._own, b"/proc/%d/" % pid)):
            return True
        number = path.split(b"/")[2]
        return number.isdigit() and os.path.exists(b"/proc/%s/task/%d" % (number, pid))

    # --- entries of directories ---------------------------------------------------------------

    def _remove(self, asked: Asked, call: FileCall) -> Trespass | None:
        entry = self._entry(asked.pid, *self._name(asked, call, 0))
        kind = _kind(entry)
        right = landlock.REMOVE_DIR if kind == stat.S_IFDIR else landlock.REMOVE_FILE
        return self._entered(entry, right if kind else 0, "remove")

    def _rename(self, asked: Asked, call: FileCall) -> Trespass | None:
        old = self._entry(asked.pid, *self._name(asked, call, 0))
        kind = _kind(old)
        leaving = landlock.REMOVE_DIR if kind == stat.S_IFDIR else landlock.REMOVE_FILE
        found = self._entered(old, leaving if kind else 0, "rename")
        if found is not None or not kind:
            return found
        new = self._entry(asked.pid, *self._name(asked, call, 1))
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
        if not 2 < size <= PATH_MAX:
            return None
        data = self._memory.block(asked.pid, asked.arguments[1], size)
        name = data[2:].partition(b"\0")[0]
        if int.from_bytes(data[:2], "little") != _AF_UNIX or not name:
            return None
        return self._entered_anew(self._entry(asked.pid, None, name), landlock.MAKE_SOCK)

    def _made(self, asked: Asked, call: FileCall, right: int) -> Trespass | None:
        return self._entered_anew(self._entry(asked.pid, *self._name(asked, call, 0)), right)

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
        path, descriptor = locate(asked.pid, directory, name, follow=True)
        found = self._program(path, descriptor)
        if found is None:
            for program in interpreters(os.fsdecode(path)):
                found = self._program(*locate(asked.pid, None, os.fsencode(program), follow=True))
                if found is not None:
                    break
        return found

    def _program(self, path: bytes, descriptor: int) -> Trespass | None:
        try:
            if not path.startswith(b"/") or not self._bounds.lacks(path, landlock.EXECUTE):
                return None
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not os.fstat(descriptor).st_nlink:
                return None
            if not self._bounds.truly_lacks(path, descriptor, landlock.EXECUTE) or not _may(
                descriptor, os.X_OK
            ):
                return None
            return Trespass(path, "start")
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

"""One file on its way in: written beside its place under a name of its own, and moved there when whole.

The name is `.NAME.rexec-XXXXXX`. What is interrupted keeps it where it is worth keeping: the next copy
that is to resume finds it there, unless somebody still writes to it, which a lock tells. No link is ever
followed, and nothing but a regular file is replaced.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat

from rexec.copying.holes import add_hole, digest_of
from rexec.copying.records import Ask, from_time
from rexec.limits import COPY_KEEP, COPY_NAME_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.copying.records import File

_RANDOM = 3  # bytes, in hex: O_EXCL tells when a name is taken
_MARK = b".rexec-"
_TRIES = 100
_HOW = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_MAY_FAIL = (errno.EPERM, errno.EOPNOTSUPP)  # fchmod(2) on a disk that knows no modes


class Terms:
    """What the receiver grants a copy: `new` is that nothing may be there already."""

    __slots__ = ("new", "recursive", "times", "umask")

    def __init__(
        self, umask: int, *, new: bool = False, recursive: bool = False, times: bool = False
    ) -> None:
        self.umask = umask
        self.new = new
        self.recursive = recursive
        self.times = times

    def mode(self, mode: int) -> int:
        """Return the mode that is given: never set-uid, set-gid or sticky."""
        return mode & 0o777 & ~self.umask


class Landing:
    """A file that is being received; every method may raise `OSError`, after which it is to be dropped."""

    def __init__(self, folder: int, name: bytes, file: File, terms: Terms) -> None:
        self._folder = folder
        self._name = name
        self._file = file
        self._terms = terms
        self._hash = hashlib.sha256()
        self._descriptor = -1
        self._temporary = b""
        self.offset = 0  # bytes of the file that are there
        _be_free(folder, name, new=terms.new)
        if file.ask is Ask.RESUME:
            self._find_part()
        try:
            _be_room(folder, file, self.offset)
            if self._descriptor < 0:
                self._create()
        except OSError:
            self.leave()
            raise

    @property
    def digest(self) -> bytes:
        """The SHA-256 of what is there."""
        return self._hash.digest()

    def _create(self) -> None:
        beginning = _beginning(self._name)
        for _ in range(_TRIES):
            self._temporary = beginning + os.urandom(_RANDOM).hex().encode()
            try:
                how = os.O_RDWR | os.O_CREAT | os.O_EXCL | _HOW
                self._descriptor = os.open(self._temporary, how, 0o600, dir_fd=self._folder)
                break
            except FileExistsError:
                continue
        else:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if self._file.size is None or self._file.size >= COPY_KEEP:
            _lock(self._descriptor)

    def _find_part(self) -> None:
        """Take up the longest part that an interrupted copy left here and nobody writes to."""
        for temporary in _parts(self._folder, self._name, self._file.size):
            try:
                descriptor = os.open(temporary, os.O_RDWR | _HOW, dir_fd=self._folder)
            except OSError:
                continue
            if _is_ours(descriptor) and _lock(descriptor):
                self._temporary, self._descriptor = temporary, descriptor
                size = os.fstat(descriptor).st_size
                digest = digest_of(descriptor, size)
                if digest is not None:
                    self._hash = digest
                    self.offset = os.lseek(descriptor, size, os.SEEK_SET)
                return
            os.close(descriptor)

    def begin_at(self, offset: int) -> None:
        """Go on behind the part that is there, or from the start."""
        if offset != self.offset:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._hash = hashlib.sha256()
            self.offset = 0

    def write(self, piece: memoryview) -> None:
        self.offset += len(piece)
        self._hash.update(piece)
        while piece:
            piece = piece[os.write(self._descriptor, piece) :]

    def skip(self, size: int) -> None:
        """Leave a hole."""
        os.ftruncate(self._descriptor, self.offset + size)  # first: a disk may know no file as long as that
        self.offset = os.lseek(self._descriptor, size, os.SEEK_CUR)
        add_hole(self._hash, size)

    def finish(self) -> None:
        """Give the file mode, times and its name."""
        try:
            os.fchmod(self._descriptor, self._terms.mode(self._file.mode))
        except OSError as error:
            if error.errno not in _MAY_FAIL:
                raise
        if self._terms.times:
            times = from_time(self._file.accessed), from_time(self._file.modified)
            os.utime(self._descriptor, ns=times)
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)  # a disk that was full may say so only now
        at = self._folder
        if self._terms.new:
            os.link(self._temporary, self._name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
            os.unlink(self._temporary, dir_fd=at)
        else:
            _be_free(at, self._name, new=False)
            os.rename(self._temporary, self._name, src_dir_fd=at, dst_dir_fd=at)
        self._temporary = b""

    def leave(self) -> None:
        """Give up what was interrupted; what is worth keeping stays for the next time."""
        if self.offset < COPY_KEEP:
            self.drop()
        self._close()

    def drop(self) -> None:
        """Give up, and leave nothing."""
        temporary, self._temporary = self._temporary, b""
        if temporary:
            try:
                os.unlink(temporary, dir_fd=self._folder)
            except OSError:
                pass  # it is gone, and so is the reason to
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.close(descriptor)
            except OSError:
                pass


def _beginning(name: bytes) -> bytes:
    return b"." + name[: COPY_NAME_MAX - 1 - len(_MARK) - 2 * _RANDOM] + _MARK


def _parts(folder: int, name: bytes, size: int | None) -> Iterator[bytes]:
    """Give the temporary names of a file in its directory, the longest file first."""
    beginning = _beginning(name)
    found: list[tuple[int, bytes]] = []
    try:
        names = os.listdir(folder)
    except OSError:  # a directory that may be written and not read
        names = []
    for text in names:
        entry = os.fsencode(text)
        if entry.startswith(beginning) and len(entry) == len(beginning) + 2 * _RANDOM:
            try:
                status = os.stat(entry, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_size > 0
                and (size is None or status.st_size <= size)
            ):
                found.append((status.st_size, entry))
    return (entry for _, entry in sorted(found, reverse=True))


def _is_ours(descriptor: int) -> bool:
    """Tell whether a file is one of ours by all that can be seen: nobody else has a hand on it."""
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1


def _lock(descriptor: int) -> bool:
    """Say that this file is being written; False where somebody else says so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a disk without locks
    return True


def _be_free(folder: int, name: bytes, *, new: bool) -> None:
    """Raise `OSError` where something is that is not to be replaced."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    number = errno.EEXIST if new else errno.EISDIR
    if new or stat.S_ISDIR(mode):
        raise OSError(number, os.strerror(number))
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise OSError(errno.EINVAL, "not a regular file")


def _be_room(folder: int, file: File, there: int) -> None:
    """Raise `OSError` where a file does not fit on the disk, as far as that can be known."""
    if file.size is None or file.size < COPY_KEEP:
        return
    disk = os.fstatvfs(folder)
    free = (disk.f_bavail if os.geteuid() else disk.f_bfree) * disk.f_frsize
    if min(file.size, file.stored) - there > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

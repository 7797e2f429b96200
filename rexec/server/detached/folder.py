"""The directory of a detached command, `<home>/jobs/ID`, and the one of all.

job       whose it is, and what it does: written once, before it runs
lock      held by its warden as long as that lives
mark      what its processes bear (`process.orphans`), and since which start of this machine
log-N     what it wrote (`kept`)
end       how it ended: written once, by the warden, or by a server that finds neither warden nor end
recorded  its end stands in a server's audit log
socket    where its warden is talked to while it runs

Every file is reached from the descriptor of its directory, and no link is followed: whoever may write there
is the server's own account or root, and nobody else is led anywhere.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Any

from rexec.limits import JOB_FILE_MAX, JOB_ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

JOBS = "jobs"
JOB, LOCK, MARK, END, RECORDED, SOCKET = "job", "lock", "mark", "end", "recorded", "socket"
_NEW, _OLD = ".new-", ".old-"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # none that is taken for another
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_FLOCK = "hhqqi0q"  # struct flock of fcntl(2)
_OTHERS = 0o022  # writable by others than the owner


def new_id() -> str:
    """Return an id that nobody guesses, and that can be read aloud."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(JOB_ID))


def is_id(text: str) -> bool:
    """Tell whether a name may be an id."""
    return len(text) == JOB_ID and set(text) <= set(_LETTERS)


def boot() -> str:
    """Return what this start of this machine is known by."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


class Folder:
    """A directory by its descriptor."""

    __slots__ = ("descriptor",)

    def __init__(self, path: str, *, above: Folder | None = None) -> None:
        """Open it. Raises `OSError`, also where somebody else could have made what is in it."""
        at = None if above is None else above.descriptor
        self.descriptor: int = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=at)
        found = os.fstat(self.descriptor)
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & _OTHERS:
            self.close()
            raise PermissionError(errno.EPERM, "others may write it")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """How it is reached where a descriptor will not do."""
        return f"/proc/self/fd/{self.descriptor}"

    def names(self) -> list[str]:
        return os.listdir(self.descriptor)

    def has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return False
        return True

    def open(self, name: str, flags: int) -> int:
        """Open a file in it, 0600 where it is made. Raises `OSError`."""
        descriptor = os.open(name, flags | _FLAGS, 0o600, dir_fd=self.descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is not a regular file")
        return descriptor

    def read(self, name: str) -> dict[str, Any]:
        """Return what a file says. Raises `OSError`, `ValueError`."""
        descriptor = self.open(name, os.O_RDONLY)
        try:
            data = b""
            while piece := os.read(descriptor, JOB_FILE_MAX + 1 - len(data)):
                data += piece
        finally:
            os.close(descriptor)
        found = json.loads(data) if len(data) <= JOB_FILE_MAX else None
        if not isinstance(found, dict):
            raise ValueError(f"{name} is not what it was written as")
        return found

    def write(self, name: str, about: dict[str, object], *, lasting: bool = False) -> None:
        """Write a file that is there whole or not at all; `lasting`: after a power cut too.

        Raises `OSError`.
        """
        beside = f".{name}-{os.urandom(4).hex()}"
        descriptor = self.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            rest = memoryview(json.dumps(about).encode())
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if lasting:
                os.fsync(descriptor)
            os.rename(beside, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError:
            os.unlink(beside, dir_fd=self.descriptor)
            raise
        finally:
            os.close(descriptor)
        if lasting:
            os.fsync(self.descriptor)

    def size(self) -> int:
        """Return the bytes of its files."""
        total = 0
        for name in self.names():
            try:
                total += os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_size
            except OSError:
                pass  # gone meanwhile
        return total

    # --- whose it is now ------------------------------------------------------------------------

    def lock(self) -> int:
        """Hold it as long as this process lives, or the descriptor is open. Raises `OSError`.

        A record lock (fcntl(2)): no child inherits it, and the kernel says who has it.
        """
        descriptor = self.open(LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def holder(self) -> int:
        """Return the pid of who holds it, 0 for nobody. Not for the holder, who would let go of it.

        Raises `OSError` where nobody can tell: that is no reason to end what may well run.
        """
        try:
            descriptor = self.open(LOCK, os.O_RDWR)
        except FileNotFoundError:
            return 0
        try:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        finally:
            os.close(descriptor)
        return 0 if kind == fcntl.F_UNLCK else int(pid)

    # --- its socket -----------------------------------------------------------------------------

    def listen(self) -> socket.socket:
        """Listen in it, by a path that is short enough (unix(7)). Raises `OSError`."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listening.bind(f"{self.path}/{SOCKET}")
            listening.listen()
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
        return listening

    def connect(self) -> socket.socket | None:
        """Return a connection to its warden, None where there is none any more."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            line.connect(f"{self.path}/{SOCKET}")
        except OSError:
            line.close()
            return None
        return line


class Jobs(Folder):
    """The directory of all."""

    __slots__ = ()

    def ids(self) -> list[str]:
        return [name for name in self.names() if is_id(name)]

    def begin(self, name: str, about: dict[str, object]) -> Folder:
        """Make the directory of a command that is about to be started. Raises `OSError`."""
        os.mkdir(_NEW + name, 0o700, dir_fd=self.descriptor)
        try:
            made = Folder(_NEW + name, above=self)
            made.write(JOB, about)
        except OSError:
            self._tidy(_NEW + name)
            raise
        return made

    def settle(self, name: str) -> None:
        """Let all see a command whose warden holds it. Raises `OSError`."""
        os.rename(_NEW + name, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def discard(self, name: str) -> None:
        """Remove the directory of a command that was not started after all."""
        for place in (_NEW + name, name):
            if self.has(place):
                self._tidy(place)

    def remove(self, name: str) -> bool:
        """Remove a result; False where it cannot be."""
        try:
            os.rename(name, _OLD + name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except OSError:
            return False
        self._tidy(_OLD + name)
        return True

    def sweep(self, older: float) -> None:
        """Remove what a server that was killed has left half made or half removed."""
        for name in self.names():
            if name.startswith((_NEW, _OLD)):
                try:
                    if os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mtime < older:
                        self._tidy(name)
                except OSError:
                    pass  # another server was faster

    def _tidy(self, name: str) -> None:
        """Remove a directory and its files, as far as they are what we made."""
        try:
            with Folder(name, above=self) as folder:
                for file in folder.names():
                    os.unlink(file, dir_fd=folder.descriptor)
            os.rmdir(name, dir_fd=self.descriptor)
        except OSError:
            pass  # something of somebody else is in there: it stays, and is not ours to name

    def holders(self) -> Iterator[int]:
        """Yield who holds each command, as far as anybody can tell."""
        for name in self.ids():
            try:
                with Folder(name, above=self) as folder:
                    yield folder.holder()
            except OSError:
                continue


def jobs_path(home: str) -> str:
    return os.path.join(os.path.abspath(home), JOBS)


def wardens(home: str) -> set[int]:
    """Return the pids of all wardens of a home: they outlive the server that has started them."""
    try:
        with Jobs(jobs_path(home)) as jobs:
            return set(jobs.holders()) - {0}
    except OSError:
        return set()

"""A master's own end of the control socket: the door at which guests knock (`sharing`)."""

from __future__ import annotations

from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socket

from rexec.client.sharing import GREETING, Attempt, Line, Unreachable, reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
else:
    import posix as os

_BACKLOG = 128


class Listener:
    """A master's own end: a socket that only its user can open, at a path that is given up in the end."""

    __slots__ = ("_identity", "path", "socket")

    def __init__(self, path: str) -> None:
        """Listen at a path. Raises `Unreachable`, also where another master has it already."""
        self.path = path
        self.socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        beside = f"{path[: path.rfind('/') + 1]}.{os.urandom(4).hex()}"  # short: such paths are
        with Attempt(self.socket, path):
            self._identity = self._bind(beside)
            self._place(beside)

    def _bind(self, beside: str) -> tuple[int, int]:
        """Bind to a name that nobody looks for until all is as it should be."""
        before = os.umask(0o177)
        try:
            self.socket.bind(beside)
        finally:
            os.umask(before)
        self.socket.listen(_BACKLOG)
        self.socket.setblocking(False)
        found = os.stat(beside)
        return found.st_dev, found.st_ino

    def _place(self, beside: str) -> None:
        """Give it the name that is looked for; what a dead master left there is replaced."""
        try:
            os.link(beside, self.path)
        except FileExistsError:
            try:
                reach(self.path).close()
            except Unreachable as error:
                if not _is_dead_socket(self.path):
                    os.unlink(beside)
                    raise Unreachable(f"{self.path}: is there already, and no master of ours") from error
                os.rename(beside, self.path)
                return
            os.unlink(beside)
            raise Unreachable(f"{self.path}: another master is there already") from None
        except OSError:
            os.unlink(beside)
            raise
        os.unlink(beside)

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def is_ours(self) -> bool:
        """Whether the path still leads here."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def accept(self) -> Line | None:
        """Return the next guest, greeted; None where it is another user or gone already."""
        try:
            number, _ = self.socket._accept()  # type: ignore[attr-defined]
        except OSError:
            return None
        line = Line(socket(fileno=number))
        if line.peer_uid() != os.geteuid():
            line.close()
            return None
        greet(line)
        return line

    def close(self) -> None:
        """Listen no more, and leave nothing behind."""
        if self.is_ours:
            os.unlink(self.path)
        self.socket.close()


def greet(line: Line) -> None:
    """Say who we are, to a guest of the same user."""
    line.socket.setblocking(False)
    try:
        line.say(GREETING, b"%d" % os.getpid())
    except OSError:
        pass  # it will be seen to be gone


def _is_dead_socket(path: str) -> bool:
    """Whether there is a socket of ours that nobody listens to."""
    import stat

    try:
        found = os.lstat(path)
    except OSError:
        return True
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        return False
    probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    finally:
        probe.close()
    return False

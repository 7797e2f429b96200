"""A connection that a program carries on its standard streams, such as `nc` on a host in between.

What passes is TLS from end to end: the program can cut it off, and learn or change nothing. It has a
process group of its own, so that a Ctrl-C reaches the far command and not the way to it.
"""

from __future__ import annotations

import _socket
import os

from rexec.errors import ConnectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
else:
    import _signal as signal  # without enums

_PATIENCE = 2.0  # seconds that the program has to end after we have
_SPOKEN = (126, 127, 255)  # exit codes of a client of ours, which has said why
_DEFAULT = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)  # unless we were to ignore them


class Via:
    """A program and its arguments; `name` is what people call it, `speaks` that it says why it fails."""

    __slots__ = ("argv", "name", "speaks", "stderr")

    def __init__(self, argv: Sequence[str], name: str, *, speaks: bool) -> None:
        self.argv = list(argv)
        self.name = name
        self.speaks = speaks
        self.stderr = 2  # where it speaks


class Passage:
    """The program that carries a connection, once it was started."""

    __slots__ = ("_pid", "_via")

    def __init__(self, via: Via, pid: int) -> None:
        self._via = via
        self._pid = pid

    def close(self) -> None:
        """End the program, whose streams are closed already; no child is left behind."""
        if not self._pid:
            return
        pid, self._pid = self._pid, 0
        for number in (signal.SIGTERM, signal.SIGKILL):
            if _ended(pid, _PATIENCE, number) is not None:
                return

    def leave(self) -> None:
        """Leave the program to its streams, which end it: this process is not its parent any more."""
        self._pid = 0

    def failure(self, error: ConnectError) -> ConnectError:
        """Return why there is no connection, now that there is none: the program may be the reason."""
        if not self._pid:
            return error
        status = _ended(self._pid, _PATIENCE, 0)
        if status is None:
            return error
        self._pid = 0
        code = os.waitstatus_to_exitcode(status)
        if not code:
            return error
        if self._via.speaks and code in _SPOKEN:
            return ConnectError("")  # it has said so itself
        how = f"died by signal {-code}" if code < 0 else f"exit status {code}"
        return ConnectError(f"no way through {self._via.name}: {how}")


def _ended(pid: int, patience: float, number: int) -> int | None:
    """Signal a child, wait for its end, and return its status; None where it does not end in time."""
    import select

    descriptor = os.pidfd_open(pid)
    try:
        if number:
            signal.pidfd_send_signal(descriptor, number)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(patience * 1000):
            return None
    finally:
        os.close(descriptor)
    return os.waitpid(pid, 0)[1]


def open_passage(via: Via) -> tuple[_socket.socket, Passage]:
    """Start the program; return our end of its streams. Raises `ConnectError`."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    number = theirs.fileno()
    streams = ((number, 0), (number, 1), (via.stderr, 2))
    try:
        pid = os.posix_spawnp(
            via.argv[0],
            via.argv,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, old, new) for old, new in streams],
            setpgroup=0,
            setsigdef=[
                signal.SIGPIPE,  # which Python ignores
                *(number for number in _DEFAULT if signal.getsignal(number) != signal.SIG_IGN),
            ],
        )
    except OSError as error:
        ours.close()
        raise ConnectError(f"{via.argv[0]}: {os.strerror(error.errno or 0).lower()}") from None
    finally:
        theirs.close()
    return ours, Passage(via, pid)

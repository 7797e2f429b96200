"""Commands with a terminal, started by a fork of our own: a controlling terminal needs code before exec.

The runner never waits for an exec. `begin` returns at once; `Launch.error` is the read end of a pipe
that closes with the exec, or first brings why there was none. Between fork and exec the child makes
system calls and nothing else, in a process that has one thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios
from typing import TYPE_CHECKING

from rexec.policy.request import bytes_of
from rexec.process.child import Child, NotStarted, enter, why_not
from rexec.process.modes import CHARACTERS, LOCAL, apply_modes, decode_modes

if TYPE_CHECKING:
    from typing import NoReturn

    from rexec.policy.rules import Permit
    from rexec.protocol.frames import Pty

_ERRNO = struct.Struct("!iB")  # errno, and whether the directory is to blame


class Launch:
    """A child between fork and exec: `error` becomes readable when it is known how that went."""

    __slots__ = ("_permit", "_pid", "error", "master")

    def __init__(self, permit: Permit, pid: int, error: int, master: int) -> None:
        self._permit = permit
        self._pid = pid
        self.error = error
        self.master = master

    def finish(self) -> Child | NotStarted:
        """Say how it went, once `error` is readable; it is closed by this."""
        report = os.read(self.error, _ERRNO.size)
        os.close(self.error)
        if not report:
            return Child(self._pid, (self.master,))
        os.close(self.master)
        os.waitpid(self._pid, 0)
        number, is_directory = _ERRNO.unpack(report)
        name = self._permit.cwd if is_directory else self._permit.path
        return why_not(self._permit, OSError(number, os.strerror(number), bytes_of(name)))


def begin(permit: Permit, terminal: Pty) -> Launch | NotStarted:
    """Fork a child that gets a terminal of its own and becomes the permit's program."""
    where = enter(permit)
    if isinstance(where, NotStarted):
        return where
    try:
        master, slave = _open_terminal(terminal)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
    except OSError as error:
        return why_not(permit, error)
    if not pid:
        _become(permit, slave, where, writing)
    for descriptor in (slave, writing, where):
        if descriptor >= 0:
            os.close(descriptor)
    return Launch(permit, pid, reading, master)


def _open_terminal(terminal: Pty) -> tuple[int, int]:
    """Return both ends of a new terminal with the size and modes of the client's."""
    master, slave = os.openpty()  # neither is inherited (PEP 446)
    set_size(master, terminal.columns, terminal.rows, terminal.width, terminal.height)
    if terminal.modes:
        attributes = apply_modes(termios.tcgetattr(slave), decode_modes(terminal.modes))
        try:
            termios.tcsetattr(slave, termios.TCSANOW, attributes)
        except termios.error:
            pass  # modes that no terminal has: it keeps the usual ones
    return master, slave


def set_size(terminal: int, columns: int, rows: int, width: int = 0, height: int = 0) -> None:
    """Set the size of a terminal; its foreground group gets SIGWINCH where it changed (tty_ioctl(4))."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))


def eof_character(terminal: int) -> bytes:
    """Return what a person would type for the end of input; nothing where the program reads raw."""
    attributes = termios.tcgetattr(terminal)
    is_canonical = attributes[LOCAL] & termios.ICANON
    return bytes(attributes[CHARACTERS][termios.VEOF]) if is_canonical else b""


def _become(permit: Permit, slave: int, where: int, writing: int) -> NoReturn:
    """Turn the forked child into the program, or report why not and exit."""
    blame = 0
    try:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in (0, 1, 2):
            os.dup2(slave, number, inheritable=True)
        _default_signals()
        os.umask(permit.umask)
        blame = 1
        if where >= 0:
            os.fchdir(where)
        else:
            os.chdir(bytes_of(permit.cwd))
        blame = 0
        _close_rest(writing)
        environment = {bytes_of(name): bytes_of(value) for name, value in permit.env}
        argv = [bytes_of(word) for word in permit.argv]
        os.execve(bytes_of(permit.path), argv, environment)  # noqa: S606 - the permit's own program
    except OSError as error:
        os.write(writing, _ERRNO.pack(error.errno or errno.EIO, blame))
    finally:
        os._exit(255)


def _default_signals() -> None:
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _close_rest(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, max(kept + 2, os.sysconf("SC_OPEN_MAX")))

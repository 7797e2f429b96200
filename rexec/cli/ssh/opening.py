"""Opening a connection for several commands: this process authenticates, a child of it keeps it.

The child is the master. It gives up the terminal, the directory and every descriptor of its parent,
which then hands its own command over as any other guest does.
"""

from __future__ import annotations

import gc
import os

from rexec.cli.oneshot import connect_to
from rexec.cli.output import say
from rexec.cli.signals import Signals
from rexec.cli.ssh import shared
from rexec.cli.ssh.direct import Direct, line_of
from rexec.client.door import Listener
from rexec.client.master import Master
from rexec.client.sharing import Line, Unreachable, pair
from rexec.errors import RexecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.cli.ssh.settings import Settings
    from rexec.client.config import Target
    from rexec.client.session import Session

_AT_ONCE = -1.0  # ends with its last command
_SAID_MAX = 64 * 1024  # bytes of a program's last words


def run(settings: Settings, path: str) -> int:
    """Connect, leave a master behind, and run the command by it; return the exit code."""
    line = line_of(settings)
    assert line.target is not None

    def tell(text: str) -> None:
        if not line.quiet:
            say(shared.PROGRAM, text)

    session = _connected(line.target, tell)
    try:
        listener = Listener(path)
    except Unreachable as error:
        tell(f"the connection is not shared: {error}")
        if not line.command:
            session.close()
            return shared.FAILED
        shot = Direct(line, settings)
        shot.session = session
        return shot.run()
    ours = _leave_master(settings, session, listener)
    if settings.no_command:
        return 0 if settings.background else _wait(ours)
    code = shared.visit(settings, ours)
    return Direct(line, settings).run() if code is None else code


def _connected(target: Target, tell: Callable[[str], None]) -> Session:
    """Connect. A program that carries the connection outlives us, so that our stderr is not for it."""

    def told(text: str, is_good: bool) -> None:
        tell(f"{target.name}: {text}")

    if target.via is None:
        return connect_to(target, tell, told=told)
    said = target.via.stderr = os.memfd_create("stderr", os.MFD_CLOEXEC)
    try:
        return connect_to(target, tell, told=told)
    except RexecError:
        os.write(2, os.pread(said, _SAID_MAX, 0))
        raise


def _leave_master(settings: Settings, session: Session, listener: Listener) -> Line:
    """Fork the master; return our conversation with it."""
    ours, theirs = pair()
    if os.fork() == 0:
        code = 1
        try:
            _be_master(settings, session, listener, theirs)
            code = 0
        except BaseException:  # nobody is there to be told
            code = 1
        finally:
            os._exit(code)
    theirs.close()
    listener.socket.close()
    session.wire.leave()
    return ours


def _be_master(settings: Settings, session: Session, listener: Listener, first: Line) -> None:
    gc.freeze()  # what is here stays
    gc.enable()
    os.setsid()
    os.chdir("/")
    _keep_only(session.wire.fileno(), listener.fileno(), first.fileno())
    persist = settings.persist
    if settings.no_command and settings.background and persist in (None, _AT_ONCE):
        persist = 0.0
    master = Master(session, listener, _AT_ONCE if persist is None else persist)
    if settings.no_command and settings.background:
        first.close()
    else:
        first.socket.setblocking(False)
        master.admit(first)
    signals = Signals()
    signals.catch()
    session.wakeup = signals.descriptor

    def wakeup() -> None:
        signals.forward(lambda _: None, lambda: None)
        master.ended |= signals.last is not None

    master.serve(wakeup)


def _keep_only(*kept: int) -> None:
    """Close every descriptor of the parent but these; what is read and written here is nothing."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:
                pass  # that of the listing


def _wait(line: Line) -> int:
    """Wait until the master ends."""
    while line.hear()[0]:
        pass
    return 0

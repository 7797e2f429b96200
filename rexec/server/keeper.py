"""The keeper: the runner's parent, which ends what a runner that died leaves behind, and starts a successor.

The listener could not: it may be another user by then, and its fence lets it signal nobody. When the
runner dies by itself, its children and every orphan below them come to the nearest subreaper above
(prctl(2)), which is this process. It holds nothing but stderr and the line on which the listener asks for
a successor (`successor`), and does nothing else.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from rexec.process.orphans import become_subreaper, children_by_parent
from rexec.server.successor import attend_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import NoReturn

    from rexec.server.successor import Succession


def keep(
    end: socket.socket,
    be_runner: Callable[[], NoReturn],
    succession: Succession,
    wardens: Callable[[], set[int]],
) -> NoReturn:
    """Fork the runner, which alone keeps `end`, wait for it, and never return.

    `wardens` names those who look after detached commands: they are not ended with what is left behind.
    """
    code = 1
    try:
        _settle()
        runner = os.fork()
        if not runner:
            succession.close()
            be_runner()
        end.close()  # or the listener would never see the runner's end go
        os.closerange(3, succession.fileno())
        os.closerange(succession.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        attend_until(runner, succession)
        code = _outlive(runner, lambda: wardens() | {succession.pid})
    finally:
        os._exit(code)


def _settle() -> None:
    """Leave the terminal and its signals to the listener, and become the parent of orphans."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    become_subreaper()


def _outlive(runner: int, spared: Callable[[], set[int]]) -> int:
    """Reap the runner; where it did not end in order, end all that was below it but those to be spared."""
    _, status = os.waitpid(runner, 0)
    code = os.waitstatus_to_exitcode(status)
    while code and _kill_children(spared()):
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    return 1 if code else 0


def _kill_children(spared: set[int]) -> bool:
    """Kill every child but some; False where none is left that can be.

    Whose parent was killed comes here next.
    """
    reached = False
    for pid in set(children_by_parent(os.getpid())) - spared:
        try:
            os.kill(pid, signal.SIGKILL)
            reached = True
        except PermissionError:
            pass  # somebody else by a set-uid program
    return reached

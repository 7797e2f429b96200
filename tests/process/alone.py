"""Tests that make a process the parent of orphans: in one of their own, since ours has children to spare."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

from rexec.process.orphans import become_subreaper, children_by_parent


def alone(test: Callable[[], None]) -> None:
    """Run a test in a process that is a subreaper and has no children."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            become_subreaper()
            test()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            try:
                _end_all()
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _end_all() -> None:
    """Leave nobody behind, whatever went wrong."""
    try:
        while True:
            for child in children_by_parent(os.getpid()):
                os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def spawn(*below: Callable[[], None], session: bool = True) -> int:
    """Fork a child that does what it is told and ends; return its pid."""
    pid = os.fork()
    if not pid:
        try:
            if session:
                os.setsid()
            for action in below:
                action()
        finally:
            os._exit(0)
    return pid

"""The runner's end of a fence that a reporter answers for: what it tells, and that it may be gone.

A reporter has the account of the program, so what it says is believed no more than the program itself.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import struct

from rexec.limits import ESCAPES_AT_ONCE
from rexec.policy.request import text_of
from rexec.process.orphans import NOBODY, mark_of
from rexec.process.questions import open_memory
from rexec.process.starts import Escape
from rexec.text import neutral

ACTS = ("", "read", "write", "make", "remove", "rename", "link", "start")
OPTIONS = ("confine", "noexec", "exec-only", "net none")
# what a message is: the reporter is there, tells something, wants to see the memory of a process, is done
HERE, TOLD, ASKS, OVER = b"h", b"t", b"a", b"o"
REPORT = struct.Struct("=cIBB")  # kind, pid, option, act; the path behind it
COUNT = struct.Struct("=Q")  # of attempts that were not told, in the shared memory
MESSAGE_MAX = 8192  # bytes
_HIGHEST = 1 << 40  # attempts that anybody believes


class Reports:
    """What one reporter tells: `fd` is readable while there is something, or when it has gone."""

    def __init__(self, line: socket.socket) -> None:
        self.reporter = 0  # its pid, once it is there
        self.shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._line = line
        self._is_open = True
        self._is_over = False
        self._poll = select.epoll()
        self._poll.register(line, select.EPOLLIN)
        self.fd = self._poll.fileno()

    @property
    def untold(self) -> int:
        """How many attempts there were besides those that were told."""
        return min(int(COUNT.unpack_from(self.shared)[0]), _HIGHEST)

    def expect(self, pid: int) -> None:
        """Do nothing: the reporter knows which process is to become the program."""

    def close(self) -> None:
        """Hear no more; a reporter that goes on looks at nothing from then on."""
        self._poll.close()
        self._line.close()
        self.shared.close()

    def attend(self) -> list[Escape]:
        """Take what was told, up to a bound."""
        escapes: list[Escape] = []
        for _ in range(ESCAPES_AT_ONCE if self._is_open else 0):
            try:
                data = self._line.recv(MESSAGE_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                escapes += self._lose()
                break
            if len(data) >= REPORT.size:
                escapes += self._take(data)
        return escapes

    def _take(self, data: bytes) -> list[Escape]:
        kind, pid, option, act = REPORT.unpack_from(data)
        if kind == HERE and not self.reporter:
            self.reporter = pid
        elif kind == ASKS:
            self._lend(pid)
        elif kind == OVER:
            self._is_over = True
        elif kind == TOLD and option < len(OPTIONS) and act < len(ACTS):
            path = neutral(text_of(data[REPORT.size :]))
            return [Escape(pid, path, OPTIONS[option], ACTS[act])]
        return []

    def _lend(self, pid: int) -> None:
        """Answer with the memory of a process, if it is one of the command, of which the reporter is, too."""
        memory = open_memory(pid)
        try:
            mark = mark_of(self.reporter) if self.reporter else NOBODY
            is_ours = memory >= 0 and mark_of(pid) == mark != NOBODY
            lent = [memory] if is_ours else []
            socket.send_fds(self._line, [ASKS], lent, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it is gone
        finally:
            if memory >= 0:
                os.close(memory)

    def _lose(self) -> list[Escape]:
        """Note that the reporter is gone, which it may be only when nobody is left behind the fence."""
        self._is_open = False
        self._poll.unregister(self._line)
        return [] if self._is_over or not self.reporter else [Escape(self.reporter, "", "confine")]

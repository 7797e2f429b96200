"""What a fenced program asks the kernel for, answered by the runner (seccomp_unotify(2)).

The first start of a program is the permit's own: the process that asks has run nothing but our code.
Every later one is refused and not looked at by the kernel again, so that nothing can be changed between
our look and the kernel's; the path is read for the record alone, by a child: a program can put it where
reading does not end. Which ones are let through with `exec-only` says `process.starts`.
"""

from __future__ import annotations

import os
import select
import socket

from rexec.limits import ESCAPE_PATIENCE, ESCAPES_AT_ONCE
from rexec.policy.request import text_of
from rexec.process import questions
from rexec.process.account import become, is_ours
from rexec.process.bounded import answer_within
from rexec.process.starts import REFUSED, Starts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.rules import Permit
    from rexec.process.questions import Asked
    from rexec.process.starts import Escape


class Watch:
    """The runner's end of a fence: `fd` is readable while somebody waits for an answer.

    It begins before the filter exists: `handover` is the end of a socket by which the listener comes.
    """

    reporter = 0  # nobody but the runner answers
    shared = None
    untold = 0

    def __init__(self, permit: Permit, handover: socket.socket) -> None:
        self._account = permit.account if permit.grant.run_as is not None else None
        self._starts = Starts(permit.fence)
        self._memory = questions.Memory()
        self._is_patient = True
        self._handover: socket.socket | None = handover
        self._listener = -1
        self._pid = 0  # of the process that may start the first program; 0: it has
        self._poll = select.epoll()
        self._poll.register(handover, select.EPOLLIN)
        self.fd = self._poll.fileno()

    def expect(self, pid: int) -> None:
        """Note which process is to become the permit's program."""
        self._pid = pid

    def close(self) -> None:
        """Stop answering: whatever still lives behind the fence can start nothing any more."""
        self._drop_handover()
        self._drop_listener()
        self._poll.close()

    def attend(self) -> list[Escape]:
        """Answer those who wait, up to a bound; return what was refused."""
        escapes: list[Escape] = []
        for _ in range(ESCAPES_AT_ONCE):
            ready = self._poll.poll(0)
            if not ready:
                break
            descriptor, events = ready[0]
            if descriptor != self._listener:
                self._take_listener()
            elif events & select.EPOLLIN:
                escapes += self._answer()
            else:  # EPOLLHUP: nobody is left behind the fence
                self._drop_listener()
        return escapes

    def _take_listener(self) -> None:
        assert self._handover is not None
        _, passed, _, _ = socket.recv_fds(self._handover, 1, 1, socket.MSG_CMSG_CLOEXEC)
        self._drop_handover()
        if passed:
            (self._listener,) = passed
            self._poll.register(self._listener, select.EPOLLIN)

    def _drop_handover(self) -> None:
        if self._handover is not None:
            self._poll.unregister(self._handover)
            self._handover.close()
            self._handover = None

    def _drop_listener(self) -> None:
        if self._listener >= 0:
            self._poll.unregister(self._listener)
            os.close(self._listener)
            self._listener = -1

    # --- one call -----------------------------------------------------------------------------

    def _answer(self) -> list[Escape]:
        asked = questions.receive(self._listener)
        if asked is None:
            return []
        if self._is_first(asked):
            questions.answer(self._listener, asked, 0)
            return []
        error, escape = self._starts.decide(asked, self._look_up)
        questions.answer(self._listener, asked, error)
        return [escape] if escape is not None else []

    def _is_first(self, asked: Asked) -> bool:
        """Tell whether this is the start of the permit's program, which is spent by it."""
        if asked.pid != self._pid or not self._starts.is_start(asked):
            return False
        self._pid = 0
        return True

    def _look_up(self, asked: Asked, address: int) -> tuple[bytes, bytes]:
        """Ask what is named there; a memory or a disk that does not answer is asked no more."""
        if not self._is_patient:
            return REFUSED, b""
        self._memory.lend(asked.pid)
        found = answer_within(ESCAPE_PATIENCE, lambda: self._name_at(asked, address))
        self._memory.forget()
        if found is None:
            self._is_patient = False
            return REFUSED, b""
        return found[:1], found[1:]

    def _name_at(self, asked: Asked, address: int) -> bytes:
        """Return the verdict on a name in the memory of a process, and the name. Runs in a child."""
        try:
            name = self._memory.word(asked.pid, address)
        except OSError:
            return REFUSED
        if not questions.is_waiting(self._listener, asked):  # its number may be another's by now
            return REFUSED
        if self._account is not None and not is_ours(self._account):
            become(self._account)  # what is there, it may learn by its own rights alone
        return self._starts.verdict(text_of(name)) + name

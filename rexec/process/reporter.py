"""A process beside a confined command that hears of every file which is named, and tells of those refused.

It decides nothing about files: each such call is let through, and Landlock alone refuses it. So nothing
is weakened by a program that changes a name after it was read. What else a rule with `confine` asks about,
starts of programs and sockets, is decided here as the runner would.

It is forked by the child that becomes the program, as its account and behind the same rules of Landlock;
the program then goes behind them once more, and can neither trace it nor, from version 6 on, signal it. It
holds nothing but the listener and a line to the runner. It ends when nobody is left behind the fence. When
it is killed, the kernel answers every call that it would be asked about with ENOSYS: nothing is opened.

A second thread waits: a memory or a disk that does not answer holds up the first one, and with it all who
ask. Then the second one lets through what waits, and all that comes later, without a look.
"""

from __future__ import annotations

import _thread
import errno
import gc
import os
import select
import signal
import socket

from rexec.limits import ESCAPES_TOLD, REPORT_PATIENCE
from rexec.policy.request import bytes_of, text_of
from rexec.process import questions
from rexec.process.abi import native, process_control
from rexec.process.descriptors import close_all_but
from rexec.process.filecalls import by_number, column
from rexec.process.reports import ACTS, ASKS, COUNT, HERE, OPTIONS, OVER, REPORT, TOLD
from rexec.process.starts import REFUSED, Escape, Starts
from rexec.process.trespass import Judge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import NoReturn

    from rexec.policy.grant import Fence
    from rexec.process.become import Line
    from rexec.process.bounds import Bounds
    from rexec.process.questions import Asked

TASKS = 2  # threads: what a reporter adds to the processes of an account
_NOT_DUMPABLE = 4  # PR_SET_DUMPABLE, with 0: nobody of this account reads its memory
_DEAF_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE)
_HIDDEN = (errno.EPERM, errno.EACCES)
# What the program hears as well, or that it is gone: nothing is wrong with us.
_ANSWERS = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EFAULT),
    *(errno.EINVAL, errno.EBADF, errno.ESRCH, errno.EXDEV, errno.EISDIR, errno.ENXIO, errno.E2BIG),
)
_UNSEEN = Escape(0, "", "confine")


def begin(fence: Fence, bounds: Bounds, line: Line) -> int:
    """Fork the reporter of this process, as an orphan; return the socket by which it takes the listener."""
    ours, theirs = socket.socketpair()
    program = os.getpid()
    with theirs:
        pid = os.fork()
        if not pid:
            _be_orphan(fence, bounds, line, theirs, program)
        _, status = os.waitpid(pid, 0)
    if status:
        ours.close()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    os.close(line.runner)
    return ours.detach()


def _be_orphan(fence: Fence, bounds: Bounds, line: Line, handover: socket.socket, program: int) -> NoReturn:
    """Fork once more, so that the program has no child that it does not know."""
    code = 1
    try:
        if not os.fork():
            _settle(line.runner, handover.fileno())
            word, passed, _, _ = socket.recv_fds(handover, 1, 1, socket.MSG_CMSG_CLOEXEC)
            handover.close()
            if passed:
                assert line.shared is not None
                Reporter(fence, bounds, passed[0], line.runner, line.shared, program).run()
            if word:  # there is a listener already, which is not ours
                os.write(line.runner, REPORT.pack(TOLD, 0, 0, 0))
        code = 0
    finally:
        os._exit(code)


def _settle(*kept: int) -> None:
    """Leave the command: its session, its streams, its directory, and the signals that are meant for it."""
    os.setsid()
    os.chdir("/")
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    process_control(_NOT_DUMPABLE, 0)
    close_all_but(0, kept)
    gc.disable()


class Reporter:
    """Answers whoever is behind the fence, until nobody is."""

    def __init__(
        self, fence: Fence, bounds: Bounds, listener: int, line: int, shared: mmap, program: int
    ) -> None:
        self._starts = Starts(fence)
        self._memory = questions.Memory(self._borrow)
        self._judge = Judge(bounds, self._memory)
        abi = native()
        assert abi is not None
        self._arch = abi.arch
        self._looked_at = frozenset(by_number(column())) - {abi.execve, abi.execveat}
        self._listener = listener
        self._line = socket.socket(fileno=line)
        self._shared = shared
        self._program = program  # which may start the first program; 0: it has
        self._told = 0
        self._known: set[Escape] = set()  # of files, that were told
        self._asked: Asked | None = None  # that waits for us
        self._is_blind = False
        self._is_replaced = False

    def run(self) -> NoReturn:
        self._send(HERE, os.getpid())
        questions.switch_at_once(self._listener)
        _thread.start_new_thread(self._stand_by, ())
        while not self._is_replaced:
            self._serve()
        while True:  # the other thread ends the process
            signal.pause()

    def _serve(self) -> None:
        asked = questions.receive(self._listener)
        if asked is None:
            return
        self._asked = asked
        error = self._attend(asked)
        if not self._is_replaced:
            questions.answer(self._listener, asked, error)
            self._asked = None

    def _attend(self, asked: Asked) -> int:
        """Tell of a call what there is to tell; return what it is refused with, or 0."""
        error = 0
        if asked.number not in self._looked_at or asked.arch != self._arch:
            if self._is_first(asked):
                return 0
            error = self._starts.error(asked)
        try:
            if error:
                error, escape = self._starts.decide(asked, self._look_up)
            else:
                escape = None if self._is_blind else self._look_at(asked)
        except Exception:  # what a program can bring about must not end this
            escape = _UNSEEN
        if escape is not None and questions.is_waiting(self._listener, asked):
            self._tell(escape)
        if asked.number not in self._looked_at:  # it has another memory soon
            self._memory.forget()
        return error

    def _is_first(self, asked: Asked) -> bool:
        """Tell whether this is the start of the permit's program, which is spent by it."""
        if asked.pid != self._program or not self._starts.is_start(asked):
            return False
        self._program = 0
        return True

    def _look_at(self, asked: Asked) -> Escape | None:
        """Judge a call that names files; what cannot be found, or was not there, is none."""
        try:
            found = self._judge.judge(asked)
        except OSError as error:
            is_seen = error.errno in _ANSWERS and not (error.errno in _HIDDEN and self._hides(asked))
            return None if is_seen else _UNSEEN
        if found is None:
            return None
        return Escape(asked.pid, text_of(found.path), "confine", found.act)

    def _hides(self, asked: Asked) -> bool:
        """Tell whether a process does not let its memory be read."""
        try:
            self._memory.word(asked.pid, 1)
        except OSError as error:
            return error.errno in _HIDDEN
        return False

    def _look_up(self, asked: Asked, address: int) -> tuple[bytes, bytes]:
        """Return the verdict on the name of a program, and the name."""
        if self._is_blind:
            return REFUSED, b""
        try:
            name = self._memory.word(asked.pid, address)
        except OSError:
            return REFUSED, b""
        return self._starts.verdict(text_of(name)), name

    def _borrow(self, pid: int) -> int:
        """Ask the runner for the memory of a process that we may not look at ourselves; -1: nor may it."""
        self._send(ASKS, pid)
        try:
            answer, lent, _, _ = socket.recv_fds(self._line, 1, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return -1
        return lent[0] if answer and lent else -1

    def _tell(self, escape: Escape) -> None:
        """Tell the first attempts, and of files each once; count the others. It is told before the answer."""
        what = escape._replace(pid=0)
        if what in self._known:
            return
        if self._told >= ESCAPES_TOLD and escape.path:
            COUNT.pack_into(self._shared, 0, COUNT.unpack_from(self._shared)[0] + 1)
            return
        self._told += 1
        if escape.option == "confine":
            self._known.add(what)
        self._send(TOLD, escape.pid, escape)

    def _send(self, kind: bytes, pid: int, escape: Escape | None = None) -> None:
        data = REPORT.pack(kind, pid, 0, 0)
        if escape is not None:
            path = bytes_of(escape.path)[: questions.PATH_MAX]
            data = REPORT.pack(kind, pid, OPTIONS.index(escape.option), ACTS.index(escape.act)) + path
        try:
            self._line.send(data, socket.MSG_DONTWAIT)
        except OSError:
            pass  # nobody hears it any more

    # --- the second thread --------------------------------------------------------------------

    def _stand_by(self) -> None:
        """Wait for the end, and for a call that the first thread does not come to answer."""
        poll = select.poll()
        poll.register(self._listener, 0)
        poll.register(self._line, 0)
        last: Asked | None = None
        while True:
            for descriptor, _ in poll.poll(REPORT_PATIENCE * 1000):
                if descriptor == self._listener:
                    self._end()
                poll.unregister(descriptor)
                self._is_blind = True  # whatever may go on when its command has ended is told to nobody
            asked = self._asked
            if asked is not None and asked is last:
                self._take_over(asked)
            last = asked

    def _take_over(self, asked: Asked) -> NoReturn:
        self._is_replaced = self._is_blind = True
        self._tell(_UNSEEN)
        questions.answer(self._listener, asked, self._starts.error(asked))
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            ((_, events),) = poll.poll()
            if not events & select.POLLIN:
                self._end()
            found = questions.receive(self._listener)
            if found is not None:
                questions.answer(self._listener, found, self._attend(found))

    def _end(self) -> NoReturn:
        """End: nobody is left behind the fence."""
        self._send(OVER, 0)
        os._exit(0)

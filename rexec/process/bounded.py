"""Questions whose answer may never come: a file system that does not answer must not stop the runner.

A child of this process asks, and is given up when its time is over. Nothing but a process can be: a
thread that waits for a dead disk waits for ever, and so does everybody who waits for the thread.
"""

from __future__ import annotations

import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_CHUNK = 65_536
_LENGTH = 4  # bytes of the length
_given_up: list[int] = []  # killed, and not dead as long as the disk keeps them


def answer_within(seconds: float, question: Callable[[], bytes]) -> bytes | None:
    """Return what `question` says in a process of its own; None: it failed, or took too long."""
    _bury()
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC)
    except OSError:
        return None
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if not pid:
        _reply(writing, question)
    os.close(writing)
    try:
        data = _read_all(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
    return _checked(data, pid)


def _checked(data: bytes | None, pid: int) -> bytes | None:
    """Return the answer without its length, and see to the end of the child."""
    if data is None:
        os.kill(pid, signal.SIGKILL)
        _given_up.append(pid)
        _bury()
        return None
    os.waitpid(pid, 0)  # it closed its end, so it is about to be dead
    is_whole = len(data) >= _LENGTH and int.from_bytes(data[:_LENGTH]) == len(data) - _LENGTH
    return data[_LENGTH:] if is_whole else None


def _reply(writing: int, question: Callable[[], bytes]) -> NoReturn:
    """Write the answer, its length first: half an answer is none."""
    try:
        answer = question()
        data = len(answer).to_bytes(_LENGTH) + answer
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _read_all(reading: int, deadline: float) -> bytes | None:
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    data = b""
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        piece = os.read(reading, _CHUNK)
        if not piece:
            return data
        data += piece
    return None


def _bury() -> None:
    """Reap those that are dead by now."""
    for pid in _given_up[:]:
        try:
            is_dead = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:  # somebody else did
            is_dead = True
        if is_dead:
            _given_up.remove(pid)

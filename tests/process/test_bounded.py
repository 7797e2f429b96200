"""Questions that may never be answered."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

from rexec.process.bounded import answer_within

CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")


def is_writable(descriptor: int) -> bool:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except OSError:
        return False  # what listed them is closed again


def test_an_answer_of_any_size_comes_whole() -> None:
    for answer in (b"", b"x", b"x" * 1_000_000):
        assert answer_within(60, lambda answer=answer: answer) == answer  # type: ignore[misc]


def test_a_question_that_fails_has_no_answer() -> None:
    assert answer_within(60, lambda: bytes([1 // 0])) is None
    assert answer_within(60, lambda: os.kill(os.getpid(), signal.SIGKILL) or b"") is None


def test_half_an_answer_is_none() -> None:
    before = {*map(int, os.listdir("/proc/self/fd"))}

    def question() -> bytes:
        (mine,) = (n for n in {*map(int, os.listdir("/proc/self/fd"))} - before if is_writable(n))
        os.write(mine, b"\0\0\0\x09abc")
        os._exit(0)

    assert answer_within(60, question) is None


def test_one_that_takes_too_long_is_given_up() -> None:
    """security.md, Processes: "zombies"."""
    before = CHILDREN.read_text()

    def question() -> bytes:
        signal.pause()
        return b""

    assert answer_within(0.0, question) is None
    assert answer_within(60, lambda: b"next") == b"next"
    while CHILDREN.read_text() != before:
        answer_within(60, lambda: b"")


def test_nothing_is_left_open() -> None:
    before = os.listdir("/proc/self/fd")
    answer_within(60, lambda: b"x")
    answer_within(0.0, lambda: b"x")
    assert os.listdir("/proc/self/fd") == before

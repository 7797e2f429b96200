"""The runner's end of a fence: answers, and what can go wrong while somebody waits for one."""

from __future__ import annotations

import os
import select
import signal
import socket
import time

import pytest

from rexec.process import starts, watch
from rexec.process.child import Child
from rexec.process.launch import Launch, begin
from rexec.process.starts import Escape
from rexec.process.watch import Watch
from tests.process.launching import _launched, end, run
from tests.process.test_child import permit_of

PERMIT = permit_of("sh ...\n    noexec\n", "sh", "-c", "while :; do /bin/true; done 2>/dev/null")


def started(permit: object = PERMIT) -> tuple[Launch, Child]:
    launch = begin(permit, None)  # type: ignore[arg-type]
    assert isinstance(launch, Launch)
    child = _launched(launch, [])
    assert isinstance(child, Child)
    return launch, child


def test_an_attempt_reads_as_a_sentence() -> None:
    assert str(Escape(1, "/bin/sh", "noexec")) == "noexec: /bin/sh was not started"
    assert str(Escape(1, "a socket (AF_INET)", "net none")) == "net none: a socket (AF_INET) was not opened"


def test_a_program_that_tries_for_ever_leaves_others_their_turn() -> None:
    """security.md, Processes: "Output flood", as attempts."""
    launch, child = started()
    assert launch.fence is not None
    for _ in range(3):
        assert select.select([launch.fence.fd], [], [], 60)[0]
        assert 1 <= len(launch.fence.attend()) <= 16
    end(child)
    launch.fence.close()


def test_one_that_dies_while_it_waits_is_no_error() -> None:
    launch, child = started()
    assert launch.fence is not None
    assert select.select([launch.fence.fd], [], [], 60)[0]
    end(child)
    while launch.fence.attend() or select.select([launch.fence.fd], [], [], 0)[0]:
        pass
    launch.fence.close()


def test_when_nobody_is_left_it_is_quiet() -> None:
    """A descriptor that stays readable would keep the runner busy for ever."""
    launch, child = started(permit_of("true\n    noexec\n", "true"))
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    end(child)
    assert launch.fence is not None
    assert launch.fence.attend() == []
    assert select.select([launch.fence.fd], [], [], 0)[0] == []
    launch.fence.close()


def test_a_child_that_dies_before_its_fence_stands_is_no_error() -> None:
    mine, other = socket.socketpair()
    watched = Watch(PERMIT, mine)
    other.close()
    assert watched.attend() == []
    assert select.select([watched.fd], [], [], 0)[0] == []
    watched.close()


def test_a_memory_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can put its words where reading them waits for itself."""
    monkeypatch.setattr(watch, "ESCAPE_PATIENCE", 0.01)
    asked: list[int] = []

    def never(self: Watch, asked_: object, address: int) -> bytes:
        time.sleep(600)
        return b""

    def counting(seconds: float, question: object) -> bytes | None:
        asked.append(1)
        return answer(seconds, question)  # type: ignore[arg-type]

    answer = watch.answer_within
    monkeypatch.setattr(watch, "answer_within", counting)
    monkeypatch.setattr(Watch, "_name_at", never)
    found = run("sh ...\n    noexec\n", "sh", "-c", "/bin/true; /bin/true; echo over")
    assert found.out == "over\n"
    assert found.attempts == ["noexec: a program without a name was not started"] * 2
    assert asked == [1]


def test_signals_do_not_disturb_those_who_wait() -> None:
    launch, child = started()
    assert launch.fence is not None
    for _ in range(20):
        child.signal(signal.SIGSTOP)
        child.signal(signal.SIGCONT)
        child.signal(signal.SIGWINCH)
        launch.fence.attend()
    assert not child.is_over()
    end(child)
    launch.fence.close()


def test_a_long_path_is_read_across_pages() -> None:
    name = "/" + "/".join(["x" * 200] * 15)
    found = run("sh ...\n    noexec\n", "sh", "-c", name)
    assert found.attempts == []  # it is not there, and a search goes on
    found = run("sh ...\n    noexec\n", "sh", "-c", "." + name + "; ./" + "y" * 100)
    assert all(attempt.startswith("noexec: ./") for attempt in found.attempts)


def test_families_without_a_name_have_a_number() -> None:
    assert starts._family(2) == "AF_INET"
    assert starts._family(1 << 32 | 200) == "family 200"

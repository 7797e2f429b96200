"""Who a command leaves behind: found by its mark, whatever it does to itself."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
import subprocess
import time
from collections.abc import Callable

import pytest

from rexec.process import orphans
from rexec.process.orphans import (
    Marks,
    Orphanage,
    children_by_parent,
    is_reaped,
    kill_marked,
    mark_of,
    seal,
    sealed,
    send,
)
from tests.process.alone import alone, spawn

FOR_EVER = 1000  # seconds
NOBODY = 65534


def sleep() -> None:
    time.sleep(FOR_EVER)


def test_every_mark_is_new_and_lower() -> None:
    def test() -> None:
        marks = Marks()
        found = [marks.renew() for _ in range(100)]
        assert found == sorted(set(found), reverse=True)
        assert mark_of(os.getpid()) == found[-1]

    alone(test)


def test_two_servers_have_marks_of_their_own() -> None:
    """A server that a command starts makes marks below the command's: they do not meet."""

    def test() -> None:
        ours = Marks()
        mine = ours.renew()
        reading, writing = os.pipe()

        def make() -> None:
            theirs = Marks()
            below = [theirs.renew() for _ in range(1000)]
            os.write(writing, struct.pack("QQ", max(below)[0], min(below)[0]))

        os.waitpid(spawn(make), 0)
        highest, lowest = struct.unpack("QQ", os.read(reading, 16))
        assert highest < mine[0]
        assert not any(lowest <= ours.renew()[0] <= highest for _ in range(1000))

    alone(test)


@pytest.mark.parametrize("limit", [0, 5])
def test_where_the_limit_is_low_marks_end_at_nothing(limit: int) -> None:
    def test() -> None:
        resource.setrlimit(10, (limit, limit))
        marks = Marks()
        assert [marks.renew()[0], marks.renew()[0]] == [0, 0]

    alone(test)


def unprivileged() -> None:
    """Become an account that can raise no limit, as a command of `as` does."""
    if not os.getuid():
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def elsewhere(action: Callable[[], orphans.Mark]) -> orphans.Mark:
    """Return a mark that another process finds, since what falls does not rise again here."""
    reading, writing = os.pipe()
    os.waitpid(spawn(lambda: os.write(writing, struct.pack("qq", *action())) and None), 0)
    first, second = struct.unpack("qq", os.read(reading, 16))
    os.close(reading)
    os.close(writing)
    return first, second


def forged(mark: orphans.Mark, other: orphans.Mark) -> orphans.Mark:
    """What a process bears that was started with one mark and does all it can to bear another."""

    def forge() -> orphans.Mark:
        for wanted in (mark, other):
            for kind, hard in zip((orphans._LOCKS, orphans._RSS), wanted, strict=True):
                with contextlib.suppress(ValueError):
                    resource.setrlimit(kind, (hard, hard))
            unprivileged()
        return mark_of(os.getpid())

    return elsewhere(forge)


def test_no_sealed_mark_can_be_forged_by_another() -> None:
    """security.md, Processes: "double fork and setsid", and the mark of one that may stay: neither that of
    an earlier command nor that of a later one, sealed or not."""

    def test() -> None:
        top = Marks()._last
        plain = [(top - step, resource.RLIM_INFINITY) for step in (10, 20, 30)]
        first, mine, last = (sealed(mark) for mark in plain)
        assert first[0] > mine[0] > last[0]
        assert first[1] < mine[1] < last[1]
        for other in (first, last, *plain):
            assert forged(mine, other) not in {first, last, *plain}
        assert forged(mine, last) == (last[0], mine[1])  # half of it, which is nobody's
        assert forged(mine, mine) == mine

    alone(test)


def test_a_seal_leaves_the_soft_limit_as_it_was_given() -> None:
    """GNU sort sizes its memory by it."""

    def test() -> None:
        mark = Marks().renew()
        resource.setrlimit(orphans._RSS, (1 << 30, mark[1]))
        seal()
        assert resource.getrlimit(orphans._RSS) == (1 << 30, sealed(mark)[1])
        assert mark_of(os.getpid()) == sealed(mark) == orphans._mark_as_listed(os.getpid())

    alone(test)


def test_where_there_is_no_room_a_seal_changes_nothing() -> None:
    """A server that runs as a command, and has a sealed mark itself."""

    def test() -> None:
        unprivileged()
        outer = Marks().renew()
        seal()
        inner = Marks().renew()
        assert inner == (inner[0], sealed(outer)[1])
        seal()
        assert mark_of(os.getpid()) == inner == sealed(inner)

    alone(test)


def test_marks_go_on_where_somebody_lowered_them() -> None:
    """fence.md: a process of the same account may lower the limits of the runner."""

    def test() -> None:
        unprivileged()
        marks = Marks()
        marks.renew()
        resource.setrlimit(orphans._LOCKS, (1 << 20, 1 << 20))
        assert marks.renew()[0] < 1 << 20

    alone(test)


def test_a_mark_is_inherited_whatever_a_process_does() -> None:
    """security.md, Processes: "double fork and setsid to escape the group"."""

    def test() -> None:
        mark = Marks().renew()
        orphanage = Orphanage()
        reading, writing = os.pipe()

        def wiped() -> None:
            os.setsid()
            os.write(writing, b"x")
            os.execve("/bin/sleep", ["x", str(FOR_EVER)], {})

        child = spawn(lambda: spawn(wiped, session=False))
        os.read(reading, 1)
        assert os.waitpid(child, 0)
        (orphan,) = orphanage.orphans(())
        assert mark_of(orphan) == mark
        kill_marked(mark)
        while not is_reaped(orphan):
            os.sched_yield()
        assert orphanage.orphans(()) == []
        orphanage.close()

    alone(test)


def test_only_who_bears_the_mark_is_killed_and_never_we_ourselves() -> None:
    def test() -> None:
        marks = Marks()
        marks.renew()
        other = spawn(sleep)
        mark = marks.renew()
        mine = spawn(sleep)
        kill_marked(mark)  # which this process bears as well
        assert os.waitstatus_to_exitcode(os.waitpid(mine, 0)[1]) == -signal.SIGKILL
        assert not is_reaped(other)
        send(other, signal.SIGKILL)
        os.waitpid(other, 0)

    alone(test)


def test_those_who_are_known_are_no_orphans() -> None:
    def test() -> None:
        orphanage = Orphanage()
        known = spawn(sleep)
        assert orphanage.orphans({known}) == []
        other = spawn(sleep)
        assert orphanage.orphans({known}) == [other]
        assert sorted(orphanage.orphans({})) == sorted((known, other))
        for pid in (known, other):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    alone(test)


def test_a_kernel_without_a_list_of_children_is_asked_for_every_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def test() -> None:
        real = os.open
        monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
        orphanage = Orphanage()
        monkeypatch.setattr(os, "open", real)
        first, second = spawn(sleep), spawn(sleep)
        assert orphanage.orphans({first}) == [second]
        assert sorted(children_by_parent(os.getpid())) == sorted((first, second))
        for pid in (first, second):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        orphanage.close()

    alone(test)


def test_more_orphans_than_one_read_brings_are_all_listed() -> None:
    def test() -> None:
        orphanage = Orphanage()
        words = ["/bin/sleep", str(FOR_EVER)]
        pids = [os.posix_spawn(words[0], words, {}) for _ in range(900)]  # a fork of ours takes 10 ms
        assert sorted(orphanage.orphans({0})) == sorted(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    alone(test)


def test_a_process_that_is_not_there_has_no_mark() -> None:
    with subprocess.Popen(["true"]) as done:
        pass
    assert mark_of(done.pid) == orphans.NOBODY
    assert is_reaped(done.pid)
    send(done.pid, 0)
    assert orphans._mark_as_listed(done.pid) == orphans.NOBODY
    assert orphans._mark_as_listed(os.getpid()) == mark_of(os.getpid())


def test_a_mark_can_be_read_where_the_limit_may_not() -> None:
    """A set-uid program is somebody else, and is still known by the list that proc(5) shows to all."""

    def test() -> None:
        mark = Marks().renew()
        pid = spawn(sleep)
        assert orphans._mark_as_listed(pid) == mark
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    alone(test)

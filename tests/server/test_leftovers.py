"""Whose an orphan is decides when it ends."""

from __future__ import annotations

import os
import resource
import signal
import time

from rexec.process.orphans import mark_of
from rexec.server.leftovers import Leftovers
from tests.process.alone import alone, spawn


def orphan(*actions: object) -> int:
    """Leave a process behind, by a parent that is reaped; return its pid once it does what it is told."""
    reading, writing = os.pipe()

    def stay() -> None:
        for action in actions:
            action()  # type: ignore[operator]
        os.write(writing, os.getpid().to_bytes(4))
        time.sleep(1000)

    parent = spawn(lambda: spawn(stay) and None)
    pid = int.from_bytes(os.read(reading, 4))
    os.waitpid(parent, 0)
    os.close(reading)
    os.close(writing)
    return pid


def ended(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_an_orphan_ends_with_its_command_and_not_with_another() -> None:
    def test() -> None:
        left = Leftovers()
        first = left.mark()
        left.begin(1, first)
        mine = orphan()
        second = left.mark()
        left.begin(2, second)
        other = orphan()
        assert (left.of(first), left.of(second)) == ([mine], [other])
        assert not left.end(first, thoroughly=False)
        assert ended(mine)
        assert left.end(first, thoroughly=False)
        left.forget(1)
        left.look()
        assert left.of(second) == [other]
        assert not left.end(second, thoroughly=True)
        assert ended(other)
        left.forget(2)
        assert not left.is_waiting
        left.close()

    alone(test)


def test_who_bears_nobodys_mark_is_ended_on_sight() -> None:
    """security.md, Processes: "double fork and setsid": the mark lowered, or that of a command long over."""

    def test() -> None:
        left = Leftovers()
        mark = left.mark()
        left.begin(1, mark)
        lowered = orphan(lambda: resource.setrlimit(10, (5, 5)))
        assert mark_of(lowered)[0] == 5
        assert left.of(mark) == [lowered]
        left.look()
        assert ended(lowered)
        late = orphan()
        left.forget(1)
        left.look()
        assert ended(late)

    alone(test)


def test_an_end_never_kills_by_a_mark_that_others_may_bear() -> None:
    """One that takes the mark of the whole system is killed by itself, and nobody with it."""

    def test() -> None:
        witness = spawn(lambda: resource.setrlimit(10, (7, 7)), lambda: time.sleep(1000))
        while mark_of(witness)[0] != 7:
            os.sched_yield()
        left = Leftovers()
        mark = left.mark()
        left.begin(1, mark)
        left.begin(witness, mark_of(witness))
        orphan_of_7 = orphan(lambda: resource.setrlimit(10, (7, 7)))
        left.forget(witness)
        left._leaders[witness] = (0, 0)  # known, but of another mark: 7 is nobody's now
        assert not left.end(mark, thoroughly=True)
        assert ended(orphan_of_7)
        assert os.waitpid(witness, os.WNOHANG) == (0, 0)
        os.kill(witness, signal.SIGKILL)
        os.waitpid(witness, 0)

    alone(test)


def test_who_was_kept_stays_until_it_ends_by_itself() -> None:
    """allow-list.md: `background keep`."""

    def test() -> None:
        left = Leftovers()
        mark = left.mark()
        left.begin(1, mark)
        kept = orphan()
        left.keep(mark)
        left.forget(1)
        left.look()
        assert left.is_waiting
        assert left.of((1, 2)) == []
        os.kill(kept, signal.SIGTERM)
        while left.is_waiting:
            left.look()

    alone(test)


def test_a_whole_family_is_found_though_only_its_head_is_an_orphan() -> None:
    """security.md, Processes: "Fork bomb": no parent is left to fork another when its children die."""

    def test() -> None:
        left = Leftovers()
        mark = left.mark()
        left.begin(1, mark)

        def grow() -> None:
            for _ in range(20):
                spawn(lambda: time.sleep(1000))

        orphan(grow)
        rounds = 0
        while not left.end(mark, thoroughly=True):
            rounds += 1
        assert rounds < 1000
        assert left.of(mark) == []

    alone(test)


def test_one_that_forks_and_dies_for_ever_is_caught() -> None:
    """security.md, Processes: "Fork bomb, double fork and setsid to escape the group"."""

    def test() -> None:
        left = Leftovers()
        mark = left.mark()
        left.begin(1, mark)

        def hop() -> None:
            for _ in range(100_000):  # should it ever get away
                if os.fork():
                    os._exit(0)

        spawn(hop)
        while not left.of(mark):
            os.sched_yield()
        while not left.end(mark, thoroughly=True):
            os.sched_yield()

    alone(test)

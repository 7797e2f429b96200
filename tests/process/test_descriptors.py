"""The runner may have as many descriptors as it can; its children get the limit that it was given."""

from __future__ import annotations

import os
import resource
import subprocess

from rexec.process.descriptors import AsGiven, close_all_but
from tests.process.alone import alone

SOFT = 64


def limited() -> AsGiven:
    """Raise the limit of a process that was given little."""
    close_all_but(3, ())  # however many the tests before have open
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard))
    made = AsGiven()
    made.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    return made


def test_a_child_gets_what_was_given() -> None:
    """security.md, Environment and inheritance: what is the server's own does not reach a child."""

    def test() -> None:
        as_given = limited()
        for _ in range(3):
            with as_given, subprocess.Popen(["sh", "-c", f"test $(ulimit -S -n) = {SOFT}"]) as child:
                pass
            assert child.returncode == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > SOFT

    alone(test)


def test_a_child_starts_where_more_are_open_than_it_may_have() -> None:
    """security.md, Processes: descriptors; a thousand commands at once need more than the usual limit."""

    def test() -> None:
        as_given = limited()
        many = [os.dup(2) for _ in range(2 * SOFT)]
        for _ in range(3):
            with as_given, subprocess.Popen(["true"]) as child:
                pass
            assert child.returncode == 0
        for descriptor in many:
            os.close(descriptor)

    alone(test)


def test_a_forked_child_can_go_back_by_itself() -> None:
    def test() -> None:
        limited().restore()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == SOFT

    alone(test)


def test_where_there_is_nothing_to_raise_nothing_is_done() -> None:
    def test() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        as_given = AsGiven()
        as_given.raise_limit()
        with as_given:
            assert as_given.given is None
        as_given.restore()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)

    alone(test)


def test_without_a_free_descriptor_a_start_that_ran_is_not_lost() -> None:
    """security.md, Processes: "EMFILE": the limit is there again, and the next start says that it is full."""

    def test() -> None:
        as_given = limited()
        as_given._status = (0, as_given._status[1])  # nothing more can be opened
        with as_given:
            pass
        assert as_given._spare == ()
        with as_given, subprocess.Popen(["true"]) as child:
            pass
        assert child.returncode == 0
        as_given.restore()

    alone(test)

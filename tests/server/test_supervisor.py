"""The commands that run: their exits, and the end of all that belongs to them, in order."""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Iterator

import pytest

from rexec.audit.log import Log
from rexec.policy.decide import decide
from rexec.policy.parse import parse
from rexec.policy.request import Request
from rexec.policy.rules import Permit
from rexec.process.child import Child, start
from rexec.protocol.frames import Cause
from rexec.server.disk import LocalDisk
from rexec.server.orders import Drained, Ended, Message, Over
from rexec.server.supervisor import Job, Supervisor


class FakeLink:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        self.sent.append(message)

    def ended(self) -> Ended:
        (last,) = [message for message in self.sent if isinstance(message, Ended)]
        return last


class Stage:
    """A supervisor, a link that only listens, and the commands of one test."""

    def __init__(self) -> None:
        self.link = FakeLink()
        self.selector = selectors.DefaultSelector()
        self.null = os.open("/dev/null", os.O_WRONLY)
        self.jobs = Supervisor(self.selector, self.link, Log(self.null))  # type: ignore[arg-type]
        self.children: list[Child] = []

    def begin(self, script: str, rules: str = "sh ...\n", **asked: object) -> Child:
        request = Request(  # type: ignore[arg-type]
            user="alice", groups=frozenset(), words=("sh", "-c", script), peer="", connection="", now=0.0,
            pty_allowed=True, stdin=False, **asked,
        )  # fmt: skip
        permit = decide(parse(rules, "cmds.txt", LocalDisk()), request)
        assert isinstance(permit, Permit), permit
        child = start(permit)
        assert isinstance(child, Child), child
        self.children.append(child)
        self.jobs.begin(Job(len(self.children), child, permit, "alice"))
        return child

    def run(self, *, until: type[Message]) -> None:
        """Do what the runner's loop does, until a report of this kind."""
        while not any(isinstance(message, until) for message in self.link.sent):
            for key, _ in self.selector.select(self.jobs.wait()):
                self.jobs.exited(key.data)
            self.jobs.fire()

    def close(self) -> None:
        self.jobs.end_all(Cause.LOST)
        while len(self.jobs):
            for key, _ in self.selector.select(self.jobs.wait()):
                self.jobs.exited(key.data)
            self.jobs.fire()
        for child in self.children:
            for descriptor in child.streams:
                os.close(descriptor)
        self.selector.close()
        os.close(self.null)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def test_an_exit_is_reported_once_its_output_is_drained(stage: Stage) -> None:
    """protocol.md 8: exit noticed, pipes at their end, group killed, reaped, reported."""
    stage.begin("exit 7")
    stage.run(until=Over)
    assert [type(message) for message in stage.link.sent] == [Over]
    stage.jobs.drained(Drained(1, 0, 0))
    assert (stage.link.ended().cause, stage.link.ended().status) == (Cause.EXITED, 7)
    stage.jobs.drained(Drained(1, 0, 0))  # late, and of nobody
    stage.jobs.end(1, Cause.LOST)
    stage.jobs.signal(1, "TERM")
    assert len(stage.jobs) == 0


def test_output_that_is_drained_before_the_exit_waits_for_it(stage: Stage) -> None:
    child = stage.begin("exec >&- 2>&-; read x < /dev/null; sleep 100")
    stage.jobs.drained(Drained(1, 3, 4))
    assert stage.link.sent == []
    child.signal(signal.SIGUSR1)
    stage.run(until=Ended)
    assert (stage.link.ended().cause, stage.link.ended().signal) == (Cause.SIGNALLED, "USR1")


def test_only_known_signals_are_forwarded(stage: Stage) -> None:
    stage.begin("sleep 100")
    for name in ("", "SEGV", "_DFL", "SIGTERM", "9", "RTMIN+1"):
        stage.jobs.signal(1, name)
    stage.jobs.signal(1, "USR2")
    stage.jobs.drained(Drained(1, 0, 0))
    stage.run(until=Ended)
    assert stage.link.ended().signal == "USR2"


def test_a_timeout_ends_the_group(stage: Stage) -> None:
    stage.begin("sleep 100 & sleep 100", timeout=0.05)
    stage.jobs.drained(Drained(1, 0, 0))
    stage.run(until=Ended)
    assert stage.link.ended().cause is Cause.TIMEOUT
    assert not stage.children[0].has_company()


def test_who_ignores_term_or_is_stopped_is_killed(stage: Stage) -> None:
    """security.md, Processes: "a child that ignores TERM or stops itself"."""
    child = stage.begin("trap '' TERM; echo; kill -STOP $$; while :; do sleep 1; done")
    os.read(child.streams[0], 1)
    stage.jobs.end(1, Cause.LOST)
    stage.jobs.end(1, Cause.DRAINED)  # the first reason stays
    stage.jobs.drained(Drained(1, 0, 0))
    stage.run(until=Ended)
    assert (stage.link.ended().cause, stage.link.ended().signal) == (Cause.LOST, "KILL")


def test_who_is_left_of_a_group_goes_with_its_leader(stage: Stage) -> None:
    """cli.md: "`nohup x &` does not outlive its command"."""
    child = stage.begin("sleep 100 & echo")
    os.read(child.streams[0], 1)
    stage.run(until=Over)
    stage.jobs.drained(Drained(1, 0, 0))
    assert stage.link.ended().status == 0
    while child.has_company():
        os.sched_yield()


def test_nobody_is_told_where_nobody_listens(stage: Stage) -> None:
    """architecture.md: when the listener goes away, everything it asked for is ended."""
    stage.begin("sleep 100")
    stage.begin("exit 0")
    stage.jobs.listening = False
    stage.jobs.end_all(Cause.LOST)
    while len(stage.jobs):
        for key, _ in stage.selector.select(stage.jobs.wait()):
            stage.jobs.exited(key.data)
        stage.jobs.fire()
    assert stage.link.sent == []

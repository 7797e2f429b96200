"""The commands that run: their exits, and the end of all that belongs to them, in order."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Iterator

import pytest

from rexec.audit.log import Log
from rexec.policy.decide import decide
from rexec.policy.parse import parse
from rexec.policy.request import Request
from rexec.policy.rules import Permit
from rexec.process.child import Child, start
from rexec.protocol.frames import Cause
from rexec.server import supervisor
from rexec.server.disk import LocalDisk
from rexec.server.evidence import Evidence
from rexec.server.orders import Drained, Ended, Message, Over
from rexec.server.starting import Pending
from rexec.server.supervisor import Job, Supervisor
from rexec.server.tally import Tally
from rexec.server.ticket import NO_TICKET
from tests.regress.conftest import processes_of, wait_until


class FakeLink:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message, descriptors: tuple[int, ...] = (), *, hurry: bool = True) -> None:
        self.sent.append(message)

    def ended(self) -> Ended:
        (last,) = [message for message in self.sent if isinstance(message, Ended)]
        return last


class FakeLeftovers:
    """Nobody is an orphan here; those are looked after in tests of their own."""

    def __init__(self) -> None:
        self.orphans: list[int] = []
        self.kept: list[int] = []
        self.leaders: list[int] = []
        self.looks = 0
        self.thorough: list[bool] = []

    def begin(self, pid: int, mark: int) -> None:
        self.leaders.append(pid)

    def forget(self, pid: int) -> None:
        self.leaders.remove(pid)

    def keep(self, mark: int) -> None:
        self.kept.append(mark)

    @property
    def is_waiting(self) -> bool:
        return bool(self.leaders)

    def of(self, mark: int) -> list[int]:
        return self.orphans

    def end(self, mark: int, *, thoroughly: bool) -> bool:
        self.thorough.append(thoroughly)
        return not self.orphans

    def look(self) -> None:
        self.looks += 1


class Stage:
    """A supervisor, a link that only listens, and the commands of one test."""

    def __init__(self) -> None:
        self.link = FakeLink()
        self.selector = selectors.DefaultSelector()
        self.null = os.open("/dev/null", os.O_WRONLY)
        self.leftovers = FakeLeftovers()
        self.tally = Tally()
        log = Log(self.null)
        self.jobs = Supervisor(
            self.selector,
            self.link,
            log,
            Evidence(None, log),
            self.leftovers,
            self.tally,  # type: ignore[arg-type]
        )
        self.children: list[Child] = []
        self.permits: list[Permit] = []

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
        self.permits.append(permit)
        self.jobs.begin(Job(Pending(len(self.children), "alice", permit, NO_TICKET, 77), child))
        return child

    def run(self, *, until: type[Message]) -> None:
        """Do what the runner's loop does, until a report of this kind."""
        while not any(isinstance(message, until) for message in self.link.sent):
            self.turn()

    def turn(self) -> None:
        for key, _ in self.selector.select(self.jobs.wait()):
            self.jobs.exited(key.data)
        self.jobs.fire()

    def close(self) -> None:
        self.leftovers.orphans = []
        self.jobs.end_all(Cause.LOST)
        while len(self.jobs):
            self.turn()
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


def test_an_exit_that_the_listener_sees_by_itself_is_not_told(stage: Stage) -> None:
    child = stage.begin("exit 3")
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    for key, _ in stage.selector.select(0):
        stage.jobs.exited(key.data)
    stage.jobs.drained(Drained(1, 0, 0))
    assert stage.jobs.wait() is None
    stage.jobs.fire()
    assert [type(message) for message in stage.link.sent] == [Ended]


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


def test_too_much_output_is_the_end_of_one_that_had_ended_by_itself_too(stage: Stage) -> None:
    """cli.md: "Output that did not arrive whole is never a success": it was in the pipe when it exited."""
    for number, cause, told in (
        (1, Cause.OUTPUT_LIMIT, Cause.OUTPUT_LIMIT),
        (2, Cause.LOST, Cause.EXITED),  # whole all the same
    ):
        stage.begin("exit 3")
        stage.run(until=Over)
        stage.jobs.end(number, cause)
        stage.jobs.drained(Drained(number, 9, 0))
        stage.run(until=Ended)
        assert (stage.link.ended().cause, stage.link.ended().status) == (told, 3)
        stage.link.sent.clear()


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
    wait_until(lambda: not processes_of(child.pid), "the group is gone")


def test_nobody_is_told_where_nobody_listens(stage: Stage) -> None:
    """architecture.md: when the listener goes away, everything it asked for is ended."""
    stage.begin("sleep 100")
    stage.begin("exit 0")
    stage.jobs.listening = False
    stage.jobs.end_all(Cause.LOST)
    while len(stage.jobs):
        stage.turn()
    assert stage.link.sent == []


def test_what_waits_for_a_drain_long_after_its_end_is_over_with_the_listener(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """architecture.md: when the listener goes away, everything it asked for is ended: also where KILL was."""
    monkeypatch.setattr(supervisor, "KILL_AFTER", 0.0)
    stage.begin("sleep 100", timeout=0.05)
    stage.run(until=Over)
    while not stage.leftovers.thorough:  # KILL was sent, and found nobody
        stage.jobs.fire()
    assert len(stage.jobs) == 1
    stage.jobs.listening = False
    stage.jobs.end_all(Cause.LOST)
    assert len(stage.jobs) == 0


# --- who left the group ---------------------------------------------------------------------------


def test_orphans_are_asked_once_and_waited_for(stage: Stage) -> None:
    """security.md, Processes: "double fork and setsid to escape the group": TERM comes first there, too."""
    stage.begin("sleep 100")
    with subprocess.Popen(["sleep", "100"]) as orphan:
        stage.leftovers.orphans = [orphan.pid]
        stage.jobs.end(1, Cause.LOST)
        stage.jobs.drained(Drained(1, 0, 0))
        assert orphan.wait() == -signal.SIGTERM
        assert not any(isinstance(message, Ended) for message in stage.link.sent)
        stage.leftovers.orphans = []
        stage.run(until=Ended)
    assert stage.link.ended().cause is Cause.LOST
    assert stage.leftovers.leaders == []


def test_the_end_is_reported_when_nobody_is_left(stage: Stage) -> None:
    """protocol.md 8: what is left is killed, then comes the report; at first in the cheap way."""
    stage.leftovers.orphans = [0x7FFFFFFF]
    stage.begin("exit 3")
    stage.run(until=Over)
    stage.jobs.drained(Drained(1, 0, 0))
    assert not any(isinstance(message, Ended) for message in stage.link.sent)
    while len(stage.leftovers.thorough) < 3:
        stage.turn()
    stage.leftovers.orphans = []
    stage.run(until=Ended)
    assert (stage.link.ended().cause, stage.link.ended().status) == (Cause.EXITED, 3)
    assert stage.leftovers.thorough[:3] == [False, True, True]


def test_one_that_cannot_be_killed_does_not_hold_the_report_up_for_ever(stage: Stage) -> None:
    """security.md, Processes: a process asleep in the kernel is said to stay, and the result comes."""
    stage.leftovers.orphans = [0x7FFFFFFF]
    stage.begin("exit 3")
    stage.jobs.drained(Drained(1, 0, 0))
    stage.run(until=Ended)
    assert stage.link.ended().status == 3


def test_background_keep_holds_for_a_natural_end_only(stage: Stage) -> None:
    """allow-list.md: `background keep`; a command that is ended is ended whole."""
    rules = "sh ...\n    background keep\n"
    stage.begin("exit 0", rules)
    stage.jobs.drained(Drained(1, 0, 0))
    stage.run(until=Ended)
    assert (stage.leftovers.kept, stage.leftovers.thorough) == ([77], [])
    stage.begin("sleep 100", rules)
    stage.jobs.end(2, Cause.TIMEOUT)
    stage.jobs.drained(Drained(2, 0, 0))
    while len(stage.jobs):
        stage.turn()
    assert (stage.leftovers.kept, stage.leftovers.thorough) == ([77], [False])


def test_orphans_are_looked_after_while_anything_runs(stage: Stage) -> None:
    """security.md, Processes: "zombies"; a server that does nothing looks at nothing."""
    assert stage.jobs.wait() is None
    stage.begin("sleep 100")
    assert stage.jobs.wait() is not None
    while stage.leftovers.looks < 2:
        stage.turn()


def test_a_command_that_is_over_makes_room_for_another(stage: Stage) -> None:
    """allow-list.md: `parallel 2`."""
    stage.begin("exit 0", "sh ...\n    parallel 1\n")
    (permit,) = stage.permits
    assert stage.tally.admit(permit, 0.0) is None
    assert stage.tally.admit(permit, 0.0) is not None
    stage.jobs.drained(Drained(1, 0, 0))
    stage.run(until=Ended)
    assert stage.tally.admit(permit, 0.0) is None

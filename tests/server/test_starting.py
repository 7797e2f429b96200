"""Commands between their permit and their first instruction, and their end before it."""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.audit.log import Log
from rexec.policy.rules import Permit
from rexec.protocol.frames import Cause, Pty
from rexec.server.evidence import Evidence
from rexec.server.orders import Begun, Broken, Drained, Ended, Message
from rexec.server.starting import Pending, Starting
from rexec.server.supervisor import Job, Supervisor
from rexec.server.tally import Tally
from rexec.server.ticket import NO_TICKET
from rexec.server.watcher import Watcher
from tests.process.test_child import permit_of
from tests.server.test_supervisor import FakeLeftovers

LAUNCHED = "    nice 1\n    parallel 1\n"  # needs code before exec


class FakeLink:
    """Keeps what is reported, and closes descriptors as the real one does."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message, descriptors: tuple[int, ...] = (), *, hurry: bool = True) -> None:
        self.sent.append(message)
        for descriptor in descriptors:
            os.close(descriptor)


class Leftovers(FakeLeftovers):
    """Gives every command the same mark."""

    def mark(self) -> tuple[int, int]:
        return 77, -1


class Stage:
    """What starts and supervises, without a listener."""

    def __init__(self) -> None:
        self.link, self.selector, self.leftovers = FakeLink(), selectors.DefaultSelector(), Leftovers()
        self.null = os.open("/dev/null", os.O_WRONLY)
        self.tally, log = Tally(), Log(self.null)
        evidence = Evidence(None, log)
        self.jobs = Supervisor(
            self.selector,
            self.link,
            log,
            evidence,
            self.leftovers,
            self.tally,  # type: ignore[arg-type]
        )
        self.starting = Starting(
            self.selector,
            self.link,
            log,
            evidence,
            self.jobs,
            self.leftovers,
            self.tally,  # type: ignore[arg-type]
        )

    def run(self, permit: Permit, terminal: Pty | None = None) -> None:
        assert self.tally.admit(permit, 0.0) is None
        self.starting.run(1, "alice", permit, terminal, NO_TICKET)

    def turn(self) -> None:
        for key, _ in self.selector.select(self.jobs.wait()):
            if isinstance(key.data, Pending):
                self.starting.launched(key.data)
            elif isinstance(key.data, Watcher):
                key.data.attend()
            elif isinstance(key.data, Job):
                self.jobs.exited(key.data)
        self.jobs.fire()
        self.starting.fire()

    def until(self, kind: type[Message]) -> Message:
        while not (found := [message for message in self.link.sent if isinstance(message, kind)]):
            self.turn()
        return found[0]

    def end(self) -> Ended:
        self.jobs.drained(Drained(1, 0, 0))
        found = self.until(Ended)
        assert isinstance(found, Ended)
        return found

    def close(self) -> None:
        self.starting.end_all(Cause.LOST)
        while len(self.starting):
            self.turn()
        self.jobs.end_all(Cause.LOST)
        while len(self.jobs):
            self.turn()
        self.selector.close()
        os.close(self.null)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("options", ["    parallel 1\n", LAUNCHED], ids=["plain", "launched"])
def test_a_command_runs_and_ends(stage: Stage, options: str) -> None:
    permit = permit_of("sh ...\n" + options, "sh", "-c", "exit 3", stdin=False)
    stage.run(permit)
    begun = stage.until(Begun)
    assert isinstance(begun, Begun)
    assert (begun.rule, begun.terminal, begun.bounds) == ("cmds.txt:1", False, None)
    assert stage.end().status == 3
    assert stage.tally.admit(permit, 0.0) is None
    assert stage.leftovers.leaders == []


def test_a_program_that_cannot_be_started_leaves_nothing(stage: Stage, tmp_path: object) -> None:
    """A failed start is an answer, a free place, and no descriptor."""
    program = f"{tmp_path}/program"
    with open(program, "w") as file:
        file.write("#!/nothing/there\n")
    os.chmod(program, 0o755)
    before = len(os.listdir("/proc/self/fd"))
    for options in ("    parallel 1\n", LAUNCHED, LAUNCHED + "    noexec\n"):
        permit = permit_of(f"{program}\n{options}", program)
        stage.run(permit)
        broken = stage.until(Broken)
        assert isinstance(broken, Broken)
        assert broken.exit_code == 127
        stage.link.sent.clear()
        assert len(stage.starting) == len(stage.jobs) == 0
    assert stage.leftovers.leaders == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_signals_that_come_too_early_wait_for_the_program(stage: Stage) -> None:
    """cli.md: Ctrl-C goes to the remote process group, whenever it was typed."""
    stage.run(permit_of("sleep ...\n" + LAUNCHED, "sleep", "1000", stdin=False))
    assert 1 in stage.starting
    for _ in range(100):
        stage.starting.signal(1, "USR1")
    stage.starting.signal(2, "INT")
    stage.until(Begun)
    assert stage.end().signal == "USR1"


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.DRAINED, Cause.IDLE])
def test_an_end_that_comes_too_early_is_the_end(stage: Stage, cause: Cause) -> None:
    """security.md, Processes: the start and the end of a command may cross."""
    stage.run(permit_of("sleep ...\n" + LAUNCHED, "sleep", "1000", stdin=False))
    stage.starting.end(1, cause)
    stage.starting.end(1, Cause.LOST if cause is not Cause.LOST else Cause.DRAINED)  # the first reason stays
    stage.starting.end(2, cause)
    stage.until(Begun)
    assert stage.end().cause is cause


def test_a_launch_that_hangs_is_killed(stage: Stage) -> None:
    """security.md, Processes: a program on a disk that does not answer does not keep its command for ever."""
    stage.run(permit_of("sleep ...\n" + LAUNCHED, "sleep", "1000", stdin=False))
    (pending,) = stage.starting._pending.values()
    was_faster = hold(pending)
    stage.starting.end(1, Cause.LOST)
    stage.until(Begun)
    ended = stage.end()
    assert ended.cause is Cause.LOST
    assert was_faster or ended.signal == "KILL"


def test_the_time_of_a_launch_that_hangs_is_counted(stage: Stage) -> None:
    """allow-list.md: `timeout 30s`: from the permit on."""
    rules = "sleep ...\n    timeout 100ms\n" + LAUNCHED
    stage.run(permit_of(rules, "sleep", "1000", stdin=False))
    (pending,) = stage.starting._pending.values()
    hold(pending)
    stage.until(Begun)
    assert stage.end().cause is Cause.TIMEOUT


def hold(pending: Pending) -> bool:
    """Stop a child before its exec; where it was faster, its report is unread, and that is returned."""
    assert pending.launch is not None
    pid = pending.launch.pid
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"


def test_a_terminal_is_given_where_the_rule_and_the_client_want_one(stage: Stage) -> None:
    permit = permit_of("tty\n    parallel 1\n", "tty", pty="xterm")
    stage.run(permit, Pty("xterm", 80, 24))
    begun = stage.until(Begun)
    assert isinstance(begun, Begun)
    assert begun.terminal


def test_what_the_listener_is_to_count_is_told(stage: Stage) -> None:
    options = "    idle 2s\n    output 1M kill\n    stdin 5K\n"
    stage.run(permit_of("cat\n" + options, "cat"))
    begun = stage.until(Begun)
    assert isinstance(begun, Begun)
    assert begun.bounds is not None
    assert (begun.bounds.idle_ms, begun.bounds.output, begun.bounds.kill, begun.bounds.stdin) == (
        2000, 1 << 20, True, 5 << 10,
    )  # fmt: skip

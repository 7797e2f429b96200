"""What is told of a command that tries to leave its fence."""

from __future__ import annotations

import os
import selectors
from collections.abc import Iterator

import pytest

from rexec.audit.log import Log
from rexec.limits import ESCAPES_TOLD
from rexec.policy.rules import Permit
from rexec.process.starts import Escape
from rexec.server.evidence import Evidence
from rexec.server.leftovers import Leftovers
from rexec.server.orders import Escaped, Message
from rexec.server.starting import Pending
from rexec.server.ticket import NO_TICKET
from rexec.server.watcher import Watcher
from tests.process.alone import alone
from tests.server.test_tally import permit


class FakeWatch:
    """Answers with what the test put there."""

    reporter = 0
    untold = 0

    def __init__(self) -> None:
        self.fd, self._other = os.pipe()
        self.escapes: list[Escape] = []
        self.is_closed = False

    def attend(self) -> list[Escape]:
        assert not self.is_closed
        found, self.escapes = self.escapes, []
        return found

    def close(self) -> None:
        if not self.is_closed:
            os.close(self.fd)
            os.close(self._other)
        self.is_closed = True


class FakeLink:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message, descriptors: tuple[int, ...] = (), *, hurry: bool = True) -> None:
        self.sent.append(message)

    @property
    def texts(self) -> list[str]:
        return [message.message for message in self.sent if isinstance(message, Escaped)]


class Stage:
    """A watcher, and all that it talks to."""

    def __init__(self) -> None:
        self.watch, self.link, self.selector = FakeWatch(), FakeLink(), selectors.DefaultSelector()
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)
        self.leftovers = Leftovers()
        log = Log(self.writing)
        found: Permit = permit("true\n")
        self.watcher = Watcher(
            self.selector,
            self.link,  # type: ignore[arg-type]
            log,
            Evidence(None, log),
            Pending(5, "alice", found, NO_TICKET, 77),
            self.watch,  # type: ignore[arg-type]
            self.leftovers,
        )

    def tries_file(self, path: str, act: str) -> None:
        self.watch.escapes = [Escape(1, path, "confine", act)]
        self.watcher.attend()

    def tries(self, *paths: str, option: str = "noexec") -> None:
        self.watch.escapes = [Escape(1, path, option) for path in paths]
        self.watcher.attend()

    def lines(self) -> list[str]:
        return os.read(self.reading, 65536).decode().splitlines()

    def close(self) -> None:
        self.watch.close()
        self.selector.close()
        self.leftovers.close()
        os.close(self.reading)
        os.close(self.writing)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def test_an_attempt_stands_in_the_log_at_once_and_is_told_when_the_command_is_known(stage: Stage) -> None:
    stage.tries("/bin/sh")
    assert stage.lines() == ["rexec-server: escape user=alice rule=cmds.txt:1 path=/bin/sh option=noexec"]
    assert stage.link.texts == []
    stage.watcher.announce()
    assert stage.link.sent == [Escaped(5, "cmds.txt:1 is noexec: /bin/sh was not started")]
    stage.tries("a socket (AF_INET)", option="net none")
    assert stage.link.texts[1:] == ["cmds.txt:1 has net none: a socket (AF_INET) was not opened"]


def test_many_attempts_are_counted(stage: Stage) -> None:
    """security.md, Processes: one that tries in a loop fills no log."""
    stage.watcher.announce()
    stage.tries(*["/bin/sh"] * (ESCAPES_TOLD - 1))
    stage.tries(*["/bin/sh"] * 2000)
    stage.watcher.close()
    assert len(stage.link.texts) == ESCAPES_TOLD + 1
    assert stage.link.texts[-1] == f"cmds.txt:1 refused {1999:,} more attempts"
    assert stage.lines()[-1] == "rexec-server: escape user=alice rule=cmds.txt:1 more=1999"


def test_a_command_that_is_over_is_watched_no_more(stage: Stage) -> None:
    """Its end and its last attempt may come in one turn of the loop."""
    assert len(stage.selector.get_map()) == 1
    stage.watcher.close()
    assert stage.watch.is_closed
    assert len(stage.selector.get_map()) == 0
    stage.watcher.attend()
    assert stage.link.texts == []


def test_one_that_is_closed_is_held_by_nobody(stage: Stage) -> None:
    """security.md, Processes: "back to the start values": memory too, whenever the collector comes by."""
    pending = stage.watcher._of
    pending.watcher = stage.watcher
    stage.watcher.close()
    assert pending.watcher is None


def test_who_tried_nothing_is_not_spoken_of(stage: Stage) -> None:
    stage.watcher.announce()
    stage.watcher.close()
    assert stage.link.sent == []


def test_a_file_is_told_with_what_was_to_be_done_with_it(stage: Stage) -> None:
    stage.watcher.announce()
    stage.tries_file("/etc/passwd", "read")
    assert stage.lines() == [
        "rexec-server: escape user=alice rule=cmds.txt:1 path=/etc/passwd option=confine act=read"
    ]
    stage.tries_file("/etc/new", "make")
    stage.tries_file("", "")
    assert stage.link.texts == [
        "cmds.txt:1 has confine: /etc/passwd was not read",
        "cmds.txt:1 has confine: /etc/new was not made",
        "cmds.txt:1 has confine: what it tries to open is not seen any more",
    ]


def test_what_was_told_last_is_heard_before_the_end(stage: Stage) -> None:
    stage.watcher.announce()
    stage.watch.escapes = [Escape(1, "/etc/passwd", "confine", "read")]
    stage.watch.untold = 7
    stage.watcher.close()
    assert stage.link.texts == [
        "cmds.txt:1 has confine: /etc/passwd was not read",
        "cmds.txt:1 refused 7 more attempts",
    ]


@pytest.mark.parametrize("keep", [False, True])
def test_a_reporter_is_nobodys_orphan_until_its_command_is_over(stage: Stage, *, keep: bool) -> None:
    def wait() -> None:
        stage.leftovers = stage.watcher._leftovers = Leftovers()  # of this process
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)
        stage.watch.reporter = pid
        assert pid in stage.leftovers.of((0, 0))
        stage.watcher.attend()
        assert stage.leftovers.of((0, 0)) == []
        stage.watcher.close(keep=keep)
        assert stage.leftovers.is_waiting  # until somebody has seen that it is gone
        if keep:
            assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        os.close(writing)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        stage.leftovers.look()
        assert not stage.leftovers.is_waiting

    alone(wait)

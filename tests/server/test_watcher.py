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
from tests.server.test_tally import permit


class FakeWatch:
    """Answers with what the test put there."""

    reporter = untold = 0

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

    def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        self.sent.append(message)

    @property
    def texts(self) -> list[str]:
        return [message.message for message in self.sent if isinstance(message, Escaped)]


class Stage:
    """A watcher, and all that it talks to."""

    def __init__(self) -> None:
        self.watch, self.link, self.selector = FakeWatch(), FakeLink(), selectors.DefaultSelector()
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)
        log = Log(self.writing)
        found: Permit = permit("true\n")
        self.watcher = Watcher(
            self.selector,
            self.link,  # type: ignore[arg-type]
            log,
            Evidence(None, log),
            Pending(5, "alice", found, NO_TICKET, 77),
            self.watch,  # type: ignore[arg-type]
            Leftovers(),
        )

    def tries(self, *paths: str, option: str = "noexec") -> None:
        self.watch.escapes = [Escape(1, path, option) for path in paths]
        self.watcher.attend()

    def lines(self) -> list[str]:
        return os.read(self.reading, 65536).decode().splitlines()

    def close(self) -> None:
        self.watch.close()
        self.selector.close()
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

"""Commands that need code before exec, run to their end: what the runner does, in a few lines."""

from __future__ import annotations

import os
import select
import signal
from typing import NamedTuple

from rexec.policy.rules import Permit
from rexec.process.child import Child, NotStarted
from rexec.process.launch import Launch, begin
from rexec.process.starts import Escape
from rexec.protocol.frames import Pty
from tests.process.test_child import permit_of

PATIENCE = 60_000  # ms until a test that waits for an event gives up
TERMINAL = Pty("xterm", 80, 24)


class Outcome(NamedTuple):
    """How a command ended, what it wrote, and what its fence refused."""

    status: int
    signal: str
    out: str
    err: str
    escapes: list[Escape]

    @property
    def attempts(self) -> list[str]:
        return [str(escape) for escape in self.escapes]


def run(rules: str, *words: str, terminal: Pty | None = None, **asked: object) -> Outcome:
    """Run what must start, to its end."""
    outcome = attempt(rules, *words, terminal=terminal, **asked)
    assert isinstance(outcome, Outcome), outcome
    return outcome


def attempt(rules: str, *words: str, terminal: Pty | None = None, **asked: object) -> Outcome | NotStarted:
    term = None if terminal is None else terminal.term
    return to_the_end(permit_of(rules, *words, stdin=False, pty=term, **asked), terminal)


def to_the_end(permit: Permit, terminal: Pty | None = None) -> Outcome | NotStarted:
    launch = begin(permit, terminal)
    if isinstance(launch, NotStarted):
        return launch
    escapes: list[Escape] = []
    child = _launched(launch, escapes)
    if isinstance(child, NotStarted):
        if launch.fence is not None:
            launch.fence.close()
        return child
    try:
        return _finished(child, launch, escapes)
    finally:
        for stream in child.streams:
            os.close(stream)


def _launched(launch: Launch, escapes: list[Escape]) -> Child | NotStarted:
    poll = _poll(launch.error)
    if launch.fence is not None:
        poll.register(launch.fence.fd, select.POLLIN)
    while True:
        ready = _ready(poll)
        if launch.fence is not None and launch.fence.fd in ready:
            escapes += launch.fence.attend()
        if launch.error in ready:
            return launch.finish()


def _finished(child: Child, launch: Launch, escapes: list[Escape]) -> Outcome:
    output = dict.fromkeys(child.streams, b"")
    poll = _poll(*output)
    if launch.fence is not None:
        poll.register(launch.fence.fd, select.POLLIN)
    open_ = set(output)
    while open_:
        for ready in _ready(poll):
            if launch.fence is not None and ready == launch.fence.fd:
                escapes += launch.fence.attend()
            elif data := _read(ready):
                output[ready] += data
            else:
                poll.unregister(ready)
                open_.discard(ready)
    ending = child.reap()
    if launch.fence is not None:
        escapes += launch.fence.attend()
        launch.fence.close()
    texts = [data.decode(errors="replace").replace("\r\n", "\n") for data in output.values()]
    return Outcome(ending.status, ending.signal, texts[0], texts[-1], escapes)


def _poll(*descriptors: int) -> select.poll:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return poll


def _ready(poll: select.poll) -> set[int]:
    found = {descriptor for descriptor, _ in poll.poll(PATIENCE)}
    assert found, "nothing happened"
    return found


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""  # EIO: nobody has the terminal open any more


def end(child: Child) -> None:
    """End what would not end by itself."""
    child.signal(signal.SIGKILL)
    child.reap()
    for stream in child.streams:
        os.close(stream)

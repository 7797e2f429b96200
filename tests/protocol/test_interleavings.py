"""No legal race is an error: every interleaving of two scripts, searched to the end.

Two cores stand back to back. At every moment one of four things may happen: the client sends the
next frame of its script, the server the next of its own, or the oldest frame under way arrives at
either end. The search tries all of them from every state that it can reach. No core may complain, no
script may get stuck, and in the end both sides must agree that nothing is open.
"""

from __future__ import annotations

import pickle
from collections import Counter
from typing import NamedTuple

import pytest

from rexec.limits import WINDOW_START
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause, Farewell, Form, Frame, Stream
from rexec.protocol.state import Handshake, Role
from tests.protocol.samples import (
    CLIENT,
    CLIENT_HELLO,
    PROOF,
    REFUSED,
    SERVER,
    SERVER_HELLO,
    STARTED,
    WELCOME,
    Pair,
)

STDIN, STDOUT, STDERR = Stream


class Say(NamedTuple):
    """One line of a script: a frame, and how many of which frames must have been heard before."""

    frame: Frame
    channel: int = 0
    after: str = ""  # names of frame types; twice for the second one
    at_once: bool = False  # said in one breath with the line before


def on(channel: int, *frames: Frame, after: str = "") -> tuple[Say, ...]:
    """Return lines on one channel, of which the first waits."""
    return tuple(Say(frame, channel, after if not index else "") for index, frame in enumerate(frames))


def command(number: int) -> f.Exec:
    return f.Exec(number, Form.ARGV, (b"cat",))


def ended(status: int = 0) -> f.Exit:
    return f.Exit(Cause.EXITED, status)


HELLO = (Say(SERVER_HELLO),)
VERDICT = (*HELLO, Say(WELCOME, 0, "Proof"))
ASK = (Say(CLIENT_HELLO), Say(PROOF))
OUTPUT = (f.Stdout(b"o"), f.Stderr(b"e"))
EOFS = (f.Eof(STDOUT), f.Eof(STDERR))

SCRIPTS: dict[str, tuple[tuple[Say, ...], tuple[Say, ...]]] = {
    "a command with all its streams, asked before the welcome": (
        (*ASK, *on(1, command(1), f.Stdin(b"in"), f.Eof(STDIN))),
        (
            *VERDICT,
            *on(1, STARTED, *OUTPUT, f.Notice("n"), *EOFS, f.Receipt(b"r"), ended(), after="Exec"),
        ),
    ),
    "late input, signal, resize, stop and credit against an exit": (
        (
            *ASK,
            *on(1, command(1), f.Signal("INT"), f.Stdin(b"in"), f.Resize(80, 24), f.Stop(STDOUT)),
            *on(1, f.Credit(STDERR, WINDOW_START + 1), f.Eof(STDIN)),
        ),
        (*VERDICT, *on(1, STARTED, *OUTPUT, ended(), after="Exec")),
    ),
    "a server that stops and credits input while it comes": (
        (*ASK, *on(1, command(1), f.Stdin(b"1"), f.Stdin(b"2"), f.Eof(STDIN))),
        (
            *VERDICT,
            *on(1, STARTED, f.Credit(STDIN, WINDOW_START + 5), f.Stop(STDIN), *EOFS, ended(), after="Exec"),
        ),
    ),
    "a channel used again as soon as its exit is read": (
        (
            *ASK,
            *on(1, command(1), f.Stdin(b"1")),
            *on(1, command(2), f.Stdin(b"2"), f.Stop(STDERR), after="Exit"),
        ),
        (
            *VERDICT,
            *on(1, STARTED, ended(), after="Exec"),
            *on(1, STARTED, OUTPUT[1], ended(), after="Exec Exec"),
        ),
    ),
    "denied, then failed, then over before it started": (
        (
            *(*ASK, *on(1, command(1), f.Stdin(b"1"), f.Eof(STDIN))),
            *on(1, command(2), f.Signal("TERM"), after="Denied"),
            *on(1, command(3), f.Eof(STDIN), after="Failed"),
        ),
        (
            *(*VERDICT, *on(1, f.Denied("no"), after="Exec")),
            *on(1, f.Failed(127, "no such program", "r"), after="Exec Exec"),
            *on(1, f.Exit(Cause.ALREADY_RAN, output_kept=False), after="Exec Exec Exec"),
        ),
    ),
    "two channels at once": (
        (*ASK, *on(1, command(1)), *on(2, command(2), f.Stdin(b"2")), *on(1, f.Signal("INT"), f.Eof(STDIN))),
        (
            *(
                *VERDICT,
                *on(1, STARTED, after="Exec"),
                *on(2, STARTED, OUTPUT[0], ended(), after="Exec Exec"),
            ),
            *on(1, OUTPUT[1], ended()),
        ),
    ),
    "a question beside a command": (
        (
            *ASK,
            *on(1, f.Query("list"), f.Stop(STDOUT), f.Credit(STDOUT, WINDOW_START + 1)),
            *on(2, command(1)),
        ),
        (
            *(*VERDICT, *on(1, OUTPUT[0], OUTPUT[0], ended(), after="Query")),
            *on(2, STARTED, ended(), after="Exec"),
        ),
    ),
    "a question that is denied": (
        (*ASK, *on(1, f.Query("explain", (b"ls",)), f.Eof(STDIN)), *on(1, f.Query("list"), after="Denied")),
        (*VERDICT, *on(1, f.Denied("no"), after="Query"), *on(1, OUTPUT[0], ended(), after="Query Query")),
    ),
    "a first key refused, with a command and input behind it": (
        (
            *(*ASK, Say(command(1), 1, at_once=True), *on(1, f.Stdin(b"1"), f.Signal("INT"))),
            *(
                Say(PROOF, 0, "Refused"),
                Say(command(1), 1, at_once=True),
                *on(1, f.Stdin(b"1"), f.Eof(STDIN)),
            ),
        ),
        (
            *(*HELLO, Say(REFUSED, 0, "Proof"), Say(WELCOME, 0, "Proof Proof")),
            *on(1, STARTED, f.Stdout(b"o"), ended(), after="Exec"),
        ),
    ),
    "pings, answers and acknowledgements among it all": (
        (
            *ASK,
            *on(1, command(1)),
            Say(f.Ping(1), 0, "Welcome"),
            Say(f.Ack(1), 0, "Started"),
            Say(f.Pong(2), 0, "Ping"),
        ),
        (
            *(*VERDICT, Say(f.Ping(2)), Say(f.Ack(1), 0, "Exec"), *on(1, STARTED), Say(f.Pong(1), 0, "Ping")),
            *on(1, ended()),
        ),
    ),
    "a client that waits for the server's hello": (
        (Say(CLIENT_HELLO), Say(PROOF, 0, "ServerHello"), *on(1, command(1), f.Eof(STDIN))),
        (*VERDICT, *on(1, STARTED, *EOFS, ended(), after="Exec")),
    ),
}

# Whoever reads a goodbye stops; whoever has not read it yet must not be hurt by it.
PARTINGS: dict[str, tuple[tuple[Say, ...], tuple[Say, ...]]] = {
    "the client leaves in the middle": (
        (*ASK, *on(1, command(1), f.Stdin(b"1")), Say(f.Goodbye(Farewell.DONE), 0, "Welcome")),
        (*VERDICT, *on(1, STARTED, *OUTPUT, ended(), after="Exec")),
    ),
    "the server leaves in the middle": (
        (*ASK, *on(1, command(1), f.Stdin(b"1"), f.Signal("INT")), Say(f.Ping(1), 0, "Started")),
        (*VERDICT, *on(1, STARTED, OUTPUT[0], after="Exec"), Say(f.Goodbye(Farewell.DRAINING))),
    ),
    "the server leaves before it looked at the proof": (
        (*ASK, *on(1, command(1), f.Stdin(b"1"))),
        (*HELLO, Say(f.Goodbye(Farewell.BUSY))),
    ),
    "both leave at once": (
        (*ASK, *on(1, command(1)), Say(f.Goodbye(Farewell.DONE), 0, "Welcome")),
        (*VERDICT, Say(f.Goodbye(Farewell.DRAINING))),
    ),
}


class World(Pair):
    """Two cores, what is under way, and how far each script is."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken = {CLIENT: 0, SERVER: 0}
        self.names: dict[Role, Counter[str]] = {CLIENT: Counter(), SERVER: Counter()}

    def moves(self, scripts: dict[Role, tuple[Say, ...]]) -> list[tuple[str, Role]]:
        arriving = [("arrive", role) for role in Role if self.queues[role]]
        return [*arriving, *[("say", role) for role in Role if self._may_speak(role, scripts[role])]]

    def _may_speak(self, role: Role, script: tuple[Say, ...]) -> bool:
        if self.spoken[role] == len(script):
            return False
        return Counter(script[self.spoken[role]].after.split()) <= self.names[role]

    def _speak(self, role: Role, script: tuple[Say, ...]) -> None:
        line = script[self.spoken[role]]
        self.spoken[role] += 1
        self.send(role, line.frame, line.channel)

    def move(self, what: str, role: Role, script: tuple[Say, ...]) -> None:
        if what == "arrive":
            self.deliver(role)
        else:
            self._speak(role, script)
            while self.spoken[role] < len(script) and script[self.spoken[role]].at_once:
                self._speak(role, script)
        for hearer in Role:
            self.names[hearer].update(type(frame).__name__ for _, frame in self.heard[hearer])
            self.heard[hearer].clear()


def search(scripts: dict[Role, tuple[Say, ...]]) -> list[World]:
    """Follow all interleavings; return every world in which nothing more can happen."""
    start = pickle.dumps(World())
    seen, waiting, ends = {start}, [start], []
    while waiting:
        world = waiting.pop()
        moves = pickle.loads(world).moves(scripts)
        for what, role in moves:
            after: World = pickle.loads(world)
            after.move(what, role, scripts[role])
            state = pickle.dumps(after)
            if state not in seen:
                seen.add(state)
                waiting.append(state)
        if not moves:
            ends.append(pickle.loads(world))
    return ends


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_legal_race_is_an_error(name: str) -> None:
    """security.md, Protocol: frames twice, out of order, after the end: but what is only late is legal."""
    scripts = dict(zip((CLIENT, SERVER), SCRIPTS[name], strict=True))
    ends = search(scripts)
    assert ends
    for world in ends:
        assert world.spoken == {role: len(script) for role, script in scripts.items()}
        for ours, theirs in ((world.client, world.server), (world.server, world.client)):
            assert ours.state is Handshake.OPEN
            assert ours.session.channels == {}
            assert ours.session.sent == theirs.session.received
            assert len(ours._buffer) == 0


@pytest.mark.parametrize("name", PARTINGS)
def test_a_goodbye_hurts_nobody_who_has_not_heard_it_yet(name: str) -> None:
    scripts = dict(zip((CLIENT, SERVER), PARTINGS[name], strict=True))
    ends = search(scripts)
    assert ends
    for world in ends:
        assert world.client.state is world.server.state is Handshake.CLOSED


def test_the_search_finds_a_race_where_there_is_one() -> None:
    """A client that uses a channel again without having read the exit is wrong only when the exit is slow."""
    scripts = {
        CLIENT: (
            *ASK,
            *on(1, command(1)),
            Say(command(2), 2, "Welcome"),
            *on(1, command(3), after="Started"),
        ),
        SERVER: (*VERDICT, *on(1, STARTED, ended(), after="Exec")),
    }
    with pytest.raises(Exception, match="Exec in state running"):
        search(scripts)


def test_all_that_may_be_late_is_late_somewhere_in_the_scripts() -> None:
    from rexec.protocol.state import CHANNEL, LATE, Channel

    said = {type(line.frame) for scripts in SCRIPTS.values() for script in scripts for line in script}
    assert set(LATE) <= said
    assert {kind for _, _, kind in CHANNEL} <= said
    assert all(CHANNEL[Channel.CLOSED, CLIENT, kind] is Channel.CLOSED for kind in LATE)

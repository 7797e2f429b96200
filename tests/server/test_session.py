"""cli.md and protocol.md: a client that does not answer is gone, and so are its commands."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from rexec.limits import ANSWERS_MAX, KIB, NONCE, SESSION_ID
from rexec.protocol import frames as f
from rexec.protocol.buffer import HEADER
from rexec.protocol.connection import Connection
from rexec.protocol.state import Role
from rexec.server import orders
from rexec.server.parking import Name, Parking
from rexec.server.session import Session


class Everything:
    """A listener, its desk, its log and a link, as far as a session touches them."""

    def __init__(self) -> None:
        self.desk = self.log = self.link = self.service = self
        self.keepalive = 0.05  # seconds: short, since what is tested is the order of things
        self.draining = False
        self.is_clogged = False
        self.written = b""
        self.closed = asyncio.Event()
        self.orders: list[orders.Message] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[orders.Message], None] = lambda report: None
        self.owner: object = None
        self.reset = self.silence = 0.0
        self.parking = Parking()

    def gather(self) -> None:
        pass

    send = gather

    def number(self) -> int:
        return 7

    def order(self, message: orders.Message) -> None:
        self.orders.append(message)

    def start(self, message: orders.Message, patron: object) -> None:
        self.orders.append(message)

    def ask(self, message: orders.Message, then: Callable[[orders.Message], None]) -> None:
        self.orders.append(message)
        self.answer = then

    def event(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed.set()

    abort = close

    def left(self, session: Session) -> None:
        pass

    def look_again(self) -> None:
        pass

    link_gone = left


def talk(around: Everything, name: Name | None = None) -> tuple[Session, Connection]:
    """Return a session whose client was welcomed and has started a command."""
    server, client = Connection(Role.SERVER), Connection(Role.CLIENT)
    server.receive_data(
        client.send(f.ClientHello(bytes(SESSION_ID))) + client.send(f.Proof("publickey", "", b""))
    )
    hello = server.send(f.ServerHello(bytes(NONCE)))
    while server.next_event() is not None:
        pass
    client.receive_data(hello + server.accept(f.Welcome("alice")))
    while client.next_event() is not None:
        pass
    made = Session(around, around, server, 1, "alice", name)  # type: ignore[arg-type]
    made.received(memoryview(client.send(f.Exec(1, f.Form.ARGV, (b"sleep",)), 1)))
    return made, client


def test_a_client_that_answers_no_ping_is_gone() -> None:
    async def main() -> None:
        around = Everything()
        made, client = talk(around)
        await asyncio.wait_for(around.closed.wait(), 30)
        client.receive_data(around.written)
        heard = []
        while (event := client.next_event()) is not None:
            heard.append(event[1])
        assert heard == [f.Ping(0), f.Goodbye(f.Farewell.NO_ANSWER, "no answer")]
        assert made.gone
        assert around.events[-1] == ("left", {"user": "alice", "running": 1, "why": "no answer"})
        assert orders.End(7, f.Cause.LOST) in around.orders
        assert around.orders[-1] == orders.Leave(1)

    asyncio.run(main())


def test_a_client_that_answers_stays() -> None:
    async def main() -> None:
        around = Everything()
        made, client = talk(around)
        for _ in range(4):
            before = len(around.written)
            while len(around.written) == before:
                await asyncio.sleep(0)
            made.received(memoryview(client.send(f.Pong(0))))
        assert not made.gone
        made.ended()
        assert made.gone

    asyncio.run(main())


def test_a_client_that_is_away_leaves_no_half_of_a_frame_behind() -> None:
    """What is kept for those who are away is counted, and this would not be."""

    async def main() -> None:
        around = Everything()
        around.reset = around.silence = 60.0
        made, _ = talk(around, Name("SHA256:x", "alice", bytes(SESSION_ID)))
        made.received(memoryview(HEADER.pack(f.Stdin.code, 0, 1, 200_000) + b"x"))
        assert made.place is not None
        made.ended()
        assert made.is_parked
        assert made.place is None
        made.leave("the test is over")

    asyncio.run(main())


def test_a_session_that_is_over_keeps_nothing() -> None:
    """Somebody may still know it, and a ring waits for the collector."""

    async def main() -> None:
        around = Everything()
        made, _ = talk(around)
        made.connection.session.set_keep(True)
        command = made._commands[1]
        command.begun(orders.Begun(7, "cmds.txt:1", False, False, 1000, None, None, None), [])
        made.connection.session.retain(b"a frame")
        made.lost(None)
        assert made.gone
        assert made.connection.session.kept == 0
        assert made.link is not around

    asyncio.run(main())


async def heard(around: Everything, client: Connection) -> list[f.Frame]:
    """Return what the client was sent since the last look."""
    await asyncio.sleep(0)  # what leaves, leaves when the loop comes round
    client.receive_data(around.written)
    around.written = b""
    found = []
    while (event := client.next_event()) is not None:
        found.append(event[1])
    return found


def test_nothing_is_asked_of_a_runner_that_does_not_keep_up() -> None:
    """protocol.md 6: "Nobody buffers without bound": a question may be as long as a command."""

    async def main() -> None:
        around = Everything()
        made, client = talk(around)
        around.is_clogged = True
        before = list(around.orders)
        made.received(memoryview(client.send(f.Query("list"), 2) + client.send(f.Signal("TERM"), 1)))
        assert around.orders == before
        assert await heard(around, client) == [f.Denied("the server is busy")]
        around.is_clogged = False
        made.received(memoryview(client.send(f.Query("list"), 2) + client.send(f.Signal("TERM"), 1)))
        assert [type(order) for order in around.orders[len(before) :]] == [orders.Ask, orders.Send]

    asyncio.run(main())


def test_answers_wait_for_who_reads_them_and_no_more_than_a_few() -> None:
    """protocol.md 6: "Nobody buffers without bound": a session may ask a thousand questions at once."""

    async def main() -> None:
        around = Everything()
        made, client = talk(around)

        def ask(channel: int, size: int) -> None:
            made.received(memoryview(client.send(f.Query("list"), channel)))
            around.answer(orders.Answer(7, True, bytes(size)))

        made.writable(False)  # the client does not read
        ask(2, 100 * KIB)
        ask(3, ANSWERS_MAX)
        ask(4, 1)
        assert await heard(around, client) == [f.Denied("too many answers wait to be read")]
        made.writable(True)
        told = await heard(around, client)
        assert sum(len(frame.data) for frame in told if isinstance(frame, f.Stdout)) == (100 + 256) * KIB
        assert [frame.stdout for frame in told if isinstance(frame, f.Exit)] == [100 * KIB]

    asyncio.run(main())


def no_more(*_: object) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize("terminal", [True, False], ids=["no second descriptor", "one too few"])
def test_a_child_whose_streams_cannot_be_taken_is_lost_however_it_ended(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """security.md: "a result is whole or an error"; its output is neither where nobody could read it."""

    async def main() -> None:
        around = Everything()
        made, client = talk(around)
        command = made._commands[1]
        reading, writing = os.pipe()
        monkeypatch.setattr(os, "dup", no_more)
        command.begun(orders.Begun(7, "cmds.txt:1", True, terminal, 1000, None, None, None), [reading])
        monkeypatch.undo()
        assert around.orders[-2:] == [orders.End(7, f.Cause.LOST), orders.Drained(7, 0, 0)]
        with pytest.raises(BrokenPipeError):  # nobody reads: what we were given is closed
            os.write(writing, b"x")
        os.close(writing)
        command.ended(orders.Ended(7, f.Cause.EXITED, 0, "", 0, 0, 0, 0))
        await asyncio.sleep(0)  # what leaves, leaves when the loop comes round
        client.receive_data(around.written)
        event = client.next_event()
        assert event is not None
        assert isinstance(event[1], f.Exit)
        assert (event[1].cause, event[1].message) == (f.Cause.LOST, "the server has too many files open")

    asyncio.run(main())

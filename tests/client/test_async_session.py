"""A session in an event loop, at a link of the test's own: keepalive, and every way a link ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from rexec.client.async_session import AsyncSession
from rexec.client.command import Command
from rexec.client.streams import MemorySink
from rexec.errors import RemoteProtocolError
from rexec.limits import KEEPALIVE_IDLE, KEEPALIVE_TIMEOUT, NONCE, SESSION_ID
from rexec.protocol import frames as f
from rexec.protocol.connection import Connection
from rexec.protocol.frames import Form
from rexec.protocol.state import Role
from rexec.transport.link import Link


class Wire:
    """What a session needs of a link; the server's core reads it."""

    def __init__(self) -> None:
        self.owner: object = None
        self.server = Connection(Role.SERVER)
        self.closed = False
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.server.receive_data(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class Clock:
    """A session whose clock the test moves on."""

    def __init__(self) -> None:
        self.wire = Wire()
        client = Connection(Role.CLIENT)
        self.wire.write(client.send(f.ClientHello(bytes(SESSION_ID))))
        client.receive_data(self.wire.server.send(f.ServerHello(bytes(NONCE))))
        self.wire.write(client.send(f.Proof("publickey", "", b"")))
        self.heard()
        client.receive_data(self.wire.server.accept(f.Welcome("alice")))
        assert client.next_event() is not None
        assert client.next_event() is not None
        self.session = AsyncSession(cast(Link, self.wire), client, "alice")
        self.command = self.session.start(f.Exec(0, Form.ARGV, (b"true",)), None, MemorySink(), MemorySink())
        self.session._outbox.flush()  # as when the loop comes round
        self.heard()

    def heard(self) -> list[f.Frame]:
        """What the server heard since."""
        found = []
        while (event := self.wire.server.next_event()) is not None:
            found.append(event[1])
        return found

    def silence(self, seconds: float) -> None:
        """Let so much time pass without a word of the server."""
        self.session._heard -= seconds
        self.session._keep_alive()
        self.session._outbox.flush()


def in_a_loop(test: Callable[[Clock], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine with a fresh session."""

    async def main() -> None:
        await test(Clock())

    asyncio.run(main())


def why(command: Command) -> str:
    """Say why a command was lost."""
    result = command.result()
    assert result.state == "lost"
    assert result.error is not None
    return result.error


def test_a_silent_server_is_asked_once_and_then_given_up() -> None:
    async def test(at: Clock) -> None:
        at.silence(KEEPALIVE_IDLE / 2)
        assert at.heard() == []
        at.silence(KEEPALIVE_IDLE)
        at.silence(1)
        assert at.heard() == [f.Ping(0)]
        at.session.received(memoryview(at.wire.server.send(f.Pong(0))))
        at.silence(KEEPALIVE_IDLE)
        assert at.heard() == [f.Ping(0)]
        at.silence(KEEPALIVE_TIMEOUT)
        assert why(at.command) == "connection lost: no answer for 45 s"
        assert at.wire.aborted

    in_a_loop(test)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda session: session.ended(), "connection lost: the server closed it"),
        (lambda session: session.lost(None), "connection lost: connection closed"),
        (lambda session: session.lost(ConnectionResetError(104, "Reset")), "connection lost: reset"),
        (lambda session: session.lost(RemoteProtocolError("tls: bad mac")), "connection lost: tls: bad mac"),
        (lambda session: session.received(memoryview(b"\xff" * 64)), "protocol error: "),
    ],
    ids=["fin", "closed", "reset", "tls", "garbage"],
)
def test_every_end_of_a_link_is_the_end_of_its_commands(
    end: Callable[[AsyncSession], None], words: str
) -> None:
    """security.md, Protocol, TLS, authentication: "FIN without close_notify"."""

    async def test(at: Clock) -> None:
        end(at.session)
        assert why(at.command).startswith(words)
        assert at.wire.closed
        at.session.lost(None)
        at.session.ended()
        at.session.received(memoryview(b"late"))
        assert why(at.command).startswith(words)

    in_a_loop(test)


def test_a_link_that_does_not_end_is_cut_after_the_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rexec.client.async_session.PARTING", 0)

    async def test(at: Clock) -> None:
        await at.session.close()
        assert isinstance(at.heard()[-1], f.Goodbye)
        assert at.wire.aborted

    in_a_loop(test)


def test_a_session_begins_on_an_open_link() -> None:
    async def test(at: Clock) -> None:
        with pytest.raises(AssertionError):
            at.session.opened()

    in_a_loop(test)

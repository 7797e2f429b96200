"""The door lets in whom it can, and waits where there is no room."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable

import pytest

from rexec.audit.log import Log
from rexec.server import door
from rexec.server.door import Door
from rexec.transport.link import Buffers, Link


class Guest:
    """The owner of a link that only counts."""

    def __init__(self, link: Link, seen: list[Link]) -> None:
        link.owner = self
        self._link, self._seen = link, seen

    def opened(self) -> None:
        self._seen.append(self._link)

    def received(self, data: memoryview) -> None:
        pass

    def ended(self) -> None:
        pass

    def writable(self, yes: bool) -> None:
        pass

    def lost(self, error: Exception | None) -> None:
        pass


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def opened(seen: list[Link], log: Log) -> Door:
    listening = socket.create_server(("127.0.0.1", 0))

    def enter(peer: str) -> Link:
        link = Link(Buffers(1024), None)
        Guest(link, seen)
        return link

    made = Door([listening], enter, log)
    made.open()
    return made


def test_without_a_descriptor_it_waits_and_then_lets_everybody_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    """security.md, Processes: "EMFILE in the accept loop: no spin, recovers"."""
    monkeypatch.setattr(door, "ACCEPT_AGAIN", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def crowd() -> tuple[int, int]:
        seen: list[Link] = []
        with open(os.path.join(tmp_path, "log"), "w+b") as log:
            entrance = opened(seen, Log(log.fileno()))
            clients = [socket.socket() for _ in range(8)]
            for client in clients:
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.connect(entrance.sockets[0].getsockname())
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(c.fileno() for c in clients) + 1, hard))
            try:
                await until(lambda: os.fstat(log.fileno()).st_size)
                without = len(seen)
                await asyncio.sleep(0.2)  # long enough for a loop that spins to say so a thousand times
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: len(seen) == len(clients))
            log.seek(0)
            said = log.read().decode().splitlines()
            assert set(said) == {f'rexec-server: error what="cannot accept" why="{words(errno.EMFILE)}"'}
            entrance.close()
            for link in seen:
                link.abort()
            for client in clients:
                client.close()
            return without, len(said)

    without, lines = asyncio.run(crowd())
    assert without == 0
    assert lines < 20


def test_who_was_accepted_when_it_closes_still_gets_a_link(tmp_path: os.PathLike[str]) -> None:
    """Promise: "a restart under load loses no request": not between accept and the first byte."""

    async def close_in_between() -> int:
        seen: list[Link] = []
        entrance = opened(seen, Log())
        shared = entrance.sockets[0].dup()
        clients = [socket.create_connection(entrance.sockets[0].getsockname()) for _ in range(3)]
        while not entrance.coming:
            await asyncio.sleep(0)
        assert not seen
        entrance.close()
        await until(lambda: len(seen) == len(clients))
        with socket.create_connection(shared.getsockname()):  # who shares the socket has the queue
            shared.accept()[0].close()
        shared.close()
        for link in seen:
            link.abort()
        for client in clients:
            client.close()
        return len(seen)

    assert asyncio.run(close_in_between()) == 3


def words(number: int) -> str:
    return os.strerror(number).lower()

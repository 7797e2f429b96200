"""Connecting, in an event loop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from rexec.client.async_connect import Door
from rexec.transport.address import Address
from rexec.transport.outbound import open_link


def test_a_frame_does_not_wait_for_the_acknowledgement_of_the_one_before() -> None:
    """performance.md: "TCP_NODELAY ... Set it on the client too": else an Exec behind an Ack takes 40 ms."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            link = await open_link(Address("127.0.0.1", server.getsockname()[1]), Door(), tls=False)
            assert link.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            link.abort()

    asyncio.run(main())


def test_a_socket_whose_queue_is_full_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
            listening.bind(path)
            listening.listen(0)
            first.connect(path)
            waiting = asyncio.create_task(open_link(Address("", 0, path), Door(), tls=False))
            await asyncio.sleep(0)  # it has tried
            assert not waiting.done()
            listening.accept()[0].close()
            link = await waiting
            listening.accept()[0].close()
            link.abort()

    asyncio.run(main())

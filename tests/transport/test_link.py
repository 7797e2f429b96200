"""A link in an event loop: what its owner is told, and what a peer that does not read costs."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Coroutine

from rexec.errors import RemoteProtocolError
from rexec.limits import KIB, MIB
from rexec.transport.link import FLOOD, Buffers, Link, mapped
from rexec.transport.secure import TlsLayer
from tests.transport.pairs import client_layer, server_layer


class Owner:
    """Notes what it is told; `news` is set with each, and `place` is where it wants the next bytes."""

    place: memoryview | None = None

    def __init__(self, link: Link) -> None:
        self.link = link
        self.data = b""
        self.told: list[str] = []
        self.errors: list[Exception | None] = []
        self.news = asyncio.Event()
        link.owner = self

    def _tell(self, word: str) -> None:
        self.told.append(word)
        self.news.set()

    def opened(self) -> None:
        self._tell("opened")

    def received(self, data: memoryview) -> None:
        self.data += data
        self.place = None
        self._tell("received")

    def ended(self) -> None:
        self._tell("ended")

    def writable(self, yes: bool) -> None:
        self._tell("writable" if yes else "full")

    def lost(self, error: Exception | None) -> None:
        self.errors.append(error)
        self._tell("lost")

    async def hears(self, word: str) -> None:
        while word not in self.told:
            self.news.clear()
            await self.news.wait()


class Sized(TlsLayer):
    """TLS that notes how much it is given at once, and sends nothing."""

    has_more = has_answer = False  # type: ignore[assignment]

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def handshake(self) -> bool:
        return False

    def write(self, data: bytes | memoryview) -> bytes:
        if data:
            self.sizes.append(len(data))
        return b""


class Silent(TlsLayer):
    """TLS that has something to say of its own whenever it is asked, as after a key update."""

    has_more = has_answer = True  # type: ignore[assignment]

    def __init__(self) -> None:
        self.ready = False

    def feed(self, data: memoryview) -> None:
        pass

    def handshake(self) -> bool:
        self.ready = True
        return True

    def read(self, buffer: memoryview) -> int | None:
        return 0

    def write(self, data: bytes | memoryview) -> bytes:
        return bytes(FLOOD // 2) if self.ready else b""

    def close(self) -> bytes:
        return b""


async def linked(tls: TlsLayer | None = None) -> tuple[Owner, socket.socket]:
    """Return the owner of a link and the plain socket at its other end."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    link = Link(Buffers(), tls)
    owner = Owner(link)
    await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
    return owner, theirs


def run(test: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def test_in_the_clear_bytes_go_as_they_are() -> None:
    async def test() -> None:
        owner, peer = await linked()
        loop = asyncio.get_running_loop()
        owner.link.write(b"hello")
        owner.link.write(b"")
        assert await loop.sock_recv(peer, 99) == b"hello"
        await loop.sock_sendall(peer, b"answer")
        await owner.hears("received")
        assert owner.data == b"answer"
        peer.shutdown(socket.SHUT_WR)
        await owner.hears("ended")
        owner.link.close()
        await owner.hears("lost")
        owner.link.write(b"too late")
        owner.link.close()
        owner.link.abort()
        assert owner.told == ["opened", "received", "ended", "lost"]
        peer.close()

    run(test())


def test_over_tls_the_owner_sees_plaintext_alone() -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        server, client = Link(Buffers(), server_layer()), Link(Buffers(), client_layer())
        host, guest = Owner(server), Owner(client)
        await loop.create_connection(lambda: server, sock=ours)
        await loop.create_connection(lambda: client, sock=theirs)
        await host.hears("opened")
        await guest.hears("opened")
        client.write(b"x" * 1_000_000)
        while len(host.data) < 1_000_000:
            host.news.clear()
            await host.news.wait()
        client.close()
        await host.hears("ended")
        server.close()
        await host.hears("lost")
        await guest.hears("lost")

    run(test())


def test_a_peer_that_breaks_tls_gets_an_alert_and_the_end() -> None:
    """security.md, Protocol: "an HTTP request, an ssh banner"."""

    async def test() -> None:
        owner, peer = await linked(server_layer())
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(peer, b"GET / HTTP/1.1\r\n\r\n")
        await owner.hears("lost")
        assert isinstance(owner.errors[0], RemoteProtocolError)
        alert = b""
        while data := await loop.sock_recv(peer, 99):
            alert += data
        assert alert[:1] in (b"", b"\x15")
        assert owner.told == ["lost"]
        peer.close()

    run(test())


def test_bytes_are_received_where_the_owner_wants_them() -> None:
    async def test(tls: bool) -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        layers = (server_layer(), client_layer()) if tls else (None, None)
        links = [Link(Buffers(), layer) for layer in layers]
        host, guest = map(Owner, links)
        host.place = place = memoryview(bytearray(10))
        for link, end in zip(links, (ours, theirs), strict=True):
            await loop.create_connection(lambda link=link: link, sock=end)  # type: ignore[misc]
        await guest.hears("opened")
        guest.link.write(b"0123456789abcdef")
        await host.hears("received")
        assert place == b"0123456789"
        while len(host.data) < 16:
            host.news.clear()
            await host.news.wait()
        assert host.data == b"0123456789abcdef"
        for link in links:
            link.abort()
        await host.hears("lost")
        await guest.hears("lost")

    run(test(tls=False))
    run(test(tls=True))


def test_a_peer_that_never_reads_is_not_read_any_more_either() -> None:
    """security.md, Protocol: "the server's memory stays flat"."""

    async def test() -> None:
        owner, peer = await linked()
        loop = asyncio.get_running_loop()
        for _ in range(9):
            owner.link.write(bytes(FLOOD // 4))
        assert "full" in owner.told
        await loop.sock_sendall(peer, b"more?")
        for _ in range(10):
            await asyncio.sleep(0)
        assert owner.data == b""
        while "writable" not in owner.told:
            await loop.sock_recv(peer, FLOOD)
        await owner.hears("received")
        assert owner.data == b"more?"
        owner.link.abort()
        await owner.hears("lost")
        peer.close()

    run(test())


def test_answers_of_tls_itself_are_bounded_too() -> None:
    """security.md, Protocol: a flood of key updates, whose answers nobody reads."""

    async def test() -> None:
        owner, peer = await linked(Silent())
        loop = asyncio.get_running_loop()
        for _ in range(10):
            await loop.sock_sendall(peer, b"x")
            await asyncio.sleep(0)
        transport = owner.link._transport
        assert transport is not None
        assert transport.get_write_buffer_size() <= 2 * FLOOD
        owner.link.abort()
        await owner.hears("lost")
        peer.close()

    run(test())


def test_a_link_that_is_closed_does_not_wait_for_its_peer_for_ever() -> None:
    async def test() -> None:
        owner, peer = await linked()
        owner.link.write(bytes(FLOOD))
        owner.link.close()
        assert owner.link._patience is not None
        owner.link._patience._run()  # its time has come
        await owner.hears("lost")
        peer.close()

    run(test())


def test_what_is_lost_leaves_no_ring_behind() -> None:
    """A ring waits for the collector, and a lost connection may have megabytes in its TLS."""

    async def test() -> None:
        owner, peer = await linked()
        link = weakref.ref(owner.link)
        gc.disable()
        try:
            owner.link.abort()
            await owner.hears("lost")
            await asyncio.sleep(0)  # the loop lets go of it too
            del owner
            assert link() is None
        finally:
            gc.enable()
        peer.close()

    run(test())


def test_much_at_once_is_encrypted_in_pieces() -> None:
    """OpenSSL keeps as much memory as it ever needed at once, as long as the connection lives."""

    async def test() -> None:
        tls = Sized()
        owner, peer = await linked(tls)
        for size in (1, 256 * KIB, 4 * MIB + 1):
            owner.link.write(bytes(size))
        assert tls.sizes == [1, *[256 * KIB] * 17, 1]
        owner.link.abort()
        await owner.hears("lost")
        owner.link.write(b"late")
        peer.close()

    run(test())


def test_the_ends_are_known_after_a_reset() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            accepted, _ = listening.accept()
            link = Link(Buffers(), None)
            owner = Owner(link)
            here, peer = accepted.getsockname(), accepted.getpeername()
            await asyncio.get_running_loop().create_connection(lambda: link, sock=accepted)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            await owner.hears("lost")
            assert (link.here, link.peer) == (here, peer)

    run(test())


def test_a_loss_is_said_in_words() -> None:
    assert mapped(None) == "connection closed"
    assert mapped(ConnectionResetError(104, "Connection reset by peer")) == "connection reset by peer"
    assert mapped(RemoteProtocolError("odd")) == "odd"
    assert mapped(OSError()) == "OSError"

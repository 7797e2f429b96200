"""Many clients are served at once, whatever silent, slow and strange peers do meanwhile."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.regress.conftest import RULES, Host, descriptors_of, wait_until


def test_fifty_clients_each_get_their_own_output(host: Host) -> None:
    """Promise: "One event loop, many connections, many channels on each"."""

    def run(number: int) -> tuple[int, bytes, bytes]:
        script = f"seq {number} {number + 5000}; echo {number} >&2; cat; exit {number}"
        done = host.run("sh", "-c", script, input=b"%d" % number * 1000)
        return done.returncode, done.stdout, done.stderr

    def expected(number: int) -> tuple[int, bytes, bytes]:
        lines = b"".join(b"%d\n" % each for each in range(number, number + 5001))
        return number, lines + b"%d" % number * 1000, b"%d\n" % number

    with ThreadPoolExecutor(50) as pool:
        for number, found in enumerate(pool.map(run, range(50))):
            assert found == expected(number)


def hello(size: int) -> bytes:
    """The first bytes of a handshake as a client of TLS sends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()[:size]


def test_silent_sockets_and_half_hellos_hold_nobody_up(host: Host) -> None:
    """security.md, Protocol: "Silent sockets, a ClientHello byte by byte ...; others get in meanwhile"."""
    half = hello(100)
    with ExitStack() as stack:
        for number in range(100):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", host.port)))
            peer.sendall((b"", half[:1], half)[number % 3])
        for _ in range(5):
            assert host.run("seq", "2").stdout == b"1\n2\n"


STRANGE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(1000),
    "noise": bytes(range(256)) * 16,
    "a frame in the clear": b"\x01\x00\x00\x00\x00\x00\x00\x04abcd",
    "nothing": b"",
}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for those tests that leave it as it was."""
    made = Host(tmp_path_factory.mktemp("lasting"), RULES).start()
    yield made
    made.end()


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE.keys())
def test_what_is_not_tls_is_turned_away(lasting: Host, data: bytes) -> None:
    """security.md, Protocol: "an HTTP request, an ssh banner, plain bytes before the handshake"."""
    before, refused = descriptors_of(lasting.pid), lasting.count("rexec-server: refused ")
    with socket.create_connection(("127.0.0.1", lasting.port)) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        try:
            answer = peer.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert len(answer) < 64  # an alert at most
    lasting.wait_for("rexec-server: refused from=127.0.0.1 why=", count=refused + 1)
    wait_until(lambda: descriptors_of(lasting.pid) <= before, "the connection is closed")
    assert lasting.run("true").returncode == 0


def test_peers_that_vanish_at_any_point_leave_nothing(host: Host) -> None:
    """security.md, Protocol: "a ClientHello byte by byte, half a frame for ever"."""
    whole = hello(10_000)
    host.run("true")
    before = descriptors_of(host.pid)
    for size in range(0, len(whole), 16):
        with socket.create_connection(("127.0.0.1", host.port)) as peer:
            peer.sendall(whole[:size])
    assert host.run("true").returncode == 0
    wait_until(lambda: descriptors_of(host.pid) <= before, "every connection is closed")

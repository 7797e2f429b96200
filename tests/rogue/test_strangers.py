"""What somebody without a key can do: nothing but be shown the door, alone and at a cost of his own."""

from __future__ import annotations

import socket
import ssl
import struct

import pytest

from tests.rogue import wire
from tests.rogue.client import connect, context
from tests.rogue.conftest import Target, until
from tests.rogue.sayings import shown_out

EARLY = [kind for kind in (*wire.OF_THE_CONNECTION, *wire.OF_A_CHANNEL) if kind != wire.CLIENT_HELLO]


def body_of(target: Target, kind: int) -> bytes:
    """Return a well-made body, so that nothing but its time is wrong with the frame."""
    bodies = {
        wire.SERVER_HELLO: wire.server_hello(bytes(32)),
        wire.PROOF: wire.proof(b"publickey", b"", b""),
        wire.WELCOME: wire.welcome(b"alice"),
        wire.REFUSED: wire.string(b"no"),
        wire.GOODBYE: wire.goodbye(),
        wire.EXEC: wire.exec_(1, *target.touch),
        wire.QUERY: wire.query(b"list"),
        wire.STARTED: wire.started(),
        wire.DENIED: wire.denied(b"no"),
        wire.FAILED: wire.failed(127, b"no"),
        wire.EXIT: wire.exit_(),
        wire.STDIN: b"x",
        wire.STDOUT: b"x",
        wire.STDERR: b"x",
        wire.EOF: b"\0",
        wire.STOP: b"\1",
        wire.CREDIT: wire.credit(1, 1 << 20),
        wire.SIGNAL: wire.string(b"TERM"),
        wire.RESIZE: struct.pack("!HHHH", 80, 24, 0, 0),
    }
    return bodies.get(kind, struct.pack("!Q", 0))


@pytest.mark.parametrize("greeted", [False, True])
@pytest.mark.parametrize("kind", EARLY)
def test_a_frame_before_authentication_ends_the_connection(target: Target, kind: int, greeted: bool) -> None:
    """security.md, Protocol: "frames before authentication, twice, out of order, after the end"."""
    if greeted and kind == wire.PROOF:
        return  # in its place
    with target.rogue() as rogue:
        if greeted:
            rogue.say_hello()
        channel = 1 if kind >= wire.EXEC else 0
        rogue.send(wire.frame(kind, body_of(target, kind), channel=channel))
        assert shown_out(rogue)
    assert not target.sang()


def test_a_command_behind_a_wrong_proof_is_never_looked_at(target: Target) -> None:
    """security.md, Protocol: "frames before authentication"."""
    with target.rogue() as rogue:
        rogue.say_hello()
        rogue.hear_hello()
        touch = wire.frame(wire.EXEC, wire.exec_(1, *target.touch), channel=1)
        rogue.send(rogue.proof_frame(target.mallory), touch, touch, touch)
        rogue.expect(wire.REFUSED)
        rogue.send(touch)  # dropped, as all is up to the next proof
        rogue.send(rogue.proof_frame(target.mallory), touch)
        rogue.expect(wire.REFUSED)
    assert not target.sang()
    with target.friend() as friend:
        assert wire.Exit(friend.run(*target.touch)[1]).status == 0
    assert target.sang()  # the canary can sing


def test_a_second_hello_ends_the_connection(target: Target) -> None:
    """security.md, Protocol: "frames before authentication, twice"."""
    with target.rogue() as rogue:
        rogue.say_hello()
        rogue.say_hello()
        assert shown_out(rogue) == b"ClientHello in state greeted"


def test_a_hello_without_its_session_is_refused(target: Target) -> None:
    for session in (b"", bytes(15), bytes(17)):
        with target.rogue() as rogue:
            rogue.say_hello(wire.client_hello(session))
            assert shown_out(rogue) == b"session id of %d bytes" % len(session)


@pytest.mark.parametrize("kind", [*range(256)])
def test_an_over_long_frame_ends_the_connection_by_its_header(clear: Target, kind: int) -> None:
    """security.md, Protocol: "Length 0xFFFFFFFF ...: judged before allocation"."""
    with clear.rogue(tls=False) as rogue:
        rogue.send(wire.frame(kind, length=0xFFFF_FFFF, channel=1 if kind >= wire.EXEC else 0))
        assert shown_out(rogue)


def test_the_memory_of_the_server_is_flat_under_over_long_frames(clear: Target) -> None:
    """security.md, Protocol: "Length 0xFFFFFFFF ...: the server's memory stays flat"."""
    with clear.rogue(tls=False) as first:
        first.send(wire.frame(wire.CLIENT_HELLO, length=0xFFFF_FFFF))
        assert first.is_closed()
    before = clear.memory()
    for _ in range(100):
        with clear.rogue(tls=False) as rogue:
            rogue.send(wire.frame(wire.CLIENT_HELLO, length=0xFFFF_FFFF))
            rogue.try_to_send(bytes(256 * 1024))
            assert rogue.is_closed()
    assert clear.memory() - before < 8 << 20


def test_lengths_inside_a_hello_are_judged_too(clear: Target) -> None:
    """security.md, Protocol: "deep or huge lists: judged before allocation"."""
    front = wire.string(bytes(16)) + bytes(8) + wire.string(b"rogue")
    for tail in (b"\xff\xff\xff\xff", b"\0\1\0\0", b"\0\0\0\1\xff\xff\xff\xff", b"\0\0\0\0\0"):
        with clear.rogue(tls=False) as rogue:
            rogue.send(wire.frame(wire.CLIENT_HELLO, front + tail))
            assert shown_out(rogue)


@pytest.mark.parametrize("flags", [0x80, 0x40, 0x01, 0xFF])
def test_flags_of_a_stranger_are_refused(target: Target, flags: int) -> None:
    for kind in (wire.CLIENT_HELLO, 200):
        with target.rogue() as rogue:
            rogue.send(wire.frame(kind, flags=flags))
            assert shown_out(rogue) == b"unknown header flags 0x%02x" % flags


def test_a_flood_before_the_proof_is_judged_is_bounded(target: Target) -> None:
    """security.md, Protocol: "a million empty frames ...: the server's memory stays flat"."""
    before = target.memory()
    with target.rogue() as rogue:
        rogue.say_hello()
        rogue.hear_hello()
        flood = wire.frame(wire.EXEC, wire.exec_(1, *target.touch), channel=1) * 10_000
        rogue.send(rogue.proof_frame(target.mallory))
        while rogue.try_to_send(flood) and len(flood) < 16 << 20:
            flood += flood
        rogue.socket.close()
    assert target.works()
    assert target.memory() - before < 16 << 20
    assert not target.sang()


BARE = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "zeros": bytes(4096),
    "frames": wire.frame(wire.CLIENT_HELLO, wire.client_hello(bytes(16))),
    "half a ClientHello": bytes.fromhex("1603010200010001fc0303"),
}


@pytest.mark.parametrize("name", BARE)
def test_other_protocols_at_the_tls_port_get_nothing(target: Target, name: str) -> None:
    """security.md, Protocol: "an HTTP request, an ssh banner"."""
    with connect(target) as connection:
        connection.sendall(BARE[name])
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := connection.recv(4096):
                answer += data
        except ConnectionResetError:
            pass
    assert len(answer) <= 7  # a TLS alert, or not even that
    assert answer[:1] in (b"", b"\x15")


@pytest.mark.parametrize("name", [name for name in BARE if name != "frames"])
def test_other_protocols_in_the_clear_get_a_hello_and_the_door(clear: Target, name: str) -> None:
    """security.md, Protocol: "an HTTP request, an ssh banner"."""
    with clear.rogue(tls=False) as rogue:
        rogue.send(BARE[name])
        assert [kind for kind, _, _ in rogue.rest()] == [wire.SERVER_HELLO, wire.GOODBYE]


def test_plain_bytes_before_the_handshake_are_never_taken_for_authenticated(target: Target) -> None:
    """security.md, Protocol: "plain bytes before the handshake (CVE-2023-40217)"."""
    with connect(target) as connection:
        connection.sendall(wire.frame(wire.CLIENT_HELLO, wire.client_hello()))
        with pytest.raises(OSError):  # noqa: PT011  # which one is a matter of who is faster
            context("rexec/1").wrap_socket(connection)


@pytest.mark.parametrize("alpn", [(), ("h2",), ("rexec/2", "http/1.1")])
def test_a_peer_without_our_alpn_hears_nothing(target: Target, alpn: tuple[str, ...]) -> None:
    """security.md, Protocol: "TLS 1.2, no ALPN"."""
    heard = b""
    try:
        with context(*alpn).wrap_socket(connect(target)) as tls:
            tls.sendall(wire.frame(wire.CLIENT_HELLO, wire.client_hello()))
            while data := tls.recv(4096):
                heard += data
    except OSError:
        pass
    assert heard == b""


def test_tls_1_2_is_refused(target: Target) -> None:
    """security.md, Protocol: "TLS 1.2"."""
    old = context("rexec/1")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)version|alert"):
        old.wrap_socket(connect(target))


def test_a_handshake_byte_by_byte_is_served_as_any(target: Target) -> None:
    """security.md, Protocol: "a ClientHello byte by byte"."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context("rexec/1").wrap_bio(incoming, outgoing)
    with connect(target) as connection:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    connection.sendall(bytes([byte]))
                incoming.write(connection.recv(65_536))
        assert tls.version() == "TLSv1.3"


def test_a_reset_connection_leaves_nothing(clear: Target) -> None:
    """A client that is gone before it was accepted has no address any more."""
    for _ in range(50):
        connection = connect(clear)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    with clear.friend(tls=False) as friend:
        assert friend.is_alive()
    assert until(lambda: clear.descriptors() <= clear.at_rest)


STAGES = {
    "silent": b"",
    "half a header": b"\1\0",
    "half a hello": wire.frame(wire.CLIENT_HELLO, wire.client_hello(bytes(16)))[:-1],
    "a hello": wire.frame(wire.CLIENT_HELLO, wire.client_hello(bytes(16))),
}


def test_who_proves_nothing_in_time_is_shown_out_and_others_work(hasty: Target) -> None:
    """security.md, Protocol: "Silent sockets, ... half a frame for ever: one deadline for all that
    precedes authentication; others get in meanwhile"; "short grace"."""
    silent = [connect(hasty) for _ in range(20)]  # not even a handshake
    half = connect(hasty)
    half.sendall(BARE["half a ClientHello"])
    strangers = {name: hasty.rogue() for name in STAGES}
    for name, data in STAGES.items():
        strangers[name].send(data)
    with hasty.friend() as friend:
        assert friend.is_alive()
        for stranger in strangers.values():
            *_, (kind, _, body) = stranger.rest()
            assert (kind, body[0], wire.first_string(body[1:])) == (wire.GOODBYE, 3, b"no proof in time")
        for connection in (*silent, half):
            assert not _rest(connection)
        assert friend.is_alive()
    for connection in (*silent, half, *(stranger.socket for stranger in strangers.values())):
        connection.close()
    assert until(lambda: hasty.descriptors() <= hasty.at_rest)


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_proof_drip_by_drip_does_not_outlive_the_deadline(hasty: Target) -> None:
    """security.md, Protocol: "half a frame for ever"; each byte buys no time."""
    with hasty.rogue() as rogue:
        rogue.say_hello()
        rogue.hear_hello()
        proof = rogue.proof_frame(hasty.alice)
        rogue.socket.settimeout(0.1)
        sent = 0
        while sent < len(proof) - 1:
            if not rogue.try_to_send(proof[sent : sent + 1]):
                break
            sent += 1
            try:
                found = rogue.read()
            except TimeoutError:
                continue
            assert found is not None
            assert found[0] == wire.GOODBYE
            break
        assert sent < len(proof) - 1

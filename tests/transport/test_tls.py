"""TLS over memory: what is agreed, what is bound, what is refused."""

from __future__ import annotations

import ssl

import pytest

from rexec.auth.der import spki_of
from rexec.auth.private import generate
from rexec.errors import ConfigError, RemoteProtocolError
from rexec.server.certificate import self_signed
from rexec.transport.secure import ALPN, TlsLayer, client_context, reason
from rexec.transport.tls import server_context
from tests.transport.pairs import client_layer, drain, pair, server_layer, shake


def test_both_ends_agree_on_tls_1_3_and_bytes_go_both_ways() -> None:
    client, server = pair()
    assert client.version == server.version == "TLSv1.3"
    server.feed(memoryview(client.write(b"up")))
    client.feed(memoryview(server.write(b"down")))
    assert (drain(server), drain(client)) == (b"up", b"down")
    assert drain(server) == b""


def test_the_binding_is_the_same_at_both_ends_and_fresh() -> None:
    """protocol.md 4: `tls-unique` under TLS 1.3 is equal on both ends, fresh, and known to the client
    right after its handshake; this pins that behaviour."""
    key = generate()
    bindings = set()
    for _ in range(5):
        client, server = client_layer(), server_layer(key)
        hello = client.handshake() or client.write(b"")
        server.feed(memoryview(bytes(hello)))
        assert not server.handshake()
        client.feed(memoryview(server.write(b"")))
        assert client.handshake()
        early = client.binding  # before the server has the client's Finished
        shake(client, server)
        assert early == client.binding == server.binding
        assert early is not None
        assert len(early) >= 32
        bindings.add(early)
    assert len(bindings) == 5


def test_the_certificate_shows_the_host_key() -> None:
    key = generate()
    client, server = pair(key)
    certificate = client.certificate()
    assert certificate is not None
    assert spki_of(certificate) == key.public.spki()
    assert server.certificate() is None


def test_a_server_sends_no_tickets() -> None:
    """protocol.md 1: sessions are never resumed at the TLS level."""
    client, server = client_layer(), server_layer()
    shake(client, server)
    assert server.write(b"") == b""
    key = generate()
    assert server_context(self_signed(key), key.pkcs8_pem(), "test").num_tickets == 0


def foreign(*alpn: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> TlsLayer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return TlsLayer(context, server_side=False)


@pytest.mark.parametrize("alpn", [(), ("h2",)])
def test_a_peer_that_does_not_say_rexec_is_refused(alpn: tuple[str, ...]) -> None:
    """security.md, Protocol: "no ALPN"; the handshake itself does not mind."""
    with pytest.raises(RemoteProtocolError, match=r"does not speak rexec/1|alpn"):
        shake(foreign(*alpn), server_layer())


def test_tls_1_2_is_refused() -> None:
    """security.md, Protocol: "TLS 1.2"."""
    old, server = foreign(ALPN, version=ssl.TLSVersion.TLSv1_2), server_layer()
    assert not old.handshake()
    server.feed(memoryview(old.write(b"")))
    with pytest.raises(RemoteProtocolError, match="tls: unsupported protocol"):
        server.handshake()
    assert server.write(b"")[:1] == b"\x15"  # an alert goes out


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", bytes(64), b"\xff" * 64])
def test_what_is_no_handshake_is_refused(data: bytes) -> None:
    """security.md, Protocol: "an HTTP request, an ssh banner"."""
    server = server_layer()
    server.feed(memoryview(data))
    with pytest.raises(RemoteProtocolError, match="tls: "):
        server.handshake()


def test_half_a_handshake_and_the_end_is_an_error() -> None:
    client, server = client_layer(), server_layer()
    client.handshake()
    server.feed(memoryview(client.write(b""))[:20])
    assert not server.handshake()
    server.eof()
    with pytest.raises(RemoteProtocolError):
        server.handshake()


def test_what_came_before_the_end_is_read_before_the_end() -> None:
    for last in (lambda client: client.close(), lambda client: b""):
        client, server = pair()
        server.feed(memoryview(client.write(b"last words") + last(client)))
        server.eof()
        assert drain(server) == b"last words"
        assert drain(server) is None


def test_a_record_that_was_changed_is_refused() -> None:
    """security.md: "whoever is on the wire learns nothing and changes nothing"."""
    client, server = pair()
    first, second = client.write(b"first"), bytearray(client.write(b"second"))
    second[-1] ^= 1
    server.feed(memoryview(first + second))
    assert drain(server) == b"first"
    with pytest.raises(RemoteProtocolError, match="tls: "):
        drain(server)


def test_more_than_a_buffer_holds_is_read_in_parts() -> None:
    client, server = pair()
    server.feed(memoryview(client.write(b"x" * 100_000)))
    parts = [drain(server, 40_000) for _ in range(4)]
    assert [len(part or b"") for part in parts] == [40_000, 40_000, 20_000, 0]


def test_a_certificate_of_another_key_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"^here: not a certificate and its key: "):
        server_context(self_signed(generate()), generate().pkcs8_pem(), "here")


def test_a_reason_is_words() -> None:
    with pytest.raises(ssl.SSLError) as error:
        client_context().load_cert_chain("/proc/self/status")
    assert reason(error.value).islower()
    assert "_" not in reason(error.value)


def test_an_end_without_anything_before_it_is_an_end() -> None:
    client, server = pair()
    server.feed(memoryview(client.close()))
    assert drain(server) is None
    assert drain(server) is None


def test_a_broken_record_without_anything_before_it_is_refused() -> None:
    client, server = pair()
    record = bytearray(client.write(b"x"))
    record[-1] ^= 1
    server.feed(memoryview(record))
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="tls: "):
            drain(server)


def test_who_answers_what_came_before_a_broken_record_hears_of_that_by_reading() -> None:
    client, server = pair()
    answer, record = server.write(b"answer"), bytearray(client.write(b"x"))
    record[-1] ^= 1
    server.feed(memoryview(record))
    with pytest.raises(RemoteProtocolError, match="bad record mac"):
        drain(server)
    client.feed(memoryview(answer + server.write(b"more")))  # in place of which an alert goes out
    assert drain(client) == b"answer"
    client.write(b"more")
    with pytest.raises(RemoteProtocolError, match="bad record mac"):
        drain(client)

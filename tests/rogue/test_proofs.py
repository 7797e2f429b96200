"""Proofs that prove nothing: replayed, relayed, reflected, borrowed, bent. All get the same answer."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.rogue import wire
from tests.rogue.client import Rogue, context, spki_sha256
from tests.rogue.conftest import Target
from tests.rogue.wire import Key

ANSWER = wire.frame(wire.REFUSED, wire.string(b"not accepted"))


def answer(rogue: Rogue, proof: bytes) -> bytes:
    """Send a proof; return the whole frame of the answer."""
    rogue.send(proof)
    found = rogue.read()
    assert found is not None
    return wire.frame(found[0], found[2], channel=found[1])


def greeted(target: Target, *, tls: bool = True) -> Rogue:
    rogue = target.rogue(tls=tls)
    rogue.say_hello()
    rogue.hear_hello()
    return rogue


def body(kind: int, key: Key, signature: bytes, *, dialled: bytes = b"", user: bytes = b"") -> bytes:
    """Make the frame of a proof from its parts."""
    made = wire.proof_body(kind, dialled, key.blob, signature)
    return wire.frame(wire.PROOF, wire.proof(b"publickey", user, made))


def test_an_honest_proof_made_by_hand_is_accepted(target: Target, clear: Target) -> None:
    """The control of all tests below: what they bend is good when it is straight."""
    with target.rogue() as rogue:
        rogue.log_in(target.alice)
        assert rogue.is_alive()
    with clear.rogue(tls=False) as rogue:
        rogue.log_in(clear.bob, b"bob")
        assert rogue.is_alive()


def bent_transcripts(rogue: Rogue, key: Key) -> dict[str, bytes]:
    """Messages that differ from the one to sign in one thing each."""
    return {
        "reflected": rogue.transcript(key.blob, role=b"server"),
        "another server": rogue.transcript(key.blob, spki_sha256=bytes(32)),
        "another connection": rogue.transcript(key.blob, binding=os.urandom(32)),
        "another kind": rogue.transcript(key.blob, kind=wire.NONCE, binding=rogue.nonce + wire.string(b"")),
        "another user": rogue.transcript(key.blob, b"bob"),
        "another key": rogue.transcript(Key().blob),
        "another hello": rogue.transcript(key.blob, hello=wire.client_hello()),
        "features stripped": rogue.transcript(
            key.blob, hello=wire.client_hello(rogue.hello[4:20], features=(b"resume",))
        ),
        "nothing": b"",
    }


@pytest.mark.parametrize("name", [
    "reflected", "another server", "another connection", "another kind", "another user", "another key",
    "another hello", "features stripped", "nothing",
])  # fmt: skip
def test_a_signature_over_anything_else_is_refused(target: Target, name: str) -> None:
    """security.md, Protocol: "replayed proof, reflected proof, ..., user changed half way, version
    stripped"."""
    with greeted(target) as rogue:
        message = bent_transcripts(rogue, target.alice)[name]
        assert answer(rogue, rogue.proof_frame(target.alice, message=message)) == ANSWER
        assert answer(rogue, rogue.proof_frame(target.alice)) != ANSWER


@pytest.mark.parametrize("name", ["role", "key", "server", "address", "binding"])
def test_the_same_in_the_clear(clear: Target, name: str) -> None:
    """security.md, Protocol: "Relay with another certificate, replayed proof, reflected proof"."""
    with greeted(clear, tls=False) as rogue:
        key = clear.alice
        changes = {
            "role": {"role": b"server"},
            "key": {"spki_sha256": key.spki_sha256},
            "server": {"spki_sha256": os.urandom(32)},
            "address": {"binding": rogue.nonce + wire.string(b"127.0.0.1:1")},
            "binding": {"binding": os.urandom(32) + wire.string(rogue.dialled)},
        }[name]
        message = rogue.transcript(key.blob, **changes)
        assert answer(rogue, rogue.proof_frame(key, message=message)) == ANSWER
        assert answer(rogue, rogue.proof_frame(key)) != ANSWER


def test_a_proof_for_another_address_is_refused_in_the_clear(clear: Target) -> None:
    """security.md, Protocol: "Relay": who relays was dialled under another address."""
    with greeted(clear, tls=False) as rogue:
        other = b"127.0.0.1:1"
        message = rogue.transcript(clear.alice.blob, binding=rogue.nonce + wire.string(other))
        proof = body(wire.NONCE, clear.alice, clear.alice.sign(message), dialled=other)
        assert answer(rogue, proof) == ANSWER


def test_the_nonce_is_taken_over_tls_too(target: Target) -> None:
    """protocol.md 4: kind 2 is for implementations without access to the Finished."""
    with greeted(target) as rogue:
        binding = rogue.nonce + wire.string(b"anywhere:1")
        message = rogue.transcript(target.alice.blob, kind=wire.NONCE, binding=binding)
        rogue.send(body(wire.NONCE, target.alice, target.alice.sign(message), dialled=b"anywhere:1"))
        rogue.expect(wire.WELCOME)
        assert rogue.is_alive()


@pytest.mark.parametrize("tls", [True, False])
def test_a_recorded_proof_is_worth_nothing_on_another_connection(
    target: Target, clear: Target, tls: bool
) -> None:
    """security.md, Protocol: "replayed proof"."""
    host = target if tls else clear
    with host.rogue(tls=tls) as first:
        first.say_hello()
        first.hear_hello()
        recorded = first.proof_frame(host.alice)
        hello = first.hello
        with host.rogue(tls=tls) as second:  # the same hello, the same bytes
            second.say_hello(hello)
            second.hear_hello()
            assert answer(second, recorded) == ANSWER
        first.send(recorded)
        first.expect(wire.WELCOME)
    with host.rogue(tls=tls) as third:
        third.say_hello(hello)
        third.hear_hello()
        assert answer(third, recorded) == ANSWER


def test_a_second_proof_after_the_welcome_ends_the_connection(target: Target) -> None:
    """security.md, Protocol: "frames before authentication, twice, out of order"."""
    with greeted(target) as rogue:
        proof = rogue.proof_frame(target.alice)
        rogue.send(proof)
        rogue.expect(wire.WELCOME)
        rogue.send(proof)
        assert wire.GOODBYE in [kind for kind, _, _ in rogue.rest()]


def test_two_proofs_at_once_are_judged_one_after_the_other(target: Target) -> None:
    with greeted(target) as rogue:
        rogue.send(rogue.proof_frame(target.mallory), rogue.proof_frame(target.alice))
        rogue.expect(wire.REFUSED)
        rogue.expect(wire.WELCOME)
        assert rogue.is_alive()


def test_the_key_that_signed_counts_and_not_the_one_that_was_named(target: Target) -> None:
    """security.md, Protocol: "key A named and key B signing"."""
    alice, mallory = target.alice, target.mallory
    with greeted(target) as rogue:
        message = rogue.transcript(alice.blob)
        for proof in (
            body(wire.TLS_FINISHED, alice, mallory.sign(message)),
            body(wire.TLS_FINISHED, alice, mallory.sign(message, named=alice.blob)),
            body(wire.TLS_FINISHED, mallory, alice.sign(message)),
            body(wire.TLS_FINISHED, alice, mallory.sign(rogue.transcript(mallory.blob))),
        ):
            assert answer(rogue, proof) == ANSWER


def test_nobody_changes_the_user_half_way(target: Target) -> None:
    """security.md, Protocol: "user changed half way"."""
    with greeted(target) as rogue:
        for signed, claimed in ((b"alice", b"bob"), (b"alice", b""), (b"", b"alice"), (b"bob", b"bob")):
            signature = target.alice.sign(rogue.transcript(target.alice.blob, signed))
            assert answer(rogue, body(wire.TLS_FINISHED, target.alice, signature, user=claimed)) == ANSWER


def test_a_signature_for_another_purpose_is_refused(target: Target) -> None:
    """protocol.md 4: the namespace keeps a signature made for a file or an SSH login out."""
    with greeted(target) as rogue:
        message = rogue.transcript(target.alice.blob)
        for namespace in (b"file", b"git", b"", b"rexec-auth-v2"):
            signature = target.alice.sign(message, namespace=namespace)
            assert answer(rogue, body(wire.TLS_FINISHED, target.alice, signature)) == ANSWER


WRONG: dict[str, Callable[[Rogue, Target], bytes]] = {
    "unknown key": lambda rogue, host: rogue.proof_frame(host.mallory),
    "unknown user": lambda rogue, host: rogue.proof_frame(host.alice, b"nobody"),
    "another's user": lambda rogue, host: rogue.proof_frame(host.alice, b"bob"),
    "wrong signature": lambda rogue, host: rogue.proof_frame(host.alice, message=b"x"),
    "no signature": lambda rogue, host: body(wire.TLS_FINISHED, host.alice, b""),
    "no body": lambda rogue, host: wire.frame(wire.PROOF, wire.proof(b"publickey", b"", b"")),
    "no such method": lambda rogue, host: wire.frame(wire.PROOF, wire.proof(b"password", b"alice", b"x")),
    "no such kind": lambda rogue, host: body(9, host.alice, b"x"),
    "a user of 3,000 letters": lambda rogue, host: rogue.proof_frame(host.alice, b"a" * 3000),
    "a user that steers": lambda rogue, host: rogue.proof_frame(host.alice, "a\x1b[2J\n\u202e".encode()),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_refusal_has_the_same_bytes(target: Target, name: str) -> None:
    """security.md, Protocol: "Unknown user, unknown key, wrong signature: same answer"."""
    with greeted(target) as rogue:
        assert answer(rogue, WRONG[name](rogue, target)) == ANSWER
    assert target.has_no_traceback()


def test_the_seventh_proof_ends_the_connection(target: Target) -> None:
    """security.md, Protocol: "Fifty tries on one connection"."""
    with greeted(target) as rogue:
        for _ in range(5):
            assert answer(rogue, rogue.proof_frame(target.mallory)) == ANSWER
        assert answer(rogue, rogue.proof_frame(target.mallory))[0] == wire.GOODBYE
        rogue.try_to_send(rogue.proof_frame(target.alice))
        assert rogue.is_closed()
    with greeted(target) as rogue:  # the sixth may still be the right one
        for _ in range(5):
            assert answer(rogue, rogue.proof_frame(target.mallory)) == ANSWER
        rogue.send(rogue.proof_frame(target.alice))
        rogue.expect(wire.WELCOME)
    with greeted(target) as rogue:
        rogue.try_to_send(b"".join(rogue.proof_frame(target.mallory) for _ in range(50)))
        assert [kind for kind, _, _ in rogue.rest()] == [*[wire.REFUSED] * 5, wire.GOODBYE]


def test_a_client_that_leaves_while_it_is_judged_leaves_nothing(target: Target) -> None:
    with greeted(target) as rogue:
        rogue.send(rogue.proof_frame(target.alice), wire.frame(wire.EXEC, wire.exec_(1, b"true"), channel=1))
    assert target.works()


class MiddleMan:
    """Stands between: shows a certificate of its own and passes on what the client says."""

    def __init__(self, host: Target, folder: Path) -> None:
        self.host = host
        self.heard: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.set_alpn_protocols(["rexec/1"])
        self._context.load_cert_chain(certificate(folder))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        plain, _ = self._listening.accept()
        with self._context.wrap_socket(plain, server_side=True) as victim, Rogue(self.host) as real:
            self.heard.append(_frames(victim, 2))
            real.send(self.heard[0])
            while (found := real.read()) is not None:
                self.heard.append(bytes([found[0]]))
                if found[0] in (wire.REFUSED, wire.WELCOME):
                    break

    def end(self) -> list[bytes]:
        self._thread.join()
        self._listening.close()
        return self.heard


def _frames(connection: ssl.SSLSocket, count: int) -> bytes:
    """Read so many whole frames, as bytes."""
    with connection.makefile("rb") as stream:
        found = b""
        for _ in range(count):
            header = stream.read(wire.HEADER.size)
            found += header + stream.read(struct.unpack("!4xI", header)[0])
    return found


def certificate(folder: Path) -> str:
    """Write a new key and its certificate into one file; return its path."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "middle")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    made = builder.sign(key, None).public_bytes(Encoding.PEM)
    path = folder / "certificate.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made)
    return str(path)


def test_a_relayed_proof_is_refused(target: Target, tmp_path: Path) -> None:
    """security.md, Protocol: "Relay with another certificate": a client that trusts the wrong server
    gives it nothing that opens the right one."""
    middle = MiddleMan(target, tmp_path)
    plain = socket.create_connection(("127.0.0.1", middle.port))
    with context("rexec/1").wrap_socket(plain) as victim:
        hello = wire.client_hello()
        message = wire.transcript(
            target.alice.blob,
            kind=wire.TLS_FINISHED,
            binding=victim.get_channel_binding("tls-unique") or b"",
            spki_sha256=spki_sha256(victim),
            hello=hello,
            user=b"",
        )
        proof = body(wire.TLS_FINISHED, target.alice, target.alice.sign(message))
        victim.sendall(wire.frame(wire.CLIENT_HELLO, hello) + proof)
        heard = middle.end()
    assert heard[1:] == [bytes([wire.SERVER_HELLO]), bytes([wire.REFUSED])]

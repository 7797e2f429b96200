"""A client that does as it likes: a socket, TLS from the standard library, and frames by hand."""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.regress.conftest import Host
from tests.rogue import wire
from tests.rogue.wire import Key

PATIENCE = 60  # seconds until a test that waits for bytes gives up


def connect(host: Host) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", host.port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def context(*alpn: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def spki_sha256(tls: ssl.SSLSocket) -> bytes:
    der = tls.getpeercert(binary_form=True)
    assert der is not None
    key = x509.load_der_x509_certificate(der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


class Rogue:
    """One connection to a server; nothing is sent unless a test says so."""

    def __init__(self, host: Host, *, tls: bool = True) -> None:
        plain = connect(host)
        self.here = plain.getpeername()
        self.socket: socket.socket = context("rexec/1").wrap_socket(plain) if tls else plain
        self.hello = b""
        self.server_hello = b""
        self._read = b""
        self._number = 0

    def __enter__(self) -> Rogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # --- bytes ----------------------------------------------------------------------------------

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def try_to_send(self, data: bytes) -> bool:
        """Send, if the server still takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def _has(self, size: int) -> bool:
        """Wait for so many bytes; False once there will be no more. Nothing is lost by a timeout."""
        while len(self._read) < size:
            try:
                data = self.socket.recv(65_536)
            except TimeoutError:
                raise
            except OSError:
                return False
            if not data:
                return False
            self._read += data
        return True

    def read(self) -> tuple[int, int, bytes] | None:
        """Read one frame as (type, channel, body); None once the server has closed the connection."""
        begin = wire.HEADER.size
        if not self._has(begin):
            return None
        kind, _, channel, length = wire.HEADER.unpack(self._read[:begin])
        if not self._has(begin + length):
            return None
        body, self._read = self._read[begin : begin + length], self._read[begin + length :]
        return kind, channel, body

    def expect(self, kind: int, channel: int = 0) -> bytes:
        """Read until a frame of this type on this channel; return its body."""
        seen = []
        while (found := self.read()) is not None:
            if found[:2] == (kind, channel):
                return found[2]
            seen.append(found)
        raise AssertionError(f"the server closed the connection; before that it sent {seen}")

    def expect_any(self, kind: int) -> bytes:
        """Read until a frame of this type on any channel; return its body."""
        while (found := self.read()) is not None:
            if found[0] == kind:
                return found[2]
        raise AssertionError("the server closed the connection")

    def rest(self) -> list[tuple[int, int, bytes]]:
        """Read all that comes until the server closes the connection."""
        found = []
        while (one := self.read()) is not None:
            found.append(one)
        return found

    def is_closed(self) -> bool:
        """Wait until the server closes the connection; what it says before is not looked at."""
        self.rest()
        return True

    # --- the greeting ---------------------------------------------------------------------------

    def say_hello(self, hello: bytes | None = None) -> None:
        self.hello = wire.client_hello() if hello is None else hello
        self.send(wire.frame(wire.CLIENT_HELLO, self.hello))

    def hear_hello(self) -> bytes:
        self.server_hello = self.expect(wire.SERVER_HELLO)
        return self.server_hello

    @property
    def nonce(self) -> bytes:
        return wire.first_string(self.server_hello)

    @property
    def host_key(self) -> bytes:
        return wire.first_string(self.server_hello[4 + len(self.nonce) :])

    @property
    def dialled(self) -> bytes:
        return f"{self.here[0]}:{self.here[1]}".encode()

    def transcript(self, key: bytes, user: bytes = b"", **changes: object) -> bytes:
        """Return what an honest client would sign, but for the changes."""
        fields: dict[str, object] = {"hello": self.hello, "user": user}
        if isinstance(self.socket, ssl.SSLSocket):
            fields |= {
                "kind": wire.TLS_FINISHED,
                "binding": self.socket.get_channel_binding("tls-unique"),
                "spki_sha256": spki_sha256(self.socket),
            }
        else:
            host_key = self.host_key
            prefix = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, 4: Ed25519
            fields |= {
                "kind": wire.NONCE,
                "binding": self.nonce + wire.string(self.dialled),
                "spki_sha256": hashlib.sha256(prefix + host_key[-32:]).digest(),
            }
        return wire.transcript(key, **(fields | changes))  # type: ignore[arg-type]

    def proof_frame(self, key: Key, user: bytes = b"", *, message: bytes | None = None) -> bytes:
        """Return an honest proof, or one over another message."""
        signed = key.sign(self.transcript(key.blob, user) if message is None else message)
        is_tls = isinstance(self.socket, ssl.SSLSocket)
        kind, dialled = (wire.TLS_FINISHED, b"") if is_tls else (wire.NONCE, self.dialled)
        body = wire.proof_body(kind, dialled, key.blob, signed)
        return wire.frame(wire.PROOF, wire.proof(b"publickey", user, body))

    def log_in(self, key: Key, user: bytes = b"") -> Rogue:
        """Do what an honest client does, up to the welcome."""
        self.say_hello()
        self.hear_hello()
        self.send(self.proof_frame(key, user))
        self.expect(wire.WELCOME)
        return self

    # --- commands -------------------------------------------------------------------------------

    def number(self) -> int:
        """Return a number for an Exec that was not used before."""
        self._number += 1
        return self._number

    def exec(self, *words: bytes, channel: int = 1, **fields: object) -> None:
        self.send(wire.frame(wire.EXEC, wire.exec_(self.number(), *words, **fields), channel=channel))  # type: ignore[arg-type]

    def outcome(self, channel: int = 1) -> tuple[int, bytes, bytes]:
        """Read to the end of a command: the frame that ended it, its body, and the command's stdout."""
        output = b""
        while (found := self.read()) is not None:
            kind, on, body = found
            if on == channel and kind == wire.STDOUT:
                output += body
            elif on == channel and kind in (wire.EXIT, wire.DENIED, wire.FAILED):
                return kind, body, output
        raise AssertionError("the server closed the connection before the command ended")

    def run(self, *words: bytes, channel: int = 1, **fields: object) -> tuple[int, bytes, bytes]:
        self.exec(*words, channel=channel, **fields)
        return self.outcome(channel)

    def is_alive(self) -> bool:
        """Tell whether the connection still runs commands, by running one."""
        kind, body, output = self.run(b"echo", b"alive", channel=77)
        return kind == wire.EXIT and wire.Exit(body).status == 0 and output == b"alive\n"

    def pong(self) -> None:
        """Wait until the server has read all that was sent: it answers in order."""
        self.send(wire.frame(wire.PING, struct.pack("!Q", 4711)))
        self.expect(wire.PONG)

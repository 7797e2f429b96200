"""A server that does as it likes, to which a real client connects."""

from __future__ import annotations

import base64
import datetime
import os
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rexec.auth.private import generate, serialize_private
from tests.regress.conftest import CLIENT
from tests.rogue import wire
from tests.rogue.client import PATIENCE
from tests.rogue.wire import Key

Script = Callable[["Conversation"], None]


def certificate(key: Key, folder: Path) -> str:
    """Write a key and a certificate of it into one file; return its path."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rogue")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.private.public_key(), 1, start, end)
    made = builder.sign(key.private, None).public_bytes(Encoding.PEM)
    path = folder / f"{os.urandom(4).hex()}.pem"
    path.write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made)
    return str(path)


class Conversation:
    """One connection of a client, as the rogue has it; `heard` is every byte that came."""

    def __init__(self, connection: socket.socket, key: Key) -> None:
        self.socket = connection
        self.key = key
        self.heard = b""
        self.client_hello = b""
        self.nonce = os.urandom(32)
        is_tls = isinstance(connection, ssl.SSLSocket)
        self.hello = wire.server_hello(self.nonce, b"" if is_tls else key.blob)
        self._position = 0

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def read(self) -> tuple[int, int, bytes] | None:
        """Read one frame; None once the client is gone."""
        header = self._exactly(wire.HEADER.size)
        if header is None:
            return None
        kind, _, channel, length = wire.HEADER.unpack(header)
        body = self._exactly(length)
        return None if body is None else (kind, channel, body)

    def _exactly(self, size: int) -> bytes | None:
        while len(self.heard) < self._position + size:
            try:
                data = self.socket.recv(65_536)
            except OSError:
                return None
            if not data:
                return None
            self.heard += data
        self._position += size
        return self.heard[self._position - size : self._position]

    def rest(self) -> None:
        """Read all that the client still says."""
        while self.read() is not None:
            pass

    def hear(self, kind: int) -> bytes:
        """Read up to a frame of this type; return its body."""
        while (found := self.read()) is not None:
            if found[0] == wire.CLIENT_HELLO:
                self.client_hello = found[2]
            if found[0] == kind:
                return found[2]
        raise ConnectionError("the client left")

    def greet(self) -> None:
        """Say hello and wait for the client's proof and command."""
        self.send(wire.frame(wire.SERVER_HELLO, self.hello))
        self.hear(wire.PROOF)

    def host_proof(self, key: Key | None = None, **changes: object) -> bytes:
        """Return what a server proves in the clear; with changes, something else."""
        key = key or self.key
        here, port = self.socket.getsockname()
        dialled = f"{here}:{port}".encode()
        fields: dict[str, object] = {
            "kind": wire.NONCE,
            "binding": self.nonce + wire.string(dialled),
            "spki_sha256": key.spki_sha256,
            "hello": wire.string(self.hello) + wire.string(self.client_hello),
            "user": b"alice",
            "role": b"server",
        }
        message = wire.transcript(key.blob, **(fields | changes))  # type: ignore[arg-type]
        return wire.proof_body(wire.NONCE, dialled, key.blob, key.sign(message))

    def welcome(self) -> bytes:
        proof = b"" if isinstance(self.socket, ssl.SSLSocket) else self.host_proof()
        return wire.frame(wire.WELCOME, wire.welcome(b"alice", proof))

    def serve_resumed(self) -> None:
        """Say that a session goes on which the client never had."""
        self.greet()
        self.send(wire.frame(wire.WELCOME, wire.welcome(b"alice", resumed=1, received=9)))

    def serve(self, *frames: bytes) -> None:
        """Be an honest server up to the start of the command, then send these frames."""
        self.greet()
        self.send(self.welcome(), *frames)


class RogueServer:
    """Listens on loopback and plays a script to each client; use it as a context."""

    def __init__(self, folder: Path, script: Script, *, tls: bool = True) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.key = Key()
        self.conversations: list[Conversation] = []
        self._script = script
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_alpn_protocols(["rexec/1"])
            self._context.load_cert_chain(certificate(self.key, folder))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.options: tuple[str, ...] = () if tls else ("--no-tls",)
        self._threads: list[threading.Thread] = []
        self._make_home()

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        own = self.home / "id_ed25519"
        own.write_bytes(serialize_private(generate("alice"), None))
        own.chmod(0o600)
        self.trust(self.key)

    def trust(self, key: Key | None) -> None:
        """Let the client know this key as the server's, or none."""
        known = self.home / "known_hosts"
        line = "" if key is None else f"ssh-ed25519 {base64.b64encode(key.blob).decode()}"
        known.write_text(f"[127.0.0.1]:{self.port} {line}\n" if line else "")
        known.chmod(0o600)

    def __enter__(self) -> RogueServer:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        self._threads.append(accepting)
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(plain,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _talk(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE)
        try:
            connection: socket.socket = plain
            if self._context is not None:
                connection = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        with connection:
            conversation = Conversation(connection, self.key)
            self.conversations.append(conversation)
            try:
                self._script(conversation)
            except OSError:  # the client had enough of it
                pass

    @property
    def heard(self) -> bytes:
        """All that clients said, once they are gone."""
        for thread in self._threads[1:]:
            thread.join(PATIENCE)
        return b"".join(one.heard for one in self.conversations)

    def run(
        self,
        *words: str,
        options: tuple[str, ...] = (),
        stdin: bytes = b"",
        stdout: int = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a real client to its end."""
        return subprocess.run(
            [CLIENT, *self.words(*words, options=options)],
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=self.environment(),
            timeout=PATIENCE,
            check=False,
        )

    def words(self, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the arguments of a client."""
        command = words or (() if "--list" in options else ("true",))
        return [*self.options, *options, f"127.0.0.1:{self.port}", *command]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "REXEC_HOME": str(self.home)}


def on(channel: int, *frames: tuple[int, bytes]) -> bytes:
    """Return frames on a channel."""
    return b"".join(wire.frame(kind, body, channel=channel) for kind, body in frames)


def whole(output: bytes, status: int = 0) -> bytes:
    """Return what an honest server sends for a command that writes so much and exits."""
    return on(
        1,
        (wire.STARTED, wire.started()),
        (wire.STDOUT, output),
        (wire.EOF, b"\1"),
        (wire.EOF, b"\2"),
        (wire.EXIT, wire.exit_(status=status, stdout=len(output))),
    )


def ping(number: int) -> bytes:
    return wire.frame(wire.PING, struct.pack("!Q", number))

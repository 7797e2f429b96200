"""Any bytes as a server: to the welcome and behind it, with the check of its key and of its own proof.

The first byte of a sample chooses: TLS or not, whether certificate and proof are replaced by those of
the host that is meant, and what is known of it; the second where the server's bytes are cut into pieces.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

from rexec.auth.keys import PublicKey
from rexec.auth.private import PrivateKey
from rexec.client.command import Command
from rexec.client.config import Target
from rexec.client.dispatch import Dispatch
from rexec.client.greeting import Ends, Greeting, Terms
from rexec.client.identity import Signer
from rexec.client.result import Result
from rexec.client.streams import MemorySink, MemorySource
from rexec.errors import ConnectionLost, RemoteProtocolError, RexecError, TrustError
from rexec.limits import HEADER_SIZE
from rexec.protocol import frames as f
from rexec.protocol.buffer import HEADER, pack
from rexec.protocol.connection import RESUME, Connection
from rexec.protocol.frames import Cause, Stream
from rexec.server.certificate import pem_to_der, self_signed
from rexec.transport.address import Address
from tests.fuzz.strangers import (
    ALICE,
    FINISHED,
    HERE,
    HOST,
    NOBODY,
    NONCE_BYTES,
    OTHER_HOST,
    SESSION,
    host_proof,
)
from tests.protocol.samples import SAMPLES, channel_of

TLS, HONEST, ASKED, GIVEN = 1, 2, 4, 8  # bits of the first byte; 16 and 32: what is known of the host
EXEC = f.Exec(1, f.Form.ARGV, (b"ls", b"-l"))
LINE = "[127.0.0.1]:5512 {}\n"
KNOWN = (
    LINE.format(HOST.public.line()),
    "",
    LINE.format(OTHER_HOST.public.line()),
    LINE.format(HOST.public.line()) + "@revoked * " + HOST.public.line() + "\n",
)
ROOM = tempfile.mkdtemp(prefix="rexec-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
atexit.register(shutil.rmtree, ROOM, ignore_errors=True)


def _file(number: int, text: str) -> str:
    path = os.path.join(ROOM, f"known_hosts{number}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


FILES = tuple(_file(number, text) for number, text in enumerate(KNOWN))


def _certificate(key: PrivateKey) -> bytes:
    return pem_to_der(self_signed(key), "host_cert.pem")


CERTIFICATE = _certificate(HOST)
_HELLO = f.ServerHello(NONCE_BYTES, HOST.public.blob, "rexec", (RESUME,))
_OUTPUT = (
    f.Started("cmds.txt:4"), f.Stdout(b"out\n"), f.Stderr(b"err\n"), f.Eof(Stream.STDOUT),
    f.Exit(Cause.EXITED, stdout=4, stderr=4),
)  # fmt: skip


def _wire(*frames: f.Frame) -> bytes:
    return b"".join(pack(frame, channel_of(frame)) for frame in frames)


def _genuine() -> f.Welcome:
    """Make the welcome of the host that is meant, in the clear."""
    hello = f.ClientHello(SESSION, 0, "rexec", (RESUME,)).encode()
    return f.Welcome("alice", host_proof=host_proof(_HELLO.encode(), hello, NONCE_BYTES, "alice"))


GENUINE = (_HELLO.encode(), _genuine().encode())
_MORE = tuple(_wire(frame) for frame in SAMPLES if frame.code not in (1, 2, 3))
SEEDS = (
    *(bytes([bits]) + b"\7" + _wire(_HELLO, _genuine(), *_OUTPUT) for bits in range(0, 64, 5)),
    *(bytes([bits]) + b"\0" + _wire(_HELLO, f.Refused("no"), _genuine(), *_OUTPUT) for bits in (0, 1, 2, 6)),
    *(bytes([HONEST, 0]) + _wire(_HELLO, f.Welcome("alice")) + frame for frame in _MORE),
    bytes([TLS, 0]) + _wire(_HELLO, f.Welcome("alice", True, 1), *_OUTPUT),
    *(
        bytes([TLS | GIVEN, 0]) + len(one).to_bytes(2, "big") + one + _wire(_HELLO, f.Welcome("a"), *_OUTPUT)
        for one in (CERTIFICATE, _certificate(OTHER_HOST))
    ),
)
WORDS = (*_MORE, _wire(_HELLO), _wire(_genuine()), HOST.public.blob, b"ssh-ed25519", b"SSHSIG", b"resume")


class Ear(Dispatch):
    """The commands of a connection whose wire is a list."""

    def __init__(self, connection: Connection, user: str) -> None:
        super().__init__(connection, user)
        self.said: list[bytes] = []

    def _queue(self, data: bytes) -> None:
        self.said.append(data)

    def _is_clogged(self) -> bool:
        return self.connection.session.full

    def _changed(self, command: Command) -> None:
        self._feed(command)

    def hear(self, data: bytes) -> None:
        """Take what came of the server."""
        self._guard(lambda: (self.connection.receive_data(data), self._events())[1])

    def end(self) -> None:
        """Take the end of what came."""
        self._guard(self.connection.receive_eof)
        if not self.is_lost:
            self._lose("the server closed the connection")


class Trial:
    """One client and what a server said to it; `said` is what it sent."""

    def __init__(self, bits: int, certificate: bytes) -> None:
        self.bits = bits
        self.certificate = certificate if bits & TLS else None
        self.questions = 0
        target = Target("web1", Address("127.0.0.1", 5512), "", ROOM)
        target.known_hosts = FILES[bits >> 4 & 3]
        # Of what is not known a person is asked, or nobody is there to ask.
        terms = Terms(self._ask if bits & ASKED else None, first=lambda core: core.send(EXEC, 1))
        signers = [Signer(key.public, key.sign, "key") for key in (NOBODY, ALICE)]
        binding = FINISHED if bits & TLS else None
        self.greeting = Greeting(target, Ends(self.certificate, binding, HERE, None), signers, terms)
        self.greeting.name = SESSION
        self.said: list[bytes] = []
        self.user: str | None = None

    def _ask(self, host: str, fingerprint: str) -> bool:
        """Say no: a yes would be kept, and change what the next sample meets."""
        self.questions += 1
        assert fingerprint.startswith("SHA256:")
        return False

    def run(self, pieces: Iterator[bytes]) -> tuple[str, str, Result | None]:
        """Greet, and hear what comes of the command; give the error or the result."""
        steps = self.greeting.steps()
        try:
            while True:
                if data := next(steps):
                    self.said.append(data)
                else:
                    self.greeting.take(self._mended(next(pieces, None)))
        except StopIteration as over:
            self.user = over.value
        except RexecError as error:
            return type(error).__name__, str(error), None
        self._is_trusted()
        return "", "", self._result(pieces)

    def _mended(self, piece: bytes | None) -> bytes | None:
        """Put the proof of the host that is meant into a welcome that came in one piece."""
        core = self.greeting.connection
        if piece is None or not self.bits & HONEST or self.bits & TLS or not core.server_hello:
            return piece
        if len(piece) < HEADER_SIZE or piece[0] != f.Welcome.code:
            return piece
        _, _, _, length = HEADER.unpack_from(piece)
        try:
            welcome = f.Welcome.decode(piece[HEADER_SIZE : HEADER_SIZE + length])
            nonce = f.ServerHello.decode(core.server_hello).nonce
        except RemoteProtocolError:
            return piece
        proved = host_proof(core.server_hello, core.client_hello, nonce, welcome.user)
        return pack(welcome.replace(host_proof=proved), 0) + piece[HEADER_SIZE + length :]

    def _is_trusted(self) -> None:
        """See that nobody else than the host that is known got our welcome."""
        assert self.bits >> 4 & 3 == 0, "a server is trusted that is not known"
        assert self.greeting.server_key == HOST.public
        if self.certificate is not None:
            assert HOST.public.point() in self.certificate
        elif not self.bits & HONEST:
            assert self.greeting.connection.server_hello == GENUINE[0]
        assert isinstance(self.greeting.server_key, PublicKey)

    def _result(self, pieces: Iterator[bytes]) -> Result:
        core = self.greeting.connection
        assert self.user is not None
        ear = Ear(core, self.user)
        command = Command(1, MemorySource(b"input"), MemorySink(), MemorySink())
        ear.adopt(command)
        for piece in pieces:
            ear.hear(piece)
        ear.end()
        self.said += ear.said
        result = command.result()
        self._is_whole(result, command)
        return result

    def _is_whole(self, result: Result, command: Command) -> None:
        """See that a result which looks whole is what the server promised in its last frame."""
        assert (result.exit_code == 0) == (result.state == "ok"), result.state
        if result.state in ("ok", "failed", "signal", "timeout"):
            last = command.last
            assert isinstance(last, f.Exit)
            assert (len(result.stdout or b""), len(result.stderr or b"")) == (last.stdout, last.stderr)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut into frames, as far as there are some, or into pieces of one size."""
    at = 0
    while at < len(data):
        step = size
        if not size:
            length = HEADER.unpack_from(data, at)[3] if len(data) - at >= HEADER_SIZE else 0
            step = HEADER_SIZE + length
        yield data[at : at + step]
        at += step


def try_it(data: bytes) -> None:
    """Hear the same bytes frame by frame and in pieces: trust, result and what is sent are the same."""
    bits, size = (data[0], data[1]) if len(data) > 1 else (0, 0)
    sent, certificate = data[2:], CERTIFICATE
    if bits & GIVEN and bits & TLS:
        length = int.from_bytes(sent[:2], "big")
        certificate, sent = sent[2 : 2 + length], sent[2 + length :]
    whole = _heard(bits, certificate, _pieces(sent, 0))
    if size and not bits & HONEST:
        assert _heard(bits, certificate, _pieces(sent, size)) == whole


def _heard(bits: int, certificate: bytes, pieces: Iterator[bytes]) -> tuple[object, ...]:
    trial = Trial(bits, certificate)
    error, why, result = trial.run(pieces)
    said = b"".join(trial.said)
    if error == TrustError.__name__ and trial.greeting.server_key is None:
        assert said == b"", "something was sent before the server was trusted"
    assert trial.questions <= 1
    assert error or why == ""
    if error == ConnectionLost.__name__:
        assert why.startswith(("the server closed the connection", "the server said goodbye: "))
    return error, why, said, None if result is None else (result.state, result.exit_code, result.error)

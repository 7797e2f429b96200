"""The keys of an ssh-agent, honest or not; and the order in which keys are offered."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.auth.private import PassphraseNeeded, PrivateKey, generate, serialize_private
from rexec.auth.signature import check_signature
from rexec.client import agent
from rexec.client.identity import from_file, no_passphrase, signers
from rexec.errors import AuthError, ConfigError
from rexec.limits import PROOFS_MAX


def string(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


class FakeAgent:
    """Answers as an agent does: one request a connection is all that rexec makes."""

    def __init__(self, path: Path, keys: list[PrivateKey]) -> None:
        self.path = str(path)
        self.keys = keys
        self.answer: Callable[[bytes], bytes] = self.honest
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def honest(self, request: bytes) -> bytes:
        if request[0] == 11:
            pairs = b"".join(string(key.public.blob) + string(b"comment") for key in self.keys)
            return string(b"\x0c" + struct.pack("!I", len(self.keys)) + pairs)
        (size,) = struct.unpack_from("!I", request, 1)
        blob = request[5 : 5 + size]
        (length,) = struct.unpack_from("!I", request, 5 + size)
        data = request[9 + size : 9 + size + length]
        signed = next(key for key in self.keys if key.public.blob == blob).sign(data)
        return string(b"\x0e" + string(signed))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                (size,) = struct.unpack("!I", connection.recv(4, socket.MSG_WAITALL))
                for byte in self.answer(connection.recv(size, socket.MSG_WAITALL)):
                    connection.send(bytes([byte]))

    def end(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAgent]:
    made = FakeAgent(tmp_path / "agent", [generate(), generate()])
    yield made
    made.end()


def test_an_agent_signs_with_its_keys(fake: FakeAgent) -> None:
    found = list(agent.signers(fake.path))
    assert [one.public for one in found] == [key.public for key in fake.keys]
    assert found[0].name == "agent: comment"
    check_signature(found[1].public, b"data", found[1].sign(b"data"))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        string(b""),
        string(b"\x05"),
        b"\xff\xff\xff\xff",
        string(b"\x0c\xff\xff\xff\xff"),
        string(b"x"),
    ],
)
def test_an_agent_that_answers_nonsense_has_no_keys_and_signs_nothing(fake: FakeAgent, answer: bytes) -> None:
    signer = next(agent.signers(fake.path))
    fake.answer = lambda request: answer
    assert list(agent.signers(fake.path)) == []
    with pytest.raises(AuthError, match="the agent does not sign"):
        signer.sign(b"data")


def test_no_agent_has_no_keys(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "none"), str(tmp_path), "x" * 500):
        assert list(agent.signers(path)) == []


def write(path: Path, key: PrivateKey, passphrase: bytes | None = None) -> str:
    path.write_bytes(serialize_private(key, passphrase))
    path.chmod(0o600)
    return str(path)


def test_keys_are_offered_in_their_order(fake: FakeAgent, tmp_path: Path) -> None:
    """cli.md: "`-i` files, agent keys, `~/.rexec/id_ed25519`; with `-i` only those"."""
    own, chosen = generate(), generate()
    write(tmp_path / "id_ed25519", own)
    path = write(tmp_path / "chosen", chosen)
    environ = {"SSH_AUTH_SOCK": fake.path}

    def offered(*named: str) -> list[object]:
        return [one.public for one in signers(str(tmp_path), named, environ, no_passphrase)]

    assert offered() == [*(key.public for key in fake.keys), own.public]
    assert offered(path) == [chosen.public]


def test_at_most_six_are_offered_and_our_own_is_among_them(fake: FakeAgent, tmp_path: Path) -> None:
    """cli.md: "at most six a connection"."""
    fake.keys = [generate() for _ in range(9)]
    environ = {"SSH_AUTH_SOCK": fake.path}
    assert len(list(signers(str(tmp_path), (), environ, no_passphrase))) == PROOFS_MAX
    own = generate()
    path = write(tmp_path / "id_ed25519", own)
    found = [one.public for one in signers(str(tmp_path), (), environ, no_passphrase)]
    assert len(found) == PROOFS_MAX
    assert found[-1] == own.public
    assert len(list(signers(str(tmp_path), (path,) * 9, environ, no_passphrase))) == PROOFS_MAX


def test_a_key_is_read_only_when_its_turn_has_come(tmp_path: Path) -> None:
    first = write(tmp_path / "first", generate())
    offered = signers(str(tmp_path), (first, str(tmp_path / "none")), {}, no_passphrase)
    next(offered)
    with pytest.raises(ConfigError, match="no such file"):
        next(offered)


def test_a_lax_key_is_refused(tmp_path: Path) -> None:
    """security.md, Protocol: "refused when others may read or write them"."""
    path = write(tmp_path / "key", generate())
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="others may read or write it"):
        from_file(path, no_passphrase)
    os.rename(path, f"{path}.pub")  # to close this one would lead nowhere
    with pytest.raises(ConfigError, match="a public key proves nothing"):
        from_file(f"{path}.pub", no_passphrase)


def test_a_passphrase_is_asked_for_where_there_is_one(tmp_path: Path) -> None:
    key = generate()
    path = write(tmp_path / "key", key, b"secret")
    asked: list[str] = []

    def tell(name: str) -> bytes:
        asked.append(name)
        return b"secret"

    assert from_file(path, tell).public == key.public
    assert asked == [path]
    with pytest.raises(PassphraseNeeded):
        from_file(path, no_passphrase)
    with pytest.raises(ConfigError):
        from_file(path, lambda name: b"wrong")

"""Once the listener is confined it reads nothing from the disk and imports nothing, whatever comes.

The interpreter may belong to a user that the listener is not any more, and its fence has no files.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ecdsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rexec.client.streams import MemorySink, MemorySource
from rexec.protocol import frames as f
from tests.regress.conftest import RULES, Host

LATE = str(Path(__file__).with_name("late.py"))


class Telling(Host):
    """A server whose listener writes a line for whatever it does too late."""

    def server_words(self, *options: str, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> list[str]:
        return [sys.executable, LATE, *super().server_words(*options, listen=listen)[1:]]

    def is_clean(self) -> bool:
        """Tell whether nothing happened too late; `drained` says that all was seen."""
        assert self.count("^from here on$") == 1, self.lines
        assert not [line for line in self.lines if line.startswith("late: ")], self.lines
        assert not [line for line in self.lines if "Traceback" in line or "Error" in line], self.lines
        return True


@pytest.fixture
def make_telling(tmp_path: Path) -> Iterator[Callable[..., Telling]]:
    made: list[Telling] = []

    def make() -> Telling:
        folder = tmp_path / f"telling{len(made)}"
        folder.mkdir()
        made.append(Telling(folder, RULES))
        return made[-1]

    yield make
    for host in made:
        host.end()


def commands(host: Host, *options: str) -> None:
    """Run commands of every kind, and see them end in every way."""
    assert host.run("seq", "3", options=options).stdout == b"1\n2\n3\n"
    assert host.run("cat", options=options, input=b"x" * 3_000_000).stdout == b"x" * 3_000_000
    assert host.run("sh", "-c", "echo to stderr >&2; kill -9 $$", options=options).returncode == 137
    assert host.run("uname", options=options).returncode == 126
    assert host.run("sleep", "1000", options=(*options, "--timeout", "0.1s")).returncode == 124
    assert host.run(options=(*options, "--list")).returncode == 0
    assert host.run("ls", options=(*options, "--explain")).returncode == 0
    assert host.run("true", options=(*options, "-l", "somebody-else")).returncode == 255
    assert host.run("head", "-c", "1", options=options, input=b"x" * 500_000).returncode in (0, 126)


def with_terminal(host: Host) -> None:
    """Run a command at a terminal, type the end of its input."""
    session = host.session()
    exec_ = f.Exec(0, f.Form.ARGV, (b"wc",), pty=f.Pty("xterm", 80, 24))
    out = MemorySink()
    command = session.start(exec_, MemorySource(b"one two\n"), out, MemorySink())
    session.run(lambda: command.is_over)
    assert command.result().state == "ok"
    session.close()


def strangers(host: Host) -> None:
    """Come in by the wrong door: plain HTTP, TLS without a word, half a hello, nothing at all."""
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff", b""):
        with socket.create_connection(("127.0.0.1", host.port)) as stranger:
            stranger.sendall(said)
    refused = host.count("refused from=")
    host.wait_for("refused from=", count=max(refused, 3))


def reload(host: Host) -> None:
    assert host.process is not None
    seen = host.count(" reload result=")
    host.process.send_signal(signal.SIGHUP)
    host.wait_for(" reload result=", count=seen + 1)


def test_over_tls(make_telling: Callable[..., Telling]) -> None:
    """Promise: "a test forbids imports after that point"."""
    host = make_telling().start()
    commands(host)
    with_terminal(host)
    strangers(host)
    reload(host)
    commands(host)
    with host.popen("sleep", "1000") as client:
        host.wait_for("allow .*sleep.*1000", count=3)
        client.kill()
    assert host.stop() == 0
    assert host.is_clean()


def test_in_the_clear_and_by_a_unix_socket(make_telling: Callable[..., Telling]) -> None:
    """Promise: "a test forbids imports after that point"."""
    host = make_telling()
    path = f"unix:{host.folder}/socket"
    host.start("--no-tls", listen=("127.0.0.1:0", path))
    commands(host, "--no-tls")
    assert host.run("true", options=("--no-tls",), address=path).returncode == 0
    reload(host)
    assert host.run("true", options=("--no-tls",), address=path).returncode == 0
    assert host.stop() == 0
    assert host.is_clean()
    assert not os.path.exists(host.folder / "socket")


MADE: dict[str, Callable[[], PrivateKeyTypes]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "ecdsa": lambda: generate_ecdsa(SECP256R1()),
    "rsa": lambda: generate_rsa(65537, 2048),
}


@pytest.mark.parametrize("kind", MADE)
def test_another_host_key_by_a_reload(make_telling: Callable[..., Telling], kind: str) -> None:
    """cli.md: "`SIGHUP` re-reads allow list, keys and configuration at once", the host's own too."""
    host = make_telling().start()
    assert host.run("true").returncode == 0
    (host.home / "host_cert.pem").unlink()
    made = MADE[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (host.home / "host_ed25519").write_bytes(made)
    reload(host)
    assert "result=done" in host.wait_for(" reload result=")
    assert host.run("true", options=("--accept-new",)).returncode == 0
    assert host.run("true").returncode == 0
    assert host.stop() == 0
    assert host.is_clean()


def test_while_it_stops(make_telling: Callable[..., Telling]) -> None:
    """Promise: "a test forbids imports after that point": the way out counts too."""
    host = make_telling().start("--drain", "0.1s")
    with host.popen("sleep", "1000"):
        host.wait_for("rexec-server: allow ")
        assert host.stop() == 0
    assert host.is_clean()


def test_when_the_runner_is_gone(make_telling: Callable[..., Telling]) -> None:
    """Promise: "a test forbids imports after that point": in an emergency too."""
    host = make_telling().start()
    with host.popen("sleep", "1000"):
        host.wait_for("rexec-server: allow ")
        os.kill(host.runner_pid(), signal.SIGKILL)
        assert host.process is not None
        assert host.process.wait() == 1
    host.wait_for("stop why=")
    assert host.is_clean()

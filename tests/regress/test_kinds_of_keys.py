"""protocol.md, 4 and 5: keys of OpenSSH's kinds, keys of an agent, and a certificate of the server's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rexec.auth.private import generate, parse_private
from rexec.server.certificate import self_signed
from tests.client.test_agent import FakeAgent
from tests.regress.conftest import Host

MAKERS: dict[str, Callable[[], Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = {
    "ssh-ed25519": Ed25519PrivateKey.generate,
    "ecdsa-sha2-nistp256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-sha2-nistp521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ssh-rsa": lambda: rsa.generate_private_key(65537, 2048),
}
FORMATS = {"openssh": s.PrivateFormat.OpenSSH, "pkcs8": s.PrivateFormat.PKCS8}


def pem_of(kind: str, form: str) -> bytes:
    return MAKERS[kind]().private_bytes(s.Encoding.PEM, FORMATS[form], s.NoEncryption())


def private(path: Path, data: bytes) -> Path:
    path.touch(0o600)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", MAKERS)
def test_a_key_of_this_kind_lets_its_owner_in(
    shared_host: Host, tmp_path: Path, kind: str, form: str
) -> None:
    pem = pem_of(kind, form)
    key = private(tmp_path / "key", pem)
    public = parse_private(pem, None, "key").public
    assert public.algorithm == kind
    name = f"{form}-{kind}"
    with (shared_host.home / "authorized_keys").open("a") as file:
        file.write(f'user="{name}",restrict {public.line("anything")}\n')
    done = shared_host.run("sh", "-c", "echo $REXEC_USER", options=("-i", str(key)))
    assert (done.returncode, done.stdout.decode().strip()) == (0, name), done.stderr


def test_the_keys_of_an_agent_are_offered(host: Host, tmp_path: Path) -> None:
    """security.md, Protocol, TLS, authentication: an agent that holds other keys, too."""
    agent = FakeAgent(tmp_path / "agent", [generate(), generate()])
    env = {**host.guest(authorised=False), "SSH_AUTH_SOCK": agent.path}
    (Path(env["REXEC_HOME"]) / "id_ed25519").unlink()
    with (host.home / "authorized_keys").open("a") as file:
        file.write(f'user="agent" {agent.keys[1].public.line()}\n')
    done = host.run("sh", "-c", "echo $REXEC_USER", options=("--accept-new",), env=env)
    agent.end()
    assert (done.returncode, done.stdout) == (0, b"agent\n"), done.stderr


@pytest.mark.parametrize("kind", MAKERS)
def test_the_key_of_a_given_certificate_is_what_clients_pin(
    make_host: Callable[..., Host], tmp_path: Path, kind: str
) -> None:
    """cli.md: "--tls-cert FILE --tls-key FILE"; the pin is of the key, whatever the certificate says."""
    host = make_host()
    pem = pem_of(kind, "pkcs8")
    key = parse_private(pem, None, "key")
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes(self_signed(key))
    options = ("--tls-cert", str(certificate), "--tls-key", str(private(tmp_path / "key.pem", pem)))
    host.start(*options)
    assert host.fingerprint == key.public.fingerprint()
    env = host.guest()
    assert host.run("true", env=env).returncode == 255
    assert host.run("true", options=("--accept-new",), env=env).returncode == 0
    certificate.write_bytes(self_signed(key))  # a renewed one of the same key
    port = host.port
    assert host.stop() == 0
    host.start(*options, listen=(f"127.0.0.1:{port}",))
    assert host.run("true", env=env).returncode == 0

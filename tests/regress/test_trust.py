"""A client talks to the server whose key it knows, and to nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.auth.private import generate
from tests.regress.conftest import RULES, Host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server: it is the clients that are tried."""
    made = Host(tmp_path_factory.mktemp("trust"), RULES).start()
    yield made
    made.end()


@pytest.fixture(scope="module")
def somebody(host: Host) -> dict[str, str]:
    return host.guest()


@pytest.fixture
def guest(somebody: dict[str, str]) -> dict[str, str]:
    """A user who knows no server yet."""
    known(somebody).unlink(missing_ok=True)
    return somebody


@pytest.fixture
def nothing_ran(host: Host) -> Iterator[None]:
    before = host.count("rexec-server: allow ")
    yield
    assert host.count("rexec-server: allow ") == before


def known(env: dict[str, str]) -> Path:
    return Path(env["REXEC_HOME"]) / "known_hosts"


def place(host: Host) -> str:
    return f"[127.0.0.1]:{host.port}"


def public(host: Host) -> str:
    return " ".join((host.home / "host_ed25519.pub").read_text().split()[:2])


def untrusted(host: Host, env: dict[str, str], *options: str) -> str:
    """Run a canary that the client must not get to; return what was said."""
    canary = host.folder / "canary"
    done = host.run("sh", "-c", f"touch {canary}", env=env, options=options)
    assert (done.returncode, done.stdout) == (255, b"")
    assert not canary.exists()
    return done.stderr.decode()


def test_the_users_own_server_is_trusted_on_loopback(host: Host) -> None:
    """cli.md: "for a loopback address ... it accepts ... its own home's `host_ed25519.pub`"."""
    assert host.run("true").returncode == 0
    assert not (host.home / "known_hosts").exists()


@pytest.mark.usefixtures("nothing_ran")
def test_an_unknown_server_fails_at_once_where_nobody_can_be_asked(host: Host, guest: dict[str, str]) -> None:
    """protocol.md 5: "without a terminal it fails at once"."""
    said = untrusted(host, guest)
    assert host.fingerprint in said
    assert "rexec: hint: " in said
    assert "--accept-new" in said
    assert not known(guest).exists()


def test_accept_new_pins_the_key(host: Host, guest: dict[str, str]) -> None:
    """cli.md: "`known_hosts` is OpenSSH's format and pins the server's public key"."""
    done = host.run("true", env=guest, options=("--accept-new",))
    assert done.returncode == 0
    assert host.fingerprint.encode() in done.stderr
    assert known(guest).read_text() == f"{place(host)} {public(host)}\n"
    assert known(guest).stat().st_mode & 0o777 == 0o600
    again = host.run("true", env=guest)
    assert (again.returncode, again.stderr) == (0, b"")


@pytest.mark.parametrize("option", [(), ("--accept-new",)], ids=["plain", "accept-new"])
def test_a_changed_key_is_refused_with_both_fingerprints(
    host: Host, guest: dict[str, str], option: tuple[str, ...]
) -> None:
    """protocol.md 5: "A changed key is refused, with both fingerprints"."""
    other = generate("other").public
    text = f"# mine\n{place(host)} {other.line('')}\n"
    known(guest).write_text(text)
    said = untrusted(host, guest, *option)
    assert host.fingerprint in said
    assert other.fingerprint() in said
    assert "known_hosts:2" in said
    assert "hint: " in said
    assert known(guest).read_text() == text


def test_the_command_that_repairs_a_changed_key_does(host: Host, guest: dict[str, str]) -> None:
    """protocol.md 5: "the one command that repairs it"."""
    known(guest).write_text(f"# mine\n{place(host)} {generate('other').public.line('')}\n# end\n")
    said = untrusted(host, guest)
    command = said.partition("if the change is meant: ")[2].strip()
    assert os.system(command) == 0
    assert known(guest).read_text() == "# mine\n# end\n"
    assert host.run("true", env=guest, options=("--accept-new",)).returncode == 0


def test_a_revoked_key_is_refused(host: Host, guest: dict[str, str]) -> None:
    """protocol.md 5: "`known_hosts` pins the server's public key"; OpenSSH's `@revoked` counts."""
    known(guest).write_text(f"{place(host)} {public(host)}\n@revoked * {public(host)}\n")
    assert "revoked" in untrusted(host, guest, "--accept-new")


def test_hashed_lines_of_openssh_count(host: Host, guest: dict[str, str]) -> None:
    """cli.md: "`known_hosts` is OpenSSH's format" (sshd(8), HashKnownHosts)."""
    salt = bytes(range(20))
    digest = hmac.new(salt, place(host).encode(), hashlib.sha1).digest()
    name = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    known(guest).write_text(f"{name} {public(host)}\n")
    assert host.run("true", env=guest).returncode == 0
    known(guest).write_text(f"{name} {generate('other').public.line('')}\n")
    assert "changed" in untrusted(host, guest)


@pytest.mark.usefixtures("nothing_ran")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666], ids=oct)
def test_known_hosts_that_others_may_write_is_refused(host: Host, guest: dict[str, str], mode: int) -> None:
    """security.md: "Key files: ... refused when others may read or write them"."""
    known(guest).write_text(f"{place(host)} {public(host)}\n")
    known(guest).chmod(mode)
    done = host.run("true", env=guest)
    assert done.returncode == 2
    assert b"known_hosts" in done.stderr


@pytest.mark.usefixtures("nothing_ran")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666], ids=oct)
def test_a_client_key_that_others_may_read_is_refused(host: Host, mode: int) -> None:
    """security.md: "Key files: ... refused when others may read or write them"."""
    key = host.home / "id_ed25519"
    key.chmod(mode)
    done = host.run("true")
    key.chmod(0o600)
    assert done.returncode == 2
    assert b"id_ed25519" in done.stderr
    assert b"chmod 600" in done.stderr


@pytest.mark.parametrize("name", ["host_ed25519", "authorized_keys"])
def test_a_server_refuses_files_that_others_may_write(make_host: Callable[..., Host], name: str) -> None:
    """security.md: "Key files: ... refused when others may read or write them"."""
    host = make_host().start()
    assert host.stop() == 0
    (host.home / name).chmod(0o666)
    assert name in host.refuses()


def test_a_host_key_that_others_may_read_is_refused(make_host: Callable[..., Host]) -> None:
    """security.md: "Key files: ... refused when others may read or write them"."""
    host = make_host().start()
    assert host.stop() == 0
    (host.home / "host_ed25519").chmod(0o644)
    assert "host_ed25519" in host.refuses()


def test_an_allow_list_that_others_may_write_is_refused(make_host: Callable[..., Host]) -> None:
    """allow-list.md: "Any doubt about the file means that the whole file is refused"."""
    host = make_host()
    host.allow_list.chmod(0o664)
    assert "cmds.txt" in host.refuses()

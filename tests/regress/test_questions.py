"""cli.md: first contact asks with a fingerprint; a passphrase is asked for at a terminal, never in a pipe."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.regress.conftest import CLIENT, KEYGEN, PATIENCE, Host


def asked(host: Host, env: dict[str, str], *options: str) -> pexpect.spawn:
    """Run a client at a terminal."""
    words = [*options, host.address, "printf", "done"]
    return pexpect.spawn(CLIENT, words, env=host.environment(**env), encoding="utf-8", timeout=PATIENCE)


def code_of(client: pexpect.spawn) -> int | None:
    client.expect(pexpect.EOF)
    client.close()
    return client.exitstatus


@pytest.mark.parametrize("answer", ["yes", "fingerprint"])
def test_a_server_that_is_taken_is_known_from_then_on(host: Host, answer: str) -> None:
    env = host.guest()
    client = asked(host, env)
    client.expect_exact(host.fingerprint)
    client.expect_exact("? ")
    client.sendline("y")
    client.expect_exact("Say yes or no in full")
    client.expect_exact("? ")
    client.sendline(host.fingerprint if answer == "fingerprint" else answer)
    client.expect_exact("done")
    assert code_of(client) == 0
    assert host.run("true", env=env).returncode == 0
    known = Path(env["REXEC_HOME"]) / "known_hosts"
    assert known.stat().st_mode & 0o777 == 0o600
    assert known.read_text().count("\n") == 1


@pytest.mark.parametrize("answer", ["no", "\x04", "SHA256:0000"])
def test_a_server_that_is_not_taken_gets_nothing(host: Host, answer: str) -> None:
    env = host.guest()
    client = asked(host, env)
    client.expect_exact("? ")
    client.sendline(answer) if answer != "\x04" else client.send(answer)
    if answer.startswith("SHA256"):
        client.expect_exact("? ")
        client.sendline("no")
    client.expect_exact("was not accepted")
    assert code_of(client) == 255
    assert not os.path.exists(os.path.join(env["REXEC_HOME"], "known_hosts"))
    assert host.count("rexec-server: allow ") == 0


@pytest.fixture
def locked(host: Host) -> dict[str, str]:
    """A user whose key has a passphrase."""
    env = host.guest(authorised=False)
    key = os.path.join(env["REXEC_HOME"], "locked")
    subprocess.run([KEYGEN, "-f", key, "-N", "open sesame"], check=True, capture_output=True)
    words = [str(Path(CLIENT).parent / "rexec-server"), "authorize", "guest", f"{key}.pub"]
    subprocess.run(words, env=host.environment(), check=True, capture_output=True)
    return {**env, "KEY": key}


def test_ctrl_c_at_a_passphrase_leaves_a_terminal_that_shows_what_is_typed(
    host: Host, locked: dict[str, str]
) -> None:
    """security.md, People's terminals: "A terminal is always restored", "Ctrl-C while connecting"."""
    client = asked(host, locked, "--accept-new", "-i", locked["KEY"])
    client.expect("Passphrase of [^\r\n]*: ")
    client.waitnoecho()
    client.sendintr()
    client.expect(pexpect.EOF)
    assert client.getecho()
    client.wait()
    assert client.signalstatus == signal.SIGINT


@pytest.mark.parametrize(
    ("passphrase", "code", "says"), [("open sesame", 0, "done"), ("sesame", 2, "wrong passphrase")]
)
def test_a_passphrase_is_asked_for(
    host: Host, locked: dict[str, str], passphrase: str, code: int, says: str
) -> None:
    client = asked(host, locked, "--accept-new", "-i", locked["KEY"])
    client.expect("Passphrase of [^\r\n]*: ")
    client.waitnoecho()
    client.sendline(passphrase)
    client.expect_exact(says)
    assert code_of(client) == code


@pytest.mark.parametrize("options", [(), ("--no-resume", "--no-tls")])
def test_whoever_is_asked_may_take_longer_than_a_server_waits(
    make_host: Callable[..., Host], options: tuple[str, ...]
) -> None:
    """cli.md: "first contact asks with a fingerprint", which a person compares with what the server said."""
    host = make_host().start("--grace", "3s", *(option for option in options if option == "--no-tls"))
    env = host.guest()
    client = asked(host, env, *options)
    client.expect_exact("? ")
    host.wait_for("no proof in time")
    client.sendline("yes")
    client.expect_exact("done")
    assert code_of(client) == 0
    assert host.count("rexec-server: allow ") == 1


def test_nobody_is_asked_in_a_pipe(host: Host, locked: dict[str, str]) -> None:
    done = host.run("true", options=("--accept-new", "-i", locked["KEY"]), env=locked)
    assert done.returncode == 2
    assert b"the key has a passphrase" in done.stderr
    assert done.stderr.count(b"\n") == 3  # the new key of the server, the error, the hint

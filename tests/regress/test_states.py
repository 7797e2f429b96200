"""Every end has its exit code and its state, and the object has every key whatever the end is."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.regress.conftest import BIN, RULES, Host, wait_until

KEYS = {
    "state", "exit_code", "signal", "stdout_bytes", "stderr_bytes", "truncated", "lingered", "wall_s",
    "rule", "error",
}  # fmt: skip
OUTPUT_KEYS = {"stdout", "stderr", "stdout_base64", "stderr_base64"}


def check(host: Host, state: str, code: int, *command: str, **more: object) -> dict[str, object]:
    """Run with --json, with --status-fd and with neither: the three agree."""
    found = host.object(*command, **more)  # type: ignore[arg-type]
    assert (found["state"], found["exit_code"]) == (state, code), found
    assert set(found) == KEYS | OUTPUT_KEYS
    told = status_of(host, *command, **more)
    assert set(told) == KEYS
    assert (told["state"], told["exit_code"]) == (state, code)
    assert host.run(*command, **more).returncode == code  # type: ignore[arg-type]
    return found


def status_of(host: Host, *command: str, options: tuple[str, ...] = (), **more: object) -> dict[str, object]:
    """Run with --status-fd and return what came there: one object and a newline."""
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe:
        host.run(*command, options=("--status-fd", str(writing), *options), pass_fds=(writing,), **more)  # type: ignore[arg-type]
        os.close(writing)
        text = pipe.read()
    assert text.count(b"\n") == 1
    assert text.endswith(b"\n")
    found: dict[str, object] = json.loads(text)
    return found


@pytest.fixture
def stranger(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a key of their own, whom no server knows."""
    home = tmp_path / "stranger"
    home.mkdir(mode=0o700)
    subprocess.run(
        [BIN / "rexec-keygen", "-f", home / "id_ed25519", "-N", ""], check=True, capture_output=True
    )
    return {"REXEC_HOME": str(home)}


def test_ok(shared_host: Host) -> None:
    """cli.md: "`ok` status 0"."""
    found = check(shared_host, "ok", 0, "printf", "a\nb")
    assert (found["stdout"], found["stdout_bytes"], found["stderr_bytes"]) == ("a\nb", 3, 0)
    assert (found["truncated"], found["lingered"], found["signal"]) == (False, False, None)
    assert isinstance(found["wall_s"], float)
    assert str(found["rule"]).startswith("cmds.txt:")
    assert found["error"] is None


def test_failed(shared_host: Host) -> None:
    """cli.md: "`failed` 1-255"."""
    found = check(shared_host, "failed", 7, "sh", "-c", "echo no >&2; exit 7")
    assert (found["stderr"], found["stderr_bytes"]) == ("no\n", 3)


def test_output_that_is_not_utf_8_is_in_base64(shared_host: Host) -> None:
    r"""cli.md: "text when UTF-8, else `stdout_base64`/`stderr_base64`"."""
    found = check(shared_host, "ok", 0, "printf", r"\377")
    assert (found["stdout"], found["stdout_base64"]) == (None, "/w==")
    assert (found["stderr"], found["stderr_base64"]) == ("", None)


def test_denied(shared_host: Host) -> None:
    """cli.md: "126: the policy refused it; nothing was started"."""
    found = check(shared_host, "denied", 126, "touch", str(shared_host.folder / "canary"))
    assert not (shared_host.folder / "canary").exists()
    assert found["error"]
    assert (found["stdout_bytes"], found["wall_s"], found["signal"]) == (None, None, None)
    done = shared_host.run("touch", "x")
    assert done.stdout == b""
    assert done.stderr.startswith(b"rexec: ")
    assert b"denied" in done.stderr


def test_not_found_when_it_never_was(make_host: Callable[..., Host]) -> None:
    """cli.md: "127: the allowed program is not there or could not be started"."""
    host = make_host("no-such-program-here\n").start()
    check(host, "not_found", 127, "no-such-program-here")
    assert host.count(r"rexec-server: (allow|deny) ") == 3


def test_not_found_when_it_went_away(make_host: Callable[..., Host]) -> None:
    """cli.md: "127: the allowed program is not there or could not be started"."""
    host = make_host("")
    program = host.folder / "tool"
    program.write_text("#!/bin/sh\necho tool\n")
    program.chmod(0o755)
    host.allow_list.write_text(f"{program}\n")
    host.start()
    check(host, "ok", 0, str(program))
    program.unlink()
    check(host, "not_found", 127, str(program))


def test_not_found_when_it_cannot_be_executed(make_host: Callable[..., Host]) -> None:
    """cli.md: "127: the allowed program is not there or could not be started"."""
    host = make_host("")
    program = host.folder / "tool"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    host.allow_list.write_text(f"{program}\n")
    host.start()
    check(host, "not_found", 127, str(program))
    program.write_bytes(b"\x00\x01\x02\x03")
    check(host, "not_found", 127, str(program))
    program.chmod(stat.S_IRUSR)
    check(host, "not_found", 127, str(program))


def test_unreachable(shared_host: Host) -> None:
    """cli.md: "`unreachable` (no connection)"."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        found = check(shared_host, "unreachable", 255, "true", address=address)
    assert "refused" in str(found["error"])
    assert found["stdout_bytes"] is None


def test_in_the_clear_to_a_server_that_waits_for_tls_the_way_out_is_named(shared_host: Host) -> None:
    """cli.md: "255: rexec failed: connect": after one attempt, and long before its time is over."""
    done = shared_host.run("true", options=("--no-tls",))
    assert done.returncode == 255
    reason, hint = done.stderr.splitlines()
    assert reason.endswith(b": the server speaks TLS")
    assert hint == b"rexec: hint: leave --no-tls away"


def test_untrusted(shared_host: Host, stranger: dict[str, str]) -> None:
    """cli.md: "`untrusted` (host key)"."""
    found = check(shared_host, "untrusted", 255, "true", env=stranger)
    assert shared_host.fingerprint in str(found["error"])


def test_unauthenticated(shared_host: Host, stranger: dict[str, str]) -> None:
    """cli.md: "`unauthenticated`"."""
    check(shared_host, "unauthenticated", 255, "true", env=stranger, options=("--accept-new",))


def test_unauthenticated_as_somebody_else(shared_host: Host) -> None:
    """cli.md: "it must be a user of that key, else authentication fails like any other"."""
    check(shared_host, "unauthenticated", 255, "true", options=("-l", "somebody-else"))


def test_unauthenticated_without_a_key(shared_host: Host, tmp_path: Path) -> None:
    """cli.md: "`unauthenticated`": who has no key gets a hint how to make one."""
    env = {"REXEC_HOME": str(tmp_path / "empty")}
    check(shared_host, "unauthenticated", 255, "true", env=env, options=("--accept-new",))
    done = shared_host.run("true", env=env, options=("--accept-new",))
    assert b"rexec-keygen" in done.stderr


@pytest.mark.parametrize("which", ["listener", "runner"])
def test_lost(make_host: Callable[..., Host], which: str) -> None:
    """cli.md: "`lost` (anything after that, incomplete output and protocol errors included)"."""
    host = make_host(RULES).start()
    with host.popen("cat", options=("--json",)) as client:
        host.wait_for("rexec-server: allow ")
        os.kill(host.pid if which == "listener" else host.runner_pid(), signal.SIGKILL)
        out, err = client.communicate()
    found = json.loads(out)
    assert (found["state"], found["exit_code"], client.returncode) == ("lost", 255, 255)
    assert found["error"]
    assert err == b""


def test_ended_by_a_drain(make_host: Callable[..., Host]) -> None:
    """cli.md: "`ended` (server drain, output limit)"."""
    host = make_host(RULES).start("--drain", "0.2s")
    with host.popen("sleep", "1000", options=("--json",)) as client:
        host.wait_for("rexec-server: allow ")
        assert host.stop() == 0
        found = json.loads(client.communicate()[0])
    assert (found["state"], found["exit_code"], client.returncode) == ("ended", 255, 255)


def test_with_status_fd_the_streams_are_as_always(shared_host: Host) -> None:
    """cli.md: "writes one JSON object and a newline to descriptor N when all is over"."""
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe:
        options = ("--status-fd", str(writing))
        script = "echo out; echo err >&2; exit 3"
        done = shared_host.run("sh", "-c", script, options=options, pass_fds=(writing,))
        os.close(writing)
        found = json.load(pipe)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)
    assert (found["stdout_bytes"], found["stderr_bytes"], found["exit_code"]) == (4, 4, 3)


def test_the_status_descriptor_is_not_the_commands(shared_host: Host) -> None:
    """cli.md: "stdout carries the command's bytes and nothing else": a status on 2 follows stderr."""
    done = shared_host.run("sh", "-c", "echo err >&2", options=("--status-fd", "2"))
    first, second = done.stderr.splitlines()
    assert first == b"err"
    assert json.loads(second)["state"] == "ok"


def test_many_ends_leave_the_connection_usable(shared_host: Host) -> None:
    """security.md: "Denied means: exit 126, ... the connection still usable"."""
    with_pid = shared_host.object("sh", "-c", "echo $$")
    wait_until(lambda: not Path(f"/proc/{str(with_pid['stdout']).strip()}").exists(), "it is reaped")
    assert shared_host.run("true").returncode == 0

"""`rexec --receipt FILE`: a client keeps what the server signed, and believes nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

import rexec
from tests.regress.conftest import Host
from tests.regress.test_audit_log import audit


@pytest.mark.parametrize("no_tls", [False, True])
def test_a_receipt_says_what_was_run_and_how_it_ended(make_host: Callable[..., Host], no_tls: bool) -> None:
    options = ("--no-tls",) if no_tls else ()
    host = make_host().start(*options)
    path = host.folder / "receipt.json"
    done = host.run("sh", "-c", "echo out; exit 3", options=(*options, "--receipt", str(path)))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"")
    found = json.loads(path.read_bytes())
    assert found["argv"] == ["sh", "-c", "echo out; exit 3"]
    assert (found["cause"], found["exit"], found["signal"]) == ("exited", 3, "")
    assert (found["stdout"], found["stderr"], found["rule"]) == (4, 0, "cmds.txt:9")
    assert audit(host, "verify", "--receipt", str(path)).returncode == 0


@pytest.mark.parametrize(
    ("script", "code", "options"),
    [("kill -9 $$", 137, ()), ("sleep 1000", 124, ("--timeout", "50ms")), ("yes | head -c 3000000", 0, ())],
)
def test_every_ending_has_a_receipt(host: Host, script: str, code: int, options: tuple[str, ...]) -> None:
    path = host.folder / "receipt.json"
    done = host.run("sh", "-c", script, options=(*options, "--receipt", str(path)))
    assert done.returncode == code, done.stderr
    assert audit(host, "verify", "--receipt", str(path)).returncode == 0


def test_with_a_certificate_its_key_signs(make_host: Callable[..., Host]) -> None:
    """cli.md: `known_hosts` pins the public key of the certificate where there is one."""
    from rexec.auth.private import generate
    from rexec.server.certificate import self_signed

    host = make_host()
    key = generate("own")
    host.home.mkdir(mode=0o700)
    for name, data in (("cert.pem", self_signed(key)), ("key.pem", key.pkcs8_pem())):
        (host.folder / name).write_bytes(data)
        (host.folder / name).chmod(0o600)
    options = ("--tls-cert", str(host.folder / "cert.pem"), "--tls-key", str(host.folder / "key.pem"))
    host.start(*options)
    path = host.folder / "receipt.json"
    assert host.run("true", options=("--accept-new", "--receipt", str(path))).returncode == 0
    words = ("--host-key", key.public.fingerprint(), str(host.home / "audit"))
    assert audit(host, "verify", "--receipt", str(path), *words).returncode == 0


def test_a_receipt_is_never_written_over_a_file(host: Host) -> None:
    path = host.folder / "precious"
    path.write_text("precious")
    done = host.run("true", options=("--receipt", str(path)))
    assert (done.returncode, path.read_text()) == (2, "precious")
    assert b"already exists, and is never overwritten" in done.stderr
    assert host.count("rexec-server: allow") == 0


def test_a_receipt_that_cannot_be_kept_makes_the_command_lost(host: Host) -> None:
    folder = host.folder / "gone"
    folder.mkdir()
    done = host.run("sh", "-c", f"rmdir {folder}", options=("--receipt", str(folder / "r")))
    assert done.returncode == 255
    assert b"no such file or directory" in done.stderr
    folder.mkdir()
    found = host.object("sh", "-c", f"rmdir {folder}", options=("--receipt", str(folder / "r")))
    assert (found["state"], found["exit_code"]) == ("lost", 255)


def test_nothing_is_started_where_no_receipt_can_be_written(host: Host) -> None:
    folder = str(host.folder / "gone")
    done = host.run("true", options=("--receipt", f"{folder}/r"))
    assert done.returncode == 2
    assert f"--receipt {folder}/r: {folder} is no directory that you may write" in done.stderr.decode()
    assert host.count("rexec-server: allow") == 0


@pytest.mark.parametrize("options", [("--list",), ("--explain",)])
def test_a_question_has_no_receipt(host: Host, options: tuple[str, ...]) -> None:
    done = host.run("true", options=(*options, "--receipt", str(host.folder / "r")))
    assert (done.returncode, b"--receipt goes with a command" in done.stderr) == (2, True)


def test_a_prompt_has_no_receipt(host: Host) -> None:
    done = host.run(options=("--receipt", str(host.folder / "r")))
    assert (done.returncode, b"--receipt goes with a command" in done.stderr) == (2, True)


def test_a_denied_command_has_no_receipt(host: Host) -> None:
    path = host.folder / "r"
    assert host.run("nope", options=("--receipt", str(path))).returncode == 126
    assert not path.exists()


def test_a_receipt_of_another_server_is_refused_by_verify(make_host: Callable[..., Host]) -> None:
    one, two = make_host().start(), make_host().start()
    path = one.folder / "r"
    one.run("true", options=("--receipt", str(path)))
    done = audit(two, "verify", "--receipt", str(path))
    assert (done.returncode, "signed by" in done.stderr) == (2, True)


def test_the_python_api_gives_receipts_too(host: Host) -> None:
    """Promise: "Every finished command may come with a receipt signed by the host"."""
    path = host.folder / "receipt.json"
    with rexec.connect(host.address, home=host.home) as web:
        result = web.run(["sh", "-c", "exit 3"], receipt=True)
        assert (result.state, result.exit_code) == ("failed", 3)
        assert web.run(["true"]).receipt is None
        assert web.run(["touch", "x"], receipt=True).receipt is None
    assert result.receipt is not None
    path.write_bytes(result.receipt)
    assert audit(host, "verify", "--receipt", str(path)).returncode == 0

    async def again() -> rexec.Result:
        async with await rexec.connect_async(host.address, home=host.home) as web:
            return await web.run(["true"], receipt=True)

    path.write_bytes(asyncio.run(again()).receipt or b"")
    assert audit(host, "verify", "--receipt", str(path)).returncode == 0

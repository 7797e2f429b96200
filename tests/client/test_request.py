"""What the Python API is asked for is checked before anything is opened or sent."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rexec.client import request
from rexec.errors import RexecError, UsageError

NOTHING: dict[str, Any] = {
    "user": None, "port": None, "identity": None, "home": None, "tls": True, "accept_new": False,
    "connect_timeout": None, "passphrase": None,
}  # fmt: skip


def test_a_host_is_text() -> None:
    with pytest.raises(TypeError, match="the host is a str, not bytes"):
        request.access(b"web", **NOTHING)  # type: ignore[arg-type]


def test_options_count_before_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[client]\nuser = "bob"\nport = 1\nconnect_timeout = 1\n')
    given = {**NOTHING, "home": tmp_path}
    target = request.access("web", **given).target
    assert (target.user, target.address.port, target.connect_timeout) == ("bob", 1, 1.0)
    target = request.access("web", **{**given, "user": "al", "port": 2, "connect_timeout": 5}).target
    assert (target.user, target.address.port, target.connect_timeout) == ("al", 2, 5.0)


@pytest.mark.parametrize("passphrase", ["secret", b"secret", lambda path: "secret", lambda path: b"secret"])
def test_a_passphrase_is_given_or_asked_for(tmp_path: Path, passphrase: object) -> None:
    path = encrypted(tmp_path)
    given = {**NOTHING, "home": tmp_path, "identity": path, "passphrase": passphrase}
    assert [signer.name for signer in request.access("web", **given).signers] == [str(path)]


def test_without_its_passphrase_a_key_is_an_error_and_nobody_is_asked(tmp_path: Path) -> None:
    given = {**NOTHING, "home": tmp_path, "identity": [encrypted(tmp_path)]}
    for passphrase in (None, "wrong", lambda path: None):
        with pytest.raises(RexecError):
            list(request.access("web", **{**given, "passphrase": passphrase}).signers)


def encrypted(folder: Path) -> Path:
    """Return the file of a key that has a passphrase."""
    path = folder / "locked"
    data = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"secret"),
    )
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


def test_variables_come_from_the_configuration_then_from_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", "mine")
    (tmp_path / "config.toml").write_text('[client]\nenv = ["HERE", "A=b=c"]\ncwd = "/srv"\ntimeout = "2s"\n')
    target = request.access("web", **{**NOTHING, "home": tmp_path}).target
    frame = request.request(target, ["ls"], {"B": b"\xff"}, None, None, stdin=False)
    assert frame.env == ((b"HERE", b"mine"), (b"A", b"b=c"), (b"B", b"\xff"))
    assert (frame.cwd, frame.timeout_ms, frame.stdin) == (b"/srv", 2000, False)
    frame = request.request(target, ["ls"], None, Path("/tmp"), 0.0001, stdin=True)
    assert (frame.cwd, frame.timeout_ms, frame.stdin) == (b"/tmp", 1, True)
    monkeypatch.delenv("HERE")
    with pytest.raises(UsageError, match="no such variable here"):
        request.request(target, ["ls"], None, None, None, stdin=False)


def test_a_refused_stderr_closes_what_stdout_opened() -> None:
    end, other = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TypeError, match="output goes to"):
        request.outlets(other, io.StringIO())  # type: ignore[arg-type]
    assert len(os.listdir("/proc/self/fd")) == before
    request.outlets(other, other).close()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(end)
    os.close(other)

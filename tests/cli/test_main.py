"""`rexec` as a program: what it says of itself, and how it ends when it cannot begin."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rexec import __version__
from rexec.cli import copy, main, ssh
from rexec.cli.options import USAGE

CLIENT = str(Path(sys.executable).parent / "rexec")


def run(home: Path, *words: str | bytes, **more: object) -> subprocess.CompletedProcess[bytes]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "input": b""}
    return subprocess.run([CLIENT, *words], env=environ, check=False, **(given | more))  # type: ignore[call-overload, no-any-return]


def test_help_and_version_go_to_stdout(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, USAGE, b"")
    done = run(tmp_path, "--version", "web1", "ls")
    assert (done.returncode, done.stdout) == (0, f"rexec {__version__}\n".encode())


def test_a_help_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run(tmp_path, "--help", stdout=full)
    assert done.returncode == 255
    assert done.stderr == b"rexec: stdout: no space left on device\n"


WRONG: list[tuple[list[str | bytes], bytes]] = [
    ([], b"no host"),
    (["-x", "web1", "ls"], b"unknown option"),
    (["-p", "x", "web1", "ls"], b"not a port"),
    (["", "ls"], b"host"),
    (["@web1", "ls"], b"has no user"),
    (["alice@", "ls"], b"not a host name"),
    (["--", "-oProxyCommand=id", "ls"], b"not a host name"),
    (["a\x1b[2Jb", "ls"], b"not a host name"),
    ([b"a\xffb", "ls"], b"not a host name"),
    (["a\u202eb", "ls"], b"not a host name"),
    (["`id`", "ls"], b"not a host name"),
    (["unix:", "ls"], b""),
    ([b"unix:/tmp/\xff", "ls"], b"not the path of a socket"),
    (["--no-tls", "192.0.2.1", "ls"], b"refused"),
    (["--status-fd", "99", "web1", "ls"], b"not an open descriptor"),
    (["-e", "=x", "web1", "ls"], b"no name"),
    (["-e", "NOT_SET_HERE", "web1", "ls"], b"no such variable"),
    (["--config", "/nowhere", "web1", "ls"], b"/nowhere"),
    (["-i", "/nowhere", "127.0.0.1:1", "ls"], b""),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_a_wrong_command_line_is_one_line_and_runs_nothing(
    tmp_path: Path, words: list[str | bytes], message: bytes
) -> None:
    """security.md, People's terminals: "A host called `-oProxyCommand=...` or `` `id` `` (CVE-2023-51385
    and kin)"; "what rexec itself prints is neutralised"."""
    done = run(tmp_path, *words)
    assert done.returncode in ((2, 255) if "/nowhere" in words else (2,))
    assert done.stdout == b""
    assert message in done.stderr
    lines = done.stderr.decode().splitlines()
    assert 1 <= len(lines) <= 2
    assert all(line.startswith("rexec: ") and line.isprintable() for line in lines)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_are_no_reason_for_a_traceback(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    words = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f'"$0" --version {words}', CLIENT],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


LACKING = [
    (MemoryError(), "out of memory"),
    (OSError(24, "Too many open files"), "too many open files"),
    (OSError(24, "Too many open files", "/lib/x.py"), "/lib/x.py: too many open files"),
    (ImportError("libssl.so.3: failed to map"), "cannot be loaded: libssl.so.3: failed to map"),
]


@pytest.mark.parametrize("program", [main, ssh, copy], ids=["rexec", "rexec-ssh", "rexec-cp"])
@pytest.mark.parametrize(("error", "said"), LACKING)
def test_what_this_machine_lacks_is_one_line(
    program: ModuleType,
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: object) -> int:
        raise error

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(program, "run", run)
    monkeypatch.setattr(program.os, "_exit", leave)
    monkeypatch.setattr(gc, "disable", lambda: None)
    monkeypatch.setattr(sys, "argv", ["rexec", "web1", "ls"])
    with pytest.raises(SystemExit, match="255"):
        program.main()
    assert capsys.readouterr() == ("", f"{program.PROGRAM}: {said}\n")

"""One command as processes: what it is given, what it is not, and the orderly end of its group."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.policy.decide import decide
from rexec.policy.parse import parse
from rexec.policy.request import Request, text_of
from rexec.policy.rules import Permit
from rexec.process.child import Child, NotStarted, signal_name, start
from rexec.server.disk import LocalDisk

PYTHON = sys.executable
Start = Callable[..., Child | NotStarted]


def permit_of(rules: str, *words: str, **asked: object) -> Permit:
    """Return what the policy permits: there is no other way to a permit."""
    request = Request(  # type: ignore[arg-type]
        user="alice", groups=frozenset(), words=words, peer="", connection="unix", now=0.0,
        pty_allowed=True, **asked,
    )  # fmt: skip
    permit = decide(parse(rules, "cmds.txt", LocalDisk()), request)
    assert isinstance(permit, Permit), permit
    return permit


@pytest.fixture
def begin() -> Iterator[Start]:
    """Start commands, and leave nothing of them behind."""
    begun: list[Child] = []

    def begin_one(rules: str, *words: str, **asked: object) -> Child | NotStarted:
        child = start(permit_of(rules, *words, **asked))
        if isinstance(child, Child):
            begun.append(child)
        return child

    yield begin_one
    for child in begun:
        if _is_open(child.pidfd):
            child.signal(signal.SIGKILL)
            child.reap()
        for descriptor in child.streams:
            os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    return os.path.exists(f"/proc/self/fd/{descriptor}") and "pidfd" in os.readlink(
        f"/proc/self/fd/{descriptor}"
    )


def child_of(begun: Child | NotStarted) -> Child:
    assert isinstance(begun, Child), begun
    return begun


def output(child: Child) -> bytes:
    """Read stdout to its end."""
    found = b""
    while data := os.read(child.streams[-2], 65_536):
        found += data
    return found


def test_arguments_arrive_byte_for_byte(begin: Start) -> None:
    """security.md, Around the allow list: "Bytes 1-255: unchanged"."""
    words = [text_of(bytes([byte])) for byte in range(1, 256)]
    odd = ["", " ", "a b", "$(id)", "`id`", "*", "a\nb", "--", "-x", "${IFS}", ";|&<>"]
    script = "import os,sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    child = child_of(begin(f"{PYTHON} ...\n", PYTHON, "-c", script, *words, *odd))
    expected = [bytes([byte]) for byte in range(1, 256)] + [os.fsencode(word) for word in odd]
    assert output(child) == b"\0".join(expected)
    assert child.reap().status == 0


def test_nothing_but_the_streams_and_the_made_up_environment_is_inherited(
    begin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """security.md, Environment: "The server's own descriptors, environment, umask, signal mask and
    ignored signals must not reach a child"."""
    monkeypatch.setenv("LD_PRELOAD_CANARY", "secret")
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    before = os.umask(0)
    try:
        child = child_of(begin("sh ...\n", "sh", "-c", "umask; env; ls /proc/$$/fd"))
    finally:
        os.umask(before)
        os.close(leak)
    text = output(child).decode()
    assert "secret" not in text
    assert text.startswith("0022\n")
    assert {line for line in text.splitlines() if line.isdigit() and len(line) < 3} <= {"0", "1", "2"}
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
    child.reap()


def test_a_program_that_went_away_is_127(begin: Start, tmp_path: Path) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    permit = permit_of(f"{program}\n", str(program))
    program.unlink()
    assert start(permit) == NotStarted(127, f"{program}: no such file or directory")
    program.write_text("#!/nowhere\n")
    program.chmod(0o755)
    assert getattr(start(permit), "exit_code", None) == 127
    program.chmod(0o644)
    assert start(permit) == NotStarted(127, f"{program}: permission denied")
    program.chmod(0o755)
    program.write_bytes(b"\0\1\2")
    assert start(permit) == NotStarted(127, f"{program}: exec format error")


def test_a_list_that_is_too_long_for_the_kernel_is_126(begin: Start) -> None:
    """security.md, Around the allow list: "one of 3 MB: a clear error"."""
    for words in (["x" * (128 * 1024)], ["x" * 100_000] * 50):
        assert begin("true ...\n", "true", *words) == NotStarted(126, "argument list too long")


def test_what_is_not_started_leaves_no_descriptor(begin: Start) -> None:
    before = os.listdir("/proc/self/fd")
    begin("true ...\n", "true", "x" * (128 * 1024))
    begin("pwd\n    cwd ask\n", "pwd", cwd="/nowhere")
    assert os.listdir("/proc/self/fd") == before


def test_a_directory_is_the_one_that_was_asked_for(begin: Start, tmp_path: Path) -> None:
    inside = tmp_path / "in side"
    inside.mkdir()
    for rule in ("cwd ask", f"cwd ask {tmp_path}/**"):
        child = child_of(begin(f"pwd\n    {rule}\n", "pwd", cwd=str(inside)))
        assert output(child) == os.fsencode(inside) + b"\n"
        child.reap()


@pytest.mark.parametrize("rule", ["cwd ask", "cwd ask {root}/**"])
def test_a_directory_that_is_not_there_is_127(begin: Start, tmp_path: Path, rule: str) -> None:
    file = tmp_path / "file"
    file.touch()
    for name, why in ((tmp_path / "none", "no such file or directory"), (file, "not a directory")):
        found = begin(f"pwd\n    {rule.format(root=tmp_path)}\n", "pwd", cwd=str(name))
        assert found == NotStarted(127, f"working directory {name}: {why}")


def test_a_directory_in_odd_bytes_is_shown_without_harm(begin: Start, tmp_path: Path) -> None:
    """security.md, People's terminals: "Control characters ... in ... file names"."""
    found = begin(f"pwd\n    cwd ask {tmp_path}/**\n", "pwd", cwd=f"{tmp_path}/\x1b[2J\udcff\u202e")
    assert isinstance(found, NotStarted)
    assert found.message.isprintable()
    found.message.encode()


def test_a_link_that_leads_out_of_its_root_is_not_entered(begin: Start, tmp_path: Path) -> None:
    """security.md, Around the allow list: "Links that leave a root; a link swapped between check and
    use (CVE-2026-53783 in rrsync)"."""
    root, outside, beside = tmp_path / "root", tmp_path / "outside", tmp_path / "rootx"
    for place in (root, outside, beside, root / "in"):
        place.mkdir()
    (root / "out").symlink_to(outside)
    (root / "near").symlink_to(beside)
    (root / "loop").symlink_to(root / "loop")
    (root / "home").symlink_to(root / "in")
    rules = f"pwd\n    cwd ask {root}/**\n"
    for name in ("out", "near"):
        found = begin(rules, "pwd", cwd=str(root / name))
        assert getattr(found, "exit_code", None) == 126
        assert "leads out of" in getattr(found, "message", "")
    assert getattr(begin(rules, "pwd", cwd=str(root / "loop")), "exit_code", None) == 127
    child_of(begin(rules, "pwd", cwd=str(root / "home"))).reap()


def test_without_stdin_a_child_reads_nothing(begin: Start) -> None:
    child = child_of(begin("cat\n", "cat", stdin=False))
    assert (child.has_stdin, len(child.streams)) == (False, 2)
    assert output(child) == b""
    assert child.reap().status == 0


def test_an_exit_is_noticed_and_not_reaped(begin: Start) -> None:
    """protocol.md 8: the zombie keeps the pid, so that no signal meets somebody else."""
    child = child_of(begin("sh ...\n", "sh", "-c", "exit 7"))
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    for _ in range(2):
        assert child.is_over()
    child.signal(signal.SIGTERM)  # to a zombie: nothing happens
    assert child.reap()[:2] == (7, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1, signal.SIGRTMIN + 3])
def test_a_death_by_signal_has_its_name(begin: Start, number: int) -> None:
    child = child_of(begin("cat\n", "cat"))
    assert not child.is_over()
    child.signal(number)
    ending = child.reap()
    assert (ending.status, ending.signal) == (0, signal_name(number))
    assert ending.max_rss_kib > 0


def test_names_of_signals_are_those_without_sig() -> None:
    assert [signal_name(number) for number in (1, 9, 15, 34, 37, 64)] == [
        "HUP", "KILL", "TERM", "RTMIN", "RTMIN+3", "RTMAX",
    ]  # fmt: skip

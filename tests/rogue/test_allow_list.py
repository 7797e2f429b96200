"""Around the allow list, by raw frames: what is denied starts nothing, what is permitted is just that."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rogue import wire
from tests.rogue.conftest import Target

TERMINAL = wire.string(b"xterm") + b"\0\x50\0\x18" + bytes(4) + wire.string(b"")
RULES = """\
echo ...
sh ...
cat -- {{path:{root}/** ro file}}
touch {canary}
    pty no
{program} ...
    sha256 {digest}
"""


class Guarded(Target):
    """A server with a tree of files, a link that leads out of it, and a program with a digest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = folder / "root"
        self.root.mkdir()
        (self.root / "file").write_text("public\n")
        (folder / "secret").write_text("secret\n")
        (self.root / "link").symlink_to("../secret")
        (self.root / "around").symlink_to("/proc/self/root")
        self.program = folder / "program"
        shutil.copy("/bin/echo", self.program)
        digest = hashlib.sha256(self.program.read_bytes()).hexdigest()
        self.allow_list.write_text(
            RULES.format(root=self.root, canary=self.canary, program=self.program, digest=digest)
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    made.start()
    yield made
    assert made.works()
    assert made.has_no_traceback()
    made.end()


def test_a_random_command_is_denied(guarded: Guarded) -> None:
    """security.md, Around the allow list: "A start-up self-test: a random command must be denied"."""
    with guarded.friend() as friend:
        for _ in range(20):
            assert (
                friend.run(secrets.token_hex(8).encode(), os.fsencode(guarded.canary), stdin=0)[0]
                == wire.DENIED
            )
        assert friend.is_alive()
    assert not guarded.sang()


@pytest.mark.parametrize("name", ["link", "around/etc/passwd", "../secret", "none/../../secret", "."])
def test_no_name_leads_out_of_a_root(guarded: Guarded, name: str) -> None:
    """security.md, Around the allow list: "Links that leave a root"; "`..` never"."""
    with guarded.friend() as friend:
        place = os.fsencode(guarded.root)
        kind, _, output = friend.run(b"cat", b"--", place + b"/" + name.encode(), stdin=0)
        assert (kind, output) == (wire.DENIED, b"")
        assert friend.run(b"cat", b"--", place + b"/file", stdin=0)[2] == b"public\n"


def test_a_program_that_is_another_by_now_is_denied(guarded: Guarded) -> None:
    """security.md, Around the allow list: "a program swapped between digest and start"."""
    name = os.fsencode(guarded.program)
    with guarded.friend() as friend:
        assert friend.run(name, b"right", stdin=0)[2] == b"right\n"
        other = guarded.folder / "other"
        other.write_text(f"#!/bin/sh\n: > {guarded.canary}\n")
        other.chmod(0o755)
        other.replace(guarded.program)
        assert friend.run(name, b"wrong", stdin=0)[0] == wire.DENIED
        assert friend.is_alive()
    assert not guarded.sang()


def test_one_generation_decides_and_runs(guarded: Guarded) -> None:
    """security.md, Around the allow list: "Policy reload while a request is judged: one generation decides
    and runs": each of many commands that meet a reload is denied whole or runs whole."""
    before = guarded.allow_list.read_text()
    with guarded.friend() as friend:
        for number in range(1, 6):
            for channel in range(1, 9):
                friend.exec(b"echo", b"whole", channel=channel, stdin=0)
            guarded.allow_list.write_text(before.replace("echo ...", "echo alive") if number % 2 else before)
            os.kill(guarded.pid, signal.SIGHUP)
            ends = 0
            while ends < 8:
                found = friend.read()
                assert found is not None
                ends += found[0] in (wire.EXIT, wire.DENIED)
                assert found[0] != wire.STDOUT or found[2] == b"whole\n"
            guarded.wait_for("rexec-server: reload", count=number)
    guarded.allow_list.write_text(before)
    os.kill(guarded.pid, signal.SIGHUP)
    guarded.wait_for("rexec-server: reload", count=6)


@pytest.mark.system
def test_another_account_is_that_account_alone(make_target: Callable[..., Target]) -> None:
    """security.md, Around the allow list: "`as`: uid -1 (CVE-2019-14287), kept supplementary groups
    (CVE-2021-41617)"."""
    target = make_target()
    target.allow_list.write_text("echo ...\nid ...\n    as nobody\n    cwd /\n")
    os.kill(target.pid, signal.SIGHUP)
    target.wait_for("rexec-server: reload", count=2)  # the first one was the fixture's
    with target.friend() as friend:
        assert friend.run(b"id", b"-u", stdin=0)[2] == b"65534\n"
        assert friend.run(b"id", b"-G", stdin=0)[2] == b"65534\n"
        assert friend.run(b"id", b"-u", env=[(b"USER", b"root")], stdin=0)[0] == wire.DENIED
    for number, name in enumerate(("-1", "4294967295", "#-1"), 3):
        target.allow_list.write_text(f"echo ...\nid ...\n    as '{name}'\n")
        os.kill(target.pid, signal.SIGHUP)
        target.wait_for("rexec-server: reload", count=number)
        with target.friend() as friend:
            assert friend.run(b"id", b"-u", stdin=0)[2] == b"65534\n"


def test_bytes_of_every_value_are_data(guarded: Guarded) -> None:
    """security.md, Around the allow list: "`$()`, backticks, newline, `;|&<>`, `${IFS}` ...: bytes are data,
    they arrive unchanged"; "Bytes 1-255: unchanged"."""
    words = [bytes(range(1, 256)), b"$(touch x)", b"`touch x`", b"a\nb", b";|&<>", b"${IFS}", b"", b"-n"]
    with guarded.friend() as friend:
        _, _, output = friend.run(b"sh", b"-c", b'printf "%s\\0" "$@"', b"sh", *words, stdin=0)
    assert output.split(b"\0")[:-1] == words


def test_a_command_that_no_rule_detaches_starts_nothing(guarded: Guarded) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job instead,
    to get around policy, limits or recording"."""
    canary = os.fsencode(guarded.canary)
    with guarded.friend() as friend:
        for stdin, receipt in ((0, 0), (1, 0), (0, 1)):
            assert friend.run(*guarded.touch, detach=1, stdin=stdin, receipt=receipt)[0] == wire.DENIED
        assert friend.run(b" ".join(guarded.touch), form=1, detach=1)[0] == wire.DENIED
        assert friend.run(*guarded.touch, detach=1, pty=TERMINAL)[0] == wire.DENIED
        assert friend.run(b"@put", canary, form=3, detach=1)[0] == wire.DENIED
        for words in (
            (),
            (b"@attach",),
            (b"@attach", canary),
            (b"@logs", b"-f", b"../../home"),
            guarded.touch,
        ):
            assert friend.run(*words, form=4)[0] == wire.DENIED
            assert friend.run(*words, form=4, detach=1, pty=TERMINAL)[0] == wire.DENIED
        assert friend.is_alive()
    assert not guarded.sang()
    assert not (guarded.home / "jobs").exists()


def test_a_terminal_that_a_rule_does_not_give_starts_nothing(guarded: Guarded) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job instead,
    to get around policy, limits or recording": each is denied, and the canary is silent."""
    with guarded.friend() as friend:
        assert friend.run(*guarded.touch, pty=TERMINAL)[0] == wire.DENIED
        for built_in in (b"@get", b"@put", b"@shell", b"@prompt"):
            assert friend.run(built_in, os.fsencode(guarded.canary), stdin=0)[0] == wire.DENIED
        assert friend.is_alive()
    assert not guarded.sang()

"""The unit files of docs/examples, as systemd's own tools judge them; systemd itself does not run here."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from rexec.cli.server import cli
from rexec.process import eventloop
from tests.tree import ROOT, text_of

pytestmark = pytest.mark.system

NAMES = ("rexec-server.service", "rexec-server.socket")
EXPOSURE = 20  # tenths of 10: "OK" begins at 2.0 and less
SERVICE = text_of(ROOT / "docs" / "examples" / "rexec-server.service")


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The files, with a program in them that is there."""
    for name in NAMES:
        text = text_of(ROOT / "docs" / "examples" / name)
        (tmp_path / name).write_text(text.replace("/usr/local/bin/rexec-server", "/bin/true"))
    return [str(tmp_path / name) for name in NAMES]


def analyze(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_they_are_valid(units: list[str]) -> None:
    """Promise: "the unit with `systemd-analyze verify`"."""
    assert analyze("verify", *units) == ""


def test_the_service_is_hardened(units: list[str]) -> None:
    """Promise: "a hardened unit file", "and `security`"."""
    assert "Overall exposure level" in analyze(
        "security", "--offline=true", f"--threshold={EXPOSURE}", units[0]
    )


def test_its_filter_leaves_the_calls_that_a_server_needs() -> None:
    """Those of the listener, and those that put up fences."""
    left = set(analyze("syscall-filter", "@system-service", *groups()).split())
    left |= set(re.findall(r"[a-z_0-9]+", " ".join(re.findall("^SystemCallFilter=(.*)$", SERVICE, re.M))))
    assert eventloop.table().keys() - left == set()
    assert {"seccomp", "landlock_restrict_self", "prctl", "prlimit64", "pidfd_open", "capset"} <= left


def groups() -> list[str]:
    """The groups that @system-service is made of, and those of these."""
    found: list[str] = []
    queue = ["@system-service"]
    while queue:
        inner = re.findall(r"^\s+(@[a-z-]+)", analyze("syscall-filter", queue.pop()), re.M)
        queue += [name for name in inner if name not in found]
        found += inner
    return found


def test_what_runs_without_a_client_outlives_a_restart() -> None:
    """Promise: "each has a small supervisor of its own that leaves the unit's life": systemd ends the main
    process alone, whose own processes end all that is not detached."""
    assert re.findall("^KillMode=(.*)$", SERVICE, re.M) == ["process"]
    assert re.findall("^(?:SendSIGKILL|ExitType|ProtectSystem)=(.*)$", SERVICE, re.M) == ["strict"]
    state, home = (re.findall(name, SERVICE, re.M) for name in ("^StateDirectory=(.*)$", "--home (\\S+)"))
    assert home == [f"/var/lib/{state[0]}"]  # where their directories are, which it may write


def test_its_command_line_is_one_of_ours() -> None:
    words = re.findall("^ExecStart=(.*)$", SERVICE, re.M)
    context = click.Context(cli)
    known = {name for option in cli.get_params(context) for name in option.opts}
    assert [word for word in shlex.split(words[0])[1:] if word.startswith("--") and word not in known] == []

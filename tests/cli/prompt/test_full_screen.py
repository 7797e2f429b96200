"""cli.md: "full-screen programs (`top`, `vim`) just work": the real ones, from the prompt and with -t."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.prompt.conftest import Prompt, Terminal, modes_of
from tests.regress.conftest import CLIENT, Host

pytestmark = pytest.mark.system
RULES = "true\nvim.tiny ...\ntop\ncat\n"
SCREEN = r"load average(?:[^\n]*\n){23}[^\n]*\x1b\[[KJ]"  # all 24 rows, each ends by clearing what was there


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    return make_host(RULES).start()


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def edit(terminal: Terminal, file: Path) -> None:
    """Write a line with vi and leave it."""
    terminal.wait_for("~.*~.*~")  # the lines after the end of the file
    terminal.child.send("ihello from afar\x1b")
    terminal.wait_for("hello from afar")
    terminal.child.send(":wq\r")


def test_vi_edits_and_saves_a_file_from_the_prompt(
    host: Host, open_prompt: Callable[..., Prompt], tmp_path: Path
) -> None:
    file = tmp_path / "file.txt"
    prompt = open_prompt(host)
    prompt.type(f"vim.tiny {file}\r")
    edit(prompt, file)
    assert prompt.ready() == 0
    assert file.read_text() == "hello from afar\n"
    assert "hello from afar" in prompt.run(f"cat {file}")


def test_top_redraws_takes_a_new_size_and_quits(host: Host, open_prompt: Callable[..., Prompt]) -> None:
    prompt = open_prompt(host)
    prompt.type("top\r")
    prompt.wait_for("load average")
    prompt.child.send(" ")
    prompt.wait_for(SCREEN)  # a signal within a write is a write error to top, and its exit code then 1
    prompt.resize(30, 100)
    prompt.wait_for("load average")
    prompt.child.send("q")
    assert prompt.ready() == 0, prompt.child.before
    prompt.run("true")
    assert prompt.code == 0


def test_ctrl_c_in_a_full_screen_program_is_the_programs(
    host: Host, open_prompt: Callable[..., Prompt], tmp_path: Path
) -> None:
    prompt = open_prompt(host)
    prompt.type(f"vim.tiny {tmp_path / 'other.txt'}\r")
    prompt.wait_for("~.*~.*~")
    prompt.press("c")
    prompt.wait_for("to exit Vim")
    prompt.child.send(":q!\r")
    assert prompt.ready() == 0


@pytest.mark.parametrize("way", ["vi", "client"])
def test_the_screen_is_given_back_when_vi_is_killed(host: Host, tmp_path: Path, way: str) -> None:
    """security.md, People's terminals: "A terminal is always restored: after a crash, a kill"."""
    shell = Terminal(["sh"], host.environment(TERM="xterm", PS1="ready> "))
    shell.wait_for("ready> ")
    shell.type(f"{CLIENT} -t {host.address} vim.tiny {tmp_path / 'fourth.txt'}\r")
    shell.wait_for("~.*~.*~")
    os.kill(child_of(host.runner_pid() if way == "vi" else shell.child.pid), signal.SIGKILL)
    shell.child.expect_exact("\x1b[?1049l")
    assert "\x1b[?1049h" in shell.seen
    shell.type("\r")
    shell.wait_for("ready> ")
    shell.end()


def test_the_terminal_is_as_before_after_vi_with_t(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "third.txt"
    shell = Terminal(["sh"], host.environment(TERM="xterm", PS1="ready> "))
    shell.wait_for("ready> ")
    before = modes_of(shell)
    shell.type(f"{CLIENT} -t {host.address} vim.tiny {file}\r")
    edit(shell, file)
    shell.wait_for("ready> ")
    assert modes_of(shell) == before
    assert file.read_text() == "hello from afar\n"
    shell.end()

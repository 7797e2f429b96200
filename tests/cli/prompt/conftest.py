"""A prompt at a terminal of its own, on a real server: typed at and looked at as a person would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.regress.conftest import CLIENT, PATIENCE, Host, make_host

__all__ = ["make_host"]

RULES = """\
true
false
ls
cat
head
yes
env
sh ...
echo            # prints its words
    about "Print words"
printf ...
sleep ...
python3 ...
wc
git status
    about "What has changed"
git log ...
id
    pty no
stty
    pty only
pwd
    cwd ask '/**'
stat [--cached={never|default}] {path:/etc/**}
"""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07")
ASKS_WHERE = "\x1b[6n"  # cursor position request; the answer says that there is room below


class _Answers:
    """Answers what a terminal is asked, as each piece of output is read."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def write(self, text: str) -> None:
        self._terminal.seen += text
        for _ in range(text.count(ASKS_WHERE)):
            os.write(self._terminal.child.child_fd, b"\x1b[1;1R")

    def flush(self) -> None:
        pass


class Terminal:
    """A program at a terminal."""

    def __init__(
        self, words: list[str], env: dict[str, str], columns: int = 80, cwd: str | None = None
    ) -> None:
        self.seen = ""
        self.child: pexpect.spawn[str] = pexpect.spawn(
            words[0],
            words[1:],
            env=env,
            cwd=cwd,
            dimensions=(24, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=PATIENCE,
        )
        self.child.delaybeforesend = None
        self.child.logfile_read = _Answers(self)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until what is shown matches; a dot matches the end of a line, too (pexpect)."""
        self.child.expect(pattern)
        match = self.child.match
        assert isinstance(match, re.Match)
        return match

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Wait for a line of output, whole, whatever escape sequences stand before it."""
        return self.wait_for(rf"(?:\n|\x1b\[\?2004l)(?:\x1b\[[0-9;?]*[a-zA-Z])*(?:{pattern})\r")

    def type(self, text: str) -> None:
        """Type it."""
        self.child.send(text)

    def press(self, letter: str) -> None:
        """Press Ctrl and a letter."""
        self.child.sendcontrol(letter)

    def resize(self, rows: int, columns: int) -> None:
        self.child.setwinsize(rows, columns)

    def wait(self) -> int:
        """Wait for the end; return the exit code, or minus the signal."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return -self.child.signalstatus if self.child.signalstatus else self.child.exitstatus or 0

    def end(self) -> None:
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
        self.child.close(force=True)


class Prompt(Terminal):
    """`rexec HOST` at a terminal; `code` is that of the last line, `history` the file of its host."""

    code = 0
    history = ""

    def ready(self) -> int:
        """Wait for the prompt; return the exit code that it shows, and forget what was before."""
        match = self.wait_for(_shown())
        return int(match["code"] or 0)

    def run(self, line: str) -> str:
        """Enter a line; return what was shown up to the next prompt, without escapes, and its code."""
        self.type(f"{line}\r")
        self.code = self.ready()
        return ESCAPE.sub("", self.child.before or "").replace("\r\n", "\n")


def _shown() -> str:
    """The pattern of a prompt that was just drawn, in the middle of escape sequences."""
    skip = r"(?:\x1b\[[0-9;?]*[a-zA-Z])*"
    who = rf"\w+{skip}@{skip}[\w.%:/]+?{skip}"
    how = (
        rf"(?::{skip}(?P<directory>[^\s\x1b]+))?{skip}(?: \[(?P<code>\d+)\])?{skip}(?P<took> [\d.]+ s)?{skip}"
    )
    return rf"(?:\x1b\[\?2004h{skip}|(?:^|(?<=\n))(?=\w)){who}{how}>"


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """A server with the list of these tests."""
    return make_host(RULES).start()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for all tests that leave it as it was."""
    host = Host(tmp_path_factory.mktemp("shared"), RULES).start()
    yield host
    host.end()


@pytest.fixture
def open_prompt(tmp_path: Path) -> Iterator[Callable[..., Prompt]]:
    """Open prompts, each with a home of its own below, that are closed with the test."""
    opened: list[Prompt] = []

    def one(host: Host, *options: str, columns: int = 80, wait: bool = True, **env: str) -> Prompt:
        given = {"TERM": "xterm", "INPUTRC": "/dev/null", **env}
        prompt = Prompt([CLIENT, *options, host.address], host.environment(**given), columns, str(tmp_path))
        prompt.history = str(host.home / "history" / host.address)
        opened.append(prompt)
        if wait:
            prompt.ready()
        return prompt

    yield one
    for prompt in opened:
        prompt.end()


@pytest.fixture
def prompt(shared: Host, open_prompt: Callable[..., Prompt]) -> Prompt:
    """A prompt that is ready."""
    return open_prompt(shared)


def modes_of(terminal: Terminal) -> str:
    """Return what `stty -a` says of the terminal."""
    return subprocess.run(
        ["stty", "-a"], stdin=terminal.child.child_fd, capture_output=True, text=True, check=True
    ).stdout

"""The prompt's own commands: looked up by the first word where nothing of it is quoted."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from rexec.cli.output import alarming
from rexec.cli.prompt.screen import show
from rexec.errors import UsageError
from rexec.text import neutral

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rexec.cli.prompt.rules import Rule
    from rexec.cli.prompt.shell import Shell

OWN = {
    "help": "help [CMD]: what you may run here, and these commands",
    "?": "the same as help",
    "exit": "exit [N]: leave, with the exit code of the last command or N; Ctrl-D too",
    "cd": "cd [DIR]: ask for this directory with each command; without DIR no more",
    "get": "get [-r] [-p] [--resume] REMOTE... [LOCAL]: copy files of the host to here",
    "put": "put [-r] [-p] [--resume] LOCAL... [REMOTE]: copy files to the host",
    "jobs": "list the commands in the background (COMMAND &)",
    "fg": "fg [N]: wait for a job; Ctrl-C ends it",
    "kill": "kill [-SIG] N: send a signal to a job, TERM unless told otherwise",
}
_MORE = (
    ("!COMMAND", "run COMMAND on this machine"),
    ("CMD | LOCAL", "give the output to commands of this machine"),
    ("CMD < FILE > FILE", "files of this machine; >> appends"),
    ("CMD &", "run in the background"),
    ("Ctrl-C", "end the command; twice: kill it"),
    ("Ctrl-Z", "stop a command without a terminal; fg lets it go on"),
    ("~.", "at the start of a line: leave a full-screen program"),
)


class Leave(Exception):
    """The prompt is to end, with this exit code."""

    def __init__(self, code: int) -> None:
        self.code = code


async def help_(shell: Shell, words: list[str]) -> int:
    if words:
        return _help_of(shell, words[0])
    await shell.line.refresh()
    host = f"{neutral(shell.line.user)}@{neutral(shell.line.target.name)}"
    rows = [_row(rule) for rule in shell.line.rules]
    high = frozenset(_row(rule) for rule in shell.line.rules if rule.danger == "high")
    _table(f"On {host} you may run:" if rows else f"On {host} you may run nothing.", rows, high)
    _table("Here:", [*_own_rows(), *_MORE])
    return 0


def _own_rows() -> list[tuple[str, str]]:
    return [(name, about.partition(": ")[2] or about) for name, about in OWN.items()]


def _row(rule: Rule) -> tuple[str, str]:
    return neutral(rule.text), neutral(rule.about)


def _table(head: str, rows: list[tuple[str, str]], high: frozenset[tuple[str, str]] = frozenset()) -> None:
    width = min(30, max((len(name) for name, about in rows if about), default=0))
    lines = {row: f"  {row[0]:<{width}}  {row[1]}".rstrip() for row in rows}
    shown = [alarming(lines[row]) if row in high else lines[row] for row in rows]
    show("\n".join([head, *shown]) + "\n")


def _help_of(shell: Shell, name: str) -> int:
    if name in OWN:
        show(f"{OWN[name]}\n")
    found = [rule for rule in shell.line.rules if rule.command == name]
    for rule in found:
        terminal = {"no": ", never with a terminal", "only": ", with a terminal only"}.get(rule.terminal, "")
        show(f"{rule.shown()} ({neutral(rule.label)}{terminal})\n")
    if not found and name not in OWN:
        raise UsageError(f"no rule for {neutral(name)}")
    return 0


async def exit_(shell: Shell, words: list[str]) -> int:
    code = shell.code
    if words:
        if not (words[0].isascii() and words[0].isdigit() and int(words[0]) < 256):
            raise UsageError("exit [N]: N is 0 to 255")
        code = int(words[0])
    shell.leave(code)
    return shell.code


async def cd(shell: Shell, words: list[str]) -> int:
    """Keep a directory; it is the policy that says, with each command, whether it may be asked for."""
    if len(words) > 1:
        raise UsageError("cd [DIR]: one directory")
    target = shell.line.target
    target.cwd = posixpath.normpath(posixpath.join(target.cwd or "", words[0])) if words else None
    return 0


async def jobs(shell: Shell, words: list[str]) -> int:
    show("".join(f"{line}\n" for line in shell.jobs.lines()))
    return 0


async def fg(shell: Shell, words: list[str]) -> int:
    return await shell.foreground_job(shell.jobs.find(words[0] if words else None))


async def kill(shell: Shell, words: list[str]) -> int:
    shell.jobs.kill(words)
    return 0


async def get(shell: Shell, words: list[str]) -> int:
    from rexec.cli.prompt import copies  # what it needs is loaded for the first copy

    return await copies.get(shell, words)


async def put(shell: Shell, words: list[str]) -> int:
    from rexec.cli.prompt import copies

    return await copies.put(shell, words)


DOES: dict[str, Callable[[Shell, list[str]], Awaitable[int]]] = {
    "help": help_, "?": help_, "exit": exit_, "cd": cd, "get": get, "put": put, "jobs": jobs, "fg": fg,
    "kill": kill,
}  # fmt: skip

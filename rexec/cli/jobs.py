"""`--detach`, `--jobs`, `--attach`, `--logs` and `--kill`: commands that run on without us.

TERM and HUP end only who is looking on. INT reaches an attached command as it would one of our own; a second
one within two seconds ends the client, and the command has what it made of the first.
"""

from __future__ import annotations

import time

from rexec.cli.oneshot import OneShot
from rexec.cli.output import show
from rexec.cli.signals import LEAVING
from rexec.client.jobs import about, detached
from rexec.client.streams import MemorySink
from rexec.errors import UsageError
from rexec.protocol import frames as f
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.options import Line
    from rexec.client.answers import Job
    from rexec.client.command import Command
    from rexec.client.result import Result
    from rexec.client.session import Session
    from rexec.client.streams import Sink, Source

_WAYS = ("detach", "jobs", "attach", "logs", "kill")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-")


class JobShot(OneShot):
    """One run of `rexec` that is about a detached command, or makes one."""

    def __init__(self, line: Line) -> None:
        self.way, self.name = _way(line)
        super().__init__(line)

    def _exec(self) -> f.Exec | f.Query:
        if self.way == "jobs":
            return f.Query("jobs")
        if self.way == "detach":
            command = super()._exec()
            assert isinstance(command, f.Exec)
            return detached(command)
        return about(self.way, self.name, *(["-f"] if self.line.follow else [])).replace(id=1)

    def _source(self) -> Source | None:
        return None

    def _sinks(self) -> tuple[Sink, Sink]:
        return (MemorySink(), MemorySink()) if self.way == "jobs" else super()._sinks()

    def _pass_on(self, session: Session, command: Command, name: str) -> None:
        if name in LEAVING or self.way in ("detach", "jobs", "kill"):
            self.signals.gave_up = True
        else:
            super()._pass_on(session, command, name)

    def _finish(self, result: Result) -> int:
        if self.way == "jobs" and result.state == "ok":
            import json

            from rexec.client.answers import jobs

            found = jobs(result)
            text = f"{json.dumps(json.loads(result.stdout))}\n" if self.line.json else _table(found)
            return show(text)
        return super()._finish(result)

    def _hint(self) -> str | None:
        return super()._hint() if self.way == "detach" else None


def _way(line: Line) -> tuple[str, str]:
    """Return what is to be done, and with which command. Raises `UsageError`."""
    asked = [way for way in _WAYS if getattr(line, way) not in (None, False)]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]} exclude each other")
    if line.follow and asked != ["logs"]:
        raise UsageError("-f goes with --logs", hint="rexec --logs ID -f HOST")
    (way,) = asked
    if way == "detach" and not line.command:
        raise UsageError("--detach goes with a command", hint="rexec --detach HOST COMMAND [ARG]...")
    if way != "detach" and line.command:
        raise UsageError(f"--{way} takes no command")
    for name, option in (("lists", "--list"), ("explain", "--explain"), ("receipt", "--receipt")):
        if getattr(line, name):
            raise UsageError(f"--{way} and {option} exclude each other")
    if line.terminal:
        raise UsageError(f"--{way} and -t exclude each other: a detached command has no terminal")
    return way, "" if way in ("detach", "jobs") else getattr(line, way)


def _table(found: list[Job]) -> str:
    """Lay the commands out for people."""
    rows = [("ID", "STATE", "STARTED", "WALL", "COMMAND")]
    for job in found:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
        rows.append((neutral(job.id), neutral(_state(job)), started, _wall(job.wall_s), _words(job.command)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ("  ".join([*map(str.ljust, row, widths), row[4]]) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _state(job: Job) -> str:
    if job.state == "failed":
        return f"failed {job.exit_status}"
    return f"signal {job.signal}" if job.state == "signal" else job.state


def _wall(seconds: float) -> str:
    """Write a time as people read it."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f}s"
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{whole % 60:02}s"


def _words(command: tuple[str, ...]) -> str:
    """Write the words of a command so that one is told from the next, and nothing steers a terminal."""
    return " ".join(
        word if word and _PLAIN.issuperset(word) else "'" + neutral(word).replace("'", "'\\''") + "'"
        for word in command
    )

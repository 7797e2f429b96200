"""Commands in the background: they run, print as it comes, and can be waited for and signalled."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from rexec.client.streams import HeldSink
from rexec.errors import UsageError
from rexec.limits import KIB
from rexec.protocol.frames import Stream
from rexec.text import neutral

if TYPE_CHECKING:
    from rexec.cli.prompt.local import Files
    from rexec.cli.prompt.screen import Screen
    from rexec.client.async_session import AsyncSession
    from rexec.client.command import Command
    from rexec.client.result import Result

_STOPS = ("STOP", "TSTP", "TTIN", "TTOU")
_GOES_ON = ("CONT", "TERM", "HUP")
_PARTIAL_MAX = 64 * KIB  # bytes of a line that has no end yet, kept so that lines of jobs do not mix


class Job:
    """One command in the background; what came of a line that is not whole yet waits in `partial`."""

    def __init__(self, number: int, text: str, session: AsyncSession, command: Command, files: Files) -> None:
        self.number = number
        self.text = text
        self.session = session
        self.command = command
        self.files = files
        self.is_stopped = False
        self.has_keyboard = False  # it reads what is typed while it is in the foreground
        self.partial = {Stream.STDOUT: bytearray(), Stream.STDERR: bytearray()}
        self.over = asyncio.Event()
        self.in_foreground = False

    @property
    def line(self) -> str:
        return f"[{self.number}] {'stopped' if self.is_stopped else 'running'}  {neutral(self.text)}"

    def signal(self, name: str) -> None:
        """Send a signal; a stopped group gets no TERM before it goes on."""
        self.session.signal(self.command, name)
        if name in _STOPS:
            self.is_stopped = True
        elif self.is_stopped and name in _GOES_ON:
            self.is_stopped = False
            if name != "CONT":
                self.session.signal(self.command, "CONT")
            if self.files.reader is not None:  # Ctrl-Z has stopped it, too
                os.killpg(os.getpgrp(), signal.SIGCONT)

    def has_more(self) -> bool:
        """Whether output waits to be taken."""
        return any(self.command.is_held(stream) for stream in self.partial)


class Jobs:
    """Those that run, by number."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, text: str, session: AsyncSession, command: Command, files: Files) -> Job:
        """Follow a command that was started with `HeldSink`s; `files` are closed at its end."""
        job = Job(max(self._jobs, default=0) + 1, text, session, command, files)
        self._jobs[job.number] = job
        task = asyncio.create_task(self._follow(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def lines(self) -> list[str]:
        """Return one line a job."""
        return [job.line for job in self._jobs.values()]

    def find(self, name: str | None) -> Job:
        """Return a job by `N` or `%N`, or the latest. Raises `UsageError`."""
        if name is None:
            if not self._jobs:
                raise UsageError("no job runs")
            return self._jobs[max(self._jobs)]
        digits = name.removeprefix("%")
        job = self._jobs.get(int(digits)) if digits.isascii() and digits.isdigit() else None
        if job is None:
            raise UsageError(f"no job {neutral(name)}")
        return job

    def kill(self, words: list[str]) -> None:
        """Obey `[-SIG] N...`. Raises `UsageError`."""
        name = "TERM"
        if words and words[0].startswith("-"):
            name = signal_name(words.pop(0)[1:])
        if not words:
            raise UsageError("kill [-SIG] N: which job?")
        for job in [self.find(word) for word in words]:
            job.signal(name)

    # --- one job --------------------------------------------------------------------------------

    async def _follow(self, job: Job) -> None:
        try:
            await self._print(job)
            await job.files.done()
        finally:
            job.files.close()
            self._jobs.pop(job.number, None)
            job.session.end(job.command)
            job.over.set()
        if not job.in_foreground:
            await self._screen.say_above(f"[{job.number}] {ending(job.command.result())}  {job.text}")

    async def _print(self, job: Job) -> None:
        command, files = job.command, job.files
        await job.session.until(command, lambda: command.started or command.is_over)
        if command.started and files.target is not None:
            files.target.begin()
        while not command.is_over or job.has_more():
            await job.session.until(command, lambda: command.is_over or job.has_more())
            for stream, partial in job.partial.items():
                partial += job.session.take(command, stream)
                if whole := _whole_lines(partial):
                    await self._screen.write(whole)
        rest = b"".join(bytes(partial) + b"\n" for partial in job.partial.values() if partial)
        if rest:
            await self._screen.write(rest)


def sinks() -> tuple[HeldSink, HeldSink]:
    """Return where the output of a job waits for the screen: the window bounds it."""
    return HeldSink(), HeldSink()


def _whole_lines(partial: bytearray) -> bytes:
    """Take the lines that are whole; a line that is too long is broken."""
    end = partial.rfind(b"\n") + 1
    if end:
        whole = bytes(partial[:end])
    elif len(partial) >= _PARTIAL_MAX:
        end, whole = len(partial), bytes(partial) + b"\n"
    else:
        return b""
    del partial[:end]
    return whole


def signal_name(text: str) -> str:
    """Return the name without SIG of a signal's name or number. Raises `UsageError`."""
    try:
        if text.isascii() and text.isdigit():
            return signal.Signals(int(text)).name.removeprefix("SIG")
        return signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"].name.removeprefix("SIG")
    except (ValueError, KeyError):
        raise UsageError(f"no signal {neutral(text)}") from None


def ending(result: Result) -> str:
    """Say in a word or two how a command ended."""
    if result.state == "denied":
        return f"denied: {result.error}"
    if result.error is not None:
        return result.error
    if result.signal:
        return f"died by {result.signal}"
    return "done" if result.ok else f"exit {result.exit_code}"

"""The command that has the terminal: its streams, its signals, and what Ctrl-C does to it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rexec.cli.oneshot import carried
from rexec.cli.prompt.local import Files, FileSink, ended, start_local
from rexec.cli.prompt.rules import terminal_of
from rexec.cli.prompt.screen import Shown, show, write_all
from rexec.cli.prompt.words import as_bytes
from rexec.cli.terminal import Escapes, TerminalSource, new_size, request
from rexec.client import request as asked
from rexec.client.result import Result
from rexec.client.streams import FdSink, FdSource
from rexec.limits import CLIENT_PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from rexec.cli.guardian import Guardian
    from rexec.cli.prompt.jobs import Job
    from rexec.cli.prompt.line import Line
    from rexec.cli.prompt.screen import Screen
    from rexec.cli.prompt.words import Line as Words
    from rexec.client.async_session import AsyncSession
    from rexec.client.command import Command
    from rexec.client.streams import Sink, Source
    from rexec.protocol import frames as f

_AHEAD = 0.05  # seconds that what is typed stays here: it is meant for the prompt if the command is short
_GIVEN_UP = 3  # Ctrl-C so often in a row, and the prompt waits no more


class Interrupts:
    """Keys for the command in the foreground. Ctrl-C: INT, then KILL, then nobody waits any more."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()
        self.stopped = asyncio.Event()  # by Ctrl-Z
        self.pressed = asyncio.Event()  # Ctrl-C, since the line was entered
        self._of: tuple[AsyncSession, Command] | None = None
        self._count = 0
        self._last = float("-inf")

    def aim(self, session: AsyncSession, command: Command) -> None:
        """Mean this command from now on."""
        self.given_up.clear()
        self.stopped.clear()
        self._of, self._count = (session, command), 0
        if self.pressed.is_set():
            self.send("INT")

    def rest(self) -> None:
        """Mean nothing."""
        self._of = None

    def interrupt(self) -> None:
        """Take one Ctrl-C."""
        self.pressed.set()
        now = time.monotonic()
        self._count = self._count + 1 if now - self._last < CLIENT_PATIENCE else 1
        self._last = now
        if self._count >= _GIVEN_UP:
            self.given_up.set()
        self.send("INT" if self._count == 1 else "KILL")

    def stop(self) -> None:
        """Take a Ctrl-Z. A TSTP would do nothing: no shell is there, and the group an orphaned one
        (POSIX.1-2017, XSH 2.4.3)."""
        self.send("STOP")
        self.stopped.set()

    def send(self, name: str) -> None:
        """Send a signal to what runs."""
        if self._of is not None and self._of[0].is_running(self._of[1]):
            self._of[0].signal(self._of[1], name)


class Parked(Exception):
    """A command was stopped, and is to become a job; its output is held."""

    def __init__(self, session: AsyncSession, command: Command, *, has_keyboard: bool) -> None:
        self.session = session
        self.command = command
        self.has_keyboard = has_keyboard
        self.files: Files | None = None


class Foreground:
    """Runs one remote command at a time, and whatever local part its line has."""

    def __init__(
        self, line: Line, screen: Screen, guardian: Guardian, *, may_terminal: bool, stdin: bool
    ) -> None:
        self.interrupts = Interrupts()
        self.took_over = False  # the last command was a full-screen program
        self.confirm: str | None = None  # the text that goes with the next command
        self._line = line
        self._screen = screen
        self._guardian = guardian
        self._may_terminal = may_terminal and os.isatty(0) and os.isatty(1)
        self._stdin = stdin

    def exec_of(self, words: tuple[str, ...], *, stdin: bool) -> f.Exec:
        """Return the frame for a command. Raises `UsageError`."""
        target, confirm = self._line.target, self.confirm
        exec_ = asked.request(target, as_bytes(words), None, None, None, stdin=stdin, confirm=confirm)
        carried(exec_)
        return exec_

    async def run(self, line: Words) -> Result:
        """Run the remote command of a line to its end. Raises `RexecError`, `Parked`."""
        if line.pipe is not None:
            return await self._piped(line, line.pipe)
        if line.source is None and line.target is None and await self._wants_terminal(line):
            return await self._with_terminal(line)
        return await self._plain(line)

    async def _wants_terminal(self, line: Words) -> bool:
        """Ask for a terminal unless the rule says no; where rules for one name differ, the server knows."""
        if not self._may_terminal:
            return False
        await self._line.session()
        known = terminal_of(self._line.rules, line.words[0])
        if known is None and any(rule.command == line.words[0] for rule in self._line.rules):
            known = (await self._line.judge(as_bytes(line.words))).terminal
        return known != "no"

    # --- with a terminal ------------------------------------------------------------------------

    async def _with_terminal(self, line: Words) -> Result:
        pty = request(0, os.environ)
        exec_ = self.exec_of(line.words, stdin=True).replace(pty=pty)
        left = asyncio.Event()
        source = _Typed(Escapes(), left)
        out = Shown(1, self._guardian.watch, self._guardian.raw)
        session, command = await self._line.start(exec_, None, out, FdSink(2))
        self._screen.free.clear()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, lambda: _resize(session, command))
        self.interrupts.aim(session, command)
        try:
            await session.until(command, lambda: command.started or command.is_over)
            if command.terminal:
                self._guardian.raw()
            await self._watch(session, command, source if self._stdin else None, left)
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
            self._part(session, command)
            self.took_over = self._guardian.took_over
            self._guardian.give_back()
            self._guardian.restore()
            self._screen.free.set()
            _end_line(out)
        return _result(command, left)

    # --- without --------------------------------------------------------------------------------

    async def _plain(self, line: Words) -> Result:
        """Run with our own streams, or with files in their place."""
        files = await Files.of(line, self.interrupts.pressed)
        keyboard = FdSource(0) if files.source is None and self._stdin else None
        out = files.target or Shown(1, self._guardian.watch)
        with _lent(files):
            return await self._streamed(line, out, files.source, keyboard)

    async def _streamed(
        self, line: Words, out: Sink, given: Source | None, keyboard: Source | None
    ) -> Result:
        err = Shown(2, self._guardian.watch)
        try:
            exec_ = self.exec_of(line.words, stdin=given is not None or keyboard is not None)
            session, command = await self._line.start(exec_, given, out, err)
        except BaseException:
            out.close()
            raise
        left, stopped = self.interrupts.given_up, self.interrupts.stopped
        self.interrupts.aim(session, command)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self.interrupts.stop)
        try:
            await session.until(command, lambda: command.started or command.is_over)
            if command.started and isinstance(out, FileSink):
                out.begin()
            await self._watch(session, command, keyboard, left, stopped)
            if stopped.is_set() and session.is_running(command):
                self._park(session, command)
                raise Parked(session, command, has_keyboard=keyboard is not None)
        except Parked:
            raise
        except BaseException:
            self._part(session, command)
            raise
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
            self._guardian.give_back()
            for sink in (out, err):
                if isinstance(sink, Shown):
                    _end_line(sink)
        self._part(session, command)
        return _result(command, left)

    async def _piped(self, line: Words, local: str) -> Result:
        """Run with a local command behind; the failure of either is the result."""
        files = await Files.of(line, self.interrupts.pressed)
        with _lent(files):
            files.reader = child = start_local(local, stdin=subprocess.PIPE)
            assert child.stdin is not None
            result = await self._streamed(line, FdSink(child.stdin.fileno()), files.source, None)
        code = await ended(child)
        is_cut = result.truncated and result.state in ("signal", "failed")  # SIGPIPE: the reader had enough
        if result.ok or is_cut:
            return Result("ok" if not code else "failed", code)
        return result

    # --- both -----------------------------------------------------------------------------------

    async def resume(self, job: Job) -> Result | None:
        """Wait for a job, which goes on if it was stopped; None where it is not over."""
        events = (self.interrupts.given_up, self.interrupts.stopped)
        self.interrupts.aim(job.session, job.command)
        job.in_foreground = True
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self.interrupts.stop)
        if job.is_stopped:
            job.signal("CONT")
        if job.has_keyboard:
            job.session.plug(job.command, FdSource(0))
        try:
            await _first_of(job.over.wait(), *(event.wait() for event in events))
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
            self.interrupts.rest()
            job.in_foreground = False
            if not job.over.is_set():
                job.session.plug(job.command, None)
        if job.over.is_set():
            return job.command.result()
        job.is_stopped = self.interrupts.stopped.is_set()
        return None

    async def _watch(
        self, session: AsyncSession, command: Command, keyboard: Source | None, *left: asyncio.Event
    ) -> None:
        """Wait for the end; what is typed goes to a command only once it proves to take a while."""
        over = asyncio.create_task(session.until(command, lambda: command.is_over))
        try:
            done, _ = await asyncio.wait({over}, timeout=_AHEAD)
            if not done and keyboard is not None:
                session.plug(command, keyboard)
            await _first_of(over, *(event.wait() for event in left))
        finally:
            over.cancel()

    def _park(self, session: AsyncSession, command: Command) -> None:
        """Take terminal and keyboard from a command that was stopped."""
        self.interrupts.rest()
        session.plug(command, None)
        for stream, sink in list(command.sinks.items()):
            if isinstance(sink, Shown):
                write_all(sink.descriptor, sink.rest())
                session.hold(command, stream)

    def _part(self, session: AsyncSession, command: Command) -> None:
        self.interrupts.rest()
        session.end(command)


@contextmanager
def _lent(files: Files) -> Iterator[None]:
    """Close files at the end, unless a command that was stopped takes them along."""
    try:
        yield
    except Parked as parked:
        parked.files = files
        raise
    except BaseException:
        files.close()
        raise
    files.close()


async def _first_of(*waits: Awaitable[object]) -> None:
    """Wait until one of these has come."""
    tasks = {asyncio.ensure_future(wait) for wait in waits}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class _Typed(TerminalSource):
    """What is typed at the terminal; `~.` sets an event."""

    def __init__(self, escapes: Escapes, left: asyncio.Event) -> None:
        super().__init__(0, escapes, show)
        self._found = escapes
        self._left = left

    def read(self, room: int) -> bytes:
        try:
            return super().read(room)
        finally:
            if self._found.ended:
                self._left.set()


def _resize(session: AsyncSession, command: Command) -> None:
    if session.is_running(command):
        session.resize(command, new_size(0))


def _end_line(out: Shown) -> None:
    if out.is_mid_line:
        show("\n")


def _result(command: Command, left: asyncio.Event) -> Result:
    if left.is_set() and not command.is_over:
        return Result("lost", 255, error="given up; the server was asked to end it")
    return command.result()

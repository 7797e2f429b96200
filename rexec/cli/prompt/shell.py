"""The prompt: read a line, obey it, say how it went; the connection lives meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

from prompt_toolkit.formatted_text import FormattedText

from rexec.cli.confirmation import question
from rexec.cli.destination import target_of
from rexec.cli.guardian import Guardian
from rexec.cli.persons import TRUST_ANSWERS
from rexec.cli.prompt import own
from rexec.cli.prompt import words as w
from rexec.cli.prompt.colours import Colours, Judge, is_own
from rexec.cli.prompt.completion import Words
from rexec.cli.prompt.foreground import Foreground, Parked
from rexec.cli.prompt.history import open_history
from rexec.cli.prompt.jobs import Job, Jobs, ending, sinks
from rexec.cli.prompt.line import Line
from rexec.cli.prompt.local import Files, ended, start_local
from rexec.cli.prompt.reader import Cleared, Editor, Plain, is_dumb
from rexec.cli.prompt.screen import Screen, show
from rexec.client.greeting import Terms
from rexec.errors import ConfigError, RexecError, UsageError
from rexec.text import neutral

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rexec.cli.options import Line as Options
    from rexec.client.config import Target
    from rexec.client.result import Result

_INTERRUPTED = 128 + signal.SIGINT
_STOPPED = 128 + signal.SIGTSTP  # as a shell has it
SLOW = 2.0  # seconds from which on the prompt says how long a command took
_SAID = ("lost", "denied", "not_found", "timeout", "ended")  # states whose reason is printed


def main(options: Options) -> int:
    """Return the exit code of a prompt at the terminal on stdin."""
    target = target_of(options)
    guardian = Guardian(0)
    guardian.post()  # before there are threads
    try:
        return asyncio.run(_run(options, target, guardian))
    finally:
        guardian.dismiss()


async def _run(options: Options, target: Target, guardian: Guardian) -> int:
    return await Shell(options, target, guardian).run()


class Shell:
    """One prompt on one host."""

    def __init__(self, options: Options, target: Target, guardian: Guardian) -> None:
        self.code = 0  # of the last command
        self._options = options
        self._screen = Screen()
        self.line = Line(target, Terms(self._trust, self._note), self._passphrase, self._lost)
        self.line.noticed = self._noticed
        self.line.told = self._told
        self.jobs = Jobs(self._screen)
        self._judge = Judge(self.line, self._redraw)
        self.foreground = Foreground(
            self.line,
            self._screen,
            guardian,
            may_terminal=not options.no_terminal,
            stdin=not options.no_stdin,
        )
        self._loop = asyncio.get_running_loop()
        self._took = 0.0
        self._busy = True
        self._warned = False  # that jobs end with the prompt
        self._ended_by = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader = Plain() if is_dumb(os.environ.get("TERM")) else self._editor()
        guardian.hold(self._reader.undo)

    def _editor(self) -> Editor:
        target = self.line.target
        try:
            history = open_history(target.home, target.name, self._screen.say)
        except ConfigError as error:
            history = None
            self._screen.say(f"no history: {error}")
        completer = Words(lambda: self.line.rules, own.OWN, self.line.complete)
        return Editor(history, completer, Colours(self._judge, own.OWN), self._help_line)

    async def run(self) -> int:
        """Return the exit code."""
        main = asyncio.current_task()
        assert main is not None
        self._loop.add_signal_handler(signal.SIGINT, self._interrupt)
        self._loop.add_signal_handler(signal.SIGQUIT, self.foreground.interrupts.send, "QUIT")
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._end, number, main)
        try:
            await self.line.session()
            while True:
                await self._turn()
        except own.Leave as leave:
            return leave.code
        except asyncio.CancelledError:
            if not self._ended_by:
                raise
            return 128 + self._ended_by
        finally:
            self._busy = True
            self._judge.close()
            await self.line.close()

    # --- one line -------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Read a line and obey it."""
        self._judge.forget()
        self.foreground.interrupts.pressed.clear()  # before: from Enter on, a Ctrl-C is for the command
        self._busy = False
        try:
            text = await self._reader.read(self._message())
        except Cleared:
            self._took = 0.0
            return
        except EOFError:
            self._screen_end()
            self.leave(self.code)
            return
        finally:
            self._busy = True
        self.foreground.took_over = False
        begun = time.monotonic()
        try:
            await self._obey(text)
        except RexecError as error:
            self._complain(error)
            self.code = error.exit_code
        # what a person spends in a full-screen program says nothing
        self._took = 0.0 if self.foreground.took_over else time.monotonic() - begun

    async def _obey(self, text: str) -> None:
        found = w.line_of(text)
        if isinstance(found, w.Wrong):
            raise UsageError(found.message)
        if found.is_blank:
            return
        if is_own(found, own.OWN):
            self.code = await self._own(found)
            return
        self._warned = False
        if found.local is not None:
            self.code = await ended(start_local(found.local))
            return
        self.foreground.confirm = await self.confirmation(found.words)
        if found.background:
            await self._begin_job(found, text)
            self.code = 0
            return
        try:
            self._report(await self.foreground.run(found))
        except Parked as parked:
            self.code = self._parked(parked, text)

    async def confirmation(self, words: tuple[str, ...]) -> str | None:
        """Ask for the text that a rule wants, where one does; without it the server denies."""
        await self.line.session()
        if not any(rule.confirm for rule in self.line.rules if rule.command == words[0]):
            return None
        text = (await self.line.judge(w.as_bytes(words))).confirm
        if text is None:
            return None
        self._busy = False
        try:
            return text if await self._reader.ask(question(text), secret=False) == text else None
        except (Cleared, EOFError):
            return None
        finally:
            self._busy = True

    async def _own(self, found: w.Line) -> int:
        name, *rest = found.words
        if found.has_local_part or found.background:
            raise UsageError(f"{name} is the prompt's own: it takes no | < > &")
        if name != "exit":
            self._warned = False
        return await own.DOES[name](self, rest)

    async def _begin_job(self, found: w.Line, text: str) -> None:
        files = await Files.of(found, self.foreground.interrupts.pressed)
        stdout, stderr = sinks()
        try:
            exec_ = self.foreground.exec_of(found.words, stdin=files.source is not None)
            session, command = await self.line.start(exec_, files.source, files.target or stdout, stderr)
        except BaseException:
            files.close()
            raise
        job = self.jobs.add(text.strip(), session, command, files)
        self._screen.say_here(f"[{job.number}]")

    async def foreground_job(self, job: Job) -> int:
        """Wait for a job, which Ctrl-C ends and Ctrl-Z stops."""
        self._screen.say_here(job.text)
        result = await self.foreground.resume(job)
        if result is not None:
            self._report(result)
            return self.code
        if job.is_stopped:
            show("\n")  # behind the ^Z that the terminal shows
        self._screen.say_here(job.line)
        return _STOPPED if job.is_stopped else _INTERRUPTED

    def _parked(self, parked: Parked, text: str) -> int:
        """Make a job of a command that was stopped."""
        assert parked.files is not None
        job = self.jobs.add(text.strip(), parked.session, parked.command, parked.files)
        job.is_stopped, job.has_keyboard = True, parked.has_keyboard
        show("\n")  # behind the ^Z that the terminal shows
        self._screen.say_here(job.line)
        return _STOPPED

    def leave(self, code: int) -> None:
        """End the prompt, unless jobs run that nobody was warned of."""
        if len(self.jobs) and not self._warned:
            self._warned = True
            self._screen.say(f"{len(self.jobs)} in the background would end too: exit again to leave")
            return
        raise own.Leave(code)

    def say(self, text: str) -> None:
        """Print a line where the prompt is not shown now."""
        self._screen.say(text)

    # --- what is said ---------------------------------------------------------------------------

    def _report(self, result: Result) -> None:
        self.code = result.exit_code
        if result.state in _SAID and result.error is not None:
            self._screen.say(f"{self.line.target.name}: {ending(result)}")
            if result.state == "denied" and self.line.target.cwd is not None:
                self._screen.say("hint: cd without a directory asks for none")

    def _complain(self, error: RexecError) -> None:
        self._screen.say(str(error))
        if error.hint:
            self._screen.say(f"hint: {error.hint}")

    def _note(self, text: str) -> None:
        if not self._options.quiet:
            self._screen.say(text)

    def _message(self) -> FormattedText:
        """Return the prompt: who, where, and how the last command went."""
        target = self.line.target
        parts = [("class:user", neutral(self.line.user)), ("", "@"), ("class:host", neutral(target.name))]
        if target.cwd is not None:
            parts += [("", ":"), ("class:directory", neutral(target.cwd))]
        if self.code:
            parts.append(("class:code", f" [{self.code}]"))
        if self._took >= SLOW:
            parts.append(("class:duration", f" {duration(self._took)}"))
        return FormattedText([*parts, ("", "> ")])

    def _help_line(self, text: str) -> str:
        """Say what the line that is being typed will do."""
        found = w.parse(text)
        if not isinstance(found, w.Line):
            return found.message
        if is_own(found, own.OWN):
            return own.OWN[found.words[0]]
        verdict = self._judge.verdict(found.words)
        return "" if verdict is None else verdict.reason

    def _screen_end(self) -> None:
        if isinstance(self._reader, Plain):
            show("\n")

    def _redraw(self) -> None:
        self._reader.redraw()

    def _lost(self, why: str) -> None:
        """Say once that the connection is gone; a command that ran says so itself."""
        if not self._busy:
            text = f"rexec: {self.line.target.name}: {why}; the next command connects again"
            self._spawn(self._screen.say_above(text))

    def _noticed(self, text: str) -> None:
        """Say what happened to a command: at once where one is in the foreground."""
        if self._busy:
            self._screen.say_over(text)
        else:
            self._spawn(self._screen.say_above(f"rexec: {text}"))

    def _told(self, text: str, is_good: bool) -> None:
        """Say what becomes of the line; good news are for those who want many words."""
        if self._options.verbose or not (is_good or self._options.quiet):
            self._noticed(f"{self.line.target.name}: {text}")

    # --- signals --------------------------------------------------------------------------------

    def _interrupt(self) -> None:
        self._reader.interrupt()
        if self._busy:
            show("\n")  # behind the ^C that the terminal shows
        self.foreground.interrupts.interrupt()

    def _end(self, number: int, main: asyncio.Task[object]) -> None:
        self._ended_by = number
        main.cancel()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- questions, asked by a thread that is greeting --------------------------------------------

    def _trust(self, host: str, fingerprint: str) -> bool:
        show(f"The key of {neutral(host)} is not known. Its fingerprint is {neutral(fingerprint)}.\n")
        while True:
            answer = self._asked("Is it the right one (yes, no, or the fingerprint)? ", secret=False)
            if answer is None or answer.strip() in ("no", "n"):
                return False
            if answer.strip() in ("yes", fingerprint):
                return True
            show(f"{TRUST_ANSWERS}\n")

    def _passphrase(self, path: str) -> bytes | None:
        answer = self._asked(f"Passphrase of {neutral(path)}: ", secret=True)
        return None if answer is None else answer.encode("utf-8", "surrogateescape")

    def _asked(self, question: str, *, secret: bool) -> str | None:
        """Ask in the loop; None where nobody answers."""
        try:
            asking = self._reader.ask(question, secret=secret)
            return asyncio.run_coroutine_threadsafe(asking, self._loop).result()
        except (Cleared, EOFError):
            return None


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"

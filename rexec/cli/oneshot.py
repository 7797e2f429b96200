"""One command from a command line: connect, run, forward signals, end with the right code.

What is needed only once the server has answered is imported where it is used: the server judges meanwhile.
"""

from __future__ import annotations

import gc

from rexec import files
from rexec.cli.destination import check, target_of
from rexec.cli.signals import RESIZED, Signals, die_by
from rexec.client.config import directory, variables
from rexec.client.connect import connect
from rexec.client.identity import get_ready, no_passphrase, signers
from rexec.errors import LocalProtocolError, RexecError, UsageError
from rexec.limits import EXEC_MAX
from rexec.protocol import frames as f

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from rexec.cli.options import Line
    from rexec.cli.terminal import Attached
    from rexec.client.command import Command
    from rexec.client.config import Target
    from rexec.client.identity import Passphrase
    from rexec.client.result import Result
    from rexec.client.session import Session
    from rexec.client.streams import Sink, Source
    from rexec.client.trust import Ask
else:
    import posix as os

PROGRAM = "rexec"
_SIGNALLED = 128  # and above: by a signal, as shells have it


class OneShot:
    """One run of `rexec HOST COMMAND`; another front door says in what it differs."""

    program = PROGRAM
    form = f.Form.ARGV
    waits_unread = False  # whether a command has its time although nobody reads its output any more

    def __init__(self, line: Line) -> None:
        self.line = line
        self.target = target_of(line)
        self.words = tuple(files.encoded(word) for word in line.command)
        self.offered: tuple[tuple[bytes, bytes], ...] = ()  # variables that a rule may take or leave
        check(line, self.target)
        self.status_fd = line.status_fd
        self.session: Session | None = None  # one that is there may be given
        self.command: Command | None = None
        self.signals = Signals()
        self.terminal = _terminal(line)

    def run(self) -> int:
        """Return the exit code."""
        try:
            command = self._run()
            self._give_back(keep_screen=_ended_by_itself(command))
        except UsageError:
            raise
        except RexecError as error:
            return self._failed(error)
        finally:
            self._give_back()
        if self.session is not None and self.session.closed_sink is command and not self.waits_unread:
            import signal

            self.session.close()
            die_by(signal.SIGPIPE)
        from rexec.client.command import signal_number
        from rexec.client.result import Result

        result = command.result()
        if self.terminal is not None and self.terminal.ended:
            result = Result("lost", 255, error="session ended by ~.")
        elif self.signals.gave_up and self.signals.last is not None:
            result = Result("lost", 128 + signal_number(self.signals.last), error=None)
        elif self.line.receipt is not None and isinstance(command.last, f.Exit) and result.state != "lost":
            result = self._keep_receipt(self.line.receipt, command, result)
        if self.session is not None:
            self.session.close()
        code = self._finish(result)
        if self.signals.was_interrupted(result.signal):
            import signal

            die_by(signal.SIGINT)
        return code

    # --- the way there ------------------------------------------------------------------------

    def _run(self) -> Command:
        exec_ = carried(self._exec())
        if self.session is None:
            self.session, command = self._connected(exec_)
        else:
            self._catch(self.session)
            assert isinstance(exec_, f.Exec)
            self.command = command = self.session.start(exec_, self._source(), *self._sinks())
        gc.freeze()  # what is here stays
        gc.enable()
        session = self.session
        self._follow(session, command)
        confirmed = self._confirmed(session, command)
        if confirmed is None or not isinstance(exec_, f.Exec):
            return command
        self.command = session.start(exec_.replace(confirm=confirmed), self._source(), *self._sinks())
        self._follow(session, self.command)
        return self.command

    def _connected(self, exec_: f.Exec | f.Query) -> tuple[Session, Command]:
        """Connect, with the command right behind the proof."""
        session = connect_to(self.target, self._say, exec_, self._tell, self._make_ready)
        self._chat(f"{self.target.name}: authenticated as {session.user}")
        assert self.command is not None
        self._catch(session)  # first: whoever sees output may send a signal
        session.adopt(self.command)
        return session, self.command

    def _make_ready(self) -> None:
        """Import and make what takes the output, while the server judges us and the command."""
        if self.command is None:
            from rexec.client.command import Command

            self.command = Command(1, self._source(), *self._sinks())

    def _catch(self, session: Session) -> None:
        self.signals.catch(*([RESIZED] if self.terminal is not None and self.terminal.is_local else []))
        session.wakeup = self.signals.descriptor
        session.noticed = self._notice
        session.told = self._tell

    def _follow(self, session: Session, command: Command) -> None:
        """Pump until a command is over, or nobody waits for it any more."""
        while not self._is_over(command):
            if self.terminal is not None and command.terminal:
                self.terminal.enter()
            session.pump(self.signals.patience())
            self.signals.forward(lambda name: self._pass_on(session, command, name), self._resized)

    def _pass_on(self, session: Session, command: Command, name: str) -> None:
        """Send a signal on; Ctrl-C ends a client that has nobody to send it to."""
        session.signal(command, name)
        self.signals.gave_up |= name == "INT" and session.is_away

    def _confirmed(self, session: Session, command: Command) -> str | None:
        """Return the text that a command was denied for the lack of, once somebody has typed it."""
        text = command.unconfirmed
        if text is None or self.line.confirm is not None or self.line.json or not may_ask(self.target):
            return None
        from rexec.cli.confirmation import is_confirmed

        return text if is_confirmed(text, session, self.signals, self.program) else None

    def _is_over(self, command: Command) -> bool:
        gone = self.session is not None and self.session.closed_sink is not None and not self.waits_unread
        left = self.terminal is not None and self.terminal.ended
        return command.is_over or self.signals.gave_up or left or gone

    def _exec(self) -> f.Exec | f.Query:
        line = self.line
        if line.lists:
            return f.Query("list")
        if line.explain:
            where, env = directory(self.target), variables(self.target)
            return f.Query("explain", self.words, self.terminal is not None, where, env)
        timeout = self.target.timeout
        return f.Exec(
            1,
            self.form,
            self.words,
            env=variables(self.target),
            cwd=directory(self.target),
            timeout_ms=None if timeout is None else max(1, round(timeout * 1000)),
            stdin=not line.no_stdin,
            pty=None if self.terminal is None else self.terminal.pty,
            confirm=line.confirm,
            receipt=line.receipt is not None,
            offered=self.offered,
        )

    def _source(self) -> Source | None:
        if self.line.no_stdin or self.line.lists or self.line.explain:
            return None
        from rexec.client.streams import FdSource

        return FdSource(0) if self.terminal is None else self.terminal.source()

    def _sinks(self) -> tuple[Sink, Sink]:
        from rexec.client.streams import FdSink, MemorySink

        if self.line.json or self.line.lists or self.line.explain:
            return MemorySink(), MemorySink()
        return FdSink(1) if self.terminal is None else self.terminal.sink(), FdSink(2)

    def _resized(self) -> None:
        size = None if self.terminal is None else self.terminal.size()
        if size is not None and self.session is not None and self.command is not None:
            self.session.resize(self.command, size)

    # --- the end ------------------------------------------------------------------------------

    def _give_back(self, *, keep_screen: bool = False) -> None:
        if self.terminal is not None:
            self.terminal.leave(keep_screen=keep_screen)

    def _keep_receipt(self, path: str, command: Command, result: Result) -> Result:
        """Write the receipt; without one that holds, the command counts as lost."""
        from rexec.client.receipt import vouched

        assert self.session is not None
        vouched(result, command, self.session.server_key, self.words)
        if result.receipt is None:
            return result
        try:
            files.create_public(path, result.receipt)
        except RexecError as error:
            result.state, result.exit_code, result.error = "lost", 255, str(error)
        return result

    def _failed(self, error: RexecError) -> int:
        from rexec.client.result import Result

        result = Result(error.state, error.exit_code, error=str(error))
        self._write_status(result)
        if self.line.json:
            return error.exit_code
        if self.line.quiet_all:
            return error.exit_code
        from rexec.cli.output import report

        return report(self.program, error)

    def _finish(self, result: Result) -> int:
        if (self.line.lists or self.line.explain) and result.state == "ok":
            from rexec.cli.answers import show

            return show(self.line, result)
        if result.error is not None and not self.line.json and self._is_said(result):
            self._say(reason_of(self.target.name, result), always=True)
            hint = self._hint() if result.state == "denied" else None
            if hint is not None:
                self._say(f"hint: {hint}")
        self._write_status(result)
        return result.exit_code

    def _is_said(self, result: Result) -> bool:
        return not self.line.quiet_all

    def _hint(self) -> str | None:
        """Say what those who know ssh get wrong about the words of a command."""
        command = self.line.command
        if command[0].startswith("-"):
            return "options of rexec stand before the host"
        if len(command) == 1 and " " in command[0].strip():
            return "no shell parts this into words: leave the quotes around it away"
        return None

    def _write_status(self, result: Result) -> None:
        if self.status_fd is None and not self.line.json:
            return
        from rexec.client.report import as_json

        if self.line.json:
            _write_all(1, as_json(result, output=True), "stdout")
        if self.status_fd is not None:
            _write_all(self.status_fd, as_json(result, output=False), f"descriptor {self.status_fd}")

    def _say(self, text: str, *, always: bool = False) -> None:
        if always or not self.line.quiet:
            from rexec.cli.output import say

            say(self.program, text)

    def _notice(self, text: str) -> None:
        """Print what happened to the command on a line of its own; a raw terminal needs a return of ours."""
        if self.line.quiet_all:
            return
        from rexec.cli.output import say

        if self.terminal is None:
            is_inside_line = self.command is not None and self.command.sinks[f.Stream.STDERR].is_inside_line
            say(self.program, text, start="\n" if is_inside_line else "")
        else:
            from rexec.cli.terminal import line_end

            say(self.program, text, line_end(2))

    def _tell(self, text: str, is_good: bool) -> None:
        """Say what becomes of the line; good news are for those who want many words."""
        if self.line.verbose or not (is_good or self.line.quiet or self.line.json):
            self._notice(f"{self.target.name}: {text}")

    def _chat(self, text: str) -> None:
        if self.line.verbose:
            self._say(text)


def carried(frame: f.Exec | f.Query) -> f.Exec | f.Query:
    """Return a frame that the protocol can carry, before anything is sent; raises `UsageError`."""
    try:
        size = len(frame.encode())
    except LocalProtocolError as error:
        raise UsageError(f"argument list too long: {error}") from None
    if size > EXEC_MAX:
        raise UsageError(f"argument list too long: {size} bytes, at most {EXEC_MAX}")
    return frame


def _ended_by_itself(command: Command) -> bool:
    """Whether a command had its say about the screen; a shell exits 128+n for one that was killed."""
    result = command.result()
    return result.state in ("ok", "failed") and result.exit_code <= _SIGNALLED


def _terminal(line: Line) -> Attached | None:
    """Return the terminal that the command is to get: ours, if stdin and stdout are one."""
    if not line.terminal or line.no_terminal:
        return None
    from rexec.cli.terminal import Attached

    is_local = os.isatty(0) and os.isatty(1) and not line.json
    return Attached(0 if is_local else None, files.environ())


def connect_to(
    target: Target,
    say: Callable[[str], None],
    first: f.Exec | f.Query | None = None,
    told: Callable[[str, bool], None] = lambda text, is_good: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Session:
    """Return a session; the person at our terminal is asked what has to be asked. Raises `RexecError`."""
    ask: Ask | None = None
    passphrase: Passphrase = no_passphrase
    if may_ask(target):
        from rexec.cli.persons import ask_passphrase, ask_trust

        ask, passphrase = ask_trust, ask_passphrase
    if target.approach is not None:
        get_ready(target.identities, files.environ())  # while the server shakes hands
    keys = signers(target.home, target.identities, files.environ(), passphrase)
    return connect(target, keys, ask=ask, say=say, told=told, first=first, meanwhile=meanwhile)


def reason_of(name: str, result: Result) -> str:
    """Return why a command did not come to its own end, in words."""
    return f"{name}: {'denied: ' if result.state == 'denied' else ''}{result.error}"


def may_ask(target: Target) -> bool:
    """Whether there is a person who may be asked."""
    return target.asks and os.isatty(0) and os.isatty(2)


def _write_all(descriptor: int, data: bytes, name: str) -> None:
    """Write something that was asked for; raises `RexecError` where it cannot be written."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:
        pass  # who asked for it does not read it
    except OSError as error:
        raise RexecError(f"{name}: {os.strerror(error.errno or 0).lower()}") from None

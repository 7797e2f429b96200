"""One command from a command line: connect, run, forward signals, end with the right code."""

from __future__ import annotations

import os
import signal
import sys

from rexec import files
from rexec.cli.output import report, say
from rexec.cli.signals import RESIZED, Signals, die_by
from rexec.client.command import Command, signal_number
from rexec.client.config import Wishes, load_config, resolve
from rexec.client.connect import connect
from rexec.client.identity import signers
from rexec.client.result import Result
from rexec.client.streams import FdSink, FdSource, MemorySink
from rexec.errors import LocalProtocolError, RexecError, UsageError
from rexec.limits import EXEC_MAX
from rexec.protocol import frames as f
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.options import Line
    from rexec.cli.terminal import Attached
    from rexec.client.config import Target
    from rexec.client.session import Session
    from rexec.client.streams import Sink, Source
    from rexec.protocol.connection import Connection

PROGRAM = "rexec"


class OneShot:
    """One run of `rexec HOST COMMAND`."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.target = target_of(line)
        self.words = tuple(os.fsencode(word) for word in line.command)
        self.status_fd = _status_fd(line)
        self.session: Session | None = None
        self.command: Command | None = None
        self.signals = Signals()
        self.terminal = _terminal(line)

    def run(self) -> int:
        """Return the exit code."""
        try:
            command = self._run()
        except UsageError:
            raise
        except RexecError as error:
            return self._failed(error)
        finally:
            if self.terminal is not None:
                self.terminal.leave()
        if command.sinks and self.session is not None and self.session.closed_sink is command:
            self.session.close()
            die_by(signal.SIGPIPE)
        result = command.result()
        if self.terminal is not None and self.terminal.ended:
            result = Result("lost", 255, error="session ended by ~.")
        elif self.signals.gave_up and self.signals.last is not None:
            result = Result("lost", 128 + signal_number(self.signals.last), error=None)
        if self.session is not None:
            self.session.close()
        return self._finish(result)

    # --- the way there ------------------------------------------------------------------------

    def _run(self) -> Command:
        say = self._say
        keys = signers(self.target.home, self.target.identities, os.environ, ask_passphrase)
        exec_ = carried(self._exec())
        ask = ask_trust if _has_terminal() else None

        def first(connection: Connection) -> bytes:
            return connection.send(exec_, 1)

        self.session = session = connect(self.target, keys, ask=ask, say=say, first=first)
        self._chat(f"{self.target.name}: authenticated as {session.user}")
        command = Command(1, self._source(), *self._sinks())
        self.command = command
        # First: whoever sees output may send a signal.
        self.signals.catch(*([RESIZED] if self.terminal is not None and self.terminal.is_local else []))
        session.wakeup = self.signals.descriptor
        session.adopt(command)
        while not self._is_over(command):
            if self.terminal is not None and command.terminal:
                self.terminal.enter()
            session.pump(self.signals.patience())
            self.signals.forward(lambda name: session.signal(command, name), self._resized)
        return command

    def _is_over(self, command: Command) -> bool:
        gone = self.session is not None and self.session.closed_sink is not None
        left = self.terminal is not None and self.terminal.ended
        return command.is_over or self.signals.gave_up or left or gone

    def _exec(self) -> f.Exec | f.Query:
        line = self.line
        if line.lists:
            return f.Query("list")
        if line.explain:
            return f.Query("explain", self.words)
        timeout = self.target.timeout
        return f.Exec(
            1,
            f.Form.ARGV,
            self.words,
            env=tuple(_variable(text) for text in self.target.env),
            cwd=None if self.target.cwd is None else os.fsencode(self.target.cwd),
            timeout_ms=None if timeout is None else max(1, round(timeout * 1000)),
            stdin=not line.no_stdin,
            pty=None if self.terminal is None else self.terminal.pty,
        )

    def _source(self) -> Source | None:
        if self.line.no_stdin or self.line.lists or self.line.explain:
            return None
        return FdSource(0) if self.terminal is None else self.terminal.source()

    def _sinks(self) -> tuple[Sink, Sink]:
        if self.line.json or self.line.lists or self.line.explain:
            return MemorySink(), MemorySink()
        return FdSink(1), FdSink(2)

    def _resized(self) -> None:
        size = None if self.terminal is None else self.terminal.size()
        if size is not None and self.session is not None and self.command is not None:
            self.session.resize(self.command, size)

    # --- the end ------------------------------------------------------------------------------

    def _failed(self, error: RexecError) -> int:
        result = Result(error.state, error.exit_code, error=str(error))
        self._write_status(result)
        if self.line.json:
            return error.exit_code
        return error.exit_code if self.line.quiet_all else report(PROGRAM, error)

    def _finish(self, result: Result) -> int:
        if (self.line.lists or self.line.explain) and result.state == "ok":
            from rexec.cli.answers import show

            return show(self.line, result)
        if result.error is not None and not self.line.json and not self.line.quiet_all:
            word = "denied: " if result.state == "denied" else ""
            self._say(f"{self.target.name}: {word}{result.error}", always=True)
            if result.state == "denied" and self.line.command[0].startswith("-"):
                self._say("hint: options of rexec stand before the host")
        self._write_status(result)
        return result.exit_code

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
            say(PROGRAM, text)

    def _chat(self, text: str) -> None:
        if self.line.verbose:
            self._say(text)


def target_of(line: Line) -> Target:
    """Return where a command line leads, with what the configuration says besides."""
    home = files.home(line.home, os.environ)
    config = load_config(home, line.config)
    wishes = Wishes(home)
    for name in (
        "port",
        "user",
        "identity",
        "env",
        "cwd",
        "timeout",
        "no_tls",
        "accept_new",
        "connect_timeout",
    ):
        setattr(wishes, name, getattr(line, name))
    line.json = line.json or bool(config.client.get("json"))
    line.quiet = line.quiet or int(config.client.get("quiet", False))
    line.verbose = line.verbose or int(config.client.get("verbose", False))
    return resolve(line.host or "", wishes, config)


def carried(frame: f.Exec | f.Query) -> f.Exec | f.Query:
    """Return a frame that the protocol can carry, before anything is sent; raises `UsageError`."""
    try:
        size = len(frame.encode())
    except LocalProtocolError as error:
        raise UsageError(f"argument list too long: {error}") from None
    if size > EXEC_MAX:
        raise UsageError(f"argument list too long: {size} bytes, at most {EXEC_MAX}")
    return frame


def _variable(text: str) -> tuple[bytes, bytes]:
    """Return a variable of `-e NAME=VALUE`, or of our own environment for `-e NAME`."""
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError(f"-e {text!a}: no name")
    if not equals:
        if name not in os.environ:
            raise UsageError(f"-e {name}: there is no such variable here", hint=f"-e {name}=VALUE sets one")
        value = os.environ[name]
    return os.fsencode(name), os.fsencode(value)


def _terminal(line: Line) -> Attached | None:
    """Return the terminal that the command is to get: ours, if stdin and stdout are one."""
    if not line.terminal or line.no_terminal:
        return None
    from rexec.cli.terminal import Attached

    is_local = os.isatty(0) and os.isatty(1) and not line.json
    return Attached(0 if is_local else None, os.environ)


def _status_fd(line: Line) -> int | None:
    if line.status_fd is None:
        return None
    try:
        os.fstat(line.status_fd)
    except OSError:
        raise UsageError(f"--status-fd {line.status_fd}: not an open descriptor") from None
    return line.status_fd


def _has_terminal() -> bool:
    return os.isatty(0) and os.isatty(2)


def ask_trust(host: str, fingerprint: str) -> bool:
    """Ask the person at the terminal whether a new server's key is the right one."""
    print(f"The key of {neutral(host)} is not known. Its fingerprint is {fingerprint}.", file=sys.stderr)  # noqa: T201
    while True:
        sys.stderr.write("Is it the right one (yes, no, or the fingerprint)? ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer or answer.strip() in ("no", "n"):
            return False
        if answer.strip() in ("yes", fingerprint):
            return True


def ask_passphrase(path: str) -> bytes | None:
    """Ask for the passphrase of a key; nobody is asked where there is no terminal."""
    if not _has_terminal():
        return None
    from getpass import getpass

    return os.fsencode(getpass(f"Passphrase of {neutral(path)}: "))


def _write_all(descriptor: int, data: bytes, name: str) -> None:
    """Write something that was asked for; raises `RexecError` where it cannot be written."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:
        pass  # who asked for it does not read it
    except OSError as error:
        raise RexecError(f"{name}: {os.strerror(error.errno or 0).lower()}") from None

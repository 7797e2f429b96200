"""The Python API, blocking: `connect` gives a `Host`, which runs commands.

A `Host` and all that comes from it may be used by several threads, and for several commands at once.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from rexec.client import answers
from rexec.client.connect import connect as dial
from rexec.client.engine import Engine
from rexec.client.jobs import about, detached
from rexec.client.process import Process, end
from rexec.client.request import access, outlets, question, request, source
from rexec.client.streams import HeldSink, MemorySink
from rexec.protocol import frames as f
from rexec.protocol.codec import compile_codecs

if TYPE_CHECKING:
    import builtins
    import os
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rexec.client.command import Command
    from rexec.client.config import Target
    from rexec.client.request import Identity, Input, Outlets, Output, Passphrase, Take, Word
    from rexec.client.result import Result
    from rexec.client.session import Session
    from rexec.client.streams import Source
    from rexec.protocol.frames import Stream


class Host:
    """A connection to a server; `name` as it was typed, `user` as the server knows us."""

    def __init__(self, target: Target, session: Session) -> None:
        self.name = target.name
        self.user = session.user
        self._target = target
        self._engine = Engine(session, target.name)
        self._forgotten = weakref.finalize(self, self._engine.dismiss)

    def run(
        self,
        argv: Sequence[Word],
        *,
        input: Input | None = None,
        stdout: Output | None = None,
        stderr: Output | None = None,
        timeout: float | None = None,
        env: Mapping[str | bytes, str | bytes] | None = None,
        cwd: Word | None = None,
        confirm: str | None = None,
        receipt: bool = False,
        check: bool = False,
    ) -> Result:
        """Run a command to its end and return how it ended; every ending is a value.

        `argv` reaches the program byte for byte. `input`: bytes, a descriptor or a file; None is
        empty. `stdout` and `stderr`: None for the result, a descriptor, a file, or a callable that
        takes bytes. `timeout` (seconds), `env` and `cwd` are asked of the server, within policy;
        `confirm` is the text that a rule wants to be confirmed with. `receipt`: the result carries what
        the server signs about it, else it is `lost`.

        Raises `CommandError` with `check` unless the result is `ok`, `ConnectionLost` where there was
        no connection any more, `UsageError`, `TypeError`, and what a callable raises.
        """
        exec_ = request(self._target, argv, env, cwd, timeout, stdin=input is not None, confirm=confirm)
        exec_ = exec_.replace(receipt=receipt) if receipt else exec_
        command = self._run(exec_, source(input), outlets(stdout, stderr))
        result = command.result()
        if receipt:
            from rexec.client.receipt import vouched

            vouched(result, command, self._engine.session.server_key, exec_.words)
        return result.check(self._named(exec_.words[0])) if check else result

    def popen(
        self,
        argv: Sequence[Word],
        *,
        timeout: float | None = None,
        env: Mapping[str | bytes, str | bytes] | None = None,
        cwd: Word | None = None,
        confirm: str | None = None,
    ) -> Process:
        """Start a command whose streams are read and written by hand."""
        exec_ = request(self._target, argv, env, cwd, timeout, stdin=True, confirm=confirm)
        command = self._engine.turn(lambda session: session.start(exec_, None, HeldSink(), HeldSink()))
        return Process(self, self._engine, command, self._named(exec_.words[0]))

    def list(self) -> list[answers.Rule]:
        """Return the rules of the allow list that this user may run."""
        return answers.rules(self._ask(f.Query("list")))

    def explain(self, argv: Sequence[Word]) -> answers.Explanation:
        """Return which rule decides about a command, and why; nothing is started."""
        return answers.explanation(self._ask(question(self._target, argv)))

    def detach(
        self,
        argv: Sequence[Word],
        *,
        timeout: float | None = None,
        env: Mapping[str | bytes, str | bytes] | None = None,
        cwd: Word | None = None,
        confirm: str | None = None,
    ) -> str:
        """Start a command that runs on without us, and return its id as soon as it runs.

        Raises `CommandError` where it does not, be it denied or not there.
        """
        exec_ = detached(request(self._target, argv, env, cwd, timeout, stdin=False, confirm=confirm))
        command = self._run(exec_, None, outlets(None, None))
        return command.result().check(self._named(exec_.words[0])).text.strip()

    def jobs(self) -> builtins.list[answers.Job]:
        """Return our detached commands, those that run and those of which something is kept."""
        return answers.jobs(self._ask(f.Query("jobs")))

    def attach(
        self, id: str, *, stdout: Output | None = None, stderr: Output | None = None, check: bool = False
    ) -> Result:
        """Wait for a detached command, with what it wrote so far and what it writes; return how it ended.

        `stdout`, `stderr` and `check` as with `run`. Whoever leaves off waiting leaves it running.
        """
        result = (self._run(about("attach", id), None, outlets(stdout, stderr))).result()
        return result.check(f"{self.name}: {id}") if check else result

    def logs(
        self, id: str, *, follow: bool = False, stdout: Output | None = None, stderr: Output | None = None
    ) -> Result:
        """Return what a detached command has written so far; with `follow`, go on to its end.

        Raises `CommandError` where it is not to be had.
        """
        asked = about("logs", id, *(["-f"] if follow else []))
        return (self._run(asked, None, outlets(stdout, stderr))).result().check(f"{self.name}: {id}")

    def kill(self, id: str) -> None:
        """End a detached command with all its children, and wait until it has; one that has is no error.

        Raises `CommandError` where there is no such command.
        """
        (self._run(about("kill", id), None, outlets(None, None))).result().check(f"{self.name}: {id}")

    def close(self) -> None:
        """Say goodbye: what still runs is ended. Closing twice is no error."""
        self._forgotten.detach()
        self._engine.close()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Host({self.name!r}, user={self.user!r})"

    def _run(self, exec_: f.Exec, given: Source | None, out: Outlets) -> Command:
        """Have a command run to its end."""
        try:
            sinks = out.stdout.sink, out.stderr.sink
            command = self._engine.turn(lambda session: session.start(exec_, given, *sinks))
        except BaseException:
            out.close()
            raise
        self._see_through(command, out.takers)
        return command

    def _named(self, word: bytes) -> str:
        return f"{self.name}: {word.decode(errors='surrogateescape')}"

    def _ask(self, query: f.Query) -> Result:
        command = self._engine.turn(lambda session: session.ask(query, MemorySink(), MemorySink()))
        self._see_through(command, {})
        return command.result()

    def _see_through(self, command: Command, takers: Mapping[Stream, Take]) -> None:
        """Wait for the end, hand out what is held meanwhile; a command that nobody waits for is ended."""
        try:
            self._hand_out(command, takers)
        finally:
            if self._engine.session.is_running(command):
                end(self._engine, command)

    def _hand_out(self, command: Command, takers: Mapping[Stream, Take]) -> None:
        def held() -> bool:
            return any(command.is_held(stream) for stream in takers)

        while not command.is_over or held():
            self._engine.until(lambda: command.is_over or held())
            for stream, take in takers.items():
                data = self._engine.take(command, stream)
                if data:
                    take(data)


def connect(
    host: str,
    *,
    user: str | None = None,
    port: int | None = None,
    identity: Identity | None = None,
    home: str | os.PathLike[str] | None = None,
    tls: bool = True,
    accept_new: bool = False,
    connect_timeout: float | None = None,
    passphrase: Passphrase | None = None,
) -> Host:
    """Connect as `rexec [USER@]HOST[:PORT]` does: the same keys, `known_hosts` and `config.toml`.

    Nobody is asked anything: an unknown server is refused unless `accept_new`, and a key with a
    passphrase needs `passphrase`, which is that, or a callable that is given the key's file.

    Raises `ConnectError`, `TrustError`, `AuthError`, `UsageError`, `ConfigError`.
    """
    found = access(
        host,
        user=user,
        port=port,
        identity=identity,
        home=home,
        tls=tls,
        accept_new=accept_new,
        connect_timeout=connect_timeout,
        passphrase=passphrase,
    )
    compile_codecs()
    return Host(found.target, dial(found.target, found.signers))

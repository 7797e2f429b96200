"""The Python API in an event loop: `connect_async` gives an `AsyncHost`, which runs commands.

The same names and meanings as in `api`, with `await`; any number of commands at once on one host.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

from rexec.client import answers
from rexec.client.async_connect import open_session
from rexec.client.async_process import AsyncProcess
from rexec.client.jobs import about, detached
from rexec.client.request import access, outlets, question, request, source
from rexec.client.streams import HeldSink, MemorySink
from rexec.protocol import frames as f
from rexec.protocol.codec import compile_codecs

if TYPE_CHECKING:
    import builtins
    import os
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from rexec.client.async_session import AsyncSession
    from rexec.client.command import Command
    from rexec.client.config import Target
    from rexec.client.request import Access, Identity, Input, Outlets, Output, Passphrase, Take, Word
    from rexec.client.result import Result
    from rexec.client.streams import Source
    from rexec.protocol.frames import Stream


class AsyncHost:
    """A connection to a server; `name` as it was typed, `user` as the server knows us."""

    def __init__(self, target: Target, session: AsyncSession) -> None:
        self.name = target.name
        self.user = session.user
        self._target = target
        self._session = session

    async def run(
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

        All as with `Host.run`; a callable may also be a coroutine function. Cancelled, it ends the
        command: TERM at once, KILL if that does not help.
        """
        exec_ = request(self._target, argv, env, cwd, timeout, stdin=input is not None, confirm=confirm)
        exec_ = exec_.replace(receipt=receipt) if receipt else exec_
        command = await self._run(exec_, source(input), outlets(stdout, stderr))
        result = command.result()
        if receipt:
            from rexec.client.receipt import vouched

            vouched(result, command, self._session.server_key, exec_.words)
        return result.check(self._named(exec_.words[0])) if check else result

    async def popen(
        self,
        argv: Sequence[Word],
        *,
        timeout: float | None = None,
        env: Mapping[str | bytes, str | bytes] | None = None,
        cwd: Word | None = None,
        confirm: str | None = None,
    ) -> AsyncProcess:
        """Start a command whose streams are read and written by hand."""
        exec_ = request(self._target, argv, env, cwd, timeout, stdin=True, confirm=confirm)
        command = await self._start(lambda: self._session.start(exec_, None, HeldSink(), HeldSink()))
        return AsyncProcess(self._session, command, self._named(exec_.words[0]))

    async def list(self) -> list[answers.Rule]:
        """Return the rules of the allow list that this user may run."""
        return answers.rules(await self._ask(f.Query("list")))

    async def explain(self, argv: Sequence[Word]) -> answers.Explanation:
        """Return which rule decides about a command, and why; nothing is started."""
        return answers.explanation(await self._ask(question(self._target, argv)))

    async def detach(
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
        command = await self._run(exec_, None, outlets(None, None))
        return command.result().check(self._named(exec_.words[0])).text.strip()

    async def jobs(self) -> builtins.list[answers.Job]:
        """Return our detached commands, those that run and those of which something is kept."""
        return answers.jobs(await self._ask(f.Query("jobs")))

    async def attach(
        self, id: str, *, stdout: Output | None = None, stderr: Output | None = None, check: bool = False
    ) -> Result:
        """Wait for a detached command, with what it wrote so far and what it writes; return how it ended.

        `stdout`, `stderr` and `check` as with `run`. Whoever leaves off waiting leaves it running.
        """
        result = (await self._run(about("attach", id), None, outlets(stdout, stderr))).result()
        return result.check(f"{self.name}: {id}") if check else result

    async def logs(
        self, id: str, *, follow: bool = False, stdout: Output | None = None, stderr: Output | None = None
    ) -> Result:
        """Return what a detached command has written so far; with `follow`, go on to its end.

        Raises `CommandError` where it is not to be had.
        """
        asked = about("logs", id, *(["-f"] if follow else []))
        return (await self._run(asked, None, outlets(stdout, stderr))).result().check(f"{self.name}: {id}")

    async def kill(self, id: str) -> None:
        """End a detached command with all its children, and wait until it has; one that has is no error.

        Raises `CommandError` where there is no such command.
        """
        (await self._run(about("kill", id), None, outlets(None, None))).result().check(f"{self.name}: {id}")

    async def close(self) -> None:
        """Say goodbye: what still runs is ended. Closing twice is no error."""
        await self._session.close()

    async def __aenter__(self) -> AsyncHost:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncHost({self.name!r}, user={self.user!r})"

    async def _run(self, exec_: f.Exec, given: Source | None, out: Outlets) -> Command:
        """Have a command run to its end."""
        try:
            command = await self._start(
                lambda: self._session.start(exec_, given, out.stdout.sink, out.stderr.sink)
            )
        except BaseException:
            out.close()
            raise
        await self._see_through(command, out.takers)
        return command

    def _named(self, word: bytes) -> str:
        return f"{self.name}: {word.decode(errors='surrogateescape')}"

    async def _start(self, start: Callable[[], Command]) -> Command:
        """Start a command as soon as there is a channel for it."""
        await self._session.slots.acquire()
        try:
            return start()
        except BaseException:
            self._session.slots.release()
            raise

    async def _ask(self, query: f.Query) -> Result:
        command = await self._start(lambda: self._session.ask(query, MemorySink(), MemorySink()))
        await self._see_through(command, {})
        return command.result()

    async def _see_through(self, command: Command, takers: Mapping[Stream, Take]) -> None:
        """Wait for the end, hand out what is held meanwhile; a command that nobody waits for is ended."""
        try:
            await self._hand_out(command, takers)
        finally:
            self._session.end(command)

    async def _hand_out(self, command: Command, takers: Mapping[Stream, Take]) -> None:
        def held() -> bool:
            return any(command.is_held(stream) for stream in takers)

        while not command.is_over or held():
            await self._session.until(command, lambda: command.is_over or held())
            for stream, take in takers.items():
                data = self._session.take(command, stream)
                if data and inspect.isawaitable(answer := take(data)):
                    await answer


async def connect_async(
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
) -> AsyncHost:
    """Connect as `connect` does, without stopping the event loop; a passphrase is asked for in a thread."""

    def find() -> Access:
        return access(
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

    found = await asyncio.get_running_loop().run_in_executor(None, find)
    compile_codecs()
    return AsyncHost(found.target, await open_session(found.target, found.signers))

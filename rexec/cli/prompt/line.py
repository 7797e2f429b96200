"""The one connection of a prompt: made at the start, and again when a command needs it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from rexec.cli.prompt.rules import Rule, Verdict, choices_of, rules_of, verdict_of
from rexec.cli.prompt.words import as_bytes
from rexec.client.async_connect import open_session
from rexec.client.config import directory
from rexec.client.greeting import Terms
from rexec.client.identity import signers
from rexec.client.request import question
from rexec.client.streams import MemorySink
from rexec.errors import ConnectionLost, RexecError
from rexec.protocol import frames as f

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.client.async_session import AsyncSession
    from rexec.client.command import Command
    from rexec.client.config import Target
    from rexec.client.identity import Passphrase
    from rexec.client.streams import Sink, Source


class Line:
    """Holds the connection; `rules` are what the server listed last."""

    def __init__(
        self, target: Target, terms: Terms, passphrase: Passphrase, lost: Callable[[str], None]
    ) -> None:
        self.target = target
        self.user = ""
        self.rules: list[Rule] = []
        self.noticed: Callable[[str], None] | None = None  # told what the server says to a person
        self.told: Callable[[str, bool], None] | None = None  # what becomes of the line; True: good news
        self._terms = terms
        self._passphrase = passphrase
        self._lost = lost
        self._session: AsyncSession | None = None
        self._watch: asyncio.Task[None] | None = None

    async def session(self) -> AsyncSession:
        """Return the connection, a new one where the last is lost. Raises `RexecError`."""
        if self._session is None or self._session.is_lost:
            keys = signers(self.target.home, self.target.identities, os.environ, self._passphrase)
            self._session = await open_session(self.target, keys, self._terms)
            self._session.noticed = self.noticed
            self._session.told = self.told
            self.user = self._session.user
            self._watch = asyncio.create_task(self._watched(self._session))
            await self.refresh()
        return self._session

    async def _watched(self, session: AsyncSession) -> None:
        self._lost(await session.until_lost())

    async def close(self) -> None:
        """Say goodbye: what still runs is ended."""
        if self._watch is not None:
            self._watch.cancel()
        if self._session is not None:
            await self._session.close()

    async def start(
        self, exec_: f.Exec, source: Source | None, stdout: Sink, stderr: Sink
    ) -> tuple[AsyncSession, Command]:
        """Start a command, on a new connection where the last is lost. Raises `RexecError`."""
        session = await self.session()
        await session.slots.acquire()
        try:
            return session, session.start(exec_, source, stdout, stderr)
        except BaseException:
            session.slots.release()
            raise

    # --- questions ------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Have the server list the rules again; without an answer they stay as they are."""
        try:
            self.rules = rules_of(await self._ask(f.Query("list")))
        except RexecError:
            pass

    async def judge(self, words: tuple[bytes, ...]) -> Verdict:
        """Ask what the policy says to a command. Raises `RexecError`; no connection is made for it."""
        verdict = verdict_of(await self._ask(question(self.target, words)))
        if verdict.allowed or verdict.terminal != "only":
            return verdict
        return verdict_of(await self._ask(question(self.target, words, pty=True)))

    async def complete(self, words: tuple[str, ...]) -> list[tuple[str, str]]:
        """Ask what the last word may become, and what each is for. Raises `RexecError`."""
        query = f.Query("complete", as_bytes(words), cwd=directory(self.target))
        return choices_of(await self._ask(query))

    async def kind(self, words: tuple[bytes, ...]) -> bytes:
        """Ask what is at a path of a copy; empty where the server does not say."""
        await self.session()
        try:
            return await self._ask(f.Query("kind", words, cwd=directory(self.target)))
        except RexecError:
            return b""

    async def _ask(self, query: f.Query) -> bytes:
        session = self._session
        if session is None:
            raise ConnectionLost("there is no connection")
        await session.slots.acquire()
        try:
            command = session.ask(query, MemorySink(), MemorySink())
        except BaseException:
            session.slots.release()
            raise
        try:
            await session.until(command, lambda: command.is_over)
        finally:
            session.end(command)
        result = command.result()
        if not result.ok:
            raise RexecError(result.error or "the server did not answer")
        return result.stdout

"""`get` and `put` in the prompt: the copies of `rexec-cp`, on the connection that is there."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from rexec.cli.progress import Progress
from rexec.client import errand
from rexec.client.config import directory
from rexec.client.copying import Joint
from rexec.client.errand import Habits
from rexec.client.streams import NullSink
from rexec.errors import RexecError, UsageError

if TYPE_CHECKING:
    from rexec.cli.prompt.foreground import Interrupts
    from rexec.cli.prompt.shell import Shell
    from rexec.client.async_session import AsyncSession
    from rexec.client.command import Command
    from rexec.client.errand import Errand
    from rexec.client.result import Result

_OPTIONS = {"-r": "recursive", "-p": "times", "--resume": "resume"}


async def get(shell: Shell, words: list[str]) -> int:
    """Copy from the host to here."""
    habits, paths = _parsed("get", "REMOTE... [LOCAL]", words)
    *sources, target = paths if len(paths) > 1 else [*paths, b"."]
    watch = _watch(shell)
    codes = []
    for source in sources:
        name = errand.name_of(source)
        to = errand.local_target(target, name, many=len(sources) > 1)
        watch.aim(os.fsdecode(source), os.fsdecode(source))
        found = errand.getting(source, to, habits, watch, directory(shell.line.target))
        codes.append(await _run(shell, found, watch))
        if shell.foreground.interrupts.pressed.is_set():
            break
    return max(codes)


async def put(shell: Shell, words: list[str]) -> int:
    """Copy from here to the host."""
    habits, paths = _parsed("put", "LOCAL... [REMOTE]", words)
    *sources, target = paths if len(paths) > 1 else [*paths, b""]
    watch = _watch(shell)
    into = not errand.is_open(target) or len(sources) > 1
    codes = []
    for source in sources:
        name = errand.name_of(source) or errand.name_of(os.path.realpath(source))
        if not into:
            question = (b"@put", name, errand.at_home(target))
            into = await shell.line.kind(question) == b"directory"
        to = errand.remote_target(target, errand.name_of(source)) if into else target
        watch.aim(os.fsdecode(source), os.fsdecode(to))
        found = errand.putting(source, to, habits, watch, directory(shell.line.target))
        codes.append(await _run(shell, found, watch))
        if shell.foreground.interrupts.pressed.is_set():
            break
    return max(codes)


class _Watch(Progress):
    """Ends our end of the copy too, wherever it is, once nobody wants it any more."""

    is_wanted = True

    def moved(self, count: int) -> None:
        if not self.is_wanted:
            raise RexecError("interrupted")
        super().moved(count)


def _watch(shell: Shell) -> _Watch:
    return _Watch(shell.say, shell.say)


def _parsed(name: str, usage: str, words: list[str]) -> tuple[Habits, list[bytes]]:
    """Return how to copy, and what."""
    chosen = {}
    while words and words[0].startswith("-") and words[0] != "-":
        word, *words = words
        if word == "--":
            break
        if word not in _OPTIONS:
            raise UsageError(f"{name} [{'] ['.join(_OPTIONS)}] {usage}: there is no option {word!a}")
        chosen[_OPTIONS[word]] = True
    if not words:
        raise UsageError(f"{name} [{'] ['.join(_OPTIONS)}] {usage}")
    return Habits(**chosen), [os.fsencode(word) for word in words]


async def _run(shell: Shell, found: Errand, watch: _Watch) -> int:
    """Copy one source; Ctrl-C ends the copy and nothing else."""
    before = watch.failures
    joint = Joint()
    interrupts = shell.foreground.interrupts
    try:
        frame = found.frame.replace(confirm=await shell.confirmation(tuple(map(os.fsdecode, _asked(found)))))
        session, command = await shell.line.start(frame, joint.source, joint.sink, NullSink())
        interrupts.aim(session, command)
        try:
            result, error = await _both_ends(session, command, joint, found, watch, interrupts)
        finally:
            interrupts.rest()
            session.end(command)
    finally:
        joint.close()
        found.close()
    code, text = errand.ending(result, error, watch.failures - before)
    if interrupts.pressed.is_set() and code not in (0, 126):
        code, text = 130, None
    if text is not None:
        shell.say(f"{shell.line.target.name}: {text}")
    return code


def _asked(found: Errand) -> tuple[bytes, bytes]:
    """Return the words that the policy is asked about: options have no part in it."""
    return found.frame.words[0], found.frame.words[-1]


async def _both_ends(
    session: AsyncSession,
    command: Command,
    joint: Joint,
    found: Errand,
    watch: _Watch,
    interrupts: Interrupts,
) -> tuple[Result, RexecError | None]:
    """Let a thread be our end of a copy, and wait for both."""
    loop = asyncio.get_running_loop()
    ours: asyncio.Future[RexecError | None] = loop.create_future()

    def work() -> None:
        try:
            error = joint.work(found.work)
            loop.call_soon_threadsafe(_settle, ours, error, None)
        except BaseException as error:
            loop.call_soon_threadsafe(_settle, ours, None, error)

    threading.Thread(target=work, daemon=True).start()
    theirs = asyncio.ensure_future(session.until(command, lambda: joint.tend(command)))
    enough = asyncio.ensure_future(interrupts.pressed.wait())
    given_up = asyncio.ensure_future(interrupts.given_up.wait())
    try:
        await asyncio.wait((theirs, enough), return_when=asyncio.FIRST_COMPLETED)
        watch.is_wanted = not interrupts.pressed.is_set()
        session.end(command)
        joint.source.close()
        joint.sink.close()
        await asyncio.wait((ours, given_up), return_when=asyncio.FIRST_COMPLETED)
        return command.result(), ours.result() if ours.done() else None
    finally:
        theirs.cancel()
        enough.cancel()
        given_up.cancel()


def _settle(
    future: asyncio.Future[RexecError | None], value: RexecError | None, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)

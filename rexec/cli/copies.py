"""The copies of one command line: which source goes where, over one connection to each host."""

from __future__ import annotations

import os

from rexec.cli.destination import target_of
from rexec.cli.persons import ask_passphrase, ask_trust, has_terminal
from rexec.cli.progress import Progress, Told
from rexec.client import copying, errand
from rexec.client.connect import connect
from rexec.client.copying import Copy
from rexec.client.errand import Errand, Habits
from rexec.client.identity import signers
from rexec.copying.pace import Pace
from rexec.copying.relay import Relay
from rexec.copying.stream import Reader, Writer
from rexec.errors import ConfigError, RexecError, UsageError
from rexec.protocol import frames as f

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.cli.copyline import CopyLine, Spot
    from rexec.client.config import Target
    from rexec.client.result import Result
    from rexec.client.session import Session

_BITS = 1000 / 8  # bytes in a Kbit
_STDIN, _STDOUT = 0, 1
# A host that copies to itself is connected twice: each connection has its own pump.
_GIVING, _TAKING = "giving", "taking"

_HINTED = (1, 126)  # exit codes after which a * may have been meant as a shell has it
_SIGNS = (b"*", b"?", b"[")


class _Unready(Exception):
    """A file that a connection needs, such as a key, cannot be used: no fault of what was to be copied."""

    def __init__(self, error: ConfigError) -> None:
        self.error = error


class Copies:
    """Copies each source; what goes wrong with one is told, and the next is tried."""

    def __init__(self, line: CopyLine, say: Callable[[str], None]) -> None:
        self._line = line
        self._say = say
        self._habits = Habits(recursive=line.recursive, times=line.times, resume=line.resume)
        self._pace = None if line.limit is None else Pace(line.limit * _BITS)
        self._sessions: dict[tuple[str, str], Session] = {}  # by host, and which end of a copy between two
        self._targets: dict[str, Target] = {}
        self._running: list[Copy] = []
        _check(line)
        for spot in (*line.sources, self._goal):
            if spot.host is not None:
                self._target(spot.host)
        shown = not line.quiet and not self._goal.is_stream and os.isatty(1) and os.isatty(2)
        self._watch = (Progress if shown else Told)(say, self._note)
        self._into: bool | None = None  # whether the target at a host is a directory to copy into

    def run(self) -> int:
        """Return the exit code: that of the worst that happened."""
        codes = []
        for source in self._line.sources:
            codes.append(self._copy(source))
            if codes[-1] == 255:
                break  # the connection is gone, or nothing can be believed any more
        return max(codes)

    def close(self) -> None:
        """Say goodbye: what still runs is ended."""
        for copy in self._running:
            copy.stop()
        for session in self._sessions.values():
            session.close()

    @property
    def _goal(self) -> Spot:
        assert self._line.destination is not None
        return self._line.destination

    def _copy(self, source: Spot) -> int:
        try:
            if self._goal.host is None:
                return self._get(source)
            if source.host is None:
                return self._put(source)
            return self._pass_on(source)
        except _Unready as unready:
            return self._failed(unready.error, 2)
        except UsageError as error:  # this one cannot be, and others may
            return self._failed(error, 1)

    def _failed(self, error: RexecError, code: int) -> int:
        self._say(str(error))
        if error.hint:
            self._say(f"hint: {error.hint}")
        return code

    # --- one source ---------------------------------------------------------------------------

    def _get(self, source: Spot) -> int:
        assert source.host is not None
        if self._goal.is_stream:
            self._watch.aim(source.word, source.word)
            return self._run(source.host, _GIVING, errand.pouring(source.path, _STDOUT, self._watch))
        many = len(self._line.sources) > 1
        to = errand.local_target(self._goal.path, errand.name_of(source.path), many=many)
        self._watch.aim(source.word, source.word)
        found = errand.getting(source.path, to, self._habits, self._watch)
        code = self._run(source.host, _GIVING, found)
        if code in _HINTED and any(sign in source.path for sign in _SIGNS):
            self._say("hint: nothing is expanded at the host; -r copies a directory")
        return code

    def _put(self, source: Spot) -> int:
        goal = self._goal
        assert goal.host is not None
        if source.is_stream:
            self._watch.aim("stdin", goal.word)
            return self._run(goal.host, _TAKING, errand.feeding(_STDIN, goal.path, self._watch))
        name = errand.name_of(source.path) or errand.name_of(os.path.realpath(source.path))
        to = self._remote(name) if errand.name_of(source.path) else self._remote(b"")
        self._watch.aim(source.word, f"{goal.host}:{os.fsdecode(to)}")
        return self._run(goal.host, _TAKING, errand.putting(source.path, to, self._habits, self._watch))

    def _remote(self, name: bytes) -> bytes:
        """Return where at the host something called so goes; one question tells where that is open."""
        goal = self._goal
        assert goal.host is not None
        if self._into is None:
            self._into = not errand.is_open(goal.path) or len(self._line.sources) > 1
            if not self._into and name:
                query = f.Query("kind", (b"@put", name, errand.at_home(goal.path)))
                is_new = (goal.host, _TAKING) not in self._sessions
                session = self._session(goal.host, query, _TAKING)
                self._into = copying.kind(session, query, is_sent=is_new) == b"directory"
        return errand.remote_target(goal.path, name) if self._into else goal.path

    def _pass_on(self, source: Spot) -> int:
        """Copy from one host to another, through here."""
        goal, habits = self._goal, self._habits
        assert source.host is not None
        assert goal.host is not None
        to = self._remote(errand.name_of(source.path))
        self._watch.aim(source.word, f"{goal.host}:{os.fsdecode(to)}")
        before = self._watch.failures
        giving = self._begin(source.host, errand.get_frame(source.path, habits), _GIVING)
        taking = self._begin(goal.host, errand.put_frame(to, habits), _TAKING)
        errors: list[RexecError] = []

        def between(reader: Reader, writer: Writer) -> None:
            def onward(to_reader: Reader, to_writer: Writer) -> None:
                Relay((reader, writer), (to_reader, to_writer), self._watch).run()

            error = taking.work(onward)
            if error is not None:
                errors.append(error)

        giving.work(between)
        results = [self._result(copy) for copy in (giving, taking)]
        # where one end was denied or lost, the other can only say that it was left alone
        decisive = [result for result in results if result.state not in ("ok", "failed")] or results
        codes = []
        for result in decisive:
            failures = self._watch.failures - before
            code, text = errand.ending(result, errors.pop() if errors else None, failures)
            codes.append(code)
            if text is not None:
                self._say(f"{source.word}: {text}")
        return max(codes)

    # --- a copy -------------------------------------------------------------------------------

    def _run(self, host: str, part: str, found: Errand) -> int:
        before = self._watch.failures
        try:
            copy = self._begin(host, found.frame, part)
            error = copy.work(found.work)
            return self._ended(copy, error, before, host)
        finally:
            found.close()

    def _begin(self, host: str, frame: f.Exec, part: str) -> Copy:
        is_new = (host, part) not in self._sessions
        frame = frame.replace(confirm=self._line.confirm)
        session = self._session(host, frame.replace(id=1), part)
        pace = (
            None if self._goal.host is not None and part == _GIVING else self._pace
        )  # each byte counts once
        copy = Copy(session, frame, pace, is_sent=is_new)
        self._running.append(copy)
        return copy

    def _ended(self, copy: Copy, error: RexecError | None, before: int, host: str) -> int:
        code, text = errand.ending(self._result(copy), error, self._watch.failures - before)
        if text is not None:
            self._say(f"{self._targets[host].name}: {text}")
        return code

    def _result(self, copy: Copy) -> Result:
        result = copy.result()
        self._running.remove(copy)
        return result

    # --- hosts --------------------------------------------------------------------------------

    def _session(self, host: str, first: f.Exec | f.Query, part: str) -> Session:
        """Return the connection to a host; one that is made takes this frame along."""
        if (host, part) not in self._sessions:
            target = self._target(host)
            try:
                session = connect(
                    target,
                    signers(target.home, target.identities, os.environ, ask_passphrase),
                    ask=ask_trust if has_terminal() else None,
                    say=self._note,
                    told=lambda text, is_good: self._note(f"{target.name}: {text}"),
                    first=first,
                )
            except ConfigError as error:
                raise _Unready(error) from None
            session.noticed = self._say
            if self._line.verbose:
                self._say(f"{target.name}: authenticated as {session.user}")
            self._sessions[host, part] = session
        return self._sessions[host, part]

    def _target(self, host: str) -> Target:
        if host not in self._targets:
            self._line.host = host
            self._targets[host] = target_of(self._line)
        return self._targets[host]

    def _note(self, text: str) -> None:
        if not self._line.quiet:
            self._say(text)


def _check(line: CopyLine) -> None:
    """Refuse what can be seen to be impossible. Raises `UsageError`."""
    goal = line.destination
    assert goal is not None
    if goal.host is None and any(source.host is None for source in line.sources):
        raise UsageError("neither end is at a host", hint="HOST:PATH is; cp copies on this machine")
    many = len(line.sources) > 1
    streams = any(source.is_stream for source in line.sources)
    if streams and (many or not errand.is_open(goal.path)):
        raise UsageError("- is one file, whose name at the host has to be said: rexec-cp - HOST:PATH")
    if goal.host is None and not goal.is_stream and many and not os.path.isdir(goal.path):
        raise UsageError(f"{goal.word}: is no directory, and there is more than one source")
    if goal.is_stream and line.recursive:
        raise UsageError("-r and a target of -: a tree has no place on stdout")

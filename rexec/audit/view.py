"""Records for people: which ones, and each as one line that no terminal can be steered by."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from rexec.audit import chain, segments
from rexec.audit.chain import Malformed
from rexec.limits import AUDIT_LINE_MAX
from rexec.policy.wording import show, shown
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

POLL = 0.2  # seconds between looks at a log that is followed
_DENIED = ("deny", "escape")


class Wanted(NamedTuple):
    """Which records; None and False are no condition. Times are as records have them."""

    user: str | None = None
    rule: str | None = None  # a label, or the file's name for all of its rules
    peer: str | None = None
    since: str | None = None
    until: str | None = None
    denied: bool = False

    def takes(self, record: dict[str, object]) -> bool:
        """Say whether a record is wanted."""
        rule, when = str(record.get("rule") or ""), str(record["time"])
        return not (
            (self.user is not None and record.get("user") != self.user)
            or (self.rule is not None and self.rule not in (rule, rule.rpartition(":")[0]))
            or (self.peer is not None and record.get("from") != self.peer)
            or (self.since is not None and when < self.since)
            or (self.until is not None and when >= self.until)
            or (self.denied and record["event"] not in _DENIED)
        )


class Reader:
    """Reads the records of a directory, or of one file, line by line."""

    def __init__(self, path: str, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._is_directory = os.path.isdir(path)
        self._path = path

    def records(self) -> Iterator[dict[str, object]]:
        """Yield what is there. Raises `ConfigError`."""
        for path in self._files():
            with self._open(path) as file:
                yield from self._read(file)

    def follow(self) -> Iterator[dict[str, object] | None]:
        """Yield what is there and what comes; None where nothing more is there by now."""
        *full, current = self._files() or [os.path.join(self._path, segments.CURRENT)]
        for path in full:
            with self._open(path) as file:
                yield from self._read(file)
        while True:
            with self._open(current) as file:
                while True:
                    is_full = self._is_full(file, current)  # before the end of it is read
                    yield from self._read(file)
                    if is_full:
                        break
                    yield None

    def _files(self) -> list[str]:
        if not self._is_directory:
            return [self._path]
        try:
            return segments.files_of(self._path)
        except OSError as error:
            raise segments.refused(self._path, error) from None

    def _open(self, path: str) -> BinaryIO:
        try:
            return open(path, "rb")
        except OSError as error:
            raise segments.refused(path, error) from None

    def _is_full(self, file: BinaryIO, path: str) -> bool:
        """Say whether another file has taken the name of this one."""
        try:
            return not os.path.samestat(os.fstat(file.fileno()), os.stat(path))
        except OSError:
            return False  # the next one is about to come

    def _read(self, file: BinaryIO) -> Iterator[dict[str, object]]:
        while line := file.readline(AUDIT_LINE_MAX + 1):
            if not line.endswith(b"\n") and len(line) <= AUDIT_LINE_MAX:
                file.seek(-len(line), os.SEEK_CUR)  # it is being written
                return
            try:
                yield chain.read(line)
            except Malformed as error:
                self._complain(f"{os.path.basename(file.name)}: a line was left out: {error}")


def text_of(record: dict[str, object]) -> str:
    """Return a record as one line: local time, number, event, and what is to be known of it."""
    event = str(record["event"])
    tell = _TELLERS.get(event, _any)
    return f"{_local(str(record['time']))} {record['seq']:>6} {shown(event):<10} {tell(record)}".rstrip()


def _local(when: str) -> str:
    """Return a time as this place has it, to the millisecond."""
    try:
        parsed = time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return neutral(when[:27])
    seconds = _seconds(parsed)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + neutral(when[19:23])


def _seconds(utc: time.struct_time) -> float:
    from calendar import timegm

    return float(timegm(utc))


def _decision(record: dict[str, object]) -> str:
    words = record.get("argv")
    command = show(map(str, words)) if isinstance(words, list) else "?"
    parts = [_field(record, "user"), f"from {_field(record, 'from')}"]
    if record.get("rule"):
        parts.append(f"by {_field(record, 'rule')}")
    if record.get("as"):
        parts.append(f"as {_field(record, 'as')} in {_field(record, 'cwd')}")
    why = f" ({_field(record, 'why')})" if record.get("why") else ""
    return f"{' '.join(parts)}: {command}{why}"


def _end(record: dict[str, object]) -> str:
    how = f"signal {_field(record, 'signal')}" if record.get("signal") else f"exit {_field(record, 'exit')}"
    cause = str(record.get("cause"))
    if cause not in ("exited", "signalled"):
        how = f"{shown(cause)}, {how}"
    if record.get("why"):
        how += f" ({_field(record, 'why')})"
    counts = [f"{name} {_field(record, name)}" for name in ("stdin", "stdout", "stderr") if name in record]
    seconds = [f"{_field(record, 'seconds')} s"] if "seconds" in record else []
    if record.get("recording"):
        seconds.append(f"recorded in {_field(record, 'recording')}")
    who = f"{_field(record, 'user')} by {_field(record, 'rule')}"
    return f"of {_field(record, 'of')}: {who}: {', '.join([how, *seconds, *counts])}"


def _checkpoint(record: dict[str, object]) -> str:
    return f"signed ({_field(record, 'why')})"


def _any(record: dict[str, object]) -> str:
    hidden = ("seq", "time", "event", "prev", "signature")
    return " ".join(
        f"{shown(name)}={shown(str(value))}" for name, value in record.items() if name not in hidden
    )


def _field(record: dict[str, object], name: str) -> str:
    value = record.get(name)
    return "-" if value is None else shown(str(value))


_TELLERS: dict[str, Callable[[dict[str, object]], str]] = {
    "allow": _decision,
    "deny": _decision,
    "end": _end,
    "checkpoint": _checkpoint,
}

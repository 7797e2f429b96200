"""Whether a log is as it was written: chain, signatures, recordings, and what witnesses say of it.

The chain shows a line that was changed, moved, doubled or taken out; a signature shows a chain that
was written anew; what was taken from the end shows only against a witness that knows a later head: the
last checkpoint in its own file, a receipt, a head that somebody noted. Nothing is believed after the
first bad line.
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from rexec.audit import chain, segments
from rexec.audit.chain import GENESIS, Head, Malformed
from rexec.errors import ConfigError
from rexec.limits import AUDIT_LINE_MAX, CHECKPOINT_RECORDS
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Line(NamedTuple):
    """One line and where it stands, as ``audit.jsonl:17``."""

    place: str
    data: bytes


class Witness(NamedTuple):
    """Somebody who knows a head; `about` may compare the records of the log with what it saw besides."""

    name: str
    head: Head
    seq: int = 0  # of a decision whose records `about` wants to see; 0 for none
    about: Callable[[dict[str, object]], str | None] = lambda record: None


class Bad(Exception):
    """The first thing that is wrong: one line that names the place."""


class Report:
    """What is known of a log that was read to its end."""

    def __init__(self) -> None:
        self.records = 0
        self.checkpoints = 0
        self.unsigned = 0  # records behind the last checkpoint
        self.head = GENESIS
        self.signers: set[str] = set()  # fingerprints
        self.notes: list[str] = []


def lines_of(paths: Iterable[str]) -> Iterator[Line]:
    """Yield the lines of files, one at a time. Raises `ConfigError`."""
    for path in paths:
        name = neutral(os.path.basename(path))
        try:
            with open(path, "rb") as file:
                number = 0
                while data := file.readline(AUDIT_LINE_MAX + 1):
                    number += 1
                    yield Line(f"{name}:{number}", data)
        except OSError as error:
            raise segments.refused(path, error) from None


class Verifier:
    """Reads a log once; `signers` are the fingerprints that count, None: whoever signed first."""

    def __init__(
        self,
        signers: frozenset[str] | None,
        witnesses: Iterable[Witness] = (),
        recordings: str | None = None,
    ) -> None:
        self._signers = signers
        self._recordings = recordings  # where they stand; None: nobody looks
        self._witnesses = list(witnesses)
        self._seen: set[Head] = set()
        self._wanted = {witness.head.seq for witness in self._witnesses}
        self._report = Report()
        self._last: Line | None = None
        self._signed = ""  # the place of the last checkpoint

    def verify(self, paths: list[str], *, whole: bool) -> Report:
        """Return what is known; `whole`: the first record is to be number 1. Raises `Bad`, `ConfigError`."""
        lines = lines_of(paths)
        for line in lines:
            fields = self._record(line)
            if self._last is None:
                self._first(line, fields, whole)
            if fields["seq"] != self._report.head.seq + 1 or fields["prev"] != self._report.head.hash:
                raise Bad(self._broken(line, fields, lines))
            self._take(line, fields)
        if self._last is None:
            raise Bad("there is no record at all")
        if not self._report.checkpoints and whole:
            raise Bad(f"{self._last.place}: no checkpoint up to here: nothing shows who wrote it")
        self._ask_witnesses()
        return self._report

    def _record(self, line: Line) -> dict[str, object]:
        try:
            return chain.read(line.data)
        except Malformed as error:
            raise Bad(f"{line.place}: was changed: {error}") from None

    def _first(self, line: Line, fields: dict[str, object], whole: bool) -> None:
        seq, prev = fields["seq"], fields["prev"]
        assert isinstance(seq, int)
        assert isinstance(prev, str)
        if whole and seq != 1:
            raise Bad(f"{line.place}: the log begins with record {seq}: {_records(1, seq - 1)} missing")
        if seq != 1:
            self._report.notes.append(f"{line.place}: record {seq} is the first that was looked at")
            self._report.head = Head(seq - 1, prev)

    def _take(self, line: Line, fields: dict[str, object]) -> None:
        """Believe a line that follows the one before."""
        report = self._report
        report.head = Head(report.head.seq + 1, chain.hash_of(line.data))
        report.records += 1
        report.unsigned += 1
        self._last = line
        if report.head.seq in self._wanted:
            self._seen.add(report.head)
        if fields["event"] == chain.CHECKPOINT:
            self._checkpoint(line)
        elif report.unsigned > CHECKPOINT_RECORDS + 1 and report.checkpoints:
            raise Bad(
                f"{line.place}: no checkpoint for {report.unsigned} records, which no server leaves out"
            )
        if note := _TOLD.get(str(fields["event"])):
            self._told(f"{line.place}: {note.format_map(_Shown(fields))}", str(fields["event"]))
        if self._recordings is not None and "recording_sha256" in fields:
            self._recording(line, self._recordings, fields)
        for witness in self._witnesses:
            if (
                witness.seq
                and witness.seq in (fields["seq"], fields.get("of"))
                and (wrong := witness.about(fields))
            ):
                raise Bad(f"{line.place}: {witness.name} says otherwise: {wrong}")

    def _recording(self, line: Line, directory: str, fields: dict[str, object]) -> None:
        """Compare a recording with what its end says of it; one that was thrown away is only noted."""
        name = os.path.basename(str(fields.get("recording")))
        try:
            with open(os.path.join(directory, name), "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            self._report.notes.append(f"{line.place}: {neutral(name)}: {(error.strerror or '').lower()}")
            return
        if found != fields["recording_sha256"]:
            raise Bad(f"{line.place}: the recording {neutral(name)} was changed")

    def _told(self, text: str, event: str) -> None:
        if event in _GRAVE:
            raise Bad(text)
        self._report.notes.append(text)

    def _checkpoint(self, line: Line) -> None:
        report = self._report
        try:
            found = chain.signer(line.data).fingerprint()
        except Malformed as error:
            behind = f"behind {self._signed}" if self._signed else "before it"
            raise Bad(f"{line.place}: {error}: it, or something {behind}, was changed") from None
        wanted = self._signers if self._signers is not None else report.signers
        if wanted and found not in wanted:
            raise Bad(f"{line.place}: signed by {found}, not by {' or '.join(sorted(wanted))}")
        report.signers.add(found)
        report.checkpoints += 1
        self._signed = line.place
        report.unsigned = 0

    def _broken(self, line: Line, fields: dict[str, object], rest: Iterator[Line]) -> str:
        """Say what was probably done to the first line that does not follow the one before."""
        expected, found = self._report.head.seq + 1, fields["seq"]
        assert isinstance(found, int)
        if found == expected:
            if self._last is None:
                return f"{line.place}: was changed: it names another line before it"
            return f"{self._last.place}: was changed: the line behind it names another hash"
        if self._last is not None and line.data == self._last.data:
            return f"{line.place}: stands twice: it is record {found} again"
        if found < expected:
            return f"{line.place}: is record {found}, which has its place before: doubled or put back"
        if fields["prev"] == self._report.head.hash:
            return f"{line.place}: was changed: its number is {found}, not {expected}"
        if any(_seq(later) == expected for later in rest):
            return f"{line.place}: is record {found} in the place of record {expected}: the order was changed"
        return f"{line.place}: before it {_records(expected, found - 1)} missing"

    def _ask_witnesses(self) -> None:
        end = self._report.head
        for witness in self._witnesses:
            seq = witness.head.seq
            if seq > end.seq:
                assert self._last is not None
                raise Bad(
                    f"{self._last.place}: the end was cut behind it: {witness.name} knows record {seq}, "
                    f"{_records(end.seq + 1, seq)} missing"
                )
            if seq and witness.head not in self._seen and seq > end.seq - self._report.records:
                raise Bad(f"record {seq}: was another when {witness.name} saw it: the log was written anew")


class _Shown(dict[str, object]):
    """Fields of a record as they may stand in a message."""

    def __init__(self, fields: dict[str, object]) -> None:
        super().__init__({name: neutral(str(value))[:200] for name, value in fields.items()})

    def __missing__(self, name: str) -> str:
        return "?"


_TOLD = {
    "gap": "{lost} records before it could not be written: {why}",
    "torn": "an unfinished record of {bytes} bytes was set aside in {kept}",
    "damaged": "{bytes} bytes that were no records any more were set aside in {kept}",
    "unclean": "the server before it was killed, or the end of its log was cut",
    "cut": "the log was cut before this start: it was signed up to record {signed} and ended at {found}",
}
_GRAVE = frozenset({"damaged", "cut"})


def _records(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _seq(line: Line) -> object:
    try:
        return chain.read(line.data)["seq"]
    except Malformed:
        return None


def kept_head(directory: str, signers: frozenset[str] | None) -> Witness | None:
    """Return the last checkpoint of a log as its own file has it. Raises `Bad`."""
    path = os.path.join(directory, segments.HEAD)
    try:
        data = next(lines_of([path])).data
        head, found = chain.head_of(data), chain.signer(data).fingerprint()
    except ConfigError:
        raise Bad(f"{segments.HEAD}: the last checkpoint of the log is missing or cannot be read") from None
    except (StopIteration, Malformed) as error:
        raise Bad(f"{segments.HEAD}: was changed: {str(error) or 'it is empty'}") from None
    if signers is not None and found not in signers:
        raise Bad(f"{segments.HEAD}: signed by {found}, not by {' or '.join(sorted(signers))}")
    return Witness(segments.HEAD, head)

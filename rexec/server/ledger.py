"""The ids of commands: what was started for a client that may ask again, so that it is never started twice.

An id is known for an hour. One that its client cannot ask for again (it has acknowledged the end, or said
goodbye) is *settled*, and goes first where many are known. One that is not is never forgotten before its
time: where there are too many of these, nothing more is started for clients that may ask again.
"""

from __future__ import annotations

import os
import time
from collections import Counter, OrderedDict
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING

from rexec.errors import ConfigError
from rexec.limits import IDS_FILE_TIDY, IDS_KEPT, IDS_KEPT_PER_USER, IDS_SETTLED, IDS_TIME
from rexec.protocol.frames import Cause
from rexec.server import ledgerfile
from rexec.server.ledgerfile import BEGUN, DROPPED, ENDED, LOST, RECORD, SETTLED, LedgerFile, Other, Record
from rexec.server.orders import Start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rexec.server.ledgerfile import Key

IDS = "ids"
_NUMBER = 8  # bytes of an id among those that are settled


class Unkept(Exception):
    """An id cannot be kept, and nothing may run without that; says why."""


def owner(key: str, user: str, name: bytes) -> bytes:
    """Return whose ids those of a session are; empty for a client that never asks again."""
    return blake2b(f"{key}\0{user}\0".encode() + name, digest_size=16).digest() if name else b""


def contents_of(order: Start) -> bytes:
    """Return a hash of what is asked for: the same for the same `Exec`, in every run."""
    pty = None if order.pty is None else order.pty.encode()
    confirm = None if order.confirm is None else order.confirm.encode()
    asked = (  # of bytes and numbers alone, which every Python writes in the same way
        int(order.form), order.words, order.env, order.cwd, order.timeout_ms, bool(order.stdin), pty,
        order.unknown.encode(), bool(order.receipt), confirm, order.offered, bool(order.detach),
    )  # fmt: skip
    return blake2b(repr(asked).encode(), digest_size=8).digest()


class Ledger:
    """All ids that are known."""

    def __init__(
        self,
        directory: str,
        complain: Callable[[str], None] = lambda why: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin a file for this run with what the ones before knew. Raises `ConfigError`."""
        self._complain = complain
        self._clock = clock
        self._running: dict[Key, Record] = {}
        self._ended: OrderedDict[Key, Record] = OrderedDict()  # by when; no one knows how some ended
        self._settled: OrderedDict[Key, Record] = OrderedDict()
        self._of_user: Counter[bytes] = Counter()  # of those that ended
        self._left: set[Key] = set()  # that run, and whose client has gone for good
        self._unwritten = b""  # what may be written with the next
        self._others: list[Other] = []
        lock = ledgerfile.locked(directory)
        try:
            over = self._read(directory)
            self._expire()
            self._file = LedgerFile(directory, self._all())
            for other in over:
                other.remove()
        finally:
            os.close(lock)

    # --- what was known before ------------------------------------------------------------------

    def _read(self, directory: str) -> list[Other]:
        """Take what the runs that are over knew; those that are not are looked at again and again."""
        over, found = [], list[Record]()
        for other in ledgerfile.others(directory):
            is_over = other.is_over()
            self._follow(other)
            if is_over:
                over.append(other)
                found += self._left_over(other)
            else:
                self._others.append(other)
        found.sort(key=lambda record: record.when)
        self._take(found)
        return over

    def _follow(self, other: Other) -> None:
        try:
            other.look()
        except OSError as error:
            raise ConfigError(f"{other.path}: {os.strerror(error.errno or 0).lower()}") from None
        if other.damaged:
            self._complain(f"{other.path}: {other.damaged} records are damaged")
            other.damaged = 0

    def _take(self, found: list[Record]) -> None:
        """Know what a run knew that is over."""
        for record in found:
            if record.kind == SETTLED:
                self._settled[record.key] = record
            else:
                self._note(record)

    def _left_over(self, other: Other) -> list[Record]:
        """Return what a run knew that is over: how its commands ended that ran until then, nobody knows."""
        now = int(self._clock())
        return [
            record._replace(kind=LOST, cause=Cause.LOST, when=now) if record.kind == BEGUN else record
            for record in other.known.values()
        ]

    def _note(self, record: Record) -> None:
        """Know an id that is not settled, and whose command is over."""
        if self._ended.pop(record.key, None) is None:
            self._of_user[record.user] += 1
        self._ended[record.key] = record

    def _look(self) -> None:
        """See what other runs wrote meanwhile; one that is over is asked no more. Raises `Unkept`."""
        for other in list(self._others):
            try:
                is_over = other.is_over()
                self._follow(other)
                found = self._left_over(other) if is_over else []
                if found:
                    self._write(b"".join(record.pack() for record in found))
            except (ConfigError, OSError) as error:
                raise Unkept(str(error)) from None
            if is_over:
                self._others.remove(other)
                self._take(found)
                other.remove()

    # --- questions and answers ------------------------------------------------------------------

    def find(self, key: Key) -> Record | None:
        """Return what is known of an id; one that is `BEGUN` still runs, here or in another run.

        Raises `Unkept`.
        """
        if self._others:
            self._look()
        for known in (self._running, self._ended, self._settled):
            if key in known:
                return known[key]
        return next((other.known[key] for other in self._others if key in other.known), None)

    def begin(self, key: Key, contents: bytes, user: str) -> None:
        """Write down that a command is started now. Raises `Unkept`."""
        self._expire()
        whose = blake2b(user.encode(), digest_size=4).digest()
        if self._of_user[whose] >= IDS_KEPT_PER_USER or len(self._ended) >= IDS_KEPT:
            raise Unkept("too many commands of the last hour have clients that may ask for them again")
        again = self._ended.pop(key, None)
        record = Record(*key, contents, whose, int(self._clock()), BEGUN)
        try:
            self._write(record.pack())
        except OSError as error:
            if again is not None:
                self._ended[key] = again
            raise Unkept((error.strerror or str(error)).lower()) from None
        if again is not None:
            self._one_less(again)
        self._running[key] = record

    def sync(self) -> None:
        """Have what was begun outlast a loss of power. Raises `Unkept`."""
        try:
            self._file.sync()
        except OSError as error:
            raise Unkept((error.strerror or str(error)).lower()) from None

    def end(self, key: Key, cause: Cause, status: int) -> None:
        """Write down how a command ended."""
        begun = self._running.pop(key, None)
        if begun is None:
            return
        record = Record(*begun[:4], int(self._clock()), ENDED, cause, status)
        self._note(record)
        self._write_later(record)
        if key in self._left:
            self._left.discard(key)
            self._settle(key)
        self._write_now()

    def drop(self, key: Key) -> None:
        """Write down that a command was not started after all: it may be asked for again."""
        begun = self._running.pop(key, None)
        self._left.discard(key)
        if begun is not None:
            self._write_later(begun._replace(kind=DROPPED))
            self._write_now()

    def settle(self, who: bytes, numbers: bytes) -> None:
        """Note that the client of these will not ask for them again."""
        for start in range(0, len(numbers) - _NUMBER + 1, _NUMBER):
            key = who, int.from_bytes(numbers[start : start + _NUMBER])
            if key in self._running:
                self._left.add(key)
            else:
                self._settle(key)

    def _settle(self, key: Key) -> None:
        record = self._ended.pop(key, None)
        if record is None:
            return
        self._one_less(record)
        self._settled[key] = record = Record(*record[:5], SETTLED, *record[6:])
        self._write_later(record)
        if len(self._settled) > IDS_SETTLED:
            self._settled.popitem(last=False)

    def _one_less(self, record: Record) -> None:
        self._of_user[record.user] -= 1
        if not self._of_user[record.user]:
            del self._of_user[record.user]

    def _expire(self) -> None:
        """Forget what is older than an hour."""
        before = int(self._clock()) - IDS_TIME
        for known in (self._ended, self._settled):
            while known and next(iter(known.values())).when < before:
                _, record = known.popitem(last=False)
                if known is self._ended:
                    self._one_less(record)

    # --- the file -------------------------------------------------------------------------------

    def _all(self) -> Iterator[Record]:
        return chain(self._settled.values(), self._ended.values(), self._running.values())

    def _write(self, data: bytes) -> None:
        """Write with what has waited for it. Raises `OSError`."""
        self._file.add(self._unwritten + data)
        self._unwritten = b""
        known = len(self._running) + len(self._ended) + len(self._settled)
        if self._file.size > IDS_FILE_TIDY and self._file.size > 2 * RECORD * known:
            try:
                self._file.rewrite(self._all())
            except OSError as error:
                self._complain(f"{self._file.path}: {(error.strerror or str(error)).lower()}")

    def _write_later(self, record: Record) -> None:
        self._unwritten += record.pack()

    def _write_now(self) -> None:
        """Write what waits; where that cannot be, it waits on, and nothing new is begun before it."""
        try:
            self._write(b"")
        except OSError as error:
            self._complain(f"{self._file.path}: {(error.strerror or str(error)).lower()}")

    def close(self) -> None:
        """Write the rest: the server stops."""
        if self._unwritten:
            self._write_now()
        self.forget()

    def forget(self) -> None:
        """Leave the files to the other process."""
        self._file.forget()
        for other in self._others:
            other.close()

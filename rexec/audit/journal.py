"""The writer of the audit log: one record, one line, one write, on the disk before it returns.

A record that does not fit is taken back whole, so that no half of one ever stands in the file; what
was lost is counted, and a `gap` says so as soon as there is room again. Only the end of the last file
is read at a start, however long the log is.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from rexec.audit import chain, segments
from rexec.audit.chain import GENESIS, Head
from rexec.errors import ConfigError
from rexec.limits import AUDIT_LINE_MAX, AUDIT_SIZE, CHECKPOINT_DELAY, CHECKPOINT_RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.auth.private import PrivateKey

STOP = "stop"
_TEXT_MAX = 1_000  # characters of one field in a record that would be too long
_APPEND = os.O_RDWR | os.O_APPEND


class Found(NamedTuple):
    """What opening a log found out, to be written as the first records of the new run."""

    event: str
    fields: dict[str, object]


class Journal:
    """One log in one directory; `complain` hears once of each time that it cannot be written."""

    def __init__(
        self,
        directory: str,
        complain: Callable[[str], None],
        *,
        size_max: int = AUDIT_SIZE,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the log, or begin one. Raises `ConfigError`, `segments.Busy`."""
        self.directory = directory
        self.key: PrivateKey | None = None  # without one there are no checkpoints
        self.head = GENESIS
        self.trouble = ""  # why the last record was not written
        self._complain = complain
        self._size_max = size_max
        self._clock = clock
        self._unsigned = 0  # records since the last checkpoint
        self._due: float | None = None  # when the oldest of them has waited long enough
        self._lost = 0
        self._wrote = False
        self._torn = False  # half a record stands behind `_size`
        self._found: list[Found] = []
        self._lock = segments.lock(directory)
        try:
            self._continue()
        except BaseException:
            os.close(self._lock)
            raise

    # --- opening ------------------------------------------------------------------------------

    def _continue(self) -> None:
        """Go on where the log ends."""
        try:
            files = segments.files_of(self.directory)
            if files and os.path.basename(files[-1]) != segments.CURRENT:
                self._end_of(files[-1])  # the power went between two files
        except OSError as error:
            raise segments.refused(self.directory, error) from None
        self._descriptor = segments.opened(self._path, _APPEND | os.O_CREAT)
        try:
            self._size = os.fstat(self._descriptor).st_size
            if self._size:
                self._take_up()
            self._begun = segments.first_seq(self._descriptor) or self.head.seq + 1
            self._compare()
        except OSError as error:
            os.close(self._descriptor)
            raise segments.refused(self._path, error) from None

    @property
    def _path(self) -> str:
        return os.path.join(self.directory, segments.CURRENT)

    def _end_of(self, path: str) -> None:
        descriptor = segments.opened(path, os.O_RDONLY)
        try:
            found = segments.tail(descriptor)
        finally:
            os.close(descriptor)
        if found is not None:
            self.head = found.head

    def _take_up(self) -> None:
        """Find the last record; what stands behind it is no record and goes aside."""
        found = segments.tail(self._descriptor)
        if found is None:
            self._set_aside(0, "damaged")
            files = segments.files_of(self.directory)
            if len(files) > 1:
                self._end_of(files[-2])
            return
        self.head = found.head
        if self._size > found.end:
            self._set_aside(found.end, "damaged" if found.damaged else "torn")
        elif not _is_clean(found.fields):
            self._found.append(Found("unclean", {"why": "the log ends without a stop"}))

    def _set_aside(self, end: int, event: str) -> None:
        """Keep bytes that are no record in a file of their own, and end the log before them."""
        name = f"{event}-{self._clock()}"
        kept = segments.opened(os.path.join(self.directory, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            position = end
            while chunk := os.pread(self._descriptor, 1 << 20, position):
                _write_all(kept, chunk)
                position += len(chunk)
            os.fsync(kept)
        finally:
            os.close(kept)
        os.ftruncate(self._descriptor, end)
        self._found.append(Found(event, {"bytes": self._size - end, "kept": name}))
        self._size = end

    def _compare(self) -> None:
        """See whether the log still reaches to where it was signed last."""
        signed = self._signed()
        if signed is not None and signed.seq > self.head.seq:
            self._found.append(Found("cut", {"signed": signed.seq, "found": self.head.seq}))

    def _signed(self) -> Head | None:
        try:
            descriptor = segments.opened(os.path.join(self.directory, segments.HEAD), os.O_RDONLY)
        except ConfigError:
            return None
        try:
            return chain.head_of(os.read(descriptor, 1 << 16))
        except (OSError, chain.Malformed):
            return None
        finally:
            os.close(descriptor)

    # --- writing ------------------------------------------------------------------------------

    def begin(self, key: PrivateKey | None, **fields: object) -> None:
        """Write that a run begins, with what was found at the opening."""
        self.key = key
        self._tell_found()
        self.write("start", **fields)
        self.checkpoint("start")

    def _tell_found(self) -> None:
        for found in self._found:
            self.write(found.event, **found.fields)
        self._found.clear()

    def write(self, event: str, **fields: object) -> int:
        """Write a record; return its number, 0 where it could not be written (`trouble` says why).

        A key that is a reserved word is given with an underscore behind it.
        """
        self._wrote = True
        if self._lost and not self._put("gap", {"lost": self._lost, "why": self.trouble}):
            self._lost += 1
            return 0
        self._lost = 0
        if not self._put(event, fields):
            self._lost += 1
            return 0
        self.trouble = ""
        written = self.head.seq
        self._unsigned += 1
        if self._due is None:
            self._due = time.monotonic() + CHECKPOINT_DELAY
        if self._unsigned >= CHECKPOINT_RECORDS:
            self.checkpoint("count")
        return written

    def sync(self) -> bool:
        """Have what was written outlast a loss of power; False where the disk says no."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _put(self, event: str, fields: dict[str, object]) -> bool:
        line = chain.line_of(self._fields(event, fields))
        if len(line) > AUDIT_LINE_MAX:
            fields = {name: _cut(value) for name, value in fields.items()}
            line = chain.line_of(self._fields(event, fields))
        if self._size and self._size + len(line) > self._size_max:
            self._rotate()
            line = chain.line_of(self._fields(event, fields))  # a checkpoint came before it
        return self._append(line)

    def _fields(self, event: str, fields: dict[str, object]) -> dict[str, object]:
        named = {name.removesuffix("_"): value for name, value in fields.items()}
        seq, when = self.head.seq + 1, chain.moment(self._clock())
        return {"seq": seq, "time": when, "event": event, **named, "prev": self.head.hash}

    def _append(self, line: bytes) -> bool:
        """Add a line with one write, or nothing at all."""
        try:
            if self._torn:
                self._take_back()
            self._size = os.fstat(self._descriptor).st_size  # whatever somebody else did to it
            count = os.write(self._descriptor, line)
            self._torn = count < len(line)
            if self._torn:
                _write_all(self._descriptor, line[count:])  # most likely to hear why
                self._torn = False
        except OSError as error:
            self._fail(error)
            self._try_to_take_back()
            return False
        self._size += len(line)
        self.head = Head(self.head.seq + 1, chain.hash_of(line))
        return True

    def _take_back(self) -> None:
        """Cut off half a record."""
        os.ftruncate(self._descriptor, self._size)
        self._torn = False

    def _try_to_take_back(self) -> None:
        if self._torn:
            try:
                self._take_back()
            except OSError:
                pass  # the next record finds it there

    def _fail(self, error: OSError) -> None:
        why = (error.strerror or str(error)).lower()
        if not self.trouble:
            self._complain(f"{self._path}: {why}")
        self.trouble = why

    # --- checkpoints and files ----------------------------------------------------------------

    def wait(self) -> float | None:
        """Return the seconds until `tick` has something to do, None while it has nothing."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def tick(self) -> None:
        """Do what the clock asks for."""
        if self._due is not None and time.monotonic() >= self._due:
            self.checkpoint("time")

    def checkpoint(self, why: str) -> None:
        """Sign the log as it is; the signed line stands in a file of its own as well."""
        self._unsigned, self._due = 0, None
        if self.key is None or self._lost:
            return
        line = chain.signed(self._fields(chain.CHECKPOINT, {"why": why}), self.key)
        if self._append(line) and self.sync():
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        path = os.path.join(self.directory, segments.HEAD)
        try:
            descriptor = os.open(
                f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            try:
                _write_all(descriptor, line)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(f"{path}.new", path)
        except OSError as error:
            self._fail(error)

    def _rotate(self) -> None:
        """Begin the next file; where that cannot be done now, the old one goes on."""
        self.checkpoint("rotate")
        full = os.path.join(self.directory, segments.full_name(self._begun))
        try:
            os.link(self._path, full)  # never over a file that is there
            os.unlink(self._path)
            descriptor = segments.opened(self._path, _APPEND | os.O_CREAT | os.O_EXCL)
        except (OSError, ConfigError) as error:
            self._complain(f"{self._path}: cannot begin another file: {error}")
            self._size_max += self._size_max
            return
        os.close(self._descriptor)
        self._descriptor, self._size = descriptor, 0
        self._begun = self.head.seq + 1

    def close(self, why: str) -> None:
        """Write that the run ends, sign, and let the next server in.

        A run that never began says nothing but what it found.
        """
        self._tell_found()
        if self._wrote:
            self.write(STOP, why=why)
            self.checkpoint(STOP)
        elif not self._size and not self.head.seq:
            try:
                os.unlink(self._path)  # nothing was ever served here, and an empty log shows nothing
            except OSError:
                pass
        self.forget()

    def forget(self) -> None:
        """Close the files without a word: another process goes on with them."""
        os.close(self._descriptor)
        os.close(self._lock)


def _is_clean(last: dict[str, object]) -> bool:
    """Say whether a log whose last record this is was ended in order."""
    return last["event"] == STOP or (last["event"] == chain.CHECKPOINT and last.get("why") == STOP)


def _cut(value: object) -> object:
    """Return the beginning of a text that makes a record too long; whoever wants to read it reads lines."""
    return f"{value[:_TEXT_MAX]}..." if isinstance(value, str) and len(value) > _TEXT_MAX else value


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

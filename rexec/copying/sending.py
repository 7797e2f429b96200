"""The sending end: one file, one tree or one descriptor becomes a stream of records, without waiting.

Nothing is opened but regular files and directories, no link is followed below the top, and what cannot
be read is told and skipped. A file that becomes another one while it is read is never sent as if it were
whole: one that grew is sent as it was when it was opened, and said to have grown; any other is broken off.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import stat

from rexec.copying import records as r
from rexec.copying.holes import STORED, add_hole, digest_of, stretches
from rexec.copying.place import reason
from rexec.copying.watching import Watch
from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.limits import COPY_ASK, COPY_BUFFER, COPY_DEPTH, COPY_KEEP, COPY_NAME_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.copying.place import Place
    from rexec.copying.stream import Reader, Writer
    from rexec.copying.watching import Path

_HOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_MODE = 0o666  # of what comes from a descriptor
_SPECIAL = {
    stat.S_IFLNK: "is a link, and links are not copied",
    stat.S_IFIFO: "is a pipe, not a regular file",
    stat.S_IFSOCK: "is a socket, not a regular file",
}


class Sender:
    """Sends one copy; `failed` counts what could not be sent, and what was not taken."""

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        *,
        recursive: bool = False,
        resume: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._recursive = recursive
        self._resume = resume
        self._watch = watch or Watch()
        self._number = 0
        self._above: list[int] = []  # numbers of the directories that are being sent
        self._refused: set[int] = set()  # of these, and of the file at hand
        self._have: r.Have | None = None
        self._is_done = False
        self._is_deaf = False  # the receiver says nothing more
        self.failed = 0
        writer.listen_to(reader.descriptor, self._listen)

    def send(self, place: Place) -> None:
        """Send what stands at a place, and wait until the receiver has it all. Raises `ConnectionLost`."""
        self._entry(place.folder, place.name, (), place)
        self._finish()

    def send_stream(self, descriptor: int) -> None:
        """Send what a descriptor gives, to its end."""
        self._number += 1
        self._watch.begin((), None)
        self._writer.put(r.File(b"", _MODE, None, 0, 0, 0, r.Ask.GO))
        if self._answer() is not None:
            self._writer.put(r.From(0))
            try:
                self._send_unknown(descriptor, b"")
            except OSError as error:
                self._fail((), reason(error))
                self._writer.put(r.Broken(reason(error)))
        self._finish()

    def _finish(self) -> None:
        self._writer.put(r.Finish())
        self._writer.flush()
        while not self._is_done:
            if self._is_deaf:
                raise ConnectionLost("the copy was interrupted")
            self._hear()

    # --- entries ------------------------------------------------------------------------------

    def _entry(self, folder: int, name: bytes, path: Path, place: Place) -> None:
        try:
            if place.may is not None and not place.may(path):
                raise PermissionError(errno.EACCES, "the rule does not allow it")
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode):
                self._file(folder, name, path)
            elif stat.S_ISDIR(mode):
                self._directory(folder, name, path, place)
            else:
                raise OSError(
                    errno.EINVAL, _SPECIAL.get(stat.S_IFMT(mode), "is a device, not a regular file")
                )
        except OSError as error:
            self._skip(path, reason(error))

    def _skip(self, path: Path, message: str) -> None:
        """Tell that an entry is not sent."""
        self._number += 1
        self._fail(path, message)
        self._writer.put(r.Skipped(path[-1] if path else b"", message))

    def _fail(self, path: Path, message: str) -> None:
        self.failed += 1
        self._watch.failed(path, message)

    def _directory(self, folder: int, name: bytes, path: Path, place: Place) -> None:
        if not self._recursive:
            raise IsADirectoryError(errno.EISDIR, "is a directory (-r copies it)")
        if len(path) >= COPY_DEPTH:
            raise OSError(errno.ELOOP, f"more than {COPY_DEPTH} directories in one another")
        inside = os.open(name, _HOW | os.O_DIRECTORY, dir_fd=folder)
        try:
            status = os.fstat(inside)
            names = sorted(map(os.fsencode, os.listdir(inside)))
            self._number += 1
            self._above.append(self._number)
            label = path[-1] if path else b""
            mode, times = stat.S_IMODE(status.st_mode), _times(status)
            self._writer.put(r.Directory(label, mode, *times))
            for entry in names:
                if self._refused.intersection(self._above):
                    break
                self._entry(inside, entry, (*path, entry), place)
            self._writer.put(r.Up())
            self._refused.discard(self._above.pop())
        finally:
            os.close(inside)

    def _file(self, folder: int, name: bytes, path: Path) -> None:
        if name and len(name) > COPY_NAME_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        file = os.open(name, _HOW, dir_fd=folder)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            first = os.read(file, COPY_BUFFER) if not status.st_size else b""  # /proc says 0 and gives more
            size = None if first else status.st_size
            self._number += 1
            self._watch.begin(path, size)
            self._writer.put(
                r.File(
                    path[-1] if path else b"",
                    stat.S_IMODE(status.st_mode),
                    size,
                    status.st_blocks * STORED,
                    *_times(status),
                    self._ask(size),
                )
            )
            self._content(file, status, first, path)
        finally:
            os.close(file)

    def _ask(self, size: int | None) -> r.Ask:
        if size is None or size < COPY_KEEP:
            return r.Ask.NO
        if self._resume:
            return r.Ask.RESUME
        return r.Ask.GO if size >= COPY_ASK else r.Ask.NO

    # --- bytes --------------------------------------------------------------------------------

    def _content(self, file: int, status: os.stat_result, first: bytes, path: Path) -> None:
        """Send the bytes of a file, or break it off."""
        size = status.st_size
        try:
            if first:
                self._send_unknown(file, first)
                return
            start, digest = 0, hashlib.sha256()
            if self._ask(size) is not r.Ask.NO:
                have = self._answer()
                if have is None:
                    return
                start, digest = _compare(file, have, size)
                self._writer.put(r.From(start))
                self._watch.moved(start)
            if not self._send_known(file, start, status, digest):
                return
            grew = _has_grown(file, status)
        except OSError as error:
            self._fail(path, reason(error))
            self._writer.put(r.Broken(reason(error)))
            return
        self._writer.put(r.End(size, digest.digest(), grew))
        self._watch.end()
        if grew:
            self._watch.grew(path, size)

    def _send_known(self, file: int, start: int, status: os.stat_result, digest: hashlib._Hash) -> bool:
        """Send a file of known size; False where the receiver wants no more of it."""
        for is_hole, length in stretches(file, status, start, status.st_size):
            if is_hole:
                self._writer.put(r.Hole(length))
                add_hole(digest, length)
                self._watch.moved(length)
                continue
            left = length
            while left:
                piece = self._writer.data(file, left)
                if not piece:
                    raise OSError(errno.EIO, "shrank while it was read")
                digest.update(piece)
                left -= len(piece)
                self._watch.moved(len(piece))
                if self._refused and self._is_refused():
                    return False
        return True

    def _send_unknown(self, source: int, first: bytes) -> None:
        """Send what comes until it ends; a terminal or a pipe may let us wait."""
        digest = hashlib.sha256(first)
        size = len(first)
        if first:
            self._writer.piece(memoryview(first))
        while True:
            if self._is_refused():
                return
            try:
                piece = self._writer.data(source, COPY_BUFFER) if self._has_input(source) else None
            except BlockingIOError:
                continue
            if piece is None:
                continue
            if not piece:
                break
            digest.update(piece)
            size += len(piece)
            self._watch.moved(len(piece))
        self._writer.put(r.End(size, digest.digest()))
        self._watch.end()

    def _has_input(self, source: int) -> bool:
        """Wait for input, or for an answer; what is gathered goes before we wait."""
        poll = select.poll()
        poll.register(source, select.POLLIN)
        if poll.poll(0):
            return True
        self._writer.flush()
        if not self._is_deaf:
            poll.register(self._reader.descriptor, select.POLLIN)
        ready = dict(poll.poll())
        if self._reader.descriptor in ready and not self._listen():
            raise ConnectionLost("the copy was interrupted")
        return source in ready

    # --- what the receiver says ---------------------------------------------------------------

    def _answer(self) -> r.Have | None:
        """Wait for the receiver's word about the file at hand; None: it is broken off."""
        self._have = None
        self._writer.flush()
        while self._have is None:
            if self._is_refused():
                return None
            if self._is_deaf:  # a rule that takes no input: nobody can answer
                return r.Have()
            self._hear()
        return self._have

    def _is_refused(self) -> bool:
        """Tell whether the receiver does not want the file at hand; it then hears that no more comes."""
        if not self._refused.intersection((self._number, *self._above)):
            return False
        self._refused.discard(self._number)
        self._writer.put(r.Broken(""))
        return True

    def _listen(self) -> bool:
        """Take what the receiver has said by now; False once it says nothing more."""
        while not self._is_deaf and self._reader.is_ready:
            self._hear()
        return not self._is_deaf

    def _hear(self) -> None:
        """Take one answer. Raises `RemoteProtocolError`."""
        answer = self._reader.next()
        match answer:
            case None:
                self._is_deaf = True
            case r.Have():
                self._have = answer
            case r.Refused():
                self.failed += 1
                self._watch.refused(answer.path, answer.message)
                if answer.number in (self._number, self._number + 1, *self._above):  # it may be ahead by one
                    self._refused.add(answer.number)
            case r.Done():
                self._is_done = True
            case _:
                kind = "data" if isinstance(answer, memoryview) else type(answer).__name__
                raise RemoteProtocolError(f"{kind} where an answer was due")


def _times(status: os.stat_result) -> tuple[int, int]:
    return r.as_time(status.st_atime_ns), r.as_time(status.st_mtime_ns)


def _compare(file: int, have: r.Have, size: int) -> tuple[int, hashlib._Hash]:
    """Return where to go on, and the digest up to there: behind what the receiver has, if it is the same."""
    if 0 < have.size <= size:
        digest = digest_of(file, have.size)
        if digest is not None and digest.digest() == have.digest:
            return have.size, digest
    return 0, hashlib.sha256()


def _has_grown(file: int, before: os.stat_result) -> bool:
    """Tell whether a file that was read whole is longer by now; raises `OSError` where it is another."""
    now = os.fstat(file)
    if now.st_size > before.st_size:
        return True
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise OSError(errno.EIO, "changed while it was read")
    return False

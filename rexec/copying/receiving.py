"""The receiving end: a stream of records becomes one file or one tree, at the place that was chosen here.

The sender is not trusted. It says names only for what lies inside the tree, one component each; every
directory is entered by its descriptor and no link is followed on the way; what it sends out of turn, or
in other sizes than it said, ends the copy. What the disk does not take is told back, and the rest goes on.
"""

from __future__ import annotations

import errno
import os

from rexec.copying import records as r
from rexec.copying.landing import Landing
from rexec.copying.place import reason
from rexec.copying.watching import Watch
from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.limits import COPY_DEPTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.copying.landing import Terms
    from rexec.copying.place import Place
    from rexec.copying.stream import Reader, Writer
    from rexec.copying.watching import Path

_INTO = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WORKING = 0o700  # mode of a directory as long as it is not complete


class _Level:
    """A directory that is being filled; `folder` is -1 in one that was refused."""

    __slots__ = ("folder", "is_new", "name", "record")

    def __init__(self, folder: int, name: bytes, record: r.Directory, *, is_new: bool) -> None:
        self.folder = folder
        self.is_new = is_new
        self.name = name
        self.record = record


class _Arriving:
    """The file at hand; without a landing it is dropped as it comes."""

    __slots__ = ("is_asked", "is_told", "landing", "left", "name", "number", "received")

    def __init__(self, number: int, name: bytes, file: r.File) -> None:
        self.number = number
        self.name = name
        self.left = file.size
        self.received = 0  # bytes of it that were accounted for, a part that was there included
        self.is_asked = file.ask is not r.Ask.NO
        self.is_told = False  # that it is refused
        self.landing: Landing | None = None


class Receiver:
    """Receives one copy; `files` and `failed` count what became of its entries."""

    def __init__(
        self, reader: Reader, writer: Writer, place: Place, terms: Terms, watch: Watch | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._place = place
        self._terms = terms
        self._watch = watch or Watch()
        self._levels: list[_Level] = []
        self._file: _Arriving | None = None
        self._number = 0
        self._has_top = False
        self.files = 0
        self.failed = 0

    def run(self) -> None:
        """Receive all of it. Raises `RemoteProtocolError`, and `ConnectionLost` where it ends too early."""
        try:
            while True:
                found = self._reader.next()
                if found is None:
                    raise ConnectionLost("the copy was interrupted")
                if isinstance(found, memoryview):
                    self._take_data(found)
                elif isinstance(found, r.Finish):
                    break
                else:
                    self._take(found)
            if self._file is not None or self._levels:
                raise RemoteProtocolError("the copy ends in the middle")
            self._writer.answer(r.Done(self.files, self.failed))
        finally:
            self._close()

    def _close(self) -> None:
        if self._file is not None and self._file.landing is not None:
            self._file.landing.leave()
        for level in self._levels:
            if level.folder >= 0:
                os.close(level.folder)
        self._levels.clear()

    def _take(self, record: r.Told) -> None:
        match record:
            case r.File() | r.Directory() | r.Skipped() if self._file is None:
                self._entry(record)
            case r.Up() if self._file is None and self._levels:
                self._leave()
            case r.From() if self._file is not None and self._file.is_asked:
                self._begin_at(self._file, record.offset)
            case r.Hole() if self._file is not None:
                self._take_hole(self._file, record.size)
            case r.End() if self._file is not None:
                self._end(self._file, record)
            case r.Broken() if self._file is not None:
                self._break(self._file, record.message)
            case _:
                raise RemoteProtocolError(f"{type(record).__name__} out of turn")

    # --- entries ------------------------------------------------------------------------------

    def _entry(self, record: r.File | r.Directory | r.Skipped) -> None:
        """Judge the name of an entry, and begin with it."""
        if self._levels:
            r.check_name(record.name)
        elif record.name or self._has_top:
            raise RemoteProtocolError("more than one entry at the top, or one with a name")
        self._has_top = True
        self._number += 1
        name = record.name if self._levels else self._place.name
        match record:
            case r.Skipped():
                self.failed += 1
                self._watch.failed(self._path(record.name), record.message)
            case r.Directory():
                self._enter(name, record)
            case r.File():
                self._begin(name, record)

    def _enter(self, name: bytes, record: r.Directory) -> None:
        if not self._terms.recursive:
            raise RemoteProtocolError("a directory, where a file was asked for")
        if len(self._levels) >= COPY_DEPTH:
            raise RemoteProtocolError(f"more than {COPY_DEPTH} directories in one another")
        folder, is_new = -1, False
        if not self._is_dropping:
            try:
                self._be_allowed(record.name)
                folder, is_new = self._open(name)
            except OSError as error:
                self._refuse(self._number, record.name, reason(error))
        self._levels.append(_Level(folder, name, record, is_new=is_new))

    def _open(self, name: bytes) -> tuple[int, bool]:
        """Make a directory, or take one that is there; return its descriptor, and whether it is new."""
        above = self._folder
        is_new = True
        try:
            os.mkdir(name, _WORKING, dir_fd=above)
        except FileExistsError:
            if self._terms.new:
                raise
            is_new = False
        return os.open(name, _INTO, dir_fd=above), is_new

    def _leave(self) -> None:
        level = self._levels[-1]
        if level.folder >= 0:
            try:
                self._finish(level)
            except OSError as error:
                self.failed += 1
                self._watch.failed(self._path(), reason(error))
            os.close(level.folder)
        self._levels.pop()

    def _finish(self, level: _Level) -> None:
        """Give a directory its mode and times, now that nothing more comes into it."""
        if level.is_new:
            try:
                os.fchmod(level.folder, self._terms.mode(level.record.mode))
            except PermissionError:
                pass  # its disk knows no modes
        if self._terms.times:
            times = r.from_time(level.record.accessed), r.from_time(level.record.modified)
            os.utime(level.folder, ns=times)

    def _begin(self, name: bytes, record: r.File) -> None:
        self._file = file = _Arriving(self._number, record.name, record)
        self._watch.begin(self._path(record.name), record.size)
        if self._is_dropping:
            file.is_told = True  # with the directory
        else:
            try:
                self._be_allowed(record.name)
                file.landing = Landing(self._folder, name, record, self._terms)
            except OSError as error:
                self._refuse_file(file, error)
        if file.is_asked and file.landing is not None:
            there = file.landing.offset
            self._writer.answer(r.Have(there, file.landing.digest) if there else r.Have())

    def _be_allowed(self, name: bytes) -> None:
        if self._place.may is not None and not self._place.may(self._path(name)):
            raise PermissionError(errno.EACCES, "the rule does not allow it")

    # --- a file -------------------------------------------------------------------------------

    def _begin_at(self, file: _Arriving, offset: int) -> None:
        file.is_asked = False
        landing = file.landing
        if file.received or landing is None or offset not in (0, landing.offset):
            raise RemoteProtocolError("bytes from where nobody asked for")
        try:
            landing.begin_at(offset)
        except OSError as error:
            self._refuse_file(file, error)
        self._account(file, offset)
        self._watch.moved(offset)

    def _take_data(self, piece: memoryview) -> None:
        file = self._file
        if file is None:
            raise RemoteProtocolError("data that belong to no file")
        self._account(file, len(piece))
        if file.landing is not None:
            try:
                file.landing.write(piece)
            except OSError as error:
                self._refuse_file(file, error)
        self._watch.moved(len(piece))

    def _take_hole(self, file: _Arriving, size: int) -> None:
        self._account(file, size)
        if file.landing is not None:
            try:
                file.landing.skip(size)
            except OSError as error:
                self._refuse_file(file, error)
        self._watch.moved(size)

    def _account(self, file: _Arriving, count: int) -> None:
        """Count bytes against what the sender said. Raises `RemoteProtocolError`."""
        if file.is_asked:
            raise RemoteProtocolError("data before an answer")
        file.received += count
        if file.left is not None:
            file.left -= count
            if file.left < 0:
                raise RemoteProtocolError("more data than the size of the file")

    def _end(self, file: _Arriving, record: r.End) -> None:
        if file.left or record.size != file.received or file.is_asked:
            raise RemoteProtocolError("less data than the size of the file")
        self._file = None
        landing = file.landing
        if landing is None:
            return
        try:
            if landing.digest != record.digest:
                raise OSError(errno.EIO, "the checksum is another one: it did not arrive as it was sent")
            landing.finish()
        except OSError as error:
            landing.drop()
            self._refuse(file.number, file.name, reason(error))
            return
        self.files += 1
        self._watch.end()
        if record.grew:
            self._watch.grew(self._path(file.name), record.size)

    def _break(self, file: _Arriving, message: str) -> None:
        """Give up a file that the sender gives up."""
        self._file = None
        if file.landing is not None:
            file.landing.drop()
        if not file.is_told:
            self.failed += 1
            self._watch.failed(self._path(file.name), message)

    # --- what is not taken --------------------------------------------------------------------

    def _refuse_file(self, file: _Arriving, error: OSError) -> None:
        if file.landing is not None:
            file.landing.drop()
            file.landing = None
        file.is_told = True
        self._refuse(file.number, file.name, reason(error))

    def _refuse(self, number: int, name: bytes, message: str) -> None:
        self.failed += 1
        path = self._path(name)
        self._watch.failed(path, message)
        self._writer.answer(r.Refused(number, path, message))

    @property
    def _is_dropping(self) -> bool:
        return bool(self._levels) and self._levels[-1].folder < 0

    @property
    def _folder(self) -> int:
        return self._levels[-1].folder if self._levels else self._place.folder

    def _path(self, name: bytes = b"") -> Path:
        """Return where something is below the top: an entry of the directory at hand, or that itself."""
        path = tuple(level.name for level in self._levels[1:])
        return (*path, name) if name else path

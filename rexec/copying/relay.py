"""A copy from one host to another: records pass through here, and both hosts' words are heard."""

from __future__ import annotations

import threading

from rexec.copying import records as r
from rexec.errors import ConnectionLost, RemoteProtocolError, RexecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.copying.stream import Reader, Writer
    from rexec.copying.watching import Watch

_FROM_RECEIVER = (r.Have, r.Refused, r.Done)


class Relay:
    """Passes one copy on; each side is a reader and a writer."""

    def __init__(self, source: tuple[Reader, Writer], target: tuple[Reader, Writer], watch: Watch) -> None:
        self._source = source
        self._target = target
        self._watch = watch
        self._path: list[bytes] = []  # directories below the top; the first is the top itself
        self._error: RexecError | None = None

    def run(self) -> None:
        """Pass it on to its end. Raises `RemoteProtocolError` and `ConnectionLost`."""
        back = threading.Thread(target=self._answer, daemon=True)
        back.start()
        self._forward(self._source[0], self._target[1])
        back.join()
        if self._error is not None:
            raise self._error

    def _forward(self, reader: Reader, writer: Writer) -> None:
        while True:
            found = reader.next()
            if found is None:
                raise ConnectionLost("the copy was interrupted")
            if isinstance(found, memoryview):
                writer.piece(found)
                self._watch.moved(len(found))
            elif isinstance(found, _FROM_RECEIVER):
                raise RemoteProtocolError(f"{type(found).__name__} out of turn")
            else:
                writer.put(found)
                self._hear(found)
            if isinstance(found, r.Finish) or not reader.is_ready:
                writer.flush()
            if isinstance(found, r.Finish):
                return

    def _hear(self, record: r.Told) -> None:
        """Tell the person here what the sender says."""
        match record:
            case r.Directory():
                self._path.append(record.name)
            case r.Up():
                del self._path[-1:]
            case r.File():
                self._path.append(record.name)
                self._watch.begin(self._below(), record.size)
            case r.Hole():
                self._watch.moved(record.size)
            case r.From():
                self._watch.moved(record.offset)
            case r.End():
                self._watch.end()
                if record.grew:
                    self._watch.grew(self._below(), record.size)
                del self._path[-1:]
            case r.Broken():
                if record.message:
                    self._watch.failed(self._below(), record.message)
                del self._path[-1:]
            case r.Skipped():
                self._watch.failed((*self._below(), record.name) if record.name else (), record.message)
            case _:
                pass

    def _below(self) -> tuple[bytes, ...]:
        return tuple(self._path[1:])

    def _answer(self) -> None:
        """Pass on what the receiver says."""
        reader, writer = self._target[0], self._source[1]
        try:
            while (found := reader.next()) is not None:
                if not isinstance(found, _FROM_RECEIVER):
                    raise RemoteProtocolError("no answer where one was due")
                if isinstance(found, r.Refused):
                    self._watch.refused(found.path, found.message)
                writer.put(found)
                writer.flush()
                if isinstance(found, r.Done):
                    return
            raise ConnectionLost("the copy was interrupted")
        except RexecError as error:
            self._error = error

"""One file to a descriptor as it comes, such as stdout: there is no name, no mode, and no way back."""

from __future__ import annotations

import hashlib
import os
import select

from rexec.copying import records as r
from rexec.copying.holes import add_hole
from rexec.errors import ConnectionLost, RemoteProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.copying.stream import Reader, Writer
    from rexec.copying.watching import Watch

_ZEROS = memoryview(bytes(65_536))
_LOOK = 200  # milliseconds that a reader may take before somebody is asked whether to wait on


def receive_into(descriptor: int, reader: Reader, writer: Writer, watch: Watch) -> bool:
    """Receive one file into a descriptor, such as stdout; return whether it was whole.

    What is wrong with it is known only when all of it is written.
    """
    digest = hashlib.sha256()
    file: r.File | None = None
    size = 0
    whole = False
    while True:
        found = reader.next()
        if found is None:
            raise ConnectionLost("the copy was interrupted")
        match found:
            case memoryview() if file is not None:
                digest.update(found)
                size += len(found)
                write_all(descriptor, found, watch)
            case r.Hole() if file is not None:
                size += found.size
                add_hole(digest, found.size)
                write_zeros(descriptor, found.size, watch)
            case r.File() if file is None and not found.name and not size:
                file = found
                watch.begin((), found.size)
                if found.ask is not r.Ask.NO:
                    writer.answer(r.Have())
            case r.From(offset=0) if file is not None and not size:
                pass
            case r.End() if file is not None:
                whole = found.size == size and found.digest == digest.digest()
                if not whole:
                    watch.failed((), "the checksum is another one: it did not arrive as it was sent")
                else:
                    watch.end()
                file = None
            case r.Broken() | r.Skipped():
                watch.failed((), found.message)
                file = None
            case r.Finish() if file is None:
                writer.answer(r.Done(int(whole), int(not whole)))
                return whole
            case _:
                raise RemoteProtocolError(f"{type(found).__name__} out of turn")


def write_all(descriptor: int, piece: memoryview, watch: Watch) -> None:
    """Write to a descriptor that may be non-blocking; who watches is asked in between to go on."""
    while piece:
        try:
            count = os.write(descriptor, piece)
            piece = piece[count:]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll(_LOOK)
            count = 0
        watch.moved(count)


def write_zeros(descriptor: int, size: int, watch: Watch) -> None:
    while size:
        piece = _ZEROS[: min(size, len(_ZEROS))]
        write_all(descriptor, piece, watch)
        size -= len(piece)

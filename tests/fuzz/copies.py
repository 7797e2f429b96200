"""Any bytes as a copy to receive, and as what a receiver answers: nothing is written beside its place."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rexec.copying import records as r
from rexec.copying.landing import Terms
from rexec.copying.place import Place
from rexec.copying.receiving import Receiver
from rexec.copying.sending import Sender
from rexec.copying.stream import Reader, Writer
from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.protocol.wire import Record

_FILE = (0o644, 1, 1, 0, 0)
_TOP = r.Directory(b"", 0o755, 0, 0)
_END = r.End(1, hashlib.sha256(b"x").digest())
_MOST = 4_096  # bytes of a sample: they fit into a pipe


def _bytes(*records: r.Told | bytes) -> bytes:
    found = b""
    for record in records:
        code, payload = (r.DATA, record) if isinstance(record, bytes) else (record.code, record.encode())
        found += r.HEADER.pack(code, len(payload)) + payload
    return found


SEEDS = (
    _bytes(r.File(b"", *_FILE, r.Ask.NO), b"x", _END, r.Finish()),
    _bytes(_TOP, r.File(b"a", *_FILE, r.Ask.RESUME), r.From(0), b"x", _END, r.Up(), r.Finish()),
    _bytes(_TOP, r.Directory(b"d", 0o700, 1, 1), r.Skipped(b"s", "why"), r.Up(), r.Up(), r.Finish()),
    _bytes(r.File(b"", *_FILE, r.Ask.NO), r.Hole(1), r.Broken("why"), r.Finish()),
    _bytes(r.Have(1, b"y" * 32), r.Refused(1, (b"a",), "why"), r.Done(1, 0)),
)
WORDS = (b"..", b"/", b"\0", b"canary", *(r.HEADER.pack(code, 0) for code in r.RECORDS))


def try_it(data: bytes) -> None:
    """Receive the bytes, then take them for answers."""
    data = data[:_MOST]
    for kind in r.RECORDS.values():
        _reread(kind, data)
    with TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        room = Path(name)
        (room / "canary").write_bytes(b"canary")
        place = Place(os.open(room, os.O_RDONLY), b"to")
        try:
            _end(data, lambda reader, writer: _receive(reader, writer, place))
            _end(data, lambda reader, writer: Sender(reader, writer, resume=True).send(_canary(place)))
        finally:
            os.close(place.folder)
        beside = {found for found in os.listdir(room) if not found.startswith(".to.rexec-")}  # cut off
        assert beside <= {"canary", "to"}, beside
        assert (room / "canary").read_bytes() == b"canary"
        shutil.rmtree(room / "to", ignore_errors=True)


def _canary(place: Place) -> Place:
    return Place(place.folder, b"canary")


def _receive(reader: Reader, writer: Writer, place: Place) -> None:
    Receiver(reader, writer, place, Terms(0o022, recursive=True)).run()


def _reread(kind: type[Record], data: bytes) -> None:
    try:
        found = kind.decode(data)
    except RemoteProtocolError:
        return
    assert found.encode() == data, found


def _end(data: bytes, work: Callable[[Reader, Writer], None]) -> None:
    """Be an end of a copy that hears these bytes, and whose own go nowhere."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    nowhere = os.open("/dev/null", os.O_WRONLY)
    try:
        work(Reader(reading), Writer(nowhere))
    except (RemoteProtocolError, ConnectionLost):
        pass
    finally:
        os.close(reading)
        os.close(nowhere)

"""Both ends of a copy in one process, joined by pipes: the sender in a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from rexec.copying.landing import Terms
from rexec.copying.place import Place
from rexec.copying.receiving import Receiver
from rexec.copying.records import HEADER, Told
from rexec.copying.sending import Sender
from rexec.copying.stream import Reader, Writer
from rexec.copying.watching import Watch

PATIENCE = 30


class Notes(Watch):
    """Notes all that it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[bytes, ...]] = []
        self.bytes = 0
        self.ends = 0
        self.failures: list[tuple[bytes, str]] = []
        self.grown: list[bytes] = []

    def begin(self, path: tuple[bytes, ...], size: int | None) -> None:
        self.begun.append(path)

    def moved(self, count: int) -> None:
        self.bytes += count

    def end(self) -> None:
        self.ends += 1

    def failed(self, path: tuple[bytes, ...], message: str) -> None:
        self.failures.append((b"/".join(path), message))

    def grew(self, path: tuple[bytes, ...], size: int) -> None:
        self.grown.append(b"/".join(path))


class Joint:
    """Two pipes: what is said on one side is heard on the other."""

    def __init__(self) -> None:
        self.out_of_sender, self.into_receiver = os.pipe()[::-1]
        self.into_sender, self.out_of_receiver = os.pipe()
        self._left = {self.out_of_sender, self.into_receiver, self.into_sender, self.out_of_receiver}

    def close(self, *which: int) -> None:
        for descriptor in which or tuple(self._left):
            if descriptor in self._left:
                self._left.discard(descriptor)
                os.close(descriptor)


def place_of(path: Path, may: Callable[[tuple[bytes, ...]], bool] | None = None) -> Place:
    """The place that a path names; its directory stays open as long as the test process."""
    return Place(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY), os.fsencode(path.name), may)


def copy(
    source: Path | int,
    target: Path,
    *,
    terms: Terms | None = None,
    recursive: bool = True,
    resume: bool = False,
    may: Callable[[tuple[bytes, ...]], bool] | None = None,
    may_write: Callable[[tuple[bytes, ...]], bool] | None = None,
) -> tuple[Notes, Notes]:
    """Copy with both ends; return what each of them was told."""
    joint, sent, received = Joint(), Notes(), Notes()
    errors: list[BaseException] = []

    def send() -> None:
        try:
            writer, reader = Writer(joint.out_of_sender), Reader(joint.into_sender)
            sender = Sender(reader, writer, recursive=recursive, resume=resume, watch=sent)
            if isinstance(source, int):
                sender.send_stream(source)
            else:
                sender.send(place_of(source, may))
            assert sender.failed == len(sent.failures)
        except BaseException as error:
            errors.append(error)
        finally:
            joint.close(joint.out_of_sender, joint.into_sender)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        receiver = Receiver(
            Reader(joint.into_receiver),
            Writer(joint.out_of_receiver),
            place_of(target, may_write),
            terms or Terms(0o022, recursive=True),
            received,
        )
        receiver.run()
        assert receiver.failed == len(received.failures)
        assert receiver.files == received.ends
    finally:
        joint.close(joint.into_receiver, joint.out_of_receiver)
        thread.join(PATIENCE)
        joint.close()
    if errors:
        raise errors[0]
    return sent, received


def encoded(records: Iterable[Told | bytes]) -> bytes:
    """Records, and data, as they stand in the stream."""
    found = b""
    for record in records:
        if isinstance(record, bytes):
            found += HEADER.pack(4, len(record)) + record
        else:
            payload = record.encode()
            found += HEADER.pack(record.code, len(payload)) + payload
    return found


def receive(stream: bytes, target: Path, terms: Terms | None = None) -> Notes:
    """Receive a stream that somebody made up; its answers go nowhere."""
    joint, notes = Joint(), Notes()
    feeder = threading.Thread(target=_feed, args=(joint, stream))
    feeder.start()
    drain = threading.Thread(target=_drain, args=(joint.into_sender,))
    drain.start()
    place = place_of(target)
    try:
        reader, writer = Reader(joint.into_receiver), Writer(joint.out_of_receiver)
        Receiver(reader, writer, place, terms or Terms(0o022, recursive=True), notes).run()
    finally:
        joint.close(joint.into_receiver, joint.out_of_receiver)
        feeder.join(PATIENCE)
        drain.join(PATIENCE)
        joint.close()
        os.close(place.folder)
    return notes


def _feed(joint: Joint, stream: bytes) -> None:
    try:
        while stream:
            stream = stream[os.write(joint.out_of_sender, stream) :]
    except BrokenPipeError:
        pass  # it had enough
    joint.close(joint.out_of_sender)


def _drain(descriptor: int) -> None:
    while os.read(descriptor, 65_536):
        pass

"""A sender that does as it likes: the receiver alone decides what is written, and where.

security.md, Copy: "a server that sends other names, `..`, absolute paths, links, set-uid bits, wrong sizes
(CVE-2019-6111 and kin): the client decides the names."
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexec.copying import records as r
from rexec.copying.landing import Terms
from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.limits import COPY_DATA_MAX, COPY_DEPTH, COPY_KEEP, COPY_RECORD_MAX
from tests.copying.ends import encoded, receive

TOP = r.Directory(b"", 0o755, 0, 0)


def file(name: bytes = b"", size: int | None = 1, mode: int = 0o644, ask: r.Ask = r.Ask.NO) -> r.File:
    return r.File(name, mode, size, 0, 0, 0, ask)


def end(data: bytes) -> r.End:
    return r.End(len(data), hashlib.sha256(data).digest())


WHOLE = (b"x", end(b"x"))
NAMES = [b"", b".", b"..", b"/etc/passwd", b"a/b", b"../up", b"a\0b", b"x" * 256]


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A directory in which all that is written has to stay below `to`."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "canary").write_text("canary")
    return tmp_path / "room"


def refused(stream: bytes, room: Path, match: str, terms: Terms | None = None) -> None:
    with pytest.raises(RemoteProtocolError, match=match):
        receive(stream, room / "to", terms)
    assert sorted(set(os.listdir(room)) - {"to"}) == ["canary"]
    assert (room / "canary").read_text() == "canary"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_name_of_a_file(room: Path, name: bytes) -> None:
    """CVE-2019-6111; "absolute paths", "`..`"."""
    refused(encoded([TOP, file(name), *WHOLE, r.Up(), r.Finish()]), room, "is no name of a file")
    refused(encoded([TOP, r.Directory(name, 0o755, 0, 0), r.Up()]), room, "is no name of a file")
    refused(encoded([TOP, r.Skipped(name, "why")]), room, "is no name of a file")
    assert os.listdir(room / "to") == []


def test_another_name_for_the_file_that_was_asked_for(room: Path) -> None:
    """ "a server that sends other names": `rexec-cp host:a .` must not write `.bashrc`."""
    refused(encoded([file(b".bashrc"), *WHOLE, r.Finish()]), room, "with a name")


def test_a_second_file_where_one_was_asked_for(room: Path) -> None:
    refused(encoded([file(), *WHOLE, file(), *WHOLE, r.Finish()]), room, "more than one entry")
    assert (room / "to").read_bytes() == b"x"


def test_a_directory_where_a_file_was_asked_for(room: Path) -> None:
    refused(encoded([TOP, r.Up(), r.Finish()]), room, "a directory, where a file", Terms(0o022))
    assert not (room / "to").exists()


def test_set_uid_bits_and_those_of_the_umask_are_not_taken(room: Path) -> None:
    """ "set-uid bits", and modes that are none."""
    tree = [r.Directory(b"", 0o7777, 0, 0), file(b"f", mode=0xFFFF), *WHOLE, r.Up(), r.Finish()]
    receive(encoded(tree), room / "to", Terms(0o022, recursive=True))
    assert stat.S_IMODE((room / "to").stat().st_mode) == 0o755
    assert stat.S_IMODE((room / "to" / "f").stat().st_mode) == 0o755


def test_a_link_that_was_there_before_is_not_followed(room: Path) -> None:
    """ "links": neither for a file nor for a directory, of the same stream or an earlier one."""
    (room / "to").mkdir()
    (room / "to" / "out").symlink_to("..")
    (room / "to" / "file").symlink_to("../canary")
    tree = [TOP, r.Directory(b"out", 0o700, 0, 0), file(b"canary"), *WHOLE, r.Up(), file(b"file"), *WHOLE]
    notes = receive(encoded([*tree, r.Up(), r.Finish()]), room / "to")
    assert notes.failures == [(b"out", "not a directory")]
    assert (room / "canary").read_text() == "canary"
    assert not (room / "to" / "file").is_symlink()


def test_more_or_less_data_than_the_size_that_was_said(room: Path) -> None:
    """ "wrong sizes"."""
    refused(encoded([file(size=1), b"xy"]), room, "more data than the size")
    refused(encoded([file(size=1), r.Hole(2)]), room, "more data than the size")
    refused(encoded([file(size=1), r.Hole(2**64 - 1)]), room, "more data than the size")
    refused(encoded([file(size=3), b"xy", end(b"xy")]), room, "less data than the size")
    refused(encoded([file(size=None), b"xy", end(b"xyz")]), room, "less data than the size")
    assert not (room / "to").exists()


def test_a_size_that_fits_no_disk_is_told_before_a_byte_is_written(room: Path) -> None:
    large = r.File(b"", 0o644, 2**63, 2**63, 0, 0, r.Ask.GO)
    notes = receive(encoded([large, r.Broken(""), r.Finish()]), room / "to")
    assert notes.failures == [(b"", "no space left on device")]
    assert os.listdir(room) == ["canary"]


def test_a_hole_that_fits_no_file_is_told(room: Path) -> None:
    tree = [file(size=None), r.Hole(2**62), r.End(2**62, b"?" * 32), r.Finish()]
    notes = receive(encoded(tree), room / "to")
    assert notes.failures[0][1] in ("file too large", "invalid argument")
    assert os.listdir(room) == ["canary"]


def test_another_checksum_leaves_no_file(room: Path) -> None:
    notes = receive(encoded([file(), b"x", end(b"y"), r.Finish()]), room / "to")
    assert notes.failures == [(b"", "the checksum is another one: it did not arrive as it was sent")]
    assert os.listdir(room) == ["canary"]


def test_directories_without_end(room: Path) -> None:
    tree = [TOP, *[r.Directory(b"d", 0o755, 0, 0)] * COPY_DEPTH]
    refused(encoded(tree), room, "directories in one another")


@pytest.mark.parametrize(
    "tail",
    [
        [r.Up()],
        [b"x"],
        [r.End(0, b"")],
        [r.Broken("")],
        [r.From(0)],
        [r.Hole(1)],
        [r.Have()],
        [r.Refused(1, (), "")],
        [r.Done(0, 0)],
        [TOP, r.Finish()],
        [file(), r.Finish()],
        [file(), file()],
        [file(), TOP],
        [file(), r.Up()],
        [file(), r.From(0)],
        [file(ask=r.Ask.GO), b"x"],
        [file(ask=r.Ask.GO), r.Hole(1)],
        [file(ask=r.Ask.GO), r.From(1)],
        [file(size=0, ask=r.Ask.GO), end(b"")],
    ],
)
def test_a_record_out_of_turn(room: Path, tail: list[r.Told | bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        receive(encoded(tail), room / "to")
    assert not (room / "to").is_file()
    assert (room / "canary").read_text() == "canary"


@pytest.mark.parametrize(
    "stream",
    [
        b"\x63\0\0\0\0",
        b"\0\0\0\0\0",
        r.HEADER.pack(1, COPY_RECORD_MAX + 1),
        r.HEADER.pack(3, 0xFFFFFFFF),
        encoded([file()]) + r.HEADER.pack(4, 0),
        encoded([file()]) + r.HEADER.pack(4, COPY_DATA_MAX + 1),
        r.HEADER.pack(2, 1) + b"x",
        r.HEADER.pack(3, 3) + b"xyz",
    ],
)
def test_lengths_are_judged_before_anything_is_read(room: Path, stream: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        receive(stream, room / "to")
    assert not (room / "to").exists()


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_stream_that_is_cut_leaves_no_half_file_under_the_name(room: Path, cut: int) -> None:
    stream = encoded([file(size=50), b"x" * 50, end(b"x" * 50)])[:cut]
    with pytest.raises(ConnectionLost):
        receive(stream, room / "to")
    assert os.listdir(room) == ["canary"]


def test_what_is_worth_keeping_of_a_cut_stream_has_a_name_of_its_own(room: Path) -> None:
    data = b"x" * COPY_KEEP
    with pytest.raises(ConnectionLost):
        receive(encoded([file(size=2 * COPY_KEEP), data]), room / "to")
    (kept,) = set(os.listdir(room)) - {"canary"}
    assert kept.startswith(".to.rexec-")
    assert (room / kept).read_bytes() == data
    assert stat.S_IMODE((room / kept).stat().st_mode) == 0o600


ASKS = tuple(r.Ask)
names = st.sampled_from([b"", b"a", b"b", b"..", b"canary", b"a/b"])
told = st.one_of(
    st.builds(r.Directory, names, st.integers(0, 0o7777), st.just(0), st.just(0)),
    st.just(r.Up()),
    st.builds(file, names, st.one_of(st.none(), st.integers(0, 3)), st.just(0o644), st.sampled_from(ASKS)),
    st.binary(min_size=1, max_size=3),
    st.builds(r.Hole, st.integers(0, 3)),
    st.builds(end, st.binary(max_size=3)),
    st.builds(r.Broken, st.text(max_size=3)),
    st.builds(r.Skipped, names, st.text(max_size=3)),
    st.builds(r.From, st.integers(0, 2)),
    st.just(r.Finish()),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(told, max_size=12), st.binary(max_size=6))
def test_no_stream_writes_beside_its_place(
    tmp_path_factory: pytest.TempPathFactory, stream: list[r.Told | bytes], rest: bytes
) -> None:
    room = tmp_path_factory.mktemp("room")
    (room / "canary").write_text("canary")
    try:
        receive(encoded(stream) + rest, room / "to")
    except (RemoteProtocolError, ConnectionLost):
        pass
    assert set(os.listdir(room)) <= {"canary", "to"}
    assert (room / "canary").read_text() == "canary"

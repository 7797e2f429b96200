"""Records: each type and its bytes, from one table both ways."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.choice import IntChoice
from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.limits import WORDS_MAX
from rexec.protocol import frames as f
from rexec.protocol.frames import FRAMES, Stream
from rexec.protocol.wire import Reader, Record, blob, flag, pairs, tail, text, texts, u8, u16, u32, u64, words
from tests.protocol.strategies import frames


class Byte(Record):
    value: u8


class Short(Record):
    value: u16


class Long(Record):
    value: u32


class Huge(Record):
    value: u64


class Flagged(Record):
    value: flag


class Texted(Record):
    value: text


class Blobbed(Record):
    value: blob


class Tailed(Record):
    first: u8
    value: tail = b""


class Listed(Record):
    value: words


class Named(Record):
    value: texts


class Paired(Record):
    value: pairs


class Streamed(Record):
    value: Stream


class Maybe(Record):
    value: text | None = None


class Nested(Record):
    first: Short
    second: Short | None = None


GOOD = [
    (Byte(0), "00"),
    (Byte(255), "ff"),
    (Short(0x0102), "0102"),
    (Long(0x01020304), "01020304"),
    (Huge(2**64 - 1), "ff" * 8),
    (Flagged(True), "01"),
    (Flagged(False), "00"),
    (Texted("aé\0"), "00000004 61c3a900"),
    (Texted(""), "00000000"),
    (Blobbed(b"\0\xff"), "00000002 00ff"),
    (Tailed(1, b"abc"), "01 616263"),
    (Tailed(1), "01"),
    (Listed(()), "00000000"),
    (Listed((b"", b"a b")), "00000002 00000000 00000003 612062"),
    (Named(("a", "é")), "00000002 00000001 61 00000002 c3a9"),
    (Paired(((b"A", b"1"),)), "00000001 00000001 41 00000001 31"),
    (Streamed(Stream.STDERR), "02"),
    (Maybe(None), "00"),
    (Maybe(""), "01 00000000"),
    (Nested(Short(1)), "0001 00"),
    (Nested(Short(1), Short(2)), "0001 01 0002"),
]


@pytest.mark.parametrize(("record", "bytes_"), GOOD, ids=repr)
def test_a_record_and_its_bytes_are_a_pair(record: Record, bytes_: str) -> None:
    assert record.encode() == bytes.fromhex(bytes_)
    assert type(record).decode(bytes.fromhex(bytes_)) == record


@pytest.mark.parametrize(("record", "bytes_"), GOOD, ids=repr)
def test_every_shorter_payload_is_refused(record: Record, bytes_: str) -> None:
    data = bytes.fromhex(bytes_)
    cuts = range(1) if isinstance(record, Tailed) else range(len(data))  # a tail may end anywhere
    for cut in cuts:
        with pytest.raises(RemoteProtocolError, match=r"runs past|longer than its frame"):
            type(record).decode(data[:cut])


@pytest.mark.parametrize(
    ("record", "bytes_"), [pair for pair in GOOD if not isinstance(pair[0], Tailed)], ids=repr
)
def test_bytes_left_over_are_refused(record: Record, bytes_: str) -> None:
    with pytest.raises(RemoteProtocolError, match="left over"):
        type(record).decode(bytes.fromhex(bytes_) + b"\0")


@pytest.mark.parametrize(
    ("kind", "bytes_", "why"),
    [
        (Flagged, "02", "flag is neither 0 nor 1"),
        (Maybe, "02", "flag is neither 0 nor 1"),
        (Texted, "00000001 ff", "not UTF-8"),
        (Texted, "00000003 eda080", "not UTF-8"),  # a surrogate
        (Texted, "00000002 c080", "not UTF-8"),  # NUL, spelled too long
        (Streamed, "03", "unknown stream 3"),
        (Blobbed, "ffffffff", "runs past"),
        (Listed, "ffffffff", "longer than its frame"),
        (Listed, "00000002 00000000", "longer than its frame"),
        (Paired, "00000001 00000000", "longer than its frame"),
        (Listed, "00000001 ffffffff", "runs past"),
    ],
)
def test_one_flaw_is_refused(kind: type[Record], bytes_: str, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        kind.decode(bytes.fromhex(bytes_))


def test_a_list_is_judged_before_it_is_read() -> None:
    """security.md, Protocol: deep or huge lists: judged before allocation."""
    too_many = struct.pack("!I", WORDS_MAX + 1) + bytes(4 * (WORDS_MAX + 1))
    reader = Reader(too_many)
    with pytest.raises(RemoteProtocolError, match="longer than its frame"):
        reader.count(4)
    assert reader.position == 4
    most = struct.pack("!I", WORDS_MAX) + bytes(4 * WORDS_MAX)
    assert Listed.decode(most).value == (b"",) * WORDS_MAX


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Byte(256), "Byte"),
        (Short(-1), "Short"),
        (Huge(2**64), "Huge"),
        (Streamed(300), "Streamed"),  # type: ignore[arg-type]
        (Texted("\udcff"), "surrogates not allowed"),
        (Named(("\udcff",)), "surrogates not allowed"),
        (Listed((b"",) * (WORDS_MAX + 1)), "at most"),
        (Named(("",) * (WORDS_MAX + 1)), "at most"),
        (Paired(((b"", b""),) * (WORDS_MAX + 1)), "at most"),
        (Nested(Short(2**16)), "Short"),
    ],
)
def test_what_has_no_place_on_the_wire_is_our_own_error(record: Record, why: str) -> None:
    """security.md, Around the allow list: 100,000 arguments: a clear error."""
    with pytest.raises(LocalProtocolError, match=why):
        record.encode()


def test_records_are_immutable() -> None:
    record = Nested(Short(1))
    with pytest.raises(AttributeError, match="immutable"):
        record.first = Short(2)  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del record.first
    with pytest.raises(AttributeError):
        record.other = 1  # type: ignore[attr-defined]
    assert not hasattr(record, "__dict__")


def test_records_are_values() -> None:
    assert Tailed(1, b"x") == Tailed(first=1, value=b"x") == Tailed(1, value=b"x")
    assert Tailed(1) != Tailed(2)
    assert Byte(1) != Maybe(None)
    assert Byte(1) != 1
    assert len({Tailed(1), Tailed(1), Tailed(2)}) == 2
    assert Tailed(1).replace(value=b"y") == Tailed(1, b"y")
    assert Tailed(1, b"y").values() == (1, b"y")
    match Tailed(1, b"z"):
        case Tailed(first, value):
            assert (first, value) == (1, b"z")


@pytest.mark.parametrize(
    ("arguments", "named", "why"),
    [
        ((), {}, "Tailed needs first|missing 1 required positional argument: 'first'"),
        ((1, b"", 3), {}, "takes 2 values, got 3|takes from 2 to 3 positional"),
        ((1,), {"first": 2}, "Tailed has no first|multiple values for argument 'first'"),
        ((1,), {"other": 2}, "Tailed has no other|unexpected keyword argument 'other'"),
    ],
    ids=["too few", "too many", "twice", "unknown"],
)
def test_a_constructor_takes_its_fields_and_nothing_else(
    arguments: tuple[object, ...], named: dict[str, object], why: str
) -> None:
    """Both constructors say so: ours, and the one that is written where a server was started here before."""
    with pytest.raises(TypeError, match=why):
        Tailed(*arguments, **named)  # type: ignore[arg-type]


def test_a_repr_is_short_and_one_line() -> None:
    """security.md, People's terminals: control characters, newlines, bidi marks: one record is one line."""
    exec_ = f.Exec(1, f.Form.ARGV, (b"x\n",) * 65, cwd=bytes(65))
    shown = repr(exec_)
    assert "words=<tuple of 65>" in shown
    assert "cwd=<bytes of 65>" in shown
    assert "form=ARGV" in shown
    assert repr(f.Refused("a\n\x1b\u202e")) == r"Refused(message='a\n\x1b\u202e')"
    assert repr(f.Refused("a" * 65)) == "Refused(message=<str of 65>)"


def test_an_enum_is_registered_under_its_name() -> None:
    from rexec.protocol.wire import CODECS, wire_enum

    @wire_enum
    class Coin(IntChoice):
        HEADS = 0

    try:
        write, read = CODECS["Coin"]
        assert write(Coin.HEADS) == b"\0"
        assert read(Reader(b"\0")) is Coin.HEADS
    finally:
        del CODECS["Coin"]


@given(frames())
@settings(max_examples=200)
def test_every_frame_comes_back_as_it_was(frame: f.Frame) -> None:
    assert type(frame).decode(frame.encode()) == frame


@given(st.sampled_from(sorted(FRAMES)), st.binary(max_size=80))
@settings(max_examples=200)
def test_any_payload_is_a_frame_with_the_same_bytes_or_an_error(code: int, payload: bytes) -> None:
    try:
        frame = FRAMES[code].decode(payload)
    except RemoteProtocolError:
        return
    assert frame.encode() == payload


@given(frames(), st.data())
@settings(max_examples=200)
def test_a_changed_payload_is_another_frame_or_an_error(frame: f.Frame, data: st.DataObject) -> None:
    payload = bytearray(frame.encode())
    if not payload:
        return
    where = data.draw(st.integers(0, len(payload) - 1))
    payload[where] ^= data.draw(st.integers(1, 255))
    try:
        other = type(frame).decode(bytes(payload))
    except RemoteProtocolError:
        return
    assert other != frame

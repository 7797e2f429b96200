"""Codecs that were written for their class do what those that go through its fields do."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.errors import LocalProtocolError, RemoteProtocolError
from rexec.protocol import frames as f
from rexec.protocol import wire
from rexec.protocol.codec import compile_codec, compile_codecs
from rexec.protocol.frames import FRAMES
from rexec.protocol.wire import CODECS, Record, RecordType
from rexec.server import orders
from rexec.server.orders import MESSAGES
from tests.protocol import strategies, test_wire
from tests.protocol.strategies import BY_ANNOTATION

KINDS = [
    kind
    for kind in (
        *FRAMES.values(),
        *MESSAGES.values(),
        *(orders.Bounds, orders.Recording, orders.Recorded, f.Pty),
        *dict.fromkeys(type(record) for record, _ in test_wire.GOOD),
    )
    if kind.names and not issubclass(kind, f.Data)
]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "compiler", None)


def twin(kind: type[Record]) -> type[Record]:
    """Return a class with the same fields, which nobody else uses."""
    kept = dict(CODECS)
    body = {"__annotations__": dict(kind.fields), "__module__": __name__, **kind.defaults}
    made = RecordType(kind.__name__, (Record,), body)
    CODECS.clear()
    CODECS.update(kept)
    assert issubclass(made, Record)
    return made


PAIRS = {kind: (twin(kind), twin(kind)) for kind in KINDS}
for _, _compiled in PAIRS.values():
    compile_codec(_compiled)


def values_of(kind: type[Record]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.tuples(*(_of(annotation) for _, annotation in kind.fields))


def _of(annotation: str) -> st.SearchStrategy[object]:
    if annotation.endswith(" | None"):
        return st.none() | _of(annotation.removesuffix(" | None"))
    known = {kind.__name__: kind for kind in KINDS}
    return BY_ANNOTATION[annotation] if annotation in BY_ANNOTATION else strategies.records(known[annotation])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_class_has_functions_of_its_own(kind: type[Record]) -> None:
    plain, compiled = PAIRS[kind]
    assert "encode" not in plain.__dict__
    assert {"__init__", "encode", "read", "decode", "values"} <= set(compiled.__dict__)


@given(st.sampled_from(KINDS), st.data())
def test_bytes_are_the_same(kind: type[Record], data: st.DataObject) -> None:
    values = data.draw(values_of(kind))
    plain, compiled = (twin_(*values) for twin_ in PAIRS[kind])
    encoded = compiled.encode()
    assert encoded == plain.encode()
    assert compiled.values() == plain.values() == values
    assert type(compiled).decode(encoded) == compiled


@given(st.sampled_from(KINDS), st.data())
def test_any_bytes_are_the_same_values_or_an_error_for_both(kind: type[Record], data: st.DataObject) -> None:
    payload = bytearray(PAIRS[kind][0](*data.draw(values_of(kind))).encode())
    for _ in range(data.draw(st.integers(0, 2))):
        where = data.draw(st.integers(0, len(payload)))
        payload[where : where + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    plain, compiled = (outcome(twin_, bytes(payload)) for twin_ in PAIRS[kind])
    assert compiled == plain


def outcome(kind: type[Record], payload: bytes) -> object:
    try:
        return kind.decode(payload).values()
    except RemoteProtocolError:
        return None


@pytest.mark.parametrize(("record", "bytes_"), test_wire.GOOD, ids=repr)
def test_every_shorter_and_every_longer_payload_is_refused(record: Record, bytes_: str) -> None:
    _, compiled = PAIRS[type(record)]
    data = bytes.fromhex(bytes_)
    assert compiled.decode(data).values() == record.values()
    if isinstance(record, test_wire.Tailed):
        return
    for cut in range(len(data)):
        with pytest.raises(RemoteProtocolError, match=r"runs past|longer than its frame"):
            compiled.decode(data[:cut])
    with pytest.raises(RemoteProtocolError, match="left over"):
        compiled.decode(data + b"\0")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (test_wire.Byte(256), "Byte"),
        (test_wire.Short(-1), "Short"),
        (test_wire.Huge(2**64), "Huge"),
        (test_wire.Streamed(300), "Streamed"),  # type: ignore[arg-type]
        (test_wire.Texted("\udcff"), "surrogates not allowed"),
        (test_wire.Nested(test_wire.Short(2**16)), "Short"),
    ],
)
def test_what_has_no_place_on_the_wire_is_our_own_error(record: Record, why: str) -> None:
    _, compiled = PAIRS[type(record)]
    with pytest.raises(LocalProtocolError, match=why):
        compiled(*record.values()).encode()


@pytest.mark.parametrize(
    ("kind", "bytes_", "why"),
    [
        (test_wire.Flagged, "02", "flag is neither 0 nor 1"),
        (test_wire.Maybe, "02", "flag is neither 0 nor 1"),
        (test_wire.Texted, "00000001 ff", "not UTF-8"),
        (test_wire.Streamed, "03", "unknown stream 3"),
        (test_wire.Blobbed, "ffffffff", "runs past"),
        (test_wire.Listed, "ffffffff", "longer than its frame"),
    ],
)
def test_one_flaw_is_refused(kind: type[Record], bytes_: str, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        PAIRS[kind][1].decode(bytes.fromhex(bytes_))


def test_a_class_is_compiled_when_it_is_used() -> None:
    made, other = twin(f.Exit), twin(f.Exit)
    compile_codecs()
    assert "encode" not in made.__dict__
    assert made.decode(other(f.Cause.EXITED).encode()) == made(f.Cause.EXITED)
    assert "encode" in made.__dict__
    assert "encode" in other.__dict__


def test_all_classes_are_compiled_at_once() -> None:
    script = (
        "from rexec.protocol import codec, frames, wire\nfrom rexec.server import orders\n"
        "codec.compile_all()\nassert wire.compiler is None\n"
        "every = (*frames.FRAMES.values(), *orders.MESSAGES.values(), orders.Bounds)\n"
        "kinds = [kind for kind in every if kind.names]\n"
        "assert all('encode' in k.__dict__ or issubclass(k, frames.Data) for k in kinds)\n"
        "assert frames.Stdout(b'x').encode() == b'x' and frames.Stdout.decode(b'x') == frames.Stdout(b'x')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_record_is_still_immutable() -> None:
    record = PAIRS[test_wire.Byte][1](1)
    with pytest.raises(AttributeError, match="immutable"):
        record.value = 2  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        PAIRS[test_wire.Byte][1](1, 2)
    with pytest.raises(TypeError):
        PAIRS[test_wire.Byte][1]()

"""Hypothesis strategies for every record, derived from the annotations of its fields."""

from __future__ import annotations

from hypothesis import strategies as st

from rexec.protocol import frames as f
from rexec.protocol.frames import FRAMES, Frame
from rexec.protocol.wire import Record

_blob = st.binary(max_size=24)
_text = st.text(max_size=12)

BY_ANNOTATION: dict[str, st.SearchStrategy[object]] = {
    "u8": st.integers(0, 2**8 - 1),
    "u16": st.integers(0, 2**16 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "u64": st.integers(0, 2**64 - 1),
    "flag": st.booleans(),
    "text": _text,
    "blob": _blob,
    "tail": _blob,
    "words": st.lists(_blob, max_size=6).map(tuple),
    "texts": st.lists(_text, max_size=6).map(tuple),
    "pairs": st.lists(st.tuples(_blob, _blob), max_size=6).map(tuple),
    **{enum.__name__: st.sampled_from(tuple(enum)) for enum in (f.Stream, f.Form, f.Cause, f.Farewell)},
}


def records(kind: type[Record]) -> st.SearchStrategy[Record]:
    """Return a strategy for all values of a record class."""
    return st.builds(kind, *(of_annotation(annotation) for _, annotation in kind.fields))


def of_annotation(annotation: str) -> st.SearchStrategy[object]:
    if annotation.endswith(" | None"):
        return st.none() | of_annotation(annotation.removesuffix(" | None"))
    if annotation == "Pty":
        return records(f.Pty)
    return BY_ANNOTATION[annotation]


def frames() -> st.SearchStrategy[Frame]:
    """Return a strategy for all frames of all types."""
    return st.one_of(*(records(kind) for kind in FRAMES.values()))

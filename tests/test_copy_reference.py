"""docs/reference/copy.md says what the code says: options, records with their fields, and an example."""

from __future__ import annotations

import hashlib
import re

import pytest

from rexec import limits
from rexec.cli import copyline
from rexec.copying import records as r
from rexec.copying.landing import _MARK, _RANDOM
from rexec.policy.decide import decide, plain_request
from rexec.policy.rules import Deny
from rexec.protocol import wire
from rexec.server import copies
from tests.copying.ends import encoded
from tests.policy.fakes import policy_of
from tests.test_reference import Row, tables
from tests.tree import ROOT, text_of

PAGE = text_of(ROOT / "docs" / "reference" / "copy.md")


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    return re.split(r"^#{2,3} ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def table(heading: str, number: int = 0) -> list[Row]:
    return tables(section(heading))[number][1:]


def test_every_option_is_described_as_the_help_does() -> None:
    assert [row[:2] for row in table("rexec-cp")] == [
        (f"{', '.join(names)} {value}".strip(), about) for names, _, value, _, about in copyline._ROWS
    ]


def test_every_option_of_the_words_is_described() -> None:
    known = [("@get", option) for option in copies._GET_OPTIONS]
    known += [("@put", option) for option in copies._PUT_OPTIONS]
    assert [row[:2] for row in table("Asking for a copy")] == known


def test_every_record_stands_in_the_table_and_no_other() -> None:
    found = [(str(code), kind.__name__) for code, kind in r.RECORDS.items()] + [(str(r.DATA), "Data")]
    assert [row[:2] for row in table("Records", 1)] == sorted(found, key=lambda row: int(row[0]))
    assert sum(int(row[0]) for row in table("Records")) == r.HEADER.size


@pytest.mark.parametrize("kind", r.RECORDS.values(), ids=lambda kind: kind.__name__)
def test_every_field_is_described_in_order(kind: type[wire.Record]) -> None:
    found = tables(section(f"{kind.code} {kind.__name__}"))  # type: ignore[attr-defined]
    assert [row[:2] for row in found[0][1:]] == list(kind.fields) if kind.fields else not found


def test_every_value_of_ask_is_described() -> None:
    rows = tables(PAGE.split("`Ask`:", 1)[1])[0][1:]
    assert [row[:2] for row in rows] == [(str(item.value), item.name) for item in r.Ask]


def test_the_numbers_are_those_of_the_code() -> None:
    assert (limits.COPY_ASK, limits.COPY_KEEP) == (16 * limits.MIB, limits.MIB)
    assert (limits.COPY_DATA_MAX, limits.COPY_RECORD_MAX) == (limits.MIB, 64 * limits.KIB)
    assert (limits.COPY_DEPTH, limits.COPY_NAME_MAX) == (128, 255)
    assert b"." + b"NAME" + _MARK + b"X" * 2 * _RANDOM == b".NAME.rexec-XXXXXX"


def test_the_example_is_what_is_sent() -> None:
    block = PAGE.split("```hex\n", 1)[1].split("```", 1)[0]
    said = bytes.fromhex("".join(line for line in block.splitlines() if line.startswith(" ")))
    time = 1_000_000_000_000_000_000
    file = r.File(b"", 0o644, 3, 4096, time, time, r.Ask.NO)
    end = r.End(3, hashlib.sha256(b"abc").digest())
    assert said == encoded([file, b"abc", end, r.Finish(), r.Done(1, 0)])


HOWTO = text_of(ROOT / "docs" / "howto" / "copy.md")


@pytest.mark.parametrize("text", re.findall(r"^```allow-list\n(.*?)^```$", HOWTO, re.MULTILINE | re.DOTALL))
def test_a_list_of_the_howto_is_read(text: str) -> None:
    assert policy_of(text).rules


def test_the_denial_of_the_howto_is_the_real_one() -> None:
    denied = decide(
        policy_of("@get {path:/var/log/** ro}\n"), plain_request("alice", ("@get", "/etc/shadow"))
    )
    assert isinstance(denied, Deny)
    assert f"rexec-cp: web1: denied: {denied.message}\n" in HOWTO

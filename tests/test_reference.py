"""docs/reference/protocol.md says what the code says: every table of it, and the bytes of its example."""

from __future__ import annotations

import hashlib
import re
from itertools import groupby
from typing import Any

import pytest

from rexec import limits
from rexec.auth import publickey, sshsig
from rexec.auth.blob import string
from rexec.auth.keys import ED25519, PublicKey
from rexec.auth.private import PrivateKey
from rexec.auth.proof import Context
from rexec.auth.transcript import CLIENT as SIGNER
from rexec.auth.transcript import CONTEXT, TLS_FINISHED, transcript
from rexec.choice import IntChoice
from rexec.protocol import frames as f
from rexec.protocol import wire
from rexec.protocol.buffer import HEADER
from rexec.protocol.connection import RESUME
from rexec.protocol.frames import FRAMES, Cause, Farewell, Form, Stream
from rexec.protocol.state import CHANNEL, HANDSHAKE, Role
from tests.protocol.samples import CLIENT, SERVER, Pair
from tests.tree import ROOT, text_of

PAGE = text_of(ROOT / "docs" / "reference" / "protocol.md")

Row = tuple[str, ...]


def tables(text: str) -> list[list[Row]]:
    """Return the tables of a piece of Markdown: rows of cells without their quotes, head first."""
    found = []
    for is_table, lines in groupby(text.splitlines(), key=lambda line: line.startswith("|")):
        if is_table:
            rows = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines]
            cells = [tuple(cell.strip().strip("`").replace("\\|", "|") for cell in row) for row in rows]
            found.append([cells[0], *cells[2:]])
    return found


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    return re.split(r"^#{2,3} ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def table(heading: str) -> list[Row]:
    """Return the first table under a heading, without its head."""
    return tables(section(heading))[0][1:]


def table_after(words: str) -> list[Row]:
    return tables(PAGE.split(words, 1)[1])[0][1:]


def block(name: str) -> str:
    return PAGE.split(f"```{name}\n", 1)[1].split("```", 1)[0]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def senders(kind: type[f.Frame]) -> str:
    return ", ".join(role.value for role in Role if any(row[1:] == (role, kind) for row in HANDSHAKE))


def test_every_frame_stands_in_the_table_and_no_other() -> None:
    assert tables(section("Frames"))[1][1:] == [
        (str(kind.code), kind.__name__, f"{kind.limit:,}", senders(kind)) for kind in FRAMES.values()
    ]


def test_the_header_is_as_long_as_it_says() -> None:
    assert sum(int(row[0]) for row in table("Frames")) == HEADER.size == limits.HEADER_SIZE


def test_every_frame_has_a_section_in_order() -> None:
    headings = re.findall(r"^### (\d+) (\w+)$", PAGE, flags=re.MULTILINE)
    assert headings == [(str(kind.code), kind.__name__) for kind in FRAMES.values()]


def default(record: type[wire.Record], field: str) -> str:
    """Return a field's default in the words of the page."""
    if field not in record.defaults:  # type: ignore[attr-defined]
        return ""
    value = record.defaults[field]  # type: ignore[attr-defined]
    if value is None:
        return "none"
    return "empty" if value in ("", b"", ()) and value is not False else str(int(value))


def described(record: type[wire.Record]) -> list[Row]:
    return [(name, annotation, default(record, name)) for name, annotation in record.fields]


@pytest.mark.parametrize("kind", FRAMES.values(), ids=lambda kind: kind.__name__)
def test_every_field_is_described_in_order(kind: type[f.Frame]) -> None:
    assert [row[:3] for row in table(f"{kind.code} {kind.__name__}")] == described(kind)


def test_the_record_of_a_terminal_is_described() -> None:
    assert [row[:3] for row in table_after("`Pty` (RFC 4254, 6.2):")] == described(f.Pty)


@pytest.mark.parametrize("enum", [Stream, Form, Cause, Farewell], ids=lambda enum: enum.__name__)
def test_every_value_of_every_enum_is_described(enum: type[IntChoice]) -> None:
    opening = "`Cause`, and what a client makes of it:" if enum is Cause else f"\n`{enum.__name__}`:\n"
    assert [row[:2] for row in table_after(opening)] == [(str(item.value), item.name) for item in enum]


def test_every_field_type_is_described() -> None:
    kinds: list[type[wire.Record]] = [*FRAMES.values(), f.Pty]
    annotations = {annotation for kind in kinds for _, annotation in kind.fields}
    records = {"Pty", "Stream", "Form", "Cause", "Farewell"}
    plain = {annotation.removesuffix(" | None") for annotation in annotations} - records
    names = [row[0] for row in table("Field types")]
    assert plain <= set(names) <= {*wire.CODECS, "X | None", "an enum", "a record"}


@pytest.mark.parametrize(("heading", "states"), [("The connection", HANDSHAKE), ("A channel", CHANNEL)])
def test_the_state_tables_are_the_ones_of_the_code(heading: str, states: dict[Any, Any]) -> None:
    rows = [
        (state, sender, frame, after)
        for state, sender, frames, after in table(heading)
        for frame in frames.split(", ")
    ]
    assert len(set(rows)) == len(rows)
    assert set(rows) == {
        (state.value, sender.value, kind.__name__, after.value)
        for (state, sender, kind), after in states.items()
    }


def test_every_limit_has_its_value() -> None:
    rows = table("Limits")
    assert [(name, number(value)) for name, value, _ in rows] == [
        (name, float(getattr(limits, name))) for name, _, _ in rows
    ]


def test_numbers_in_sentences_are_limits() -> None:
    """What has a thousands separator on the page is one of the numbers of the code."""
    known = {
        f"{value:,}" for name, value in vars(limits).items() if name.isupper() and isinstance(value, int)
    }
    assert set(re.findall(r"\b\d{1,3}(?:,\d{3})+\b", PAGE)) <= known


def test_the_features_are_those_of_the_code() -> None:
    assert [row[0] for row in table("Versions")] == [RESUME]


def test_a_body_and_a_transcript_have_their_fields_in_order() -> None:
    body, signed = tables(section("Authentication"))
    assert [row[0] for row in body[1:]] == ["kind", "dialled", "key", "signature"]
    assert [row[:2] for row in signed[1:]] == [
        *(("context", "blob"), ("role", "blob"), ("kind", "u8"), ("binding", "blob")),
        *(("spki", "blob"), ("hello", "blob"), ("user", "blob"), ("key", "blob")),
    ]
    assert signed[1][2] == CONTEXT.decode()
    assert f"`{sshsig.NAMESPACE}`" in PAGE


# --- the example ------------------------------------------------------------------------------------

FINISHED = bytes(range(48))
CLIENT_HELLO = f.ClientHello(bytes(range(16)), software="example")
SERVER_HELLO = f.ServerHello(bytes(range(32, 64)), software="example")


def key(seed: int) -> PrivateKey:
    """Return the Ed25519 key with this byte 32 times as its seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    secret = bytes([seed]) * 32
    point = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return PrivateKey(PublicKey(ED25519, string(ED25519.encode()) + string(point)), seed=secret)


def proof() -> f.Proof:
    client, server = key(1), key(2)
    body = publickey.prove(
        client.sign,
        client.public,
        kind=TLS_FINISHED,
        binding=FINISHED,
        spki_sha256=server.public.spki_sha256(),
        hello=CLIENT_HELLO.encode(),
        user="alice",
    )
    return f.Proof(publickey.NAME, "alice", body)


def conversation() -> list[tuple[Role, bytes]]:
    """Return what two cores say to each other."""
    exit_ = f.Exit(Cause.EXITED, 0, stdout=16, user_us=1000, system_us=1000, max_rss_kib=2048, wall_us=2500)
    said = (
        *((CLIENT, CLIENT_HELLO), (SERVER, SERVER_HELLO), (CLIENT, proof())),
        (CLIENT, f.Exec(1, Form.ARGV, (b"ls",), stdin=False)),
        *((SERVER, f.Welcome("alice")), (SERVER, f.Started("cmds.txt:2"))),
        (SERVER, f.Stdout(b"README.md\nnotes\n")),
        *((SERVER, f.Eof(Stream.STDOUT)), (SERVER, f.Eof(Stream.STDERR)), (SERVER, exit_)),
        (CLIENT, f.Goodbye(f.Farewell.DONE)),
    )
    pair, spoken = Pair(), []
    for sender, frame in said:
        pair.send(sender, frame)
        spoken.append((sender, pair.queues[sender][-1]))
        pair.settle()
    return spoken


def in_rows(data: bytes) -> str:
    return "".join(f"  {data[start : start + 32].hex()}\n" for start in range(0, len(data), 32))


def shown(sender: Role, data: bytes) -> str:
    name = FRAMES[data[0]].__name__
    header = f"{data[0]:02x} {data[1]:02x} {data[2:4].hex()} {data[4:8].hex()}"
    return f"{sender.value[0].upper()} {name}\n  {header}\n{in_rows(data[8:])}"


def test_the_example_is_what_two_cores_say() -> None:
    assert block("conversation") == "".join(shown(*piece) for piece in conversation())


def test_the_transcript_of_the_example_is_what_is_signed() -> None:
    client, server = key(1).public, key(2).public
    signed = transcript(
        SIGNER, TLS_FINISHED, FINISHED, server.spki_sha256(), CLIENT_HELLO.encode(), "alice", client.blob
    )
    assert block("transcript") == in_rows(signed)
    assert hashlib.sha256(server.spki()).digest() in signed


def test_the_proof_of_the_example_holds() -> None:
    context = Context(
        bindings={TLS_FINISHED: FINISHED},
        dialled=None,
        spki_sha256=key(2).public.spki_sha256(),
        hello=CLIENT_HELLO.encode(),
        user="alice",
    )
    assert publickey.verify(proof().body, context) == key(1).public

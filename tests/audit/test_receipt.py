"""Receipts: what is signed is what is said, and a changed one is none."""

from __future__ import annotations

import pytest

from rexec.audit import chain, receipt
from rexec.audit.chain import Head, Malformed
from rexec.auth.private import generate

KEY = generate("host")
WORDS = (b"ls", b"-l", b"\xff")


def made(**more: object) -> bytes:
    fields: dict[str, object] = {
        "user": "alice",
        "exit": 0,
        "decision": 3,
        "head": {"seq": 4, "hash": "a" * 64},
        **more,
    }
    return receipt.make(KEY, receipt.words_hash(WORDS), ["ls", "-l", "\udcff"], **fields)


def test_a_receipt_is_read_back() -> None:
    found = receipt.read(made())
    assert found.signer == KEY.public
    assert (found.decision, found.head) == (3, Head(4, "a" * 64))
    assert found.fields["argv"] == ["ls", "-l", "\udcff"]
    assert found.fields["argv_sha256"] == receipt.words_hash(WORDS)


def test_every_changed_byte_is_found() -> None:
    data = made()
    for position in range(len(data) - 3):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(Malformed):
            receipt.read(bytes(changed))


@pytest.mark.parametrize(
    "flaw",
    [
        {"receipt": 2},
        {"decision": 0},
        {"decision": True},
        {"decision": "3"},
        {"head": {"seq": 0, "hash": "a" * 64}},
        {"head": {"seq": 4, "hash": 5}},
        {"head": [4, "a"]},
    ],
)
def test_a_receipt_with_a_flaw_is_none_though_it_is_signed(flaw: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        receipt.read(made(**flaw))


def test_a_checkpoint_is_no_receipt_and_a_receipt_no_checkpoint() -> None:
    with pytest.raises(Malformed, match="another purpose"):
        chain.signer(made())
    with pytest.raises(Malformed, match="another purpose"):
        receipt.read(chain.signed({"receipt": 1, "decision": 1, "head": {"seq": 1, "hash": "a"}}, KEY))


@pytest.mark.parametrize("data", [b"", b"{}\n", b'{"receipt":1,"signature":"AA=="}\n', b"x" * 100])
def test_what_is_no_receipt_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        receipt.read(data)


def test_a_long_argument_vector_stands_there_as_its_hash() -> None:
    words = ["x" * 100_000]
    found = receipt.read(receipt.make(KEY, "0" * 64, words, decision=1, head={"seq": 1, "hash": "a"}))
    assert "argv" not in found.fields
    assert found.fields["argv_sha256"] == "0" * 64


def test_no_argument_vector_has_the_hash_of_another() -> None:
    """security.md, Around the allow list: one argument that pretends to be two."""
    vectors = [(b"a", b"b"), (b"ab",), (b"a b",), (b"a", b"b", b""), (b"", b"a", b"b"), ()]
    assert len(set(map(receipt.words_hash, vectors))) == len(vectors)


def test_a_witness_compares_what_the_log_says() -> None:
    witness = receipt.witness("r.json", receipt.read(made(stdout=5)))
    assert (witness.name, witness.head, witness.seq) == ("r.json", Head(4, "a" * 64), 3)
    assert witness.about({"event": "end", "user": "alice", "exit": 0, "stdout": 5}) is None
    assert witness.about({"event": "end", "user": "alice", "exit": 1}) == "exit was 0"
    assert witness.about({"event": "allow", "user": "bob"}) == "user was 'alice'"

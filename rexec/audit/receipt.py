"""Receipts: what a server says, under its signature, about one command and about its log at that time.

A receipt is one line like those of the log, so that whoever keeps it is a witness: `head` names the
last record by number and hash, `decision` the record that permitted the command.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from rexec.audit import chain
from rexec.audit.chain import Head, Malformed, is_count
from rexec.audit.verify import Witness
from rexec.limits import RECEIPT_WORDS_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rexec.auth.keys import PublicKey
    from rexec.auth.private import PrivateKey

_COMPARED = ("user", "rule", "cause", "exit", "signal", "stdout", "stderr")  # with the records of the log


class Receipt(NamedTuple):
    """A receipt whose signature holds."""

    signer: PublicKey
    fields: dict[str, object]
    head: Head
    decision: int


def words_hash(words: Iterable[bytes]) -> str:
    """Return what names an argument vector, however long: no word of it can hide in another."""
    return sha256(b"".join(word + b"\0" for word in words)).hexdigest()


def make(key: PrivateKey, argv_sha256: str, logged: list[str], **fields: object) -> bytes:
    """Return a signed receipt; an argument vector that is long stands there as its hash alone."""
    shown = {"argv": logged} if len(json.dumps(logged)) <= RECEIPT_WORDS_MAX else {}
    told = {"receipt": 1, **shown, "argv_sha256": argv_sha256, **fields}
    return chain.signed(told, key, chain.RECEIPT)


def read(data: bytes) -> Receipt:
    """Return a receipt. Raises `Malformed` for what is none, or whose signature does not hold."""
    key = chain.signer(data, chain.RECEIPT)
    try:
        fields = json.loads(data)
        head, decision = fields["head"], fields["decision"]
        if fields["receipt"] != 1:
            raise Malformed("it is a receipt of another version")
        if not is_count(decision) or not is_count(head["seq"]) or not isinstance(head["hash"], str):
            raise Malformed("its numbers are none")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise error if isinstance(error, Malformed) else Malformed("it is no receipt") from None
    return Receipt(key, fields, Head(head["seq"], head["hash"]), decision)


def witness(name: str, receipt: Receipt) -> Witness:
    """Return what a receipt says about a log."""

    def about(record: dict[str, object]) -> str | None:
        for field in _COMPARED:
            if field in record and record[field] != receipt.fields.get(field):
                return f"{field} was {receipt.fields.get(field)!a}"
        return None

    return Witness(name, receipt.head, receipt.decision, about)

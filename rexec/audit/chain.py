r"""One record of the journal as one line, and the chain that ties each line to the one before.

A line is a JSON object in printable ASCII. `seq` counts from 1, `prev` is the SHA-256 of the whole
line before, its end included (of nothing: 64 zeros), so that no line can be changed, moved, doubled
or taken out without the next one telling. A checkpoint carries behind `prev` a `signature`: SSHSIG by
the host key, namespace `rexec-audit-v1`, over the same line without it.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from rexec.auth import sshsig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.auth.keys import PublicKey
    from rexec.auth.private import PrivateKey

AUDIT = "rexec-audit-v1"
RECEIPT = "rexec-receipt-v1"
CHECKPOINT = "checkpoint"
_MARK = b',"signature":"'
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Head(NamedTuple):
    """The end of a chain: its last line by number and hash."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


GENESIS = Head(0, "0" * 64)


class Malformed(ValueError):
    """A line that is no record; says why."""


def line_of(fields: dict[str, object]) -> bytes:
    """Return fields as one line; bytes that are not UTF-8 (PEP 383) stand as lone surrogates."""
    return _encode(fields).replace("\x7f", "\\u007f").encode() + b"\n"  # JSON leaves DEL as it is


def signed(fields: dict[str, object], key: PrivateKey, namespace: str = AUDIT) -> bytes:
    """Return fields as one line with a signature of it behind them."""
    body = line_of(fields)[:-1]
    signature = sshsig.wrap(key.public, namespace, key.sign(sshsig.signed_data(namespace, body)))
    return body[:-1] + _MARK + b64encode(signature) + b'"}\n'


def signer(line: bytes, namespace: str = AUDIT) -> PublicKey:
    """Return the key that signed a line. Raises `Malformed` where its signature does not hold."""
    body, mark, rest = line.rpartition(_MARK)
    if not mark or not rest.endswith(b'"}\n'):
        raise Malformed("it has no signature")
    try:
        return sshsig.verify(b64decode(rest[:-3], validate=True), namespace, body + b"}")
    except (ValueError, sshsig.BadSignature) as error:
        raise Malformed(f"its signature does not hold: {error}") from None


def hash_of(line: bytes) -> str:
    """Return what the next line names this one by."""
    return sha256(line).hexdigest()


def read(line: bytes) -> dict[str, object]:
    """Return the fields of a line. Raises `Malformed`."""
    if not line.endswith(b"\n"):
        raise Malformed("it is not complete")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed("it is not JSON") from None
    if not isinstance(fields, dict):
        raise Malformed("it is not a record")
    if not is_count(fields.get("seq")) or not isinstance(fields.get("event"), str):
        raise Malformed("it has no number or no event")
    if not isinstance(fields.get("prev"), str) or not isinstance(fields.get("time"), str):
        raise Malformed("it has no time or does not name the line before")
    return fields


def head_of(line: bytes) -> Head:
    """Return the head of a chain that ends with this line. Raises `Malformed`."""
    seq = read(line)["seq"]
    assert isinstance(seq, int)
    return Head(seq, hash_of(line))


def is_count(value: object) -> bool:
    """Say whether a value is a number that counts from 1; JSON's true is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def moment(now_ns: int) -> str:
    """Return a time as records have it: UTC, with microseconds."""
    seconds, rest = divmod(now_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(2)  # a busy server writes a thousand records in one
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))

"""The receipt of a command: believed only if the server that we know signed what we saw."""

from __future__ import annotations

from rexec.audit import receipt
from rexec.audit.chain import Malformed
from rexec.errors import TrustError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.auth.keys import PublicKey
    from rexec.protocol.frames import Exit


def check(data: bytes | None, key: PublicKey | None, words: tuple[bytes, ...], end: Exit) -> bytes:
    """Return a receipt that is the server's and says what the command's end said. Raises `TrustError`."""
    if data is None:
        raise TrustError("the server sent no receipt")
    try:
        found = receipt.read(data)
    except Malformed as error:
        raise TrustError(f"the receipt is none: {error}") from None
    if found.signer != key:
        raise TrustError(f"the receipt is signed by another key, {found.signer.fingerprint()}")
    seen = {
        "argv_sha256": receipt.words_hash(words),
        "cause": end.cause.name.lower(),
        "exit": None if end.signal else end.status,
        "signal": end.signal,
        "stdout": end.stdout,
        "stderr": end.stderr,
    }
    for name, value in seen.items():
        if found.fields.get(name) != value:
            raise TrustError(
                f"the receipt says otherwise: {name} is {found.fields.get(name)!a}, not {value!a}"
            )
    return data

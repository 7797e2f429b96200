"""The receipt of a command: believed only if the server that we know signed what we saw."""

from __future__ import annotations

from rexec.audit import receipt
from rexec.audit.chain import Malformed
from rexec.errors import TrustError
from rexec.protocol.frames import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.auth.keys import PublicKey
    from rexec.client.command import Command
    from rexec.client.result import Result


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


def vouched(result: Result, command: Command, key: PublicKey | None, words: tuple[bytes, ...]) -> Result:
    """Put its receipt into a result; a command that ended without one that holds counts as lost."""
    if isinstance(command.last, Exit) and result.state != "lost":
        try:
            result.receipt = check(command.receipt, key, words, command.last)
        except TrustError as error:
            result.state, result.exit_code, result.error = "lost", 255, str(error)
    return result

"""The messages of ssh-agent (draft-ietf-sshm-ssh-agent): what is sent and what comes back, as bytes.

Requests are whole, with their length in front. Replies are given without it: read four bytes, ask
`reply_size`, read so many. An agent may be a forwarded one or a stranger's: its lengths are judged.
"""

from __future__ import annotations

from rexec.auth.blob import BlobReader, Malformed, string, u32
from rexec.auth.keys import RSA, PublicKey
from rexec.limits import AGENT_KEYS_MAX, AGENT_MAX

LENGTH_SIZE = 4  # bytes in front of a message
RSA_SHA2_512 = 4  # SSH_AGENT_RSA_SHA2_512: without it an agent signs by SHA-1

_FAILURE = 5
_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14


class AgentRefused(Exception):
    """The agent does not do what it was asked to: locked, not confirmed, key gone."""


def reply_size(length: bytes) -> int:
    """Return how many bytes follow the four of a length. Raises `Malformed` before anything is kept."""
    size = int.from_bytes(length, "big")
    if len(length) != LENGTH_SIZE or not 1 <= size <= AGENT_MAX:
        raise Malformed(f"an agent's message has 1 to {AGENT_MAX} bytes, not {size}")
    return size


def request_identities() -> bytes:
    """Return the question for all keys."""
    return string(bytes((_REQUEST_IDENTITIES,)))


def parse_identities(reply: bytes) -> tuple[tuple[PublicKey, str], ...]:
    """Return keys and comments, without keys of kinds that rexec does not know.

    Raises `Malformed`, or `AgentRefused`.
    """
    reader = _open(reply, _IDENTITIES_ANSWER)
    count = reader.u32()
    if count > AGENT_KEYS_MAX:
        raise Malformed(f"an agent lists more than {AGENT_KEYS_MAX} keys")
    pairs = [(reader.string(), reader.string()) for _ in range(count)]
    reader.finish()
    keys = ((_key(blob), comment.decode("utf-8", "replace")) for blob, comment in pairs)
    return tuple((key, comment) for key, comment in keys if key is not None)


def _key(blob: bytes) -> PublicKey | None:
    try:
        return PublicKey.from_blob(blob)
    except Malformed:
        return None


def flags_for(public: PublicKey) -> int:
    """Return the flags for a request to sign with this key."""
    return RSA_SHA2_512 if public.algorithm == RSA else 0


def request_sign(blob: bytes, data: bytes, flags: int) -> bytes:
    """Return the request to sign `data` with the key of this blob."""
    return string(bytes((_SIGN_REQUEST,)) + string(blob) + string(data) + u32(flags))


def parse_signature(reply: bytes) -> bytes:
    """Return the signature blob of a reply. Raises `Malformed`, or `AgentRefused`."""
    reader = _open(reply, _SIGN_RESPONSE)
    signature = reader.string()
    reader.finish()
    return signature


def _open(reply: bytes, expected: int) -> BlobReader:
    reader = BlobReader(reply)
    kind = reader.take(1)[0]
    if kind == _FAILURE:
        raise AgentRefused("the agent refused")
    if kind != expected:
        raise Malformed(f"an agent's message of type {kind} was not expected")
    return reader

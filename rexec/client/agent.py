"""The keys of a running ssh-agent. One that does not answer, or answers nonsense, has none."""

from __future__ import annotations

import _socket as socket

from rexec.auth import agent as codec
from rexec.auth.blob import Malformed
from rexec.errors import AuthError
from rexec.limits import AGENT_TIMEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.auth.keys import PublicKey
    from rexec.client.identity import Sign, Signer


def signers(path: str) -> Iterator[Signer]:
    """Yield the agent's keys."""
    from rexec.client.identity import Signer

    try:
        found = codec.parse_identities(_ask(path, codec.request_identities()))
    except (OSError, codec.AgentRefused, Malformed):
        return
    for public, comment in found:
        yield Signer(public, _signing(path, public), f"agent: {comment}")


def _signing(path: str, key: PublicKey) -> Sign:
    """Return what signs with a key of the agent's."""

    def sign(data: bytes) -> bytes:
        request = codec.request_sign(key.blob, data, codec.flags_for(key))
        try:
            return codec.parse_signature(_ask(path, request))
        except (OSError, codec.AgentRefused, Malformed) as error:
            raise AuthError(f"the agent does not sign with {key.fingerprint()}: {error}") from None

    return sign


def _ask(path: str, request: bytes) -> bytes:
    """Send one request, return the body of its reply. The agent may ask its user: signing has time."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(AGENT_TIMEOUT)
        connection.connect(path)
        connection.sendall(request)
        return _exactly(connection, codec.reply_size(_exactly(connection, codec.LENGTH_SIZE)))
    finally:
        connection.close()


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise codec.AgentRefused("it closed the connection")
        data += piece
    return data

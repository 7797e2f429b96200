"""From a connected wire to a welcome, sans I/O: what is sent, what is waited for, whom we trust.

Over TLS the client waits for nothing: hello, proof and the first command go out behind its Finished.
In the clear it waits for the server's hello, whose nonce and key the proof is made for, and checks
the server's own proof before it sends another byte.

`Greeting.steps` is a generator: it yields bytes to send, and none where it goes on once more came in; in
between it may read keys and ask people, so that an event loop runs each step in a thread.
"""

from __future__ import annotations

from itertools import chain

from rexec.auth import publickey
from rexec.auth.der import spki_of
from rexec.auth.keys import PublicKey, from_spki
from rexec.auth.proof import BadProof
from rexec.auth.transcript import NONCE, TLS_FINISHED
from rexec.client.trust import check_server
from rexec.errors import AuthError, ConnectError, ConnectionLost, RemoteProtocolError, RexecError, TrustError
from rexec.limits import SESSION_ID
from rexec.protocol import frames as f
from rexec.protocol.connection import RESUME, Connection
from rexec.protocol.frames import Farewell
from rexec.protocol.state import Role

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable

    from rexec.client.config import Target
    from rexec.client.identity import Signer
    from rexec.client.trust import Ask
    from rexec.protocol.session import Session

    Steps = Generator[
        bytes, None, str
    ]  # bytes to send, none: until more came; in the end the user that we are
else:
    import posix as os

SOFTWARE = "rexec"


class Terms:
    """What the greeting asks of its caller: people, words to say, and frames to send along."""

    __slots__ = ("ask", "first", "say")

    def __init__(
        self,
        ask: Ask | None = None,
        say: Callable[[str], None] = lambda text: None,
        first: Callable[[Connection], bytes] = lambda connection: b"",
    ) -> None:
        self.ask = ask
        self.say = say
        self.first = first


class Ends:
    """What is known of the wire: TLS's certificate and binding, or in the clear who is dialled."""

    __slots__ = ("binding", "certificate", "dialled", "peer_uid")

    def __init__(
        self, certificate: bytes | None, binding: bytes | None, dialled: str, peer_uid: int | None
    ) -> None:
        self.certificate = certificate
        self.binding = binding
        self.dialled = dialled
        self.peer_uid = peer_uid  # at the other end of a Unix socket


class Greeting:
    """A connection on its way to a session: to a new one, or to `session`, which lost its connection."""

    def __init__(
        self,
        target: Target,
        ends: Ends,
        signers: Iterable[Signer],
        terms: Terms,
        session: Session | None = None,
    ) -> None:
        self.target = target
        self.connection = Connection(Role.CLIENT, session)
        self.name = os.urandom(SESSION_ID)  # of the session
        self.signer: Signer | None = None  # whose proof was accepted
        self.trying: Signer | None = None  # whose proof was sent
        self.resumed = False
        self.is_another = False  # after one whose connection was lost before the welcome
        self.is_late = False  # a server had no patience with somebody who was asked: it took nothing
        self._ends = ends
        self._signers = signers
        self._terms = terms
        self._hello: f.ServerHello | None = None
        self.server_key: PublicKey | None = None  # once it is trusted

    def again(self, ends: Ends, session: Session) -> Greeting:
        """Return the greeting that takes a session up again: the same name, key and server, nobody asked."""
        assert self.signer is not None
        found = Greeting(self.target, ends, (self.signer,), Terms(), session)
        found.name = self.name
        found.server_key = self.server_key
        return found

    def anew(self, ends: Ends) -> Greeting:
        """Return the greeting that follows a connection which was lost before the welcome.

        A server may have read all that was sent: it hears the same name and the same key, and nothing twice.
        """
        if self.trying is None or self.is_late:
            signers = self._signers if self.trying is None else chain((self.trying,), self._signers)
            found = Greeting(self.target, ends, signers, self._terms)
            found.is_late = self.is_late
        else:
            terms = Terms(self._terms.ask, self._terms.say)
            found = Greeting(self.target, ends, (self.trying,), terms, self.connection.session)
        found.name = self.name
        found.server_key = self.server_key
        found.trying = None if self.is_late else self.trying
        found.is_another = found.trying is not None
        return found

    @property
    def is_worth_another(self) -> bool:
        """Whether a server that takes this up may know what it was asked, if it was."""
        if self.is_late:
            return True
        if not self.target.resume_for:
            return False
        return self.trying is None or self._hello is None or RESUME in self.connection.features

    def take(self, data: bytes | memoryview | None) -> None:
        """Take what came; None is the end. Raises `ConnectionLost`, `RemoteProtocolError`."""
        if data is None:
            if not self.target.resume_for:
                self.connection.receive_eof()
            raise ConnectionLost("the server closed the connection")
        self.connection.receive_data(data)

    def no_answer(self) -> ConnectError:
        """Return the error for a server that says nothing, with the commonest reason."""
        mute = not self.target.tls and self._hello is None
        hint = "the server may speak TLS: leave --no-tls away" if mute else None
        found = ConnectError("timed out waiting for the server's answer", hint=hint)
        found.is_lost = self.trying is not None and self._hello is not None
        return found

    def not_in_the_clear(self) -> ConnectError:
        """Return the error for a server that says nothing, and does so in TLS."""
        return ConnectError("the server speaks TLS", hint="leave --no-tls away")

    def steps(self) -> Steps:
        """Yield what to send, and nothing until more came; return the user that we are."""
        key = yield from self._server_key()
        if self.server_key is None:
            check_server(self.target, key, self._terms.ask, self._terms.say)
        elif key != self.server_key:
            raise TrustError("another server answers at this address")
        self.server_key = key
        waiting = self.connection.send(self._hello_of_ours())
        refused: list[str] = []
        for signer in self._signers:
            try:
                proof = self._prove(signer, key)
            except AuthError as error:  # an agent that does not sign with this key may with the next
                refused.append(str(error))
                continue
            self.trying = signer
            yield waiting + proof + self._terms.first(self.connection)
            waiting = b""
            verdict = yield from self._verdict(is_first=not (refused or self.is_late))
            if isinstance(verdict, f.Welcome):
                self._check_host_proof(verdict, key)
                self.signer = signer
                self.resumed = verdict.resumed
                return verdict.user
            refused.append(signer.name)
        raise _nothing_accepted(self.target, refused)

    def _hello_of_ours(self) -> f.ClientHello:
        """Return our hello; where a session is taken up again, it says what we have of it."""
        received = self.connection.session.tell() if self.connection.resuming else 0
        features = (RESUME,) if self.target.resume_for else ()
        return f.ClientHello(self.name, received, SOFTWARE, features)

    def _event(self) -> Generator[bytes, None, f.Frame]:
        while (event := self.connection.next_event()) is None:
            yield b""
        return event[1]

    def _server_key(self) -> Generator[bytes, None, PublicKey]:
        """Return the key of who is at the other end: of its certificate, or of its hello in the clear."""
        try:
            if self._ends.certificate is not None:
                return from_spki(spki_of(self._ends.certificate))
            if self.target.address.path and self._ends.peer_uid not in (os.getuid(), 0):
                raise TrustError(f"{self.target.name}: another user's process has the socket")
            hello = yield from self._hear_hello()
            return PublicKey.from_blob(hello.host_key)
        except ValueError as error:
            raise TrustError(f"{self.target.name}: the server's key cannot be used: {error}") from None

    def _hear_hello(self) -> Generator[bytes, None, f.ServerHello]:
        while self._hello is None:
            frame = yield from self._event()
            if isinstance(frame, f.Goodbye):
                found = ConnectError(f"the server said goodbye: {frame.message}")
                found.is_lost = frame.reason is Farewell.DRAINING
                raise found
            if isinstance(frame, f.ServerHello):
                self._hello = frame
        return self._hello

    def _verdict(self, *, is_first: bool) -> Generator[bytes, None, f.Welcome | f.Refused]:
        """Wait for what the server says to a proof.

        Who compares a fingerprint or looks for a passphrase may take longer than a server waits: what they
        said holds for another connection, once.
        """
        while True:
            frame = yield from self._event()
            match frame:
                case f.ServerHello():
                    self._hello = frame
                case f.Welcome() | f.Refused():
                    return frame
                case f.Goodbye(reason=Farewell.DRAINING):
                    raise ConnectionLost(f"the server said goodbye: {frame.message}")
                case f.Goodbye(reason=Farewell.UNAUTHENTICATED) if is_first:  # these are not too many proofs
                    self.is_late = True
                    raise ConnectionLost(f"the server said goodbye: {frame.message}")
                case f.Goodbye():
                    raise AuthError(f"the server said goodbye: {frame.message}")
                case _:
                    pass

    def _prove(self, signer: Signer, key: PublicKey) -> bytes:
        """Return the proof frame of one key."""
        binding, kind, dialled = self._ends.binding or b"", TLS_FINISHED, ""
        if self._ends.certificate is None:
            assert self._hello is not None
            binding, kind, dialled = self._hello.nonce, NONCE, self._ends.dialled
        body = publickey.prove(
            signer.sign,
            signer.public,
            kind=kind,
            binding=binding,
            dialled=dialled,
            spki_sha256=key.spki_sha256(),
            hello=self.connection.client_hello,
            user=self.target.user,
        )
        return self.connection.send(f.Proof(publickey.NAME, self.target.user, body))

    def _check_host_proof(self, welcome: f.Welcome, key: PublicKey) -> None:
        """In the clear, check that who welcomed us holds the key that we trust."""
        if self._ends.certificate is not None:
            return
        if self.target.user and welcome.user != self.target.user:
            raise TrustError(f"the server welcomes somebody else than {self.target.user}")
        assert self._hello is not None
        try:
            proved = publickey.verify_host(
                welcome.host_proof,
                nonce=self._hello.nonce,
                dialled=self._ends.dialled,
                server_hello=self.connection.server_hello,
                client_hello=self.connection.client_hello,
                user=welcome.user,
            )
        except BadProof as error:
            raise TrustError(f"the server does not prove its key: {error}") from None
        if proved != key:
            raise TrustError("the server proves another key than it showed")


def named(target: Target, error: RexecError) -> RexecError:
    """Return the error of a connection that was not made, with the name of its host in front."""
    if isinstance(error, RemoteProtocolError):
        return ConnectError(f"{target.name}: not a rexec server: {error}")
    if str(error) and isinstance(error, ConnectError | ConnectionLost | AuthError):
        return type(error)(f"{target.name}: {error}", hint=error.hint)
    return error


def _nothing_accepted(target: Target, refused: list[str]) -> RexecError:
    if not refused:
        return AuthError(
            "no key to prove who we are",
            hint=f"rexec-keygen makes {target.home}/id_ed25519; -i names another",
        )
    keys = "this key" if len(refused) == 1 else "any of these keys"
    whom = f" for user {target.user!a}" if target.user else ""
    return AuthError(
        f"the server does not accept {keys}{whom}: {', '.join(refused)}",
        hint="rexec-server authorize NAME PUBKEY-FILE, on the server, adds one",
    )

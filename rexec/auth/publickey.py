"""Method `publickey`: a signature over the transcript, by a key that the other side knows.

`prove` and `verify` are the client's proof, `prove_host` and `verify_host` the server's own where no
TLS vouches for it. Who may log in with a key is not decided here: see `authorized` and `known`.
"""

from __future__ import annotations

from rexec.auth import sshsig
from rexec.auth.blob import Malformed, string
from rexec.auth.keys import ED25519, PublicKey
from rexec.auth.proof import BadProof, Body, Context, binding_field
from rexec.auth.signature import BadSignature, check_signature, signature_blob
from rexec.auth.transcript import CLIENT, NONCE, SERVER, both_hellos, nonce_binding, transcript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Sign = Callable[[bytes], bytes]  # data -> SSH signature blob: `PrivateKey.sign`, or an agent

NAME = "publickey"

# RFC 8032, 7.1, test 1: a key nobody uses, verified against when there is nothing else to verify.
_DUMMY = PublicKey(
    ED25519,
    string(ED25519.encode())
    + string(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")),
)


def prove(
    sign: Sign,
    public: PublicKey,
    *,
    kind: int,
    binding: bytes,
    dialled: str = "",
    spki_sha256: bytes,
    hello: bytes,
    user: str,
) -> bytes:
    """Return the body of a client's proof.

    `binding` is the TLS client Finished for kind 1, the nonce of the server's hello for kind 2, which
    also needs `dialled`. `spki_sha256` is of the server's key as the client saw it.
    """
    field = binding_field(kind, binding, dialled)
    message = transcript(CLIENT, kind, field, spki_sha256, hello, user, public.blob)
    return _body(sign, public, kind, dialled, message)


def verify(body: bytes, context: Context) -> PublicKey:
    """Return the key that signed. Raises `BadProof` for anything wrong, after the work of a signature."""
    try:
        return _verify(body, context)
    except ValueError as error:  # Malformed, or a field that no transcript takes
        waste(body)
        raise BadProof(str(error)) from None
    except BadSignature as error:
        if not error.tried:
            waste(body)
        raise BadProof(str(error)) from None


def _verify(data: bytes, context: Context) -> PublicKey:
    body = Body.decode(data)
    public = PublicKey.from_blob(body.key)
    field = context.binding(body.kind, body.dialled)
    message = transcript(
        CLIENT, body.kind, field, context.spki_sha256, context.hello, context.user, public.blob
    )
    return _signer(body, public, message)


def prove_host(
    sign: Sign,
    public: PublicKey,
    *,
    nonce: bytes,
    dialled: str,
    server_hello: bytes,
    client_hello: bytes,
    user: str,
) -> bytes:
    """Return the body of a server's proof in the clear; `user` is the one it welcomes."""
    field, hellos = nonce_binding(nonce, dialled), both_hellos(server_hello, client_hello)
    message = transcript(SERVER, NONCE, field, public.spki_sha256(), hellos, user, public.blob)
    return _body(sign, public, NONCE, dialled, message)


def verify_host(
    body: bytes,
    *,
    nonce: bytes,
    dialled: str,
    server_hello: bytes,
    client_hello: bytes,
    user: str,
) -> PublicKey:
    """Return the key of the server that made this proof for us. Raises `BadProof` for anything wrong.

    `dialled` is what we dialled, `user` the one of the server's welcome. Whether the key is the
    server's that was meant is for `known` to say.
    """
    try:
        found = Body.decode(body)
        public = PublicKey.from_blob(found.key)
        if found.kind != NONCE or found.dialled != dialled:
            raise Malformed("the server proves itself for another address")
        field, hellos = nonce_binding(nonce, dialled), both_hellos(server_hello, client_hello)
        message = transcript(SERVER, NONCE, field, public.spki_sha256(), hellos, user, public.blob)
        return _signer(found, public, message)
    except (ValueError, BadSignature) as error:  # ValueError: a server's nonce of another size, too
        raise BadProof(str(error)) from None


def _body(sign: Sign, public: PublicKey, kind: int, dialled: str, message: bytes) -> bytes:
    signature = sign(sshsig.signed_data(sshsig.NAMESPACE, message))
    wrapped = sshsig.wrap(public, sshsig.NAMESPACE, signature)
    return Body(kind, dialled, public.blob, wrapped).encode()


def _signer(body: Body, public: PublicKey, message: bytes) -> PublicKey:
    """Return the key whose signature verified, never one that was merely named."""
    signer = sshsig.verify(body.signature, sshsig.NAMESPACE, message)
    if signer != public:
        raise BadSignature("the key that signed is not the one that is named", tried=True)
    return signer


def waste(data: bytes) -> None:
    """Do the work of a verification in vain, so that a malformed proof costs what a wrong one costs."""
    try:
        check_signature(_DUMMY, data, signature_blob(_DUMMY, bytes(64)))
    except BadSignature:
        pass

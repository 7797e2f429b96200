"""The methods of authentication: one row and one file each."""

from __future__ import annotations

from typing import NamedTuple

from rexec.auth import publickey
from rexec.auth.proof import BadProof, Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.auth.keys import PublicKey

__all__ = ["METHODS", "BadProof", "Context", "Method", "verify"]


class Method(NamedTuple):
    """A way to prove who one is."""

    name: str
    verify: Callable[[bytes, Context], PublicKey]


METHODS = {row.name: row for row in (Method(publickey.NAME, publickey.verify),)}


def verify(method: str, body: bytes, context: Context) -> PublicKey:
    """Return the key that a proof by this method proves. Raises `BadProof`, and nothing else."""
    row = METHODS.get(method)
    if row is None:
        publickey.waste(body)
        raise BadProof("no such method")
    return row.verify(body, context)

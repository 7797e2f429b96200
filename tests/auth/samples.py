"""Keys, signatures and lines made by ssh-keygen; private keys get their armour only here."""

from __future__ import annotations

from rexec.auth.blob import decode_base64
from rexec.auth.container import LABEL, armour
from rexec.auth.keys import PublicKey, parse_public_line
from rexec.auth.private import PrivateKey, parse_private
from tests.tree import ROOT

_LINES = (ROOT / "tests/vectors/auth/openssh.txt").read_text().splitlines()
VALUES = dict(line.split(": ", 1) for line in _LINES if line and not line.startswith("#"))
KINDS = ("ed", "rsa", "ec256", "ec384", "ec521")
PASSPHRASE = b"open sesame"
MESSAGE = b"message"


def raw(name: str) -> bytes:
    """Return a value that is base64."""
    return decode_base64(VALUES[name])


def public(name: str) -> PublicKey:
    return parse_public_line(VALUES[f"{name}.pub"])[0]


def pem(name: str) -> bytes:
    """Return an OpenSSH private key file as ssh-keygen wrote it."""
    return armour(LABEL, raw(f"{name}.key"))


def private(name: str) -> PrivateKey:
    return parse_private(pem(name), PASSPHRASE if name == "edenc" else None, name)

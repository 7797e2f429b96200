"""`rexec-keygen`: make a key pair, show a fingerprint, print the line to authorise."""

from __future__ import annotations

import os
import sys

import click

from rexec import __version__, files
from rexec.auth.keys import Malformed, PublicKey, parse_public_line
from rexec.auth.private import PrivateKey, generate, parse_private, peek_public, serialize_private
from rexec.cli.output import run_click
from rexec.errors import ConfigError, UsageError
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "rexec-keygen"
KEY_FILE = "id_ed25519"
_TRIES = 3  # of typing the same passphrase twice
_KINDS = {"ssh-ed25519": "ED25519", "ssh-rsa": "RSA"}  # as ssh-keygen names them; all else is ECDSA


@click.command(
    help="Make an Ed25519 key pair, or with -l or -y look at one.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("-f", "file", metavar="FILE", help="The private key; FILE.pub is its public half.")
@click.option("-C", "comment", metavar="COMMENT", help="A comment for the key, otherwise USER@HOST.")
@click.option("-N", "passphrase", metavar="PASSPHRASE", help="The passphrase of the new key; '' for none.")
@click.option("-t", "kind", type=click.Choice(["ed25519"]), help="The type of the new key.")
@click.option("-l", "show", is_flag=True, help="Show the fingerprint.")
@click.option("-y", "public", is_flag=True, help="Print the public key of a private one.")
@click.version_option(__version__, prog_name=PROGRAM)
@click.option("--home", metavar="DIR", help="Where keys stand, instead of $REXEC_HOME or ~/.rexec.")
def keygen(
    file: str | None,
    comment: str | None,
    passphrase: str | None,
    kind: str | None,
    show: bool,
    public: bool,
    home: str | None,
) -> None:
    making = not (show or public)
    if show and public:
        raise UsageError("-l and -y exclude each other")
    if not making and (comment, passphrase, kind) != (None, None, None):
        raise UsageError("-C, -N and -t are for a new key")
    directory = files.home(home, os.environ)
    path = file if file is not None else os.path.join(directory, KEY_FILE)
    if making:
        if file is None:
            files.ensure_home(directory)
        make(path, comment, passphrase)
    else:
        click.echo(fingerprint_line(path) if show else public_line(path))


def make(path: str, comment: str | None, passphrase: str | None) -> None:
    """Make a key pair, and say where it is and how to authorise it."""
    for taken in (path, f"{path}.pub"):
        if os.path.lexists(taken):
            raise ConfigError(
                f"{taken}: already exists, and is never overwritten", hint="-f names another file"
            )
    secret = passphrase if passphrase is not None else _new_passphrase()
    key = generate(_comment() if comment is None else _one_line(comment))
    files.create_private(path, serialize_private(key, _encoded(secret)))
    line = key.public.line(key.comment)
    files.create_public(f"{path}.pub", f"{line}\n".encode())
    click.echo(f"private key: {neutral(path)}")
    click.echo(f"public key:  {neutral(path)}.pub")
    click.echo(f"fingerprint: {key.public.fingerprint()}")
    click.echo("a server lets it in with this line in its authorized_keys:")
    click.echo(line)


def fingerprint_line(path: str) -> str:
    """Return what `ssh-keygen -l` shows of a key file, private or public."""
    data = files.read_any(path)
    public, comment = _read_pair(path) if _is_private(data) else _public_of(path, data)
    kind = _KINDS.get(public.algorithm, "ECDSA")
    return f"{public.bits()} {public.fingerprint()} {neutral(comment) or 'no comment'} ({kind})"


def public_line(path: str) -> str:
    """Return the public key of a private one as a line."""
    key = _opened(files.read_private(path), path)
    return key.public.line(key.comment or _comment_beside(path, key.public))


def _is_private(data: bytes) -> bool:
    return b"PRIVATE KEY-----" in data


def _public_of(path: str, data: bytes) -> tuple[PublicKey, str]:
    try:
        return parse_public_line(data.decode("utf-8", "replace"))
    except Malformed as error:
        raise ConfigError(f"{path}: {error}") from None


def _read_pair(path: str) -> tuple[PublicKey, str]:
    """Return public key and comment of a private key, without its passphrase where that will do."""
    data = files.read_private(path)
    public = peek_public(data, path)
    if public is None:
        public = _opened(data, path).public
    return public, _comment_beside(path, public)


def _comment_beside(path: str, public: PublicKey) -> str:
    """Return the comment of FILE.pub, where that is the same key."""
    try:
        beside, comment = _public_of(path, files.read_any(f"{path}.pub"))
    except ConfigError:
        return ""
    return comment if beside == public else ""


def _opened(data: bytes, path: str) -> PrivateKey:
    """Return a private key, asking for its passphrase on a terminal, never in a pipe."""
    from rexec.auth.private import PassphraseNeeded

    try:
        return parse_private(data, None, path)
    except PassphraseNeeded:
        if not _at_terminal():
            raise
    return parse_private(data, _encoded(_ask(f"passphrase of {neutral(path)}")) or b"", path)


def _new_passphrase() -> str:
    """Ask twice on a terminal; no passphrase where there is none."""
    if not _at_terminal():
        return ""
    for _ in range(_TRIES):
        first = _ask("passphrase (empty for none)")
        if first == _ask("the same passphrase again"):
            return first
        click.echo("they differ", err=True)
    raise UsageError("no passphrase was typed the same twice")


def _ask(question: str) -> str:
    answer: str = click.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return answer


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _encoded(passphrase: str) -> bytes | None:
    return passphrase.encode("utf-8", "surrogateescape") or None


def _one_line(comment: str) -> str:
    if not comment.isprintable():
        raise UsageError("a comment has no control characters")
    return comment


def _comment() -> str:
    """Return USER@HOST."""
    from pwd import getpwuid

    try:
        user = getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `rexec-keygen`; return its exit code."""
    return run_click(keygen, PROGRAM, arguments)

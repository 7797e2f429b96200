"""`rexec-audit`: see whether an audit log is whole, read it, and replay what was recorded."""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime

import click

from rexec import __version__, files
from rexec.audit import chain, receipt, segments
from rexec.audit.chain import Head, Malformed
from rexec.audit.verify import Bad, Report, Verifier, Witness, kept_head
from rexec.audit.view import POLL, Reader, Wanted, text_of
from rexec.auth.keys import parse_public_line
from rexec.cli.home import home_of, home_option
from rexec.cli.output import run_click, say
from rexec.cli.play import play_command
from rexec.client.config import seconds
from rexec.errors import ConfigError, RexecError, UsageError
from rexec.limits import KEY_FILE_MAX
from rexec.text import neutral

PROGRAM = "rexec-audit"
_ALTERED = 1
_INTERRUPTED = 130  # 128 + SIGINT
_HOST_KEY = "host_ed25519.pub"


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.option(
    "--home", metavar="DIR", help="Where the server's keys stand, instead of $REXEC_HOME or ~/.rexec."
)
@click.version_option(__version__, prog_name=PROGRAM)
def cli(home: str | None) -> None:
    """See whether an audit log is whole, read it, and replay what was recorded."""


def _home() -> str:
    return home_of(click.get_current_context())


def _places(path: str | None) -> list[str]:
    """Return the log that was named, else every log of the home."""
    if path is not None:
        return [path]
    home = _home()
    try:
        names = sorted(name for name in os.listdir(home) if name == "audit" or name.startswith("audit-"))
    except OSError:
        names = []
    places = [os.path.join(home, name) for name in names]
    places = [place for place in places if _is_log(place)]
    if not places:
        raise ConfigError(f"{home}: no audit log here", hint="name its directory, or the home by --home")
    return places


def _is_log(place: str) -> bool:
    """Tell whether a directory holds more than what a server leaves that never served."""
    try:
        return any(name != segments.LOCK for name in os.listdir(place))
    except OSError:
        return True  # to be told by whoever reads it


# --- verify --------------------------------------------------------------------------------------


@cli.command("verify")
@click.argument("path", metavar="[FILE|DIR]", required=False)
@click.option(
    "--host-key", "keys", metavar="KEY", multiple=True, help="The server's public key, or SHA256:..."
)
@click.option(
    "--receipt", "receipts", metavar="FILE", multiple=True, help="A receipt that the log must hold."
)
@click.option("--head", "heads", metavar="SEQ:HASH", multiple=True, help="A head that was noted earlier.")
@click.option("--partial", is_flag=True, help="The beginning of the log was taken away on purpose.")
@home_option
@click.pass_context
def verify_command(
    context: click.Context,
    path: str | None,
    keys: tuple[str, ...],
    receipts: tuple[str, ...],
    heads: tuple[str, ...],
    partial: bool,
) -> None:
    """Find what was changed, removed, moved, doubled or cut in a log, and name the first bad line.

    Exits with 0 when the log is whole, 1 when it is not, 2 when it cannot be read.
    """
    places = _places(path)
    signers = _signers(keys, path)
    witnesses = [*map(_head, heads), *(_receipt(name, signers) for name in receipts)]
    if witnesses and len(places) > 1:
        raise UsageError("a receipt or a head belongs to one log", hint="name its directory")
    results = [_verify(place, signers, witnesses, partial, len(places) > 1) for place in places]
    context.exit(max(results))


def _signers(keys: tuple[str, ...], path: str | None) -> frozenset[str] | None:
    """Return the fingerprints of the keys that count, None where none is known."""
    if keys:
        return frozenset(key if key.startswith("SHA256:") else _fingerprint(key) for key in keys)
    own = os.path.join(_home(), _HOST_KEY)
    own_log = path is None or os.path.realpath(path).startswith(os.path.realpath(_home()) + os.sep)
    return frozenset({_fingerprint(own)}) if own_log and files.stamp(own) is not None else None


def _fingerprint(path: str) -> str:
    try:
        return parse_public_line(files.read_any(path, KEY_FILE_MAX).decode("utf-8", "replace"))[
            0
        ].fingerprint()
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _head(text: str) -> Witness:
    number, colon, digest = text.partition(":")
    if not (colon and number.isascii() and number.isdigit() and len(digest) == 64):
        raise UsageError(f"--head {text!a} is no head such as 17:{'0' * 8}...")
    return Witness("--head", Head(int(number), digest.lower()))


def _receipt(path: str, signers: frozenset[str] | None) -> Witness:
    try:
        found = receipt.read(files.read_any(path))
    except Malformed as error:
        raise ConfigError(f"{path}: not a receipt: {error}") from None
    fingerprint = found.signer.fingerprint()
    if signers is not None and fingerprint not in signers:
        raise ConfigError(f"{path}: signed by {fingerprint}, not by {' or '.join(sorted(signers))}")
    return receipt.witness(path, found)


def _verify(
    path: str, signers: frozenset[str] | None, given: list[Witness], partial: bool, named: bool
) -> int:
    prefix = f"{neutral(path)}: " if named else ""
    is_directory = os.path.isdir(path)
    try:
        names = _files(path) if is_directory else [path]
        kept = kept_head(path, signers) if is_directory else None
        witnesses = [*given, *([kept] if kept else [])]
        recordings = os.path.join(path if is_directory else os.path.dirname(path), segments.RECORDINGS)
        verifier = Verifier(signers, witnesses, recordings)
        report = verifier.verify(names, whole=is_directory and not partial)
    except Bad as bad:
        click.echo(f"{prefix}{bad}")
        return _ALTERED
    for text in _summary(report, signers, is_directory and segments.is_locked(path)):
        click.echo(f"{prefix}{text}")
    return 0


def _files(path: str) -> list[str]:
    try:
        found = segments.files_of(path)
    except OSError as error:
        raise segments.refused(path, error) from None
    if not found and not os.path.lexists(os.path.join(path, segments.HEAD)):  # a head knows of a log
        raise ConfigError(f"{path}: no audit log here", hint="an audit log stands in HOME/audit")
    return found


def _summary(report: Report, signers: frozenset[str] | None, is_running: bool) -> list[str]:
    who = " and ".join(sorted(report.signers)) or "nobody"
    lines = [f"note: {note}" for note in report.notes]
    if signers is None and report.signers:
        lines.append(f"note: nobody said whose log it is (--host-key): compare {who} with the server's")
    if report.unsigned:
        why = "the server runs" if is_running else "no server runs here: it was killed, or the end was cut"
        lines.append(
            f"note: {_number(report.unsigned, 'record')} behind the last checkpoint, not signed: {why}"
        )
    counts = f"{_number(report.records, 'record')}, {_number(report.checkpoints, 'checkpoint')} by {who}"
    return [*lines, f"whole: {counts}", f"head: {report.head}"]


def _number(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


# --- show ----------------------------------------------------------------------------------------


@cli.command("show")
@click.argument("path", metavar="[FILE|DIR]", required=False)
@click.option("--user", metavar="NAME", help="What this user asked for.")
@click.option("--rule", metavar="FILE[:LINE]", help="What this rule decided.")
@click.option("--from", "peer", metavar="IP", help="Decisions for clients from there.")
@click.option("--since", metavar="TIME", help="From then on: 2030-01-31, 2030-01-31T08:00, or 2h ago as 2h.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--denied", is_flag=True, help="What was denied, and attempts to break a fence.")
@click.option("--json", "as_json", is_flag=True, help="The records as they are.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@home_option
@click.pass_context
def show_command(
    context: click.Context,
    path: str | None,
    user: str | None,
    rule: str | None,
    peer: str | None,
    since: str | None,
    until: str | None,
    denied: bool,
    as_json: bool,
    follow: bool,
) -> None:
    """Print the records of a log, one line each."""
    wanted = Wanted(user, rule, peer, _moment(since), _moment(until), denied)
    readers = [Reader(place, lambda text: say(PROGRAM, text)) for place in _places(path)]
    if follow:
        try:
            _follow(readers, wanted, as_json)
        except KeyboardInterrupt:  # the way to end it
            context.exit(_INTERRUPTED)
    logs = [reader.records() for reader in readers]
    for record in heapq.merge(*logs, key=lambda record: str(record["time"])):
        _print(record, wanted, as_json)


def _follow(readers: list[Reader], wanted: Wanted, as_json: bool) -> None:
    logs = [reader.follow() for reader in readers]
    while True:
        for log in logs:
            while (record := next(log)) is not None:
                _print(record, wanted, as_json)
        sys.stdout.flush()
        time.sleep(POLL)


def _print(record: dict[str, object], wanted: Wanted, as_json: bool) -> None:
    if wanted.takes(record):
        click.echo(chain.line_of(record).decode().rstrip("\n") if as_json else text_of(record))


def _moment(text: str | None) -> str | None:
    """Return a time as records have it: a date, a time, or so long ago."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        try:
            when = time.time() - seconds(text)
        except RexecError:
            raise UsageError(
                f"{text!a} is no time such as 2030-01-31T08:00, or 2h for two hours ago"
            ) from None
    return chain.moment(int(when * 1_000_000_000))


cli.add_command(play_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `rexec-audit`; every error is one line and its exit code."""
    return run_click(cli, PROGRAM, arguments)

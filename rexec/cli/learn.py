"""`rexec-server learn`: from audit logs and server logs to the draft of an allow list."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from rexec.audit import segments
from rexec.errors import ConfigError
from rexec.policy.learn import Seen, draft
from rexec.server.disk import LocalDisk
from rexec.text import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator

_DECISIONS = {"allow": True, "deny": False}
_OF_SERVER = "rexec-server: "
_LOGGED = re.compile(r"rexec-server: (allow|deny) ")
_FIELD = re.compile(r"\s*([a-z_]+)=")
_PLAIN = re.compile(r"\S*")
_JSON = json.JSONDecoder()


@click.command("learn")
@click.argument("audit", metavar="AUDIT...", nargs=-1, required=True)
def learn_command(audit: tuple[str, ...]) -> None:
    """Propose an allow list from what was run and denied.

    AUDIT is the directory of an audit log, one file of it, or what a server wrote to stderr; - is
    standard input. Commands of one shape become one rule with types for what differed; what was denied
    is added as comments. Nothing is allowed that was denied.
    """
    click.echo(draft((seen for path in audit for seen in _seen(path)), LocalDisk()), nl=False)


def _seen(path: str) -> Iterator[Seen]:
    shortened = 0
    is_empty = True
    is_log = False
    for line in _lines(path):
        fields = _fields(line)
        is_empty = is_empty and not line.strip()
        is_log = is_log or fields is not None or _is_of_log(line)
        if fields is None:
            continue
        if "argc" in fields:  # more words than a record holds
            shortened += 1
            continue
        yield Seen(
            str(fields.get("user") or ""), tuple(map(str, fields["argv"])), _DECISIONS[fields["event"]]
        )
    if not (is_log or is_empty):
        hint = "the directory or a file of an audit log, or what a server wrote to stderr"
        raise ConfigError(f"{neutral(path)}: is no log of a server", hint=hint)
    if shortened:
        what = (
            "1 record with shortened arguments is"
            if shortened == 1
            else f"{shortened} records with shortened arguments are"
        )
        click.echo(f"rexec-server: {neutral(path)}: {what} left out", err=True)


def _lines(path: str) -> Iterator[str]:
    try:
        if path == "-":
            yield from sys.stdin
            return
        places = segments.files_of(path) if os.path.isdir(path) else [path]
        if not places:
            raise ConfigError(f"{neutral(path)}: there is no audit log in it")
        for place in places:
            with open(place, encoding="utf-8", errors="surrogateescape") as file:
                yield from file
    except OSError as error:
        raise ConfigError(f"{neutral(path)}: {(error.strerror or str(error)).lower()}") from None


def _is_of_log(line: str) -> bool:
    """Tell whether a line is of a log, be it a decision or not."""
    if not line.startswith("{"):
        return _OF_SERVER in line
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "event" in found


def _fields(line: str) -> dict[str, Any] | None:
    """Read one record of an audit log, or one line of a server's log; None for all that is no decision."""
    try:
        found = json.loads(line) if line.startswith("{") else _logged(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("event") not in _DECISIONS:
        return None
    return found if isinstance(found.get("argv"), list) else None


def _logged(line: str) -> dict[str, Any] | None:
    """Read ``rexec-server: EVENT key=value ...``; what stands before, such as a time, is passed over."""
    begin = _LOGGED.search(line)
    if begin is None:
        return None
    fields: dict[str, Any] = {"event": begin[1]}
    at = begin.end()
    while field := _FIELD.match(line, at):
        at = field.end()
        if line[at : at + 1] in ('"', "["):
            fields[field[1]], at = _JSON.raw_decode(line, at)
        else:
            plain = _PLAIN.match(line, at)
            assert plain is not None
            fields[field[1]], at = plain[0], plain.end()
    return fields

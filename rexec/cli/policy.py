"""`rexec-server check` and `rexec-server explain`: questions to an allow list, without a server."""

from __future__ import annotations

import time
from datetime import datetime
from ipaddress import ip_address

import click

from rexec.policy.explain import explain
from rexec.policy.problems import PolicyRefused, Problem, Severity
from rexec.policy.request import Request
from rexec.policy.who import is_name
from rexec.server import disk
from rexec.text import neutral

_WEIGHT = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 2}


@click.command("check")
@click.argument("file")
@click.pass_context
def check_command(context: click.Context, file: str) -> None:
    """Find all that is wrong with the allow list FILE, and what should be looked at again.

    Exits with 0 when there is nothing but notes, 1 with warnings, 2 with errors.
    """
    try:
        problems = disk.load(file, name=file).warnings
    except PolicyRefused as refused:
        problems = refused.problems
    context.exit(_print_problems(problems))


def _print_problems(problems: tuple[Problem, ...]) -> int:
    for problem in problems:
        click.echo("\n".join(problem.lines()))
    return max((_WEIGHT[problem.severity] for problem in problems), default=0)


def _name(context: click.Context, parameter: click.Parameter, value: str | tuple[str, ...]) -> object:
    for name in (value,) if isinstance(value, str) else value:
        if not is_name(name):
            raise click.BadParameter(f"{neutral(name)!r} is no name of a user or a group")
    return value


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return str(ip_address(value)) if value else ""
    except ValueError:
        raise click.BadParameter(f"{neutral(value)!r} is no IP address") from None


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> float:
    if value is None:
        return time.time()
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{neutral(value)!r} is no time such as 2030-01-31T08:00") from None


@click.command("explain", context_settings={"allow_interspersed_args": False})
@click.option("--allow-list", metavar="FILE", required=True, help="The allow list that is asked.")
@click.option("--as", "user", metavar="NAME", required=True, callback=_name, help="Who would ask.")
@click.option("--group", "groups", metavar="G", multiple=True, callback=_name, help="A group of the key.")
@click.option("--from", "peer", metavar="IP", default="", callback=_address, help="From where.")
@click.option("--at", "now", metavar="TIME", callback=_moment, help="When; now, if not given.")
@click.option("--pty", is_flag=True, help="With a terminal.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def explain_command(
    context: click.Context,
    allow_list: str,
    user: str,
    groups: tuple[str, ...],
    peer: str,
    now: float,
    pty: bool,
    command: tuple[str, ...],
) -> None:
    """Say which rule decides about COMMAND, and why; nothing is started.

    Exits with 0 when it is allowed, 126 when it is denied, 127 when the program is not there.
    """
    request = Request(
        user=user,
        groups=frozenset(groups),
        words=command,
        peer=peer,
        connection=peer,
        now=now,
        pty_allowed=True,
        pty="xterm" if pty else None,
    )
    explanation = explain(disk.load(allow_list), request)
    for line in explanation.lines:
        click.echo(line)
    context.exit(explanation.exit_code)

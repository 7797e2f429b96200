"""`rexec-server check` and `rexec-server explain`: questions to an allow list, without a server."""

from __future__ import annotations

import time
from datetime import datetime
from ipaddress import ip_address

import click

from rexec.cli.output import say
from rexec.policy.diff import compare
from rexec.policy.expand import expand
from rexec.policy.explain import explain
from rexec.policy.forms import form_of
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
    rules = None
    try:
        policy = disk.load(file, name=file)
        problems, rules = policy.warnings, len(policy.rules)
    except PolicyRefused as refused:
        problems = refused.problems
    code = _print_problems(problems)
    say("rexec-server", f"{neutral(file)}: {_summed(problems, rules)}")
    context.exit(code)


def _summed(problems: tuple[Problem, ...], rules: int | None) -> str:
    """Say in a few words what was found; `rules` is None where the file is refused."""
    counts = [
        _counted(sum(problem.severity is severity for problem in problems), severity.value)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    ]
    found = ", ".join(filter(None, counts)) or "no problems"
    return f"{'refused' if rules is None else _counted(rules, 'rule') or 'no rules'}: {found}"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}" if count else ""


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


@click.command("expand")
@click.argument("file")
def expand_command(file: str) -> None:
    """Print the allow list FILE with its %include and %use written out as ordinary rules.

    What is printed is an allow list of its own, with the same decisions; only the lines that rules
    stand on are others.
    """
    disk.load(file, name=file)
    click.echo(expand(disk.text_of(file), file, disk.LocalDisk(file)), nl=False)


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.pass_context
def diff_command(context: click.Context, old: str, new: str) -> None:
    """Say who gains (+) and loses (-) what between the allow lists OLD and NEW.

    ~ is a rule with other options, ! one that other rules come before now. Exits with 0 when every
    decision is the same, 1 when one may differ, 2 on errors.
    """
    found = compare(disk.load(old, name=old), disk.load(new, name=new))
    for whom, lines in found.differences:
        click.echo(f"{neutral(whom)}:")
        click.echo("\n".join(f"  {neutral(line)}" for line in lines))
    for text in found.textual:
        click.echo(f"no decision differs: {text}")
    context.exit(1 if found.differences else 0)


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
    form, words = form_of(command)
    request = Request(
        user=user,
        groups=frozenset(groups),
        words=words,
        form=form,
        peer=peer,
        connection=peer,
        now=now,
        utc_offset=time.localtime(now).tm_gmtoff,
        pty_allowed=True,
        pty="xterm" if pty else None,
    )
    explanation = explain(disk.load(allow_list), request)
    for line in explanation.lines:
        click.echo(line)
    context.exit(explanation.exit_code)

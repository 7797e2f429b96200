"""`rexec-server doctor`: what would be wrong with a server, before it is started."""

from __future__ import annotations

import click

from rexec.cli.serving import serving_options, settings_of
from rexec.errors import RexecError
from rexec.server.doctor import WEIGHT, examine, unsettled
from rexec.text import neutral


@click.command("doctor")
@serving_options
@click.pass_context
def doctor_command(context: click.Context, /, **options: object) -> None:
    """Look at keys, list, ports, kernel and limits of a server with these options, and change nothing.

    Prints one line each: ok, warning or error. Exits with 0, with 1 after warnings, 2 after errors.
    """
    given = context.find_root().params
    merged = {name: value or given.get(name) for name, value in options.items()}
    try:
        found = list(examine(settings_of(merged)))
    except RexecError as error:
        found = [unsettled(error)]
    for finding in found:
        click.echo(f"{finding.level}: {finding.about}: {neutral(finding.text)}")
    context.exit(max(WEIGHT[finding.level] for finding in found))

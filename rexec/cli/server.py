"""`rexec-server`: serve, and the subcommands that look after what a server needs."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from rexec import __version__, files
from rexec.auth.authorized import authorized_line
from rexec.auth.keys import parse_public_line
from rexec.cli.doctor import doctor_command
from rexec.cli.home import home_of, home_option
from rexec.cli.learn import learn_command
from rexec.cli.output import run_click
from rexec.cli.policy import check_command, diff_command, expand_command, explain_command
from rexec.cli.serving import serving_options, settings_of
from rexec.errors import ConfigError
from rexec.limits import KEY_FILE_MAX, KEY_LIST_MAX

PROGRAM = "rexec-server"


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@serving_options
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context, /, **options: object) -> None:
    """Run the commands of an allow list, and nothing else, for clients that prove who they are."""
    if context.invoked_subcommand is None:
        from rexec.server.start import run

        context.exit(run(settings_of(options), lambda: settings_of(options, provision=False)))


@cli.command()
@click.argument("name")
@click.argument("pubkey_file", metavar="PUBKEY-FILE")
@click.option("--group", "groups", metavar="G", multiple=True, help="A group of theirs; may be given again.")
@home_option
@click.pass_context
def authorize(context: click.Context, name: str, pubkey_file: str, groups: tuple[str, ...]) -> None:
    """Let the key in PUBKEY-FILE in, as user NAME."""
    home = home_of(context)
    path = context.find_root().params["authorized_keys"] or os.path.join(home, "authorized_keys")
    data = files.read_any(pubkey_file, KEY_FILE_MAX)
    if b"PRIVATE KEY-----" in data:
        raise ConfigError(
            f"{pubkey_file}: this is a private key, which stays where it is",
            hint=f"its public half is wanted: {pubkey_file}.pub, or what rexec-keygen -y prints",
        )
    try:
        public, _ = parse_public_line(data.decode("utf-8", "replace"))
    except ValueError as error:
        raise ConfigError(f"{pubkey_file}: {error}") from None
    files.ensure_home(os.path.dirname(os.path.abspath(path)))
    line = authorized_line(public, name, groups)
    if files.stamp(path) is not None and line in files.read_trusted(path, KEY_LIST_MAX).splitlines():
        click.echo(f"{public.fingerprint()} is authorised as {name} in {path} already")
        return
    files.append_line(path, line)
    click.echo(f"authorised {public.fingerprint()} as {name} in {path}")


cli.add_command(check_command)
cli.add_command(diff_command)
cli.add_command(doctor_command)
cli.add_command(expand_command)
cli.add_command(explain_command)
cli.add_command(learn_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `rexec-server`; every error is one line and its exit code."""
    return run_click(cli, PROGRAM, arguments)

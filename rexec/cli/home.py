"""`--home` behind a subcommand: people type it there as well as in front of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from rexec import files

if TYPE_CHECKING:
    from collections.abc import Callable


def home_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the option of its program."""
    about = "Where keys stand, instead of $REXEC_HOME or ~/.rexec."
    option = click.option("--home", metavar="DIR", expose_value=False, callback=_hand_up, help=about)
    return option(command)


def _hand_up(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.find_root().params["home"] = value


def home_of(context: click.Context) -> str:
    """Return the home that was named behind the subcommand, else in front of it, else the usual one."""
    return files.home(context.find_root().params["home"], os.environ)

"""The options of a server, and what they and the configuration say together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from rexec import files
from rexec.client.config import load_config, seconds, seconds_or_no
from rexec.errors import UsageError
from rexec.limits import AUDIT_SIZE, DRAIN, GRACE, JOBS_KEPT, KEEPALIVE_IDLE, RESUME_RESET, RESUME_SILENCE
from rexec.server.config import AUDIT, Crowds, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = (
    "allow_list",
    "authorized_keys",
    "host_key",
    "tls_cert",
    "tls_key",
    "no_tls",
    "drain",
    "grace",
    "keepalive",
    "resume_for",
    "resume_reset",
    "keep_jobs",
    "terse_denials",
    "audit",
    "audit_dir",
    "audit_size",
    "user",
    "verbose",
)

_UNITS = {"K": 1_000, "M": 1_000_000, "G": 1_000_000_000}  # the limit of a file, in the units of `ls -l`
_DIGITS_MAX = 15


_COUNTS = {
    "max_strangers": "strangers",
    "max_strangers_per_source": "strangers_per_source",
    "max_sessions": "sessions_per_user",
    "max_commands": "commands_per_user",
}

_OPTIONS = (
    click.option("--allow-list", metavar="FILE", help="What may be run, and by whom."),
    click.option(
        "--listen",
        metavar="ADDR",
        multiple=True,
        help="127.0.0.1:5512 (default), :PORT for everywhere, [::1]:PORT, unix:/PATH; may be given again.",
    ),
    click.option("--authorized-keys", metavar="FILE", help="Who may come in; OpenSSH's format."),
    click.option("--host-key", metavar="FILE", help="The server's own key."),
    click.option("--tls-cert", metavar="FILE", help="A certificate (PEM), instead of one of the host key."),
    click.option("--tls-key", metavar="FILE", help="Its private key (PEM)."),
    click.option("--no-tls", is_flag=True, help="Serve in the clear, on unix: and loopback addresses alone."),
    click.option("--drain", metavar="TIME", help="Time to finish after SIGTERM (10s)."),
    click.option("--grace", metavar="TIME", help="Time for a client to prove who it is (10s)."),
    click.option(
        "--keepalive", metavar="TIME", help="Silence before a client is asked whether it lives (15s)."
    ),
    click.option(
        "--resume-for",
        metavar="TIME|no",
        help="How long a session waits for its client where nothing is heard (60s).",
    ),
    click.option(
        "--resume-reset", metavar="TIME|no", help="Likewise where the connection was closed or reset (3s)."
    ),
    click.option("--keep-jobs", metavar="TIME", help="How long results of detached commands are kept (7d)."),
    click.option(
        "--terse-denials",
        is_flag=True,
        help="Tell clients that they are denied, and not why; the log says it.",
    ),
    click.option(
        "--audit",
        metavar="required|best-effort",
        help="Whether a command may run where it cannot be recorded (best-effort).",
    ),
    click.option("--audit-dir", metavar="DIR", help="Where the audit log stands, instead of HOME/audit."),
    click.option("--audit-size", metavar="SIZE", help="Size of one of its files (100M)."),
    click.option(
        "--user", metavar="NAME", help="Who the process that holds the sockets becomes; for root only."
    ),
    click.option("-v", "--verbose", count=True, help="Log who connects and who is let in, too."),
    click.option(
        "--max-strangers", metavar="N", type=int, help="Connections that have not proved who they are (1000)."
    ),
    click.option(
        "--max-strangers-per-source", metavar="N", type=int, help="Of them, from one new source (250)."
    ),
    click.option("--max-sessions", metavar="N", type=int, help="Sessions of one user at once (1000)."),
    click.option("--max-commands", metavar="N", type=int, help="Commands of one user at once (2000)."),
    click.option(
        "--penalty-exempt",
        metavar="NETWORK",
        multiple=True,
        help="Sources that are never shut out for failing (127.0.0.0/8, ::1).",
    ),
    click.option("--home", metavar="DIR", help="Where keys stand, instead of $REXEC_HOME or ~/.rexec."),
    click.option("--config", metavar="FILE", help="Settings, instead of HOME/config.toml."),
)


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a server."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_of(options: dict[str, Any], *, provision: bool = True) -> Settings:
    """Return the settings of a server: option, then [server] of the configuration, then default."""
    home = files.home(options["home"], os.environ)
    config = load_config(home, options["config"]).server
    chosen: dict[str, Any] = {}
    for name in _PLAIN:
        chosen[name] = options[name] or config.get(name)
    listen = options["listen"] or config.get("listen") or ()
    if chosen["allow_list"] is None:
        raise UsageError(
            "no --allow-list", hint="rexec-server --allow-list FILE; rexec-server --help says more"
        )
    return Settings(
        chosen["allow_list"],
        home,
        listen=(listen,) if isinstance(listen, str) else tuple(listen),
        authorized_keys=chosen["authorized_keys"],
        host_key=chosen["host_key"],
        tls_cert=chosen["tls_cert"],
        tls_key=chosen["tls_key"],
        no_tls=bool(chosen["no_tls"]),
        provision=provision and options["config"] is None,
        drain=_time(chosen, "drain", DRAIN),
        grace=_time(chosen, "grace", GRACE),
        keepalive=_time(chosen, "keepalive", KEEPALIVE_IDLE),
        resume_for=_time(chosen, "resume_for", RESUME_SILENCE, seconds_or_no),
        resume_reset=_time(chosen, "resume_reset", RESUME_RESET, seconds_or_no),
        keep_jobs=_time(chosen, "keep_jobs", JOBS_KEPT),
        terse_denials=bool(chosen["terse_denials"]),
        audit=chosen["audit"] or AUDIT[0],
        audit_dir=chosen["audit_dir"] if options["audit_dir"] is None else options["audit_dir"],
        user=chosen["user"],
        verbose=bool(chosen["verbose"]),
        crowds=_crowds(options, config),
        audit_size=AUDIT_SIZE if chosen["audit_size"] is None else _size(str(chosen["audit_size"])),
    )


def _crowds(options: dict[str, Any], config: dict[str, Any]) -> Crowds:
    """Return how many of everything there may be. Raises `UsageError`."""
    said: dict[str, Any] = {}
    for option, name in _COUNTS.items():
        number = config.get(option) if options[option] is None else options[option]
        if number is not None:
            said[name] = number
    exempt = options["penalty_exempt"] or config.get("penalty_exempt")
    if exempt is not None and exempt != ():
        said["penalty_exempt"] = (exempt,) if isinstance(exempt, str) else tuple(exempt)
    return Crowds(**said)


def _time(chosen: dict[str, Any], name: str, default: float, read: Callable[[str], float] = seconds) -> float:
    """Return the seconds of an option. Raises `UsageError`, which names it."""
    if chosen[name] is None:
        return default
    try:
        return read(str(chosen[name]))
    except UsageError as error:
        raise UsageError(f"--{name.replace('_', '-')}: {error}") from None


def _size(text: str) -> int:
    """Return a number of bytes, written as 5000000 or 100M. Raises `UsageError`."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "")
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS_MAX):
        raise UsageError(f"--audit-size {text!a} is no size such as 100M")
    return int(number) * _UNITS.get(unit, 1)

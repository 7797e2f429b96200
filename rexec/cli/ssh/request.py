"""What is asked of the server: ssh's words as one string, or a subsystem, and variables on offer."""

from __future__ import annotations

from rexec import files
from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from rexec.cli.ssh.settings import Settings

    Pairs = tuple[tuple[bytes, bytes], ...]
else:
    import posix as os


_PATTERN = frozenset("*?[~")  # what may be one; whether it is, `policy.splitting` knows


def text_of(settings: Settings) -> str:
    """Return the command as one string, joined as ssh joins it; "" where there is none."""
    command = settings.command
    wanted = settings.remote_command
    if wanted is None or wanted.lower() == "none":
        return " ".join(command)
    if command:
        raise UsageError(
            "both a command and a RemoteCommand", hint="-o RemoteCommand=none takes the latter away"
        )
    return wanted


def warn_of_patterns(settings: Settings, text: str) -> None:
    """Note a sign that a shell would have expanded, and the server's splitting leaves as it is."""
    if settings.is_subsystem or _PATTERN.isdisjoint(text):
        return
    from rexec.policy.splitting import split

    sign = split(text).pattern
    if sign:
        settings.warnings.append(
            f"{sign} is passed as it stands: there is no shell to expand it, unless @shell is allowed"
        )


def offered(settings: Settings, environ: Mapping[str, str]) -> Pairs:
    """Return the variables of SendEnv and SetEnv: a rule takes those that it passes, as sshd does."""
    if not (settings.send_env or settings.set_env):
        return ()
    from rexec.auth.patterns import matches

    found: dict[str, str] = {}
    for pattern in settings.send_env:
        if pattern.startswith("-"):
            found = {name: value for name, value in found.items() if not matches(name, pattern[1:])}
        else:
            found |= {name: value for name, value in environ.items() if matches(name, pattern)}
    for text in settings.set_env or ():
        name, _, found[name] = text.partition("=")
    return tuple((files.encoded(name), files.encoded(value)) for name, value in found.items())


def prepare(settings: Settings) -> None:
    """Settle what is asked for, and note what a person should know about it. Raises `UsageError`."""
    settings.text = text_of(settings)
    if settings.is_subsystem and not settings.text:
        raise UsageError("-s needs the name of a subsystem")
    settings.gets_terminal = wants_terminal(settings)
    warn_of_patterns(settings, settings.text)


def wants_terminal(settings: Settings) -> bool:
    """Whether the command gets a terminal; ssh's -t counts where stdin is one, -tt always."""
    if settings.tty == "force":
        return True
    if settings.tty != "yes":
        return False
    if os.isatty(0):
        return True
    settings.warnings.append("no terminal for the command, since stdin is none; -tt gives one")
    return False

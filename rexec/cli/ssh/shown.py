"""What `-G` prints: what a connection would use, in the words of ssh -G; nothing is connected."""

from __future__ import annotations

from rexec.cli.output import show as write
from rexec.cli.ssh.destination import target_of, tokens_of
from rexec.cli.ssh.tokens import login
from rexec.text import neutral

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.cli.ssh.settings import Settings
    from rexec.client.config import Target


def show(settings: Settings) -> int:
    """Print the settings, one a line; return 0."""
    target = target_of(settings)
    return write("".join(f"{key} {neutral(value)}\n" for key, value in _rows(settings, target) if value))


def _rows(settings: Settings, target: Target) -> Iterator[tuple[str, str]]:
    address = target.address
    yield "host", settings.host or ""
    yield "user", target.user or login()  # a name for programs that ask: unless it is given, the key decides
    yield "hostname", address.path or address.host
    yield "port", str(address.port)
    yield "batchmode", _word(settings.batch)
    yield "connecttimeout", f"{target.connect_timeout:.0f}"
    for path in target.identities or (f"{target.home}/id_ed25519",):
        yield "identityfile", path
    yield "loglevel", _level(settings)
    yield "proxyjump", settings.proxy_jump or ""
    yield "proxycommand", settings.proxy_command or ""
    yield "requesttty", settings.tty or "auto"
    for pattern in settings.send_env:
        yield "sendenv", pattern
    for text in settings.set_env or ():
        yield "setenv", text
    yield "serveraliveinterval", f"{target.keepalive:.0f}"
    yield "sessiontype", "subsystem" if settings.is_subsystem else "default"
    yield "stricthostkeychecking", "accept-new" if target.accept_new else settings.strict or "ask"
    yield "userknownhostsfile", target.known_hosts or f"{target.home}/known_hosts"
    yield "controlmaster", settings.master or "no"
    if settings.control_path is not None and settings.control_path != "none":
        yield "controlpath", tokens_of(settings, target).expand(settings.control_path, is_path=True)
    yield "controlpersist", _persist(settings.persist)


def _word(flag: bool | None) -> str:
    return "yes" if flag else "no"


def _persist(seconds: float | None) -> str:
    if seconds is None or seconds < 0:
        return "no"
    return f"{seconds:.0f}" if seconds else "yes"


def _level(settings: Settings) -> str:
    if settings.quiet:
        return "QUIET"
    if settings.terse:
        return "ERROR"
    return "DEBUG" if settings.verbose else "INFO"

"""The keywords of ssh_config(5) that `-o` and a file may set: what each does here.

One table. A keyword that stands in none of its three parts has no meaning here, and is passed over, as
ssh's own `IgnoreUnknown` would have it: a program that was written for ssh must not fail for a wish
about ciphers.
"""

from __future__ import annotations

from rexec.cli.ssh.settings import Settings, number_of, one_of, seconds_of, words_of, yes_or_no
from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Set = Callable[[Settings, list[str]], None]

LEVELS = ("quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3")


def _port(settings: Settings, values: list[str]) -> None:
    from rexec.transport.address import parse_port

    settings.set("port", parse_port(values[0]))


def _text(field: str) -> Set:
    return lambda settings, values: settings.set(field, values[0])


def _number(field: str, take: Callable[[str], object]) -> Set:
    return lambda settings, values: settings.set(field, take(values[0]))


def _identity(settings: Settings, values: list[str]) -> None:
    if values[0].lower() != "none" and values[0] not in settings.identity_files:
        settings.identity_files.append(values[0])


def _timeout(settings: Settings, values: list[str]) -> None:
    given = 0.0 if values[0].lower() == "none" else seconds_of(values[0])
    settings.set("connect_timeout", given)  # 0: as long as it takes by default


def _strict(settings: Settings, values: list[str]) -> None:
    meanings = {
        "yes": "yes", "true": "yes", "ask": "ask",
        "no": "accept-new", "off": "accept-new", "false": "accept-new", "accept-new": "accept-new",
    }  # fmt: skip
    settings.set("strict", one_of(values[0], meanings))


def _known_hosts(settings: Settings, values: list[str]) -> None:
    settings.set("known_hosts", values)


def _send_env(settings: Settings, values: list[str]) -> None:
    settings.send_env += values


def _set_env(settings: Settings, values: list[str]) -> None:
    for value in values:
        if not value.partition("=")[1]:
            raise UsageError(f"{value!a} is not NAME=VALUE")
    settings.set("set_env", values)


def _tty(settings: Settings, values: list[str]) -> None:
    meanings = {"no": "no", "false": "no", "yes": "yes", "true": "yes", "force": "force", "auto": "auto"}
    settings.set("tty", one_of(values[0], meanings))


def _master(settings: Settings, values: list[str]) -> None:
    # nobody could be asked: with ask, what is there is used and nothing new is offered
    meanings = {"no": "no", "false": "no", "yes": "yes", "true": "yes", "auto": "auto"}
    settings.set("master", one_of(values[0], {**meanings, "ask": "no", "autoask": "no"}))


def _persist(settings: Settings, values: list[str]) -> None:
    word = values[0].lower()
    if word in ("yes", "true", "no", "false"):
        settings.set("persist", 0.0 if yes_or_no(word) else -1.0)
    else:
        settings.set("persist", seconds_of(word))


def _level(settings: Settings, values: list[str]) -> None:
    level = LEVELS.index(one_of(values[0], {name: name for name in LEVELS}))
    if settings.quiet is None:
        settings.quiet = level < LEVELS.index("error")
        settings.terse = level == LEVELS.index("error")
        settings.verbose = settings.verbose or max(0, level - LEVELS.index("info"))


def _session(settings: Settings, values: list[str]) -> None:
    kind = one_of(values[0], {"none": "none", "subsystem": "subsystem", "default": "default"})
    settings.is_subsystem |= kind == "subsystem"
    settings.no_command |= kind == "none"


def _flag(field: str) -> Set:
    def take(settings: Settings, values: list[str]) -> None:
        setattr(settings, field, getattr(settings, field) or yes_or_no(values[0]))

    return take


MAPPED: dict[str, Set] = {
    "Port": _port,
    "User": _text("user"),
    "HostName": _text("host_name"),
    "IdentityFile": _identity,
    "ProxyJump": _text("proxy_jump"),
    "ProxyCommand": _text("proxy_command"),
    "BatchMode": _number("batch", yes_or_no),
    "ConnectTimeout": _timeout,
    "StrictHostKeyChecking": _strict,
    "UserKnownHostsFile": _known_hosts,
    "ServerAliveInterval": _number("alive_interval", seconds_of),
    "ServerAliveCountMax": _number("alive_count", number_of),
    "SendEnv": _send_env,
    "SetEnv": _set_env,
    "RequestTTY": _tty,
    "RemoteCommand": _text("remote_command"),
    "SessionType": _session,
    "StdinNull": _flag("no_stdin"),
    "ForkAfterAuthentication": _flag("background"),
    "ControlMaster": _master,
    "ControlPath": _text("control_path"),
    "ControlPersist": _persist,
    "LogLevel": _level,
}
REFUSED = {
    "LocalForward": "nothing is forwarded",
    "RemoteForward": "nothing is forwarded",
    "DynamicForward": "nothing is forwarded",
    "Tunnel": "nothing is forwarded",
}
RAW = frozenset({"proxycommand", "remotecommand"})  # their value is all that is left of the line
IN_FILE = frozenset(
    {
        "hostname",
        "port",
        "user",
        "identityfile",
        "proxyjump",
        "controlmaster",
        "controlpath",
        "controlpersist",
    }
)
_MAPPED = {name.lower(): take for name, take in MAPPED.items()}
_REFUSED = {name.lower(): (name, why) for name, why in REFUSED.items()}


def parted(line: str) -> tuple[str, str]:
    """Return keyword and value of a line: `Key value`, `Key=value`, `Key = value`."""
    text = line.strip(" \t\r\n\f")
    end = next((at for at, char in enumerate(text) if char in " \t="), len(text))
    rest = text[end:].lstrip(" \t")
    return text[:end].strip('"').lower(), rest.removeprefix("=").lstrip(" \t")


def apply(settings: Settings, keyword: str, value: str) -> None:
    """Let a keyword, in lower case, set what it sets. Raises `UsageError`."""
    if keyword in _REFUSED:
        name, why = _REFUSED[keyword]
        if value.lower() not in ("no", "none", "false"):
            raise UsageError(f"{name} cannot be had: {why}")
        return
    take = _MAPPED.get(keyword)
    if take is None:
        return
    try:
        values = [value] if keyword in RAW and value else words_of(value)
        if not values:
            raise UsageError("missing argument")
        take(settings, values)
    except UsageError as error:
        raise UsageError(f"{keyword}: {error}") from None


def take_option(settings: Settings, line: str) -> None:
    """Obey the value of one `-o`. Raises `UsageError`."""
    try:
        apply(settings, *parted(line))
    except UsageError as error:
        raise UsageError(f"-o {error}") from None

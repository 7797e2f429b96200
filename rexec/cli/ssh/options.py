"""ssh's own options: one table, and the order in which ssh takes them.

Options stand before and after the host, up to the first word that is none; a `--` may stand before
the host, behind it, or both. Never is a word of the command an option.
"""

from __future__ import annotations

from rexec.cli.ssh.settings import Settings
from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    Take = Callable[[Settings, str], None]
else:
    import posix as os

USAGE = "rexec-ssh [OPTIONS] [USER@]HOST [COMMAND...]"
_SCHEME = "ssh://"


def _port(settings: Settings, value: str) -> None:
    from rexec.transport.address import parse_port

    settings.set("port", parse_port(value))


def _identity(settings: Settings, value: str) -> None:
    from rexec.files import expanded

    path = expanded(value)
    if not os.access(path, os.F_OK):  # as ssh: said, and gone on without
        settings.warnings.append(f"identity file {value} is not there")
    elif path not in settings.identity_files:
        settings.identity_files.append(path)


def _text(field: str) -> Take:
    return lambda settings, value: settings.set(field, value)


def _on(field: str) -> Take:
    return lambda settings, _: setattr(settings, field, True)


def _tty(settings: Settings, _: str) -> None:
    settings.tty = "force" if settings.tty in ("yes", "force") else "yes"


def _no_tty(settings: Settings, _: str) -> None:
    settings.tty = "no"


def _master(settings: Settings, _: str) -> None:
    settings.master = "yes"


def _verbose(settings: Settings, _: str) -> None:
    settings.verbose += 1


def _keyword(settings: Settings, value: str) -> None:
    from rexec.cli.ssh.keywords import take_option

    take_option(settings, value)


def _control(settings: Settings, value: str) -> None:
    if value not in ("check", "exit", "stop"):
        raise UsageError(f"-O {value}: check, exit and stop can be had")
    settings.set("control", value)


MAPPED: dict[str, tuple[str, Take]] = {
    "p": ("PORT", _port),
    "l": ("USER", _text("user")),
    "i": ("FILE", _identity),
    "F": ("FILE", _text("config_file")),
    "J": ("HOST", _text("proxy_jump")),
    "o": ("KEY=VALUE", _keyword),
    "t": ("", _tty),
    "T": ("", _no_tty),
    "n": ("", _on("no_stdin")),
    "s": ("", _on("is_subsystem")),
    "q": ("", _on("quiet")),
    "v": ("", _verbose),
    "M": ("", _master),
    "S": ("PATH", _text("control_path")),
    "O": ("COMMAND", _control),
    "G": ("", _on("shows_settings")),
    "V": ("", _on("shows_version")),
    "N": ("", _on("no_command")),
    "f": ("", _on("background")),
}
IGNORED = "1246aACgkKxXyY"  # no forwarding takes place, and TLS has its own mind about the rest
IGNORED_WITH_VALUE = "BbceEImPQ"
REFUSED = {
    "L": "nothing is forwarded",
    "R": "nothing is forwarded",
    "D": "nothing is forwarded",
    "W": "nothing is forwarded; -J goes through a host by its rule for nc",
    "w": "nothing is forwarded",
}


def parse(arguments: list[str]) -> Settings:
    """Return what the arguments say. Raises `UsageError`."""
    settings = Settings()
    rest = list(arguments)
    over = _options(settings, rest)
    if not rest:
        return settings
    _destination(settings, rest.pop(0))
    if not over:
        _options(settings, rest)
    elif rest[:1] == ["--"]:
        del rest[0]
    settings.command = rest
    return settings


def _options(settings: Settings, rest: list[str]) -> bool:
    """Take the options in front; True where a `--` ended them."""
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            return True
        _letters(settings, word, rest)
    return False


def _letters(settings: Settings, word: str, rest: list[str]) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in IGNORED:
            continue
        if letter in REFUSED:
            raise UsageError(f"-{letter} cannot be had: {REFUSED[letter]}")
        value, take = MAPPED.get(letter, ("", None))
        if take is None and letter not in IGNORED_WITH_VALUE:
            raise UsageError(f"unknown option {word if letter == '-' else '-' + letter!a}", hint=USAGE)
        given = ""
        if value or take is None:
            given, letters = letters or _next(letter, rest), ""
        if take is not None:
            take(settings, given)


def _next(letter: str, rest: list[str]) -> str:
    if not rest:
        raise UsageError(f"-{letter} needs a value", hint=USAGE)
    return rest.pop(0)


def _destination(settings: Settings, text: str) -> None:
    """Take `[USER@]HOST` or `ssh://[USER@]HOST[:PORT]`; an option in front of it counts before it."""
    is_url = text.startswith(_SCHEME)
    place = text.removeprefix(_SCHEME).removesuffix("/") if is_url else text
    user, at, host = place.rpartition("@")
    if at and not user:
        raise UsageError(f"{text!a} has no user before the @")
    if user:
        settings.set("user", user)
    if is_url:
        host, port = _parted(host)
        if port:
            _port(settings, port)
    settings.host = host


def _parted(place: str) -> tuple[str, str]:
    """Part host and port of a URL, whose IPv6 addresses stand in brackets."""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = place.partition(":")
    return host, port

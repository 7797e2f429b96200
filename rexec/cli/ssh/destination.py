"""Where a command line of ssh leads: its options, the file of `-F`, then rexec's own config.toml."""

from __future__ import annotations

import sys

from rexec import files
from rexec.client.config import Wishes, load_config, resolve
from rexec.errors import UsageError
from rexec.limits import KEEPALIVE_IDLE
from rexec.transport.address import parse_address, parse_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.cli.ssh.settings import Settings
    from rexec.cli.ssh.tokens import Tokens
    from rexec.client.config import Target
    from rexec.transport.passage import Via

ACCEPT = "-o StrictHostKeyChecking=accept-new"
OURSELVES = "from rexec.cli.ssh import carry; carry()"


def target_of(settings: Settings) -> Target:
    """Return where the settings lead. Raises `UsageError`."""
    if settings.target is None:
        settings.target = _target_of(settings)
    return settings.target


def _target_of(settings: Settings) -> Target:
    assert settings.host is not None
    home = files.home(None, files.environ())
    wishes = Wishes(home)
    wishes.port, wishes.user = settings.port, settings.user
    wishes.connect_timeout = settings.connect_timeout or None
    if "@" in settings.host:
        raise UsageError(f"{settings.host!a} is not a host name")
    target = resolve(settings.host, wishes, load_config(home, None))
    if settings.host_name is not None:
        from rexec.cli.ssh.tokens import Tokens

        tokens = Tokens(settings.host, settings.host, target.address.port, target.user)
        name = tokens.expand(settings.host_name)
        target.address = parse_address(name, port=target.address.port)
    _trust(settings, target)
    _identities(settings, target)
    _patience(settings, target)
    target.via = _via(settings, target)
    if target.via is not None:
        if target.address.path:
            raise UsageError(f"{target.address}: a socket of this machine has no host in between")
        target.tls = True  # whatever holds for this name without a host in between
    return target


def tokens_of(settings: Settings, target: Target) -> Tokens:
    """Return what `%h` and its like stand for; without a user it is who we are here."""
    from rexec.cli.ssh.tokens import Tokens, login

    assert settings.host is not None
    address = target.address
    return Tokens(settings.host, address.path or address.host, address.port, target.user or login())


def _trust(settings: Settings, target: Target) -> None:
    target.how_to_accept = ACCEPT
    if settings.strict is not None:
        target.accept_new = settings.strict == "accept-new"
    target.asks = not settings.batch and settings.strict != "yes"
    if settings.known_hosts is not None:
        tokens = tokens_of(settings, target)
        paths = [tokens.expand(path, is_path=True) for path in settings.known_hosts]
        paths = [files.NULL if path.lower() == "none" else path for path in paths]
        target.known_hosts = next((path for path in paths if files.stamp(path) is not None), paths[0])


def _identities(settings: Settings, target: Target) -> None:
    """Take the identity files; of several, those that are not there are passed over, as in ssh."""
    if not settings.identity_files:
        return
    tokens = tokens_of(settings, target)
    paths = [tokens.expand(path, is_path=True) for path in settings.identity_files]
    there = [path for path in paths if files.stamp(path) is not None]
    target.identities = tuple(there or paths)


def _patience(settings: Settings, target: Target) -> None:
    """Ask the server for a sign of life as often as is wished; never is no wish that can be had."""
    if settings.alive_interval:
        target.keepalive = settings.alive_interval
    if settings.alive_interval or settings.alive_count is not None:
        count = 3 if settings.alive_count is None else settings.alive_count
        interval = settings.alive_interval or KEEPALIVE_IDLE
        target.silence = interval * max(1, count)


def _via(settings: Settings, target: Target) -> Via | None:
    """Return the program that carries the connection, where one is wished for."""
    jump, command = settings.proxy_jump, settings.proxy_command
    if jump is not None and jump.lower() != "none":
        return _jump(settings, target, jump)
    if command is None or command.lower() == "none" or jump is not None:
        return None
    from rexec.transport.passage import Via

    line = tokens_of(settings, target).expand(command)
    return Via(("/bin/sh", "-c", f"exec {line}"), "the ProxyCommand", speaks=False)


def _jump(settings: Settings, target: Target, jump: str) -> Via:
    """Return ourselves, who run `nc` on the last host in between and reach that by the ones before."""
    from rexec.transport.passage import Via

    *before, last = jump.split(",")
    user, _, place = last.removeprefix("ssh://").rpartition("@")
    host, port = _host_and_port(place)
    if not host or host.startswith("-"):
        raise UsageError(f"-J {jump!a} names no host")
    words = [sys.executable, "-I" if sys.flags.isolated else "-P", "-c", OURSELVES]
    words += ["-q"] if settings.quiet else ["-v"] * settings.verbose
    words += ["-F", settings.config_file] if settings.config_file is not None else []
    words += ["-o", "BatchMode=yes"] if settings.batch else []
    words += ["-J", ",".join(before)] if before else []
    words += ["-o", "ControlPath=none", "-T"]
    words += ["-l", user] if user else []
    words += ["-p", str(parse_port(port))] if port else []
    words += ["--", host, "nc", target.address.host, str(target.address.port)]
    return Via(words, f"the jump host {host}", speaks=True)


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    if place.count(":") > 1:
        return place, ""
    host, _, port = place.partition(":")
    return host, port

"""What a command line and `config.toml` together say about one host."""

from __future__ import annotations

from rexec import files
from rexec.errors import UsageError
from rexec.limits import (
    CONFIG_MAX,
    CONNECT_TIMEOUT,
    KEEPALIVE_IDLE,
    KEEPALIVE_TIMEOUT,
    RESUME_SILENCE,
    TIMEOUT_MAX,
)
from rexec.transport.address import parse_address, parse_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rexec.transport.address import Address
    from rexec.transport.approach import Approach
    from rexec.transport.passage import Via


class Config:
    """A configuration that was checked: every table and key is a known one of the right type."""

    __slots__ = ("client", "hosts", "server")

    def __init__(self) -> None:
        self.client: dict[str, Any] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.server: dict[str, Any] = {}


def load_config(home: str, option: str | None) -> Config:
    """Return the configuration of `--config`, else of the home, else an empty one."""
    path = option or files.beneath(home, "config.toml")
    if option is None and files.stamp(path) is None:
        return Config()
    from rexec.client.tables import parse_config

    return parse_config(files.read_trusted(path, CONFIG_MAX), path)


class Wishes:
    """What a command line says; None and empty where it says nothing."""

    __slots__ = (
        "accept_new", "config", "connect_timeout", "cwd", "env", "home", "identity", "no_resume", "no_tls",
        "port", "resume_for", "timeout", "user",
    )  # fmt: skip

    def __init__(self, home: str) -> None:
        self.home = home
        self.config: str | None = None
        self.port: int | None = None
        self.user: str | None = None
        self.identity: list[str] = []
        self.env: list[str] = []
        self.cwd: str | None = None
        self.timeout: float | None = None
        self.no_tls = False
        self.accept_new = False
        self.connect_timeout: float | None = None
        self.no_resume = False
        self.resume_for: float | None = None


class Target:
    """Where to connect and as whom; `name` is what was typed, for messages."""

    __slots__ = (
        "accept_new", "address", "approach", "asks", "connect_timeout", "cwd", "env", "home", "how_to_accept",
        "identities", "keepalive", "known_hosts", "name", "resume_for", "silence", "timeout", "tls", "user",
        "via",
    )  # fmt: skip

    def __init__(self, name: str, address: Address, user: str, home: str) -> None:
        self.name = name
        self.address = address
        self.user = user
        self.home = home
        self.identities: tuple[str, ...] = ()
        self.env: tuple[str, ...] = ()
        self.cwd: str | None = None
        self.timeout: float | None = None
        self.tls = True
        self.accept_new = False
        self.how_to_accept = "--accept-new"  # in the words of the command that people typed
        self.asks = True  # a person, about a new key or a passphrase
        self.known_hosts: str | None = None  # instead of the home's; /dev/null: nothing known, nothing kept
        self.connect_timeout: float = CONNECT_TIMEOUT
        self.keepalive: float = KEEPALIVE_IDLE
        self.silence: float = KEEPALIVE_TIMEOUT
        self.resume_for: float = RESUME_SILENCE  # seconds to come back in; 0: a lost connection is lost
        self.via: Via | None = None  # a program that carries the connection
        self.approach: Approach | None = None  # a connection that was begun already


def resolve(text: str, wishes: Wishes, config: Config) -> Target:
    """Return the target that `[USER@]HOST[:PORT]` means: option, then host, then client, then default."""
    user, at, host = text.rpartition("@")
    if at and not user:
        raise UsageError(f"{text!a} has no user before the @")
    host_table = config.hosts.get(host, {})
    tables = (host_table, config.client)
    if not host or host.startswith("-") or any(c < " " or c == "\x7f" for c in host):
        raise UsageError(f"{host!a} is not a host name")
    port = wishes.port if wishes.port is not None else _first("port", tables)
    address = parse_address(str(host_table.get("address", host)))
    if (
        port is not None
        and not address.path
        and (wishes.port is not None or not _names_port(host_table, host))
    ):
        address.port = parse_port(str(port))
    if not address.host and not address.path:
        raise UsageError(f"{text!a} names no host")
    target = Target(host, address, _user(user or wishes.user or _first("user", tables) or ""), wishes.home)
    target.identities = tuple(wishes.identity) or _texts(_first("identity", tables))
    target.env = (*_texts(_first("env", tables)), *wishes.env)
    target.cwd = wishes.cwd or _first("cwd", (config.client,))
    target.tls = not (wishes.no_tls or _first("no_tls", tables))
    target.accept_new = wishes.accept_new or bool(config.client.get("accept_new"))
    timeout = wishes.timeout if wishes.timeout is not None else _first("timeout", tables)
    target.timeout = None if timeout is None else _patience(timeout)
    wait = (
        wishes.connect_timeout if wishes.connect_timeout is not None else config.client.get("connect_timeout")
    )
    if wait is not None:
        target.connect_timeout = _patience(wait)
    _set_times(target, wishes, config.client)
    _check_clear(target)
    return target


def _set_times(target: Target, wishes: Wishes, table: dict[str, Any]) -> None:
    """Set how a connection is kept, and for how long it is taken up again."""
    if (keepalive := table.get("keepalive")) is not None:
        target.keepalive = _patience(keepalive)
        target.silence = 2 * target.keepalive
    wait = wishes.resume_for if wishes.resume_for is not None else table.get("resume_for")
    if wait is not None:
        target.resume_for = seconds_or_no(str(wait))
    if wishes.no_resume or (table.get("no_resume") and wishes.resume_for is None):
        target.resume_for = 0.0


def variables(target: Target) -> tuple[tuple[bytes, bytes], ...]:
    """Return the variables to ask for: `NAME=VALUE`, or `NAME` of our own. Raises `UsageError`."""
    return tuple(map(_variable, target.env))


def _variable(text: str) -> tuple[bytes, bytes]:
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError(f"env {text!a}: no name")
    if not equals:
        environ = files.environ()
        if name not in environ:
            raise UsageError(f"env {name}: there is no such variable here", hint=f"{name}=VALUE sets one")
        value = environ[name]
    return files.encoded(name), files.encoded(value)


def directory(target: Target) -> bytes | None:
    """Return the directory to ask for."""
    return None if target.cwd is None else files.encoded(target.cwd)


def _user(name: str) -> str:
    if not name:
        return ""
    from rexec.auth.names import is_user_name

    if not is_user_name(name):
        raise UsageError(f"{name!a} is not a user name")
    return name


def _check_clear(target: Target) -> None:
    if not target.tls and not target.address.is_local:
        raise UsageError(
            f"--no-tls is refused for {target.address}: anyone on the way could read and change everything",
            hint="--no-tls is taken for unix: and loopback addresses alone",
        )


def _names_port(host_table: dict[str, Any], host: str) -> bool:
    """Whether the address itself says a port, which then counts before a table's."""
    written = str(host_table.get("address", host))
    return parse_address(written, port=0).port != 0


def _first(key: str, tables: tuple[dict[str, Any], ...]) -> Any:
    for table in tables:
        if key in table:
            return table[key]
    return None


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _patience(value: object) -> float:
    """Return the seconds of a duration, as many as any clock has. Raises `UsageError`."""
    return min(seconds(str(value)), TIMEOUT_MAX)


def seconds_or_no(text: str) -> float:
    """Return the seconds that a duration means, 0 for `no`. Raises `UsageError`."""
    return 0.0 if text == "no" else seconds(text)


def seconds(text: str) -> float:
    """Return the seconds that `30`, `30s`, `2m`, `1h`, `500ms` or `1d` mean. Raises `UsageError`."""
    for suffix, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("", 1.0)):
        if text.endswith(suffix):
            number = text.removesuffix(suffix) if suffix else text
            if number.isascii() and number.replace(".", "", 1).isdigit():
                value = float(number) * factor
                if 0 < value < float("inf"):
                    return value
            break
    raise UsageError(f"{text!a} is not a duration such as 30s, 10m or 1h")

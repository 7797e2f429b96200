"""Addresses as people write them: `host`, `host:port`, `[::1]:port`, `::1`, `:port`, `unix:/path`."""

from __future__ import annotations

from rexec.errors import UsageError
from rexec.limits import DEFAULT_PORT

_DIGITS = 20  # that a number may have here: Python itself refuses those of thousands


class Address:
    """Where to listen or to connect: a host and port, or the path of a Unix socket."""

    __slots__ = ("host", "path", "port")

    def __init__(self, host: str, port: int, path: str = "") -> None:
        self.host = host
        self.port = port
        self.path = path

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can be on the way: a Unix socket, or a literal loopback address."""
        return bool(self.path) or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host is the loopback by its very spelling; no name is looked up but `localhost`."""
    if host in ("localhost", "::1"):
        return True
    parts = host.removeprefix("::ffff:").split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isascii() and part.isdigit() for part in parts)


def parse_address(text: str, *, port: int = DEFAULT_PORT) -> Address:
    """Return the address that `text` means; `port` where it names none. Raises `UsageError`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.isprintable():
            raise UsageError(f"{text!a} is not the path of a socket")
        if not path or len(path.encode()) > 107:  # sun_path of unix(7), with its final NUL
            raise UsageError(f"{text}: a Unix socket needs a path of 1 to 107 bytes")
        return Address("", 0, path)
    host, port_text = _split(text)
    if port_text is not None:
        try:
            port = parse_port(port_text)
        except UsageError as error:
            raise UsageError(f"{text!a}: {error}") from None
    if not text or host.startswith("-") or not all(char.isalnum() or char in ".-_:%" for char in host):
        raise UsageError(f"{text!a} is not a host name")
    return Address(host, port)


def parse_port(text: str) -> int:
    """Return a port number, 0 to 65535."""
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS) or int(text) > 65_535:
        raise UsageError(f"{text!a} is not a port")
    return int(text)


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not host or (rest and not rest.startswith(":")):
            raise UsageError(f"{text!a} is not an address")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:  # an IPv6 address without brackets has no port
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None

"""Listening sockets: bound here, or given by who started the server (sd_listen_fds(3)).

Given ones come from a service manager, or from a server that this one succeeds and that bound them once.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from rexec.errors import ConfigError
from rexec.limits import BACKLOG, SOCKETS_MAX
from rexec.transport.address import Address
from rexec.transport.approach import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

FIRST = 3  # SD_LISTEN_FDS_START: the number of the first
SUCCEEDS = "REXEC_SUCCEEDS"  # of a successor: where to say that it serves, and whose sockets it has
OURS, THEIRS = "ours", "theirs"
_NAMES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", SUCCEEDS)
_DIGITS, _SHOWN = 6, 40  # of a number that is believed, and that is shown
_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class Given:
    """Sockets that a server was started with, instead of addresses to bind.

    `are_ours`: a server bound them, so that their files go with the last one that serves. `heard`: where a
    successor says that it serves.
    """

    __slots__ = ("are_ours", "heard", "sockets")

    def __init__(self, sockets: list[socket.socket], *, are_ours: bool = False, heard: int = -1) -> None:
        self.sockets = sockets
        self.are_ours = are_ours
        self.heard = heard

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(map(address_of, self.sockets))

    def close(self) -> None:
        """Leave all of it to another process."""
        for listening in self.sockets:
            listening.close()
        if self.heard >= 0:
            os.close(self.heard)
            self.heard = -1

    def say_ready(self) -> None:
        """Tell the server that is succeeded that it may go."""
        if self.heard >= 0:
            try:
                os.write(self.heard, b"1")
            except OSError:
                pass  # it is gone already
            os.close(self.heard)
            self.heard = -1


def take_given(environ: MutableMapping[str, str]) -> Given | None:
    """Take what the environment says was given, out of it too; None: nothing. Raises `ConfigError`."""
    pid, count, _, succeeds = (environ.pop(name, "") for name in _NAMES)
    if pid != str(os.getpid()) or count in ("", "0"):  # meant for a process before us
        return None
    is_number = count.isascii() and count.isdigit() and len(count) < _DIGITS
    if not is_number or int(count) > SOCKETS_MAX:
        raise ConfigError(f"LISTEN_FDS={count[:_SHOWN]!a} is no number of sockets from 1 to {SOCKETS_MAX}")
    end = FIRST + int(count)
    try:
        if succeeds:
            os.set_inheritable(end, False)
    except OSError as error:
        raise ConfigError(f"{SUCCEEDS} is set, and no server is succeeded: {words(error)}") from None
    sockets = [_given(number) for number in range(FIRST, end)]
    return Given(sockets, are_ours=succeeds == OURS, heard=end if succeeds else -1)


def _given(number: int) -> socket.socket:
    """Return what was given as a listening socket of streams, which no command inherits."""
    try:
        given = socket.socket(fileno=number)
        is_listening = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigError(f"LISTEN_FDS: descriptor {number}: {words(error)}") from None
    if given.family not in _FAMILIES or given.type != socket.SOCK_STREAM or not is_listening:
        raise ConfigError(
            f"LISTEN_FDS: descriptor {number} is no listening socket of streams",
            hint="in a unit of systemd it is ListenStream= with Accept=no",
        )
    if given.family == socket.AF_UNIX and not isinstance(given.getsockname(), str):
        raise ConfigError(f"LISTEN_FDS: descriptor {number} has no path: an abstract socket is not served")
    given.set_inheritable(False)
    return given


def address_of(listening: socket.socket) -> Address:
    """Return where a socket listens."""
    name = listening.getsockname()
    if isinstance(name, tuple):
        return Address(str(name[0]).partition("%")[0], name[1])
    return Address("", 0, str(name))


def bind(address: Address) -> socket.socket:
    """Return a bound socket for an address; raises `ConfigError`."""
    try:
        return _bind_unix(address.path) if address.path else _bind_tcp(address)
    except (OSError, UnicodeError) as error:
        why = words(error) if isinstance(error, OSError) else "not a host name"
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        hint = "another server runs there; --listen names another address" if is_taken else None
        if is_taken and address.path and not _is_socket(address.path):
            why, hint = "there is a file that is no socket", "remove it, or --listen names another address"
        if address.host.isdecimal():
            hint = f"a port has a colon in front: --listen :{address.host}"
        raise ConfigError(f"cannot listen on {address}: {why}", hint=hint) from None


def _bind_tcp(address: Address) -> socket.socket:
    host = address.host or "::"
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, name = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(address.host)))
        listening.bind(name)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _bind_unix(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        _remove_dead(path)
        before = os.umask(0o177)
        try:
            listening.bind(path)
        finally:
            os.umask(before)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _remove_dead(path: str) -> None:
    """Remove the socket of a server that is gone; leave anything else alone."""
    if not _is_socket(path):  # connecting to a plain file is refused, too
        return
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError:
        pass
    finally:
        probe.close()

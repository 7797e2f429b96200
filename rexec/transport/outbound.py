"""Connecting, in an event loop: the other half of `dial`, for clients that have one."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rexec.errors import ConnectError
from rexec.transport.approach import no_connection, words
from rexec.transport.link import Buffers, Link
from rexec.transport.passage import open_passage
from rexec.transport.secure import TlsLayer, client_context

if TYPE_CHECKING:
    from rexec.transport.address import Address
    from rexec.transport.link import Owner
    from rexec.transport.passage import Via

_PAUSE = 0.02  # seconds between tries of a socket whose queue is full, which no poll tells of
_BUFFERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Buffers] = WeakKeyDictionary()


async def open_link(address: Address, owner: Owner, *, tls: bool, via: Via | None = None) -> Link:
    """Return a link that is connected and on its way through TLS; raises `ConnectError`.

    The owner hears when it is `opened`, or why it is `lost`. The caller sets the time for it.
    """
    loop = asyncio.get_running_loop()
    buffers = _BUFFERS.setdefault(loop, Buffers())
    link = Link(buffers, TlsLayer(client_context(), server_side=False) if tls else None)
    link.owner = owner
    plain = await _connect(address) if via is None else _carried(via)
    try:
        if address.path:
            await loop.create_unix_connection(lambda: link, sock=plain)
        else:
            await loop.create_connection(lambda: link, sock=plain)
    except OSError as error:
        plain.close()
        raise ConnectError(words(error)) from None
    return link


def _carried(via: Via) -> socket.socket:
    """Start the program that carries the connection; the end of its streams ends it."""
    plain, passage = open_passage(via)
    passage.leave()
    plain.setblocking(False)
    return socket.socket(fileno=plain.detach())


async def _connect(address: Address) -> socket.socket:
    """Try every address of a name in turn; the last error counts, as with `create_connection`."""
    loop = asyncio.get_running_loop()
    problem = ConnectError("no address for this name")
    try:
        for family, name in await _places(address):
            plain = socket.socket(family, socket.SOCK_STREAM)
            plain.setblocking(False)
            try:
                if family == socket.AF_UNIX:
                    await _join(plain, name)
                else:
                    await loop.sock_connect(plain, name)
                    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sees no protocol
                return plain
            except OSError as error:
                plain.close()
                problem = no_connection(address, error)
            except BaseException:
                plain.close()
                raise
    except OSError as error:
        raise no_connection(address, error) from None
    except UnicodeError:
        raise ConnectError("not a host name") from None
    raise problem


async def _join(plain: socket.socket, path: object) -> None:
    """Connect to a Unix socket; the loop takes one whose queue is full for connected."""
    while True:
        try:
            plain.connect(path)  # type: ignore[arg-type]
        except BlockingIOError:
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _places(address: Address) -> list[tuple[int, str | tuple[object, ...]]]:
    if address.path:
        return [(socket.AF_UNIX, address.path)]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [(family, name) for family, _, _, _, name in found]

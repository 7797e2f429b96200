"""Starting a server: what is on the disk, then two processes, then the sockets.

The order is the point. Everything that can be wrong is found while there is one process and no open
port; the runner is forked while the process is small and single-threaded; asyncio and ssl are
imported by the listener alone.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

from rexec.audit.log import Log
from rexec.errors import RexecError
from rexec.server import provision
from rexec.server.holdings import take
from rexec.server.orders import OrderSocket
from rexec.server.runner import Runner, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.server.config import Settings
    from rexec.server.holdings import Holdings
    from rexec.server.listener import Identity


def run(settings: Settings, again: Callable[[], Settings]) -> int:
    """Serve until told to stop; return the exit code. Raises `RexecError` before anything is served.

    `again` gives the settings anew when they are to be read again.
    """
    log = Log()
    holdings = take(settings, log)
    _clean_signals()
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        _be_runner(theirs, holdings, lambda: take(again(), log), log)
    theirs.close()
    try:
        return _listen(settings, again, OrderSocket(ours), log)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _clean_signals() -> None:
    """Set every ignored signal to default and empty the mask: children inherit both (execve(2))."""
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN and number != signal.SIGPIPE:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _be_runner(end: socket.socket, holdings: Holdings, again: Callable[[], Holdings], log: Log) -> None:
    """Be the other process, and never return."""
    code = 1
    try:
        settle()
        Runner(OrderSocket(end), holdings, again, log).run()
        code = 0
    except RexecError as error:
        log.event("stop", why=f"runner: {error}")
    except BaseException as error:
        log.event("stop", why=f"runner: {type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _identity(settings: Settings, log: Log) -> Identity:
    """Return who the server is, read from the disk."""
    from rexec.server.listener import Identity
    from rexec.transport.tls import server_context

    material = provision.host_material(settings, log)
    tls = None
    if not settings.no_tls:
        tls = server_context(material.certificate, material.key_pem, material.name)
    return Identity(material.key, material.public, tls)


def _listen(settings: Settings, again: Callable[[], Settings], link: OrderSocket, log: Log) -> int:
    """Be the listener; asyncio and ssl are imported here, after the runner was forked."""
    import asyncio

    from rexec.server.listener import Listener, bind

    def prepare() -> tuple[Identity, float, float]:
        fresh = again()
        return _identity(fresh, log), fresh.drain, fresh.grace

    async def serve() -> int:
        listener = Listener(identity, link, log, settings.drain, settings.grace, prepare)
        return await listener.serve(sockets)

    identity = _identity(settings, log)
    sockets: list[socket.socket] = []
    paths: list[str] = []
    try:
        for address in settings.listen:
            sockets.append(bind(address))
            if address.path:
                paths.append(address.path)
        return asyncio.run(serve())
    finally:
        for path in paths:  # those that are ours, and no other server's
            if os.path.exists(path):
                os.unlink(path)

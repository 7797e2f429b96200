"""Starting a server: what is on the disk, then the other processes, then the sockets, then the fence.

The order is the point. Everything that can be wrong is found while there is one process and no open
port; keeper and runner are forked while the process is small and single-threaded; asyncio and ssl are
imported by the listener alone; and it meets its first stranger when it has given up all it can.
"""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING

from rexec.audit.log import Log
from rexec.errors import ConfigError, RexecError
from rexec.protocol.codec import compile_all
from rexec.server import evidence, surroundings
from rexec.server.confinement import account_of, confine, load_all
from rexec.server.detached.folder import wardens
from rexec.server.holdings import take
from rexec.server.keeper import keep
from rexec.server.orders import Bound, Opened
from rexec.server.ordersocket import OrderSocket
from rexec.server.runner import Runner, settle
from rexec.server.socketfile import SocketFiles
from rexec.server.sockets import bind

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from rexec.policy.disk import Account
    from rexec.server.config import Settings
    from rexec.server.evidence import Evidence
    from rexec.server.holdings import Holdings
    from rexec.server.orders import Offer
    from rexec.server.surroundings import Surroundings

    BeListener = Callable[[Settings, Offer, OrderSocket, Account | None, Log, Surroundings], int]


def listen(
    settings: Settings,
    offer: Offer,
    link: OrderSocket,
    account: Account | None,
    log: Log,
    around: Surroundings,
) -> int:
    """Be the listener; asyncio and ssl are imported here, after the runner was forked."""
    import asyncio

    from rexec.server.listener import Listener, Service

    owner = os.getuid()  # whose processes may use a Unix socket, whoever we become

    async def serve() -> int:
        return await Listener(service, link, log, owner, around).serve(sockets)

    service = Service(offer)
    sockets = [] if around.given is None else around.given.sockets
    for address in settings.listen:
        if around.given is None:
            sockets.append(bind(address))
        if address.path and around.are_ours:
            link.send(Bound(address.path))
    link.send(Opened())
    link.wait()  # whoever is served from now on is served by a run that stands in the log
    load_all()
    confine(account, log)
    return asyncio.run(serve())


def run(settings: Settings, again: Callable[[], Settings], be_listener: BeListener = listen) -> int:
    """Serve until told to stop; return the exit code. Raises `RexecError` before anything is served.

    `again` gives the settings anew when they are to be read again.
    """
    log = Log(verbose=settings.verbose)
    around = surroundings.take(os.environ, log)
    try:
        return _run(settings, again, be_listener, around, log)
    finally:
        around.leave_to_listener()  # who is over
        around.leave_to_keeper()


def _run(
    settings: Settings,
    again: Callable[[], Settings],
    be_listener: BeListener,
    around: Surroundings,
    log: Log,
) -> int:
    if around.given is not None:
        settings.stay_on(around.given.addresses)
    account = account_of(settings.user)
    holdings = take(settings, log)
    records = evidence.opened(settings, log, succeeds=around.is_succession)
    _clean_signals()
    ours, theirs = socket.socketpair()

    def renewed() -> Holdings:
        found = again().stay_on(settings.listen)
        if found.resume_for and records.ledger is None:
            raise ConfigError("resume_for: a server that began without it has to be started again")
        return take(found, log)

    def be_runner() -> NoReturn:
        around.leave_to_listener()
        files = SocketFiles(address.path for address in settings.listen if address.path)
        _be_runner(theirs, holdings, renewed, log, records, files)

    compile_all()
    pid = os.fork()
    if not pid:
        ours.close()
        keep(theirs, be_runner, around.succession, partial(wardens, settings.home))
    theirs.close()
    around.leave_to_keeper()
    records.forget()
    try:
        return be_listener(settings, holdings.offer(), OrderSocket(ours), account, log, around)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _clean_signals() -> None:
    """Set every ignored signal to default and empty the mask: children inherit both (execve(2))."""
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN and number != signal.SIGPIPE:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, lambda *_: None)  # a log that may grow no more is an error, not our end
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _be_runner(
    end: socket.socket,
    holdings: Holdings,
    again: Callable[[], Holdings],
    log: Log,
    records: Evidence,
    socket_files: SocketFiles,
) -> NoReturn:
    """Be the other process, and never return."""
    code = 1
    try:
        settle()
        link = OrderSocket(end, takes_descriptors=False)
        runner = Runner(link, holdings, again, log, records, socket_files)
        runner.run()
        records.close(runner.why)
        code = 0
    except RexecError as error:
        log.event("stop", why=f"runner: {error}")
    except BaseException as error:
        log.event("stop", why=f"runner: {type(error).__name__}: {error}")
    finally:
        os._exit(code)

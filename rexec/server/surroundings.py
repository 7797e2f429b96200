"""What a server finds around it at its start: sockets, a service manager, who starts a successor."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple

from rexec.server.notices import INTERVAL, WHO, Notices, take_notices
from rexec.server.sockets import Given, take_given
from rexec.server.successor import Line, Succession

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from rexec.audit.log import Log


class Surroundings(NamedTuple):
    """All of it; `succession` is the other end of `line`, for the keeper."""

    given: Given | None
    notices: Notices
    line: Line
    succession: Succession

    @property
    def are_ours(self) -> bool:
        """Whether the sockets are, or will be, bound by a server: their files go with the last of them."""
        return self.given is None or self.given.are_ours

    @property
    def is_succession(self) -> bool:
        """Whether another server of this home still serves, and goes when we do."""
        return self.given is not None and self.given.heard >= 0

    def leave_to_keeper(self) -> None:
        """Close what only the keeper needs."""
        self.succession.close()

    def leave_to_listener(self) -> None:
        """Close all that only the listener needs, in another process."""
        self.notices.close()
        self.line.close()
        if self.given is not None:
            self.given.close()


def take(environ: MutableMapping[str, str], log: Log) -> Surroundings:
    """Look around, and take out of the environment what was meant for us. Raises `ConfigError`."""
    inherited = dict(environ)
    if inherited.get(WHO, str(os.getpid())) != str(os.getpid()):  # somebody else is watched
        inherited.pop(WHO)
        inherited.pop(INTERVAL, None)
    given = take_given(environ)
    if given is not None and given.heard >= 0:
        _keep_name()
    notices = take_notices(environ, log)
    ours, keepers = socket.socketpair()
    return Surroundings(given, notices, Line(ours), Succession(keepers, inherited))


def _keep_name() -> None:
    """Have ps(1) and pkill(1) call a successor as they call a server that was started by its script."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as own:
            own.write(os.path.basename(os.fsencode(sys.argv[0])))
    except OSError:
        pass  # it serves under another name

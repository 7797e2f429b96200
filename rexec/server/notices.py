"""What the service manager is told (sd_notify(3)): that we serve, reload, stop, and are alive.

The socket is connected before the listener gives up its rights; after that only sending is left, to this
one receiver. A manager that does not listen is no reason to stop serving.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from rexec.audit.log import quoted

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from rexec.audit.log import Log

SOCKET, INTERVAL, WHO = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_DIGITS = 18  # of a number that is believed
_GRACE_USEC = 5_000_000  # that a stop may take beyond the time of its drain


class Notices:
    """One receiver, or nobody."""

    def __init__(self, receiver: socket.socket | None = None, watchdog: float | None = None) -> None:
        self._receiver = receiver
        self.watchdog = None if receiver is None else watchdog  # seconds from one sign of life to the next

    def ready(self, status: str) -> None:
        """Tell that we serve: at first, and after a reload."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """Tell that files are read again; `ready` follows."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}")

    def stopping(self, status: str, drain: float) -> None:
        """Tell that we stop, and how long that may take."""
        time_needed = int(drain * 1_000_000) + _GRACE_USEC
        self._send("STOPPING=1", _status(status), f"EXTEND_TIMEOUT_USEC={time_needed}")

    def succeeded(self, pid: int) -> None:
        """Tell who is the main process from now on; nothing that we say counts any more."""
        self._send(f"MAINPID={pid}", _status(f"served by {pid}"))
        self.close()

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Say no more."""
        if self._receiver is not None:
            self._receiver.close()
        self._receiver = self.watchdog = None

    def _send(self, *assignments: str) -> None:
        if self._receiver is not None:
            try:
                self._receiver.send(
                    "\n".join(assignments).encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
                )
            except OSError:
                pass


def _status(text: str) -> str:
    return f"STATUS={text}" if text.isprintable() else f"STATUS={quoted(text)}"


def take_notices(environ: MutableMapping[str, str], log: Log) -> Notices:
    """Return whom the environment says to tell, and take it out of there."""
    name, interval, who = (environ.pop(name, "") for name in (SOCKET, INTERVAL, WHO))
    if not name:
        return Notices()
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        if name[0] not in "/@":
            raise OSError(None, "neither a path nor an abstract name")
        receiver.connect("\0" + name[1:] if name[0] == "@" else name)
    except OSError as error:
        receiver.close()
        why = (error.strerror or str(error)).lower()
        log.event("notify", result="none", why=f"NOTIFY_SOCKET {name}: {why}")
        return Notices()
    is_ours = who in ("", str(os.getpid()))
    return Notices(receiver, int(interval) / 2_000_000 if is_ours and _is_interval(interval) else None)


def _is_interval(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < _DIGITS and int(text) > 0

"""The real server, whose listener tells on itself: what it imports, opens or starts once it is confined.

Run as a program with the arguments of `rexec-server`. A file in memory may be opened: that is how `ssl`
gets a new certificate.
"""

from __future__ import annotations

import os
import sys

from rexec.cli.server import main
from rexec.server import start

WATCHED = (
    "import",
    "open",
    "os.",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.",
    "exec",
)
MEMORY = "/proc/self/fd/"
SILENT = ("os.putenv", "os.unsetenv")


def tell(event: str, arguments: tuple[object, ...]) -> None:
    """Report what should not happen any more; raised by the interpreter itself (PEP 578)."""
    if not event.startswith(WATCHED) or event in SILENT:
        return
    if event == "open" and (isinstance(arguments[0], int) or str(arguments[0]).startswith(MEMORY)):
        return
    os.write(2, f"late: {event} {arguments[0] if arguments else ''}\n".encode())


def confine(*arguments: object) -> None:
    confined(*arguments)  # type: ignore[arg-type]
    os.write(2, b"from here on\n")
    sys.addaudithook(tell)


if __name__ == "__main__":
    confined = start.confine
    start.confine = confine
    sys.exit(main(sys.argv[1:]))

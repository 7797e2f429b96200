"""A service manager as far as a server sees one: it gives sockets, hears notices, starts and stops.

It is what systemd does (sd_listen_fds(3), sd_notify(3)), and stands in for it where none runs.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

from tests.regress.conftest import LISTENING, PATIENCE, Host

FIRST = 3
# what execs knows its own pid only when it is there
LAUNCH = ["/bin/sh", "-c", 'test -n "$LISTEN_FDS" && export LISTEN_PID=$$; exec "$@"', "sh"]


class Manager:
    """One service: its sockets, and where it tells how it is."""

    def __init__(self, folder: Path, *, abstract: bool = False) -> None:
        self._name = f"\0rexec-test-{os.getpid()}-{id(self)}" if abstract else str(folder / "notify")
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.bind(self._name)
        self.heard.settimeout(PATIENCE)
        self.sockets: list[socket.socket] = []
        self.notices: list[dict[str, str]] = []

    def tcp(self) -> str:
        """Open a port on loopback; return its address."""
        self.sockets.append(socket.create_server(("127.0.0.1", 0), backlog=512))
        return f"127.0.0.1:{self.sockets[-1].getsockname()[1]}"

    def unix(self, path: Path) -> str:
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(path))
        made.listen(512)
        self.sockets.append(made)
        return f"unix:{path}"

    def start(self, host: Host, *options: str, **more: str) -> None:
        """Start the host's server with the sockets; wait until it says that it listens on all of them."""
        given = {"LISTEN_FDS": str(len(self.sockets))} if self.sockets else {}
        name = self._name.replace("\0", "@")
        numbers = [made.fileno() for made in self.sockets]
        beyond = 200  # so that none of them is overwritten before it is moved

        def hand_over() -> None:
            for index, number in enumerate(numbers):
                os.dup2(number, beyond + index)
            for index in range(len(numbers)):
                os.dup2(beyond + index, FIRST + index)

        already = host.count(LISTENING.pattern)
        host.process = subprocess.Popen(
            [*LAUNCH, *host.server_words(*options)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=host.environment(NOTIFY_SOCKET=name, **given, **more),
            cwd=host.folder,
            pass_fds=range(FIRST, FIRST + len(numbers)),
            preexec_fn=hand_over,
        )
        host.follow(host.process)
        for number in range(1, (len(numbers) or 1) + 1):
            found = re.match(LISTENING.pattern, host.wait_for(LISTENING.pattern, count=already + number))
            assert found is not None
            host.addresses.append(found[1])

    def hear(self, name: str) -> dict[str, str]:
        """Wait for a notice that says something of `name`; return all that it says."""
        while True:
            lines = self.heard.recv(65536).decode().split("\n")
            notice = dict(line.split("=", 1) for line in lines)
            self.notices.append(notice)
            if name in notice:
                return notice

    def close(self) -> None:
        for made in (*self.sockets, self.heard):
            made.close()

"""Echo latency side by side: one byte to a far `cat` and back, rexec against ssh, with and without a tty.

Needs root for sshd (`apt install openssh-server`), and the project installed beside this interpreter:

    .venv/bin/python bench/echo.py [--rounds 10] [--bytes 500]

Both servers run on loopback with keys of their own in a temporary directory. The contestants take turns,
round by round, each over one connection that stays open; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
RAW_CAT = "stty raw -echo; printf .; exec cat"
WARM_UP = 50  # bytes before it counts
SSHD = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""


class Contestant(NamedTuple):
    """A client that talks to a `cat` by its own stdin and stdout."""

    name: str
    words: list[str]


class Echo:
    """One running client; what is sent comes back."""

    def __init__(self, contestant: Contestant) -> None:
        self.name = contestant.name
        self.times: list[float] = []
        self._client = subprocess.Popen(contestant.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._to, self._from = self._client.stdin.fileno(), self._client.stdout.fileno()
        if os.read(self._from, 1) != b".":
            raise SystemExit(f"{self.name}: cat does not run")
        self.measure(WARM_UP)
        self.times.clear()

    def measure(self, count: int) -> None:
        """Send so many bytes, one at a time, and note how long each took."""
        for _ in range(count):
            begun = time.perf_counter()
            os.write(self._to, b"x")
            os.read(self._from, 1)
            self.times.append(time.perf_counter() - begun)

    def end(self) -> None:
        self._client.terminate()
        self._client.wait()


def ssh_server(folder: Path) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Start an sshd; return it and the words that every client begins with."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder))
    os.makedirs("/run/sshd", exist_ok=True)  # sshd(8): privilege separation
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", folder / "sshd_config"])
    wait_for(port)
    options = ("StrictHostKeyChecking=no", f"UserKnownHostsFile={folder}/known", "LogLevel=ERROR")
    words = ["ssh", "-F", "none", "-p", str(port), "-i", str(folder / "user")]
    return server, [*words, *(f"-o{option}" for option in options)]


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)


def rexec_server(folder: Path) -> tuple[subprocess.Popen[bytes], list[str], str]:
    """Start a rexec-server; return it, the words that every client begins with, and its address."""
    (folder / "cmds.txt").write_text("sh ...\n")
    home = ["--home", str(folder / "home")]
    words = [str(BIN / "rexec-server"), *home, "--allow-list", str(folder / "cmds.txt")]
    server = subprocess.Popen([*words, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE)
    assert server.stderr is not None
    for line in server.stderr:
        if b"listening on" in line:
            return server, [str(BIN / "rexec"), *home], line.split()[3].decode()
    raise SystemExit("rexec-server does not start")


def run(rounds: int, count: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        sshd, ssh = ssh_server(folder)
        server, rexec, address = rexec_server(folder)
        plain = ("sh", "-c", "printf .; exec cat")
        field = [
            Contestant("ssh", [*ssh, "127.0.0.1", "printf .; exec cat"]),
            Contestant("rexec", [*rexec, address, *plain]),
            Contestant("ssh, terminal", [*ssh, "-tt", "127.0.0.1", RAW_CAT]),
            Contestant("rexec, terminal", [*rexec, "-t", address, "sh", "-c", RAW_CAT]),
        ]
        try:
            running = [Echo(contestant) for contestant in field]
            for _ in range(rounds):
                for echo in running:
                    echo.measure(count)
            for echo in running:
                echo.end()
        finally:
            for process in (sshd, server):
                process.terminate()
                process.wait()
    report(running)


def report(echoes: list[Echo]) -> None:
    medians = {}
    for echo in echoes:
        medians[echo.name] = statistics.median(echo.times)
        last = statistics.quantiles(echo.times, n=100)[98]
        print(f"{echo.name:<16} median {medians[echo.name] * 1e6:6.0f} us   p99 {last * 1e6:6.0f} us")
    for end in ("", ", terminal"):
        print(f"rexec{end} / ssh{end}: {medians['rexec' + end] / medians['ssh' + end]:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--bytes", type=int, default=500)
    given = parser.parse_args()
    run(given.rounds, given.bytes)

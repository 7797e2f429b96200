"""The servers that are measured: each on a port and with keys of its own, in a temporary directory."""

from __future__ import annotations

import compileall
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import rexec
from bench.turns import Absent

if TYPE_CHECKING:
    from types import TracebackType

BIN = Path(sys.executable).parent
PACKAGE = Path(rexec.__file__).parent
REXEC, REXEC_SSH, REXEC_CP = (str(BIN / name) for name in ("rexec", "rexec-ssh", "rexec-cp"))
PATIENCE = 10.0  # seconds for a server to come up
HERE = "127.0.0.1"
NRPE = "/usr/sbin/nrpe"
CHECK_NRPE = "/usr/lib/nagios/plugins/check_nrpe"
SOCAT = ["socat", "-b", "131072"]  # what it is fastest with
BARE = "bare Python"
CURVE25519 = "-oKexAlgorithms=curve25519-sha256"
SSHD = """\
ListenAddress {address}:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
MaxStartups 1000:100:1000
MaxSessions 1000
Subsystem sftp internal-sftp
"""
NRPE_CONFIG = """\
server_address={address}
server_port={port}
nrpe_user=nobody
nrpe_group=nogroup
allowed_hosts=127.0.0.1
pid_file={folder}/nrpe.pid
command[true]=/bin/echo ok
"""


class Field:
    """All that was started, and will be stopped: nothing else is."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rexec-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        for name in [name for name in os.environ if name.startswith("PYTHON")]:
            del os.environ[
                name
            ]  # one that keeps bytecode from being written makes every start four times as slow
        compileall.compile_dir(PACKAGE, quiet=1)  # as an installation does
        os.environ["REXEC_HOME"] = str(self.home)  # of all that is started here
        self._running: list[subprocess.Popen[bytes]] = []
        self.rexec_server = cache(self._rexec_server)
        self.sshd = cache(self._sshd)
        self.dropbear = cache(self._dropbear)
        self.nrpe = cache(self._nrpe)
        self.asyncssh = cache(self._asyncssh)
        self.keys = cache(self._keys)
        self.certificate = cache(self._certificate)

    def __enter__(self) -> Field:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def start(self, words: list[str], **more: int) -> subprocess.Popen[bytes]:
        """Start something that is stopped in the end."""
        process = subprocess.Popen(words, **({"stdin": subprocess.DEVNULL} | more))
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        self._running.remove(process)
        process.terminate()
        process.wait()

    # --- rexec ------------------------------------------------------------------------------------

    @property
    def home(self) -> Path:
        """Where rexec's keys stand."""
        return self.folder / "rexec"

    def _rexec_server(
        self, what: str = "", *, tls: bool = True, inside: tuple[str, ...] = (), address: str = HERE
    ) -> tuple[subprocess.Popen[bytes], str]:
        """Start a rexec-server, another one for another `what`; return it and its address."""
        rules = self.folder / "cmds.txt"
        rules.write_text("true\nsh ...\nhead ...\ncat ...\n@get {path:/** ro}\n@put {path:/** rw}\n")
        words = [*inside, str(BIN / "rexec-server"), "--allow-list", str(rules)]
        words += ["--listen", f"{address}:0", *(() if tls else ("--no-tls",))]
        place = self.folder / f"rexec-server.{len(self._running)}.log"
        with open(place, "wb") as log:
            server = self.start(words, stderr=log.fileno())
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and server.poll() is None:
            for line in place.read_text().splitlines():
                if "listening on" in line:
                    return server, line.split()[3]
            time.sleep(0.01)
        raise SystemExit("rexec-server does not start")

    # --- ssh --------------------------------------------------------------------------------------

    def _keys(self) -> Path:
        """Make keys that OpenSSH's kin can use; return their directory."""
        need("ssh-keygen", "openssh-client")
        for name in ("host", "user"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(words, check=True)
        return self.folder

    def _sshd(
        self, *, inside: tuple[str, ...] = (), address: str = HERE
    ) -> tuple[subprocess.Popen[bytes], list[str]]:
        """Start an sshd; return it and the words that every client begins with."""
        need("/usr/sbin/sshd", "openssh-server")
        folder, port = self.keys(), free_port()
        config = folder / f"sshd_config.{port}"
        config.write_text(SSHD.format(port=port, folder=folder, address=address))
        os.makedirs("/run/sshd", exist_ok=True)  # sshd(8): privilege separation
        home = folder / "home"
        home.mkdir(exist_ok=True)
        server = self.start([*inside, *at_home(home, ["/usr/sbin/sshd", "-D", "-f", str(config)])])
        if not inside:
            wait_for(port)
        options = ("StrictHostKeyChecking=no", f"UserKnownHostsFile={folder}/known", "LogLevel=ERROR")
        words = ["ssh", "-F", "none", "-p", str(port), "-i", str(folder / "user")]
        return server, [*words, *(f"-o{option}" for option in options)]

    def _dropbear(
        self, *, inside: tuple[str, ...] = (), address: str = HERE
    ) -> tuple[subprocess.Popen[bytes], list[str]]:
        """Start a dropbear; return it and the words that every client begins with."""
        for program in ("dropbear", "dbclient", "dropbearkey"):
            need(program, "dropbear-bin")
        port = free_port()
        folder = self.folder / f"dropbear.{port}"
        (folder / ".ssh").mkdir(mode=0o700, parents=True)
        for name in ("host", "user"):
            words = ["dropbearkey", "-t", "ed25519", "-f", str(folder / name)]
            made = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        allowed = folder / ".ssh/authorized_keys"
        allowed.write_text(next(line for line in made.splitlines() if line.startswith("ssh-")) + "\n")
        words = ["dropbear", "-F", "-p", f"{address}:{port}", "-r", f"{folder}/host", "-P", f"{folder}/pid"]
        server = self.start([*inside, *at_home(folder, words)], stderr=subprocess.DEVNULL)
        if not inside:
            wait_for(port)
        return server, ["dbclient", "-y", "-y", "-i", str(folder / "user"), "-p", str(port)]

    def _asyncssh(self, what: str = "") -> tuple[subprocess.Popen[bytes], int]:
        """Start a server on asyncssh, another one for another `what`; return it and its port."""
        need_asyncssh()
        port = free_port()
        server = self.start(
            [sys.executable, "-W", "ignore", "-m", "bench.peers", str(self.keys()), str(port)]
        )
        wait_for(port)
        return server, port

    # --- others -----------------------------------------------------------------------------------

    def _nrpe(self) -> list[str]:
        """Start an nrpe; return the words that run its one command."""
        need(NRPE, "nagios-nrpe-server")
        need(CHECK_NRPE, "nagios-nrpe-plugin")
        port = free_port()
        config = self.folder / "nrpe.cfg"
        config.write_text(NRPE_CONFIG.format(port=port, folder=self.folder, address=HERE))
        self.start([NRPE, "-f", "-c", str(config)], stderr=subprocess.DEVNULL)
        wait_for(port)
        return [CHECK_NRPE, "-H", HERE, "-p", str(port), "-c", "true"]

    def _certificate(self) -> Path:
        """Make a certificate with its key in one file, for socat."""
        path = self.folder / "socat.pem"
        words = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=bench", "-days", "2"]
        need("openssl", "openssl")
        key = self.folder / "socat.key"
        made = subprocess.run(
            ["openssl", *words, "-keyout", str(key)], check=True, capture_output=True
        ).stdout
        path.write_bytes(made + key.read_bytes())
        return path

    def socat(self, service: str, *, tls: bool, down: bool) -> str:
        """Let socat send what `service` gives, or give it what comes; return the address for a client."""
        need("socat", "socat")
        port = free_port()
        kind = f"TCP-LISTEN:{port}"
        if tls:
            kind = f"OPENSSL-LISTEN:{port},cert={self.certificate()},verify=0,min-version=TLS1.3"
        words = [*SOCAT, "-U" if down else "-u", f"{kind},bind={HERE},reuseaddr,fork", service]
        self.start(words, stderr=subprocess.DEVNULL)
        wait_for(port)
        return f"OPENSSL:{HERE}:{port},verify=0" if tls else f"TCP:{HERE}:{port}"

    def bare(self, words: list[str], *, tls: bool = True, often: bool = False) -> list[str]:
        """Start the least that Python can do with these words, once or `often`; return what calls it."""
        program = str(Path(__file__).with_name("bare.py"))
        certificate = str(self.certificate()) if tls else "-"
        server = self.start(
            [sys.executable, program, "start" if often else "serve", certificate, *words],
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        port = server.stdout.readline().decode().strip()
        return [sys.executable, "-I", program, "call", "tls" if tls else "clear", port]


def at_home(folder: Path, words: list[str]) -> list[str]:
    """Return what runs a program with a home of its own, which nobody else sees.

    dropbear looks for keys there and nowhere else, and a shell that either of them starts reads what it
    finds there: a user's own files are no part of the measurement.
    """
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {folder} "$HOME" && exec "$@"', "sh", *words]


def need(program: str, package: str) -> None:
    """Raise `Absent` where a program is not there."""
    if shutil.which(program) is None:
        raise Absent(f"not here: apt install {package}")


def need_asyncssh() -> None:
    try:
        import asyncssh  # noqa: F401
    except ImportError:
        raise Absent("not here: pip install asyncssh") from None


def free_port() -> int:
    with socket.create_server((HERE, 0)) as free:
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection((HERE, port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise Absent("does not start")

"""A real server and real clients, as processes on loopback: what every test here is made of."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from rexec.cli import keygen, server
from rexec.client.config import Config, Wishes, resolve
from rexec.client.connect import connect
from rexec.client.identity import no_passphrase, signers
from rexec.client.session import Session
from rexec.server.detached.folder import wardens
from tests.regress.warm import COLD, WarmServer, oven

if TYPE_CHECKING:
    from tests.regress.copying import Rooms

BIN = Path(sys.executable).parent
SERVER = str(BIN / "rexec-server")
CLIENT = str(BIN / "rexec")
KEYGEN = str(BIN / "rexec-keygen")
LISTENING = re.compile(r"rexec-server: listening on (\S+) \((tls|no tls), (SHA256:\S+)\)")
END_OF_LOG = "<end of log>"
PATIENCE = 60  # seconds until a test that waits for an event gives up


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again at what has no event, such as /proc, until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.01)


def processes_of(session: int) -> list[int]:
    """The living processes of a session, which is what one command has of its own (setsid(2))."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(stat[3]) == session and stat[0] not in (b"Z", b"X"):
                found.append(int(name))
    return found


def has_ended(pid: int) -> bool:
    """Tell whether a process is over, be it reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def only_child_of(pid: int) -> int:
    """The one child that a process has, or is about to have."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: children.read_text(), f"{pid} has a child")
    (child,) = children.read_text().split()
    return int(child)


def descriptors_of(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid: int) -> int:
    """How much memory a process has, in KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


class Client(subprocess.Popen[bytes]):
    """A client that is ended when its test fails: a failure is not to wait for ever for what went wrong."""

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)  # type: ignore[arg-type]


class Host:
    """One server: its home, its allow list, its log, and clients that talk to it."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.allow_list = folder / "cmds.txt"
        self.allow_list.write_text(rules)
        self.process: subprocess.Popen[bytes] | WarmServer | None = None
        self._lines: list[str] = []
        self._logs: dict[int, bytes] = {}  # by descriptor what stands behind the last whole line
        self.addresses: list[str] = []
        self.fingerprint = ""
        self._readers: list[threading.Thread] = []
        self._grew = threading.Condition()

    # --- the server -----------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "REXEC_HOME": str(self.home), **more}

    def server_words(self, *options: str, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> list[str]:
        """The command line of the server."""
        words = [SERVER, "--allow-list", str(self.allow_list), *options]
        for address in listen:
            words += ["--listen", address]
        return words

    def start(
        self,
        *options: str,
        listen: tuple[str, ...] = ("127.0.0.1:0",),
        env: dict[str, str] | None = None,
        **more: object,
    ) -> Host:
        """Start the server and wait until it says where it listens."""
        words = self.server_words(*options, listen=listen)
        if env or more or COLD in os.environ or words[0] != SERVER:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                words,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self.environment(**(env or {})),
                cwd=self.folder,
                **more,
            )
        else:
            self.process = oven().start(words, self.environment(), str(self.folder))
        already = self.count(LISTENING.pattern)
        self.follow(self.process)
        for number in range(1, len(listen) + 1):
            found = LISTENING.match(self.wait_for(LISTENING.pattern, count=already + number))
            assert found is not None
            self.addresses.append(found[1])
            self.fingerprint = found[3]
        return self

    def refuses(self, *options: str, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> str:
        """Start a server that cannot start: exit 2, one line and at most a hint; return what it said."""
        done = subprocess.run(
            self.server_words(*options, listen=listen),
            env=self.environment(),
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        text = done.stderr.decode()
        said = [line for line in text.splitlines() if not re.match("rexec-server: (made|authorised) ", line)]
        assert done.returncode == 2, text
        assert done.stdout == b""
        assert said[0].startswith("rexec-server: "), text
        assert all(line.startswith("rexec-server: hint: ") for line in said[1:]), text
        assert len(said) <= 2, text
        return "\n".join(said)

    def follow(self, process: subprocess.Popen[bytes] | WarmServer) -> None:
        """Read the log of a server that was just started, from now on."""
        assert process.stderr is not None
        with self._grew:
            self._lines = [line for line in self._lines if line != END_OF_LOG]  # of an earlier start
            self._logs[process.stderr.fileno()] = b""
        self._readers.append(threading.Thread(target=self._read, args=(process.stderr,), daemon=True))
        self._readers[-1].start()

    def _read(self, log: IO[bytes]) -> None:
        with log:
            while select.select([log], [], []) and self._take(log.fileno()):
                pass
            with self._grew:
                del self._logs[log.fileno()]
                if not self._logs:
                    self._lines.append(END_OF_LOG)
                self._grew.notify_all()

    def _take(self, log: int) -> bool:
        """Take what the server has written by now; False at the end of the log."""
        with self._grew:
            while select.select([log], [], [], 0)[0]:
                data = os.read(log, 65_536)
                if not data:
                    return False
                *whole, self._logs[log] = (self._logs[log] + data).split(b"\n")
                self._lines += [line.decode() for line in whole]
                self._grew.notify_all()
            return True

    @property
    def lines(self) -> list[str]:
        """The log up to now: whatever was written before this is in it."""
        with self._grew:
            for log in list(self._logs):
                self._take(log)
            return list(self._lines)

    def wait_for(self, pattern: str, *, count: int = 1) -> str:
        """Wait until `count` lines of the log match; return the last of them."""

        def matching() -> list[str]:
            return [line for line in self._lines if re.search(pattern, line)]

        def done() -> bool:
            return len(matching()) >= count or not self._logs

        with self._grew:
            self._grew.wait_for(done, PATIENCE)
            found = matching()
        assert len(found) >= count, f"{count} x {pattern!r} not in the log:\n" + "\n".join(self._lines)
        return found[count - 1]

    def count(self, pattern: str) -> int:
        """How many lines of the log match by now."""
        return sum(1 for line in self.lines if re.search(pattern, line))

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def keeper_pid(self) -> int:
        """The process between the two that serve."""
        return only_child_of(self.pid)

    def runner_pid(self) -> int:
        """The process that decides and starts."""
        return only_child_of(self.keeper_pid())

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the server and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process = None
        self.addresses.clear()
        return code

    def end(self) -> None:
        """Make sure that nothing is left of the server."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for warden in wardens(str(self.home)):  # of what a test has detached
            try:
                os.kill(warden, signal.SIGTERM)
            except ProcessLookupError:
                pass  # it was about to be over
        wait_until(lambda: not wardens(str(self.home)), "all detached commands have ended")
        for reader in self._readers:  # or it would close a descriptor while the next test counts them
            reader.join(PATIENCE)

    def pids(self) -> tuple[int, int]:
        """Both processes of the server that serve: listener and runner."""
        return self.pid, self.runner_pid()

    # --- clients --------------------------------------------------------------------------------

    def words(
        self, *command: str | bytes, options: tuple[str, ...] = (), address: str | None = None
    ) -> list[str | bytes]:
        """The command line of a client."""
        return [CLIENT, *options, address or self.address, *command]

    def run(
        self,
        *command: str | bytes,
        options: tuple[str, ...] = (),
        address: str | None = None,
        input: bytes | None = b"",
        env: dict[str, str] | None = None,
        timeout: float = PATIENCE,
        **more: object,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a client to its end."""
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            self.words(*command, options=options, address=address),
            input=input,
            capture_output=True,
            env=self.environment(**(env or {})),
            timeout=timeout,
            check=False,
            **more,
        )

    def object(
        self, *command: str | bytes, options: tuple[str, ...] = (), **more: object
    ) -> dict[str, object]:
        """Run a client with --json and return its object, which agrees with the exit code."""
        done = self.run(*command, options=("--json", *options), **more)  # type: ignore[arg-type]
        assert done.stdout.count(b"\n") == 1, done
        found: dict[str, object] = json.loads(done.stdout)
        assert found["exit_code"] == done.returncode
        return found

    def session(self) -> Session:
        """Connect in this process, as the host's own user; the frames are then up to the test."""
        target = resolve(self.address, Wishes(str(self.home)), Config())
        return connect(target, signers(str(self.home), (), {}, no_passphrase))

    def guest(self, name: str = "guest", *, authorised: bool = True) -> dict[str, str]:
        """Make a user with a home and a key of their own; return what makes a client theirs."""
        home = self.folder / name
        home.mkdir(mode=0o700)
        key = str(home / "id_ed25519")
        with contextlib.redirect_stdout(io.StringIO()):  # two programs that are no matter of who has guests
            assert keygen.main(["-f", key, "-N", ""]) == 0
            if authorised:
                assert server.main(["--home", str(self.home), "authorize", name, f"{key}.pub"]) == 0
        return {"REXEC_HOME": str(home)}

    def popen(
        self, *command: str | bytes, options: tuple[str, ...] = (), address: str | None = None, **more: object
    ) -> subprocess.Popen[bytes]:
        """Start a client; stdin is a pipe, stdout and stderr too unless told otherwise."""
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return Client(  # type: ignore[call-overload, no-any-return]
            self.words(*command, options=options, address=address),
            env=self.environment(),
            **{**streams, **more},
        )


RULES = """\
true
false
ls
cat
head
yes
seq ...
env
sh ...
printf ...
sleep ...
python3 ...
wc
id
"""


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the servers of a test as a person does (`warm` says how it is otherwise)."""
    monkeypatch.setenv(COLD, "1")


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Make hosts that are ended with the test; `start` is up to the test."""
    made: list[Host] = []

    def make(rules: str = RULES) -> Host:
        folder = tmp_path / f"host{len(made)}"
        folder.mkdir()
        made.append(Host(folder, rules))
        return made[-1]

    yield make
    for host in made:
        host.end()


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """A server that runs, over TLS, with a list of common programs."""
    return make_host().start()


@pytest.fixture(scope="session")
def shared_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for all tests that leave it as it was; saves a start each."""
    host = Host(tmp_path_factory.mktemp("shared"), RULES).start()
    yield host
    host.end()


@pytest.fixture(scope="session")
def copying_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One server for all tests of copies."""
    from tests.regress import copying

    folder = tmp_path_factory.mktemp("copying").resolve()
    host = Host(folder, copying.RULES.format(folder)).start()
    (folder / "one").mkdir()
    (folder / "only").mkdir()
    yield host
    host.end()


@pytest.fixture
def rooms(copying_host: Host) -> Rooms:
    """Directories of this test's own on that server."""
    from tests.regress import copying

    return copying.Rooms(copying_host)

"""Show rexec at work: a server on loopback, three commands through it, and what they answered.

``make demo`` runs ``start``, ``make demo-stop`` runs ``stop``. All that the demo needs lies in
``.demo/`` (its list, log and pid) and ``keys/`` (made by the first start of the server). Nothing of
either is committed. It uses the standard library only, so that ``stop`` works without an installation.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(".venv/bin")
EXAMPLE = Path("docs/examples/cmds.txt")
PLACE = Path(".demo")
KEYS = Path("keys")
ALLOW_LIST = PLACE / "cmds.txt"
LOG = PLACE / "server.log"
PID = PLACE / "server.pid"

START_LIMIT = 20.0  # seconds for a first start, which makes keys
STOP_LIMIT = 15.0  # seconds: the server gives running commands 10 to end
RUN_LIMIT = 30.0  # seconds for each of the three commands
LOOK = 0.05  # seconds between two looks at the log of a server that starts

LISTENING = re.compile(rb"^rexec-server: listening on (127\.0\.0\.1:\d+) \(tls, SHA256:\S+\)$", re.M)

# what is shown: why, the command, the exit code it must have
SHOWN = (
    ("an allowed command", ("ls", "-l"), 0),
    ("an allowed command that fails, with its own exit code", ("ls", "/nonexistent"), 2),
    ("a command that the list does not allow: nothing is started", ("sh", "-c", "echo hello"), 126),
)


class DemoError(Exception):
    """The demo cannot go on; the message is one line for the person who started it."""


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def prepare() -> None:
    """Lay out the list and the directories with modes that a server accepts, whatever the umask."""
    for directory in (PLACE, KEYS):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o700)
    if not EXAMPLE.is_file():
        raise DemoError(f"{EXAMPLE} is not there")
    ALLOW_LIST.unlink(missing_ok=True)
    shutil.copyfile(EXAMPLE, ALLOW_LIST)
    ALLOW_LIST.chmod(0o644)


def start_server() -> tuple[int, str]:
    """Start the server in a session of its own; return its pid and the address it listens on."""
    words = [str(BIN / "rexec-server"), "--allow-list", str(ALLOW_LIST)]
    words += ["--listen", "127.0.0.1:0", "--home", str(KEYS)]
    say("$ " + shlex.join(words) + " &")
    with LOG.open("wb") as log:
        try:
            server = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            raise DemoError(f"{words[0]}: {error.strerror}") from error
    PID.write_text(f"{server.pid}\n")
    try:
        return server.pid, wait_for_address(server)
    except BaseException:
        stop_server()
        raise


def wait_for_address(server: subprocess.Popen[bytes]) -> str:
    """Return the address once the log names it; a server that ends, or says nothing, is an error."""
    exited = os.pidfd_open(server.pid)
    deadline = time.monotonic() + START_LIMIT
    try:
        while time.monotonic() < deadline:
            ended, _, _ = select.select([exited], [], [], LOOK)
            if found := LISTENING.search(LOG.read_bytes()):
                return found[1].decode()
            if ended:
                raise DemoError(f"the server ended with {server.wait()}:\n{tail_of_log()}")
    finally:
        os.close(exited)
    raise DemoError(f"the server did not listen within {START_LIMIT:.0f} s:\n{tail_of_log()}")


def tail_of_log() -> str:
    lines = LOG.read_text(encoding="utf-8", errors="backslashreplace").splitlines()[-10:]
    return "\n".join("    " + line for line in lines) or "    (it wrote nothing)"


def client(address: str, command: tuple[str, ...]) -> list[str]:
    """Return the words of a client; an agent with many keys must not use up the server's patience."""
    identity = ["-i", str(KEYS / "id_ed25519")] if "SSH_AUTH_SOCK" in os.environ else []
    return [str(BIN / "rexec"), "--home", str(KEYS), *identity, address, *command]


def show(address: str) -> None:
    """Run the three commands and print each with its output and exit code."""
    for why, command, expected in SHOWN:
        words = client(address, command)
        say(f"\n# {why}\n$ {shlex.join(words)}")
        try:
            run = subprocess.run(words, stdin=subprocess.DEVNULL, stderr=sys.stdout, timeout=RUN_LIMIT)
        except subprocess.TimeoutExpired:
            raise DemoError(f"no end after {RUN_LIMIT:.0f} s") from None
        except OSError as error:
            raise DemoError(f"{words[0]}: {error.strerror}") from error
        say(f"# exit code {run.returncode}")
        if run.returncode != expected:
            raise DemoError(f"exit code {run.returncode}, not {expected}, see {LOG}:\n{tail_of_log()}")


def start() -> None:
    stop_server()
    prepare()
    pid, address = start_server()
    say(f"# the server is ready: pid {pid}, {address}, log in {LOG}")
    try:
        show(address)
    except BaseException:
        stop_server()
        raise
    say(f"\nThe server goes on, with pid {pid}. {ALLOW_LIST} says what it runs. Type next:\n")
    say(f"    {shlex.join(client(address, ('df', '-h')))}\n")
    say("and, to end the server:\n\n    make demo-stop")


def stop_server() -> int | None:
    """End the server of an earlier demo; return its pid, or None where none runs."""
    try:
        pid = int(PID.read_text())
        server = os.pidfd_open(pid)  # from here on the number cannot become somebody else's
    except (FileNotFoundError, ValueError, ProcessLookupError, OverflowError):
        PID.unlink(missing_ok=True)
        return None
    try:
        ended = is_ours(pid) and end(server)
    finally:
        os.close(server)
    PID.unlink(missing_ok=True)
    return pid if ended else None


def is_ours(pid: int) -> bool:
    """Say whether the process serves this very demo and did not just inherit the number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        here = Path(f"/proc/{pid}/cwd").samefile(ROOT)
    except OSError:
        return False
    return here and bytes(ALLOW_LIST) in words and any(w.endswith(b"rexec-server") for w in words)


def end(server: int) -> bool:
    """Ask, ask again, then insist."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        try:
            signal.pidfd_send_signal(server, number)
        except ProcessLookupError:
            return True
        if select.select([server], [], [], STOP_LIMIT)[0]:
            return True
    raise DemoError("the server does not end")


def stop() -> None:
    pid = stop_server()
    say("demo: no server runs" if pid is None else f"demo: the server with pid {pid} has ended")


def main() -> int:
    actions = {"start": start, "stop": stop}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.stderr.write("usage: demo.py start|stop\n")
        return 2
    os.chdir(ROOT)
    try:
        actions[sys.argv[1]]()
    except (DemoError, OSError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())

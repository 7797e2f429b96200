"""Record a session at the prompt, as docs/howto/prompt.md shows it: a server, a list, keys and answers.

``.venv/bin/python scripts/transcript.py`` prints what a person sees who types the lines of `TYPED` at a
terminal without colours. It needs pexpect (``make test`` installs it), works in a directory of its own
and leaves nothing behind.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import pexpect

BIN = Path(sys.executable).parent
LIST = """\
echo
    about "Print words"
seq ...
    about "Count"
wc
sleep ...
"""
CONTROL_C = "\x03"
TYPED = (
    "help",
    "echo 'one  word' two",
    "seq 3 | sort -r",
    "seq 1000 > numbers.txt",
    "wc < numbers.txt",
    "rm -rf /",
    "echo a;b",
    "sleep 60",
    CONTROL_C,
    "!ls",
    "exit 0",
)
PROMPT = r"alice@web1(?: \[\d+\])?> "
PATIENCE = 20  # seconds for each answer


def environment(place: Path) -> dict[str, str]:
    """Return what every program here gets, and nothing of the caller's."""
    home = str(place / "home")
    return {"PATH": os.environ["PATH"], "HOME": str(place), "REXEC_HOME": home, "TERM": "dumb"}


def prepare(place: Path) -> None:
    """Write the list, and make a key that is alice's."""
    (place / "cmds.txt").write_text(LIST)
    (place / "work").mkdir()
    key = place / "home" / "id_ed25519"
    env = environment(place)
    for words in (
        ["rexec-keygen", "-f", str(key), "-N", ""],
        ["rexec-server", "authorize", "alice", f"{key}.pub"],
    ):
        subprocess.run([str(BIN / words[0]), *words[1:]], env=env, check=True, capture_output=True)


def start_server(place: Path) -> subprocess.Popen[bytes]:
    """Start the server, and call its address web1."""
    words = [str(BIN / "rexec-server"), "--allow-list", str(place / "cmds.txt"), "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(words, env=environment(place), stderr=subprocess.PIPE, bufsize=0)  # for select
    assert server.stderr is not None
    while select.select([server.stderr], [], [], PATIENCE)[0] and (line := server.stderr.readline()):
        if found := re.search(rb"listening on (127\.0\.0\.1:\d+)", line):
            address = found[1].decode()
            (place / "home" / "config.toml").write_text(f'[hosts.web1]\naddress = "{address}"\n')
            return server
    server.kill()
    raise SystemExit("transcript: the server did not start")


def await_start(server: subprocess.Popen[bytes], name: str) -> None:
    """Wait until the server says that it starts a command.

    A Ctrl-C before the line was read takes the line away, as a terminal does with all that waits in it.
    """
    assert server.stderr is not None
    said = f' argv=["{name}"'.encode()
    while select.select([server.stderr], [], [], PATIENCE)[0] and (line := server.stderr.readline()):
        if line.startswith(b"rexec-server: allow ") and said in line:
            return
    raise SystemExit(f"transcript: the server did not start {name}")


def record(place: Path, server: subprocess.Popen[bytes]) -> str:
    """Type every line once the prompt stands there; return all that was shown."""
    shown: list[str] = ["$ rexec web1\n"]
    child = pexpect.spawn(
        str(BIN / "rexec"), ["web1"], env=environment(place), cwd=str(place / "work"), encoding="utf-8",
        timeout=PATIENCE,
    )  # fmt: skip
    child.delaybeforesend = None
    child.expect(PROMPT)
    shown.append(seen(child))
    for line in TYPED:
        if line == CONTROL_C:
            child.send(line)
        else:
            child.sendline(line)
        if line.startswith("sleep"):
            child.expect("\r\n")
            shown.append(seen(child))
            await_start(server, line.split()[0])
            continue
        child.expect([PROMPT, pexpect.EOF])
        shown.append(seen(child))
    child.close()
    return "".join(shown).replace("\r\n", "\n")


def seen(child: pexpect.spawn[str]) -> str:
    """Return what was shown up to what was waited for, and that."""
    return (child.before or "") + (child.after if isinstance(child.after, str) else "")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "home").mkdir(mode=0o700)
        prepare(place)
        server = start_server(place)
        try:
            sys.stdout.write(record(place, server))
        finally:
            server.terminate()
            server.wait()
            if server.stderr is not None:
                server.stderr.close()


if __name__ == "__main__":
    main()

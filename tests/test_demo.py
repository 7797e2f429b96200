"""`scripts/demo.py` in a tree of its own, against programs that keep the contract of the real ones."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tree import ROOT

SERVER = """
import os, pathlib, signal, sys
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert words["--listen"] == "127.0.0.1:0", words
assert os.getsid(0) == os.getpid()
assert pathlib.Path(words["--allow-list"]).stat().st_mode & 0o777 == 0o644
assert pathlib.Path(words["--home"]).stat().st_mode & 0o777 == 0o700
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("rexec-server: listening on 127.0.0.1:4321 (tls, SHA256:abc+/)", file=sys.stderr, flush=True)
signal.sigwait([signal.SIGTERM])
"""
CLIENT = """
import sys
words = sys.argv[sys.argv.index("127.0.0.1:4321") + 1:]
print("output of", *words)
sys.exit({"ls -l": 0, "ls /nonexistent": 2, "sh -c echo hello": 126}[" ".join(words)])
"""

DEBIAN_PYTHON = "/usr/bin/python3"  # one that every user may run

Make = Callable[..., Path]


def lay_out(root: Path, server: str, client: str, python: str = sys.executable) -> Path:
    for name in ("scripts", "docs/examples", "keys", ".venv/bin"):
        (root / name).mkdir(parents=True)
    shutil.copy(ROOT / "scripts/demo.py", root / "scripts")
    (root / "docs/examples/cmds.txt").write_text("ls\ndf -h\n")
    for name, code in (("rexec-server", server), ("rexec", client)):
        path = root / ".venv/bin" / name
        path.write_text(f"#!{python} -IS\n{code}")
        path.chmod(0o755)
    return root


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    def tree(server: str = SERVER, client: str = CLIENT) -> Path:
        return lay_out(tmp_path / "tree", server, client)

    yield tree
    if (tmp_path / "tree").exists():
        demo(tmp_path / "tree", "stop")


def demo(root: Path, *words: str, umask: int = 0o022, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    return subprocess.run(
        [sys.executable, "-IB", str(root / "scripts/demo.py"), *words],
        env=clean | env,
        cwd="/",
        umask=umask,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def runs(pid: int) -> bool:
    """Say whether `pid` still runs; one that ended, reaped or not, does not."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([process], [], [], 0)[0]
    finally:
        os.close(process)


def pid_of(root: Path) -> int:
    return int((root / ".demo/server.pid").read_text())


def test_it_shows_three_commands_and_leaves_the_server_running(make: Make) -> None:
    root = make()
    done = demo(root, "start")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^# exit code (\d+)$", done.stdout, re.M) == ["0", "2", "126"]
    assert "$ .venv/bin/rexec --home keys 127.0.0.1:4321 ls -l\noutput of ls -l\n" in done.stdout
    assert f"with pid {pid_of(root)}" in done.stdout
    assert "\n    .venv/bin/rexec --home keys 127.0.0.1:4321 df -h\n" in done.stdout
    assert done.stdout.endswith("\n    make demo-stop\n")
    assert runs(pid_of(root))


def test_stop_ends_the_server(make: Make) -> None:
    root = make()
    demo(root, "start")
    pid = pid_of(root)
    done = demo(root, "stop")
    assert done.stdout == f"demo: the server with pid {pid} has ended\n"
    assert not runs(pid)


def test_stop_without_a_server_is_fine(make: Make) -> None:
    done = demo(make(), "stop")
    assert (done.returncode, done.stdout) == (0, "demo: no server runs\n")


def test_a_second_demo_replaces_the_first(make: Make) -> None:
    root = make()
    demo(root, "start")
    first = pid_of(root)
    assert demo(root, "start").returncode == 0
    assert not runs(first)
    assert runs(pid_of(root))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(make: Make, umask: int) -> None:
    root = make()
    done = demo(root, "start", umask=umask)  # the server looks at the modes it was given
    assert (done.returncode, done.stderr) == (0, "")
    assert (root / ".demo").stat().st_mode & 0o777 == 0o700


def test_an_agent_with_many_keys_is_not_asked(make: Make) -> None:
    done = demo(make(), "start", SSH_AUTH_SOCK="/nonexistent")
    assert "\n    .venv/bin/rexec --home keys -i keys/id_ed25519 127.0.0.1:4321 df -h\n" in done.stdout


@pytest.mark.parametrize(
    ("command", "wrong"), [("ls -l", 255), ("ls /nonexistent", 0), ("sh -c echo hello", 0)]
)
def test_another_exit_code_fails_the_demo_and_ends_the_server(make: Make, command: str, wrong: int) -> None:
    right = CLIENT[CLIENT.index(f'"{command}"') :].split(",")[0].split("}")[0]
    root = make(client=CLIENT.replace(right, f'"{command}": {wrong}'))
    done = demo(root, "start")
    assert done.returncode == 1
    assert done.stderr.startswith(f"demo: exit code {wrong}, not ")
    assert not (root / ".demo/server.pid").exists()


def test_a_server_that_does_not_start_is_shown_with_its_log(make: Make) -> None:
    root = make(server="import sys; sys.exit('rexec-server: cmds.txt:3: no such thing')")
    done = demo(root, "start")
    assert done.returncode == 1
    assert done.stderr == "demo: the server ended with 1:\n    rexec-server: cmds.txt:3: no such thing\n"


def test_a_server_that_is_not_installed_is_one_line(make: Make) -> None:
    root = make()
    (root / ".venv/bin/rexec-server").unlink()
    done = demo(root, "start")
    assert (done.returncode, done.stderr) == (1, "demo: .venv/bin/rexec-server: No such file or directory\n")


def test_a_pid_that_became_somebody_elses_is_left_alone(make: Make) -> None:
    root = make()
    other = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    (root / ".demo").mkdir()
    (root / ".demo/server.pid").write_text(f"{other.pid}\n")
    done = demo(root, "stop")
    assert done.stdout == "demo: no server runs\n"
    assert other.poll() is None
    other.communicate()


def test_a_server_that_ignores_term_is_killed_at_last(make: Make) -> None:
    stubborn = SERVER.replace("signal.sigwait([signal.SIGTERM])", "while True: signal.pause()")
    root = make(server=stubborn)
    script = root / "scripts/demo.py"
    script.write_text(script.read_text().replace("STOP_LIMIT = 15.0", "STOP_LIMIT = 2.0"))
    demo(root, "start")
    pid = pid_of(root)
    assert demo(root, "stop").returncode == 0
    assert not runs(pid)


def test_a_wrong_word_is_a_usage_error(make: Make) -> None:
    assert demo(make(), "begin").returncode == 2


@pytest.mark.system
def test_an_ordinary_user_without_a_home_can_run_it() -> None:
    root = Path(tempfile.mkdtemp())
    try:
        tree = lay_out(root / "tree", SERVER, CLIENT, DEBIAN_PYTHON)
        for path in (root, *root.rglob("*")):
            os.chown(path, 65534, 65534)
        words = ["/usr/bin/env", "-i", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        script = [*words, DEBIAN_PYTHON, "-IB", str(tree / "scripts/demo.py")]
        for word in ("start", "stop"):
            done = subprocess.run([*script, word], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), word
    finally:
        shutil.rmtree(root)

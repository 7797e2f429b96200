"""`--user NAME`: the process that holds the sockets is somebody who owns nothing; what runs is as before."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.regress.conftest import RULES, Host, wait_until

NOBODY = "nobody"

pytestmark = pytest.mark.usefixtures("cold")


def status_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def test_what_cannot_be_done_is_refused(make_host: Callable[..., Host]) -> None:
    """cli.md: "one line, exit 2": before anything is served."""
    for name in ("no-such-user", "0", "65534", "root"):
        assert "--user" in make_host().refuses("--user", name)
    folder = make_host()
    folder.home.mkdir(mode=0o700)
    (folder.home / "config.toml").write_text('[server]\nuser = "no-such-user"\n')
    assert "no-such-user" in folder.refuses()


def test_the_listener_is_fenced_and_says_so(host: Host) -> None:
    """Promise: "where the kernel has it, fences itself with Landlock and seccomp", asked for or not."""
    host.wait_for("rexec-server: fence user=- landlock=(yes|no) seccomp=(yes|no)")
    found = status_of(host.pid)
    assert found["NoNewPrivs"] == ["1"]
    assert found["Seccomp"] == ["2"]
    assert found["CapEff"] == found["CapPrm"] == ["0" * 16]
    ours = status_of(os.getpid())["Seccomp"]
    assert status_of(host.runner_pid())["Seccomp"] == ours  # or what it starts would be fenced


@pytest.mark.system
def test_the_listener_is_the_user_for_good_and_the_runner_is_not(make_host: Callable[..., Host]) -> None:
    """security.md, Around the allow list: "kept supplementary groups (CVE-2021-41617)", of the listener."""
    host = make_host().start("--user", NOBODY)
    entry = pwd.getpwnam(NOBODY)
    found = status_of(host.pid)
    assert found["Uid"] == [str(entry.pw_uid)] * 4
    assert found["Gid"] == [str(entry.pw_gid)] * 4
    assert found["Groups"] == [str(entry.pw_gid)]
    assert found["NoNewPrivs"] == ["1"]
    assert set(found["CapEff"] + found["CapPrm"] + found["CapInh"]) == {"0" * 16}
    assert status_of(host.runner_pid())["Uid"] == ["0"] * 4
    assert f"user={NOBODY}" in host.wait_for("rexec-server: fence ")
    assert host.run("id", "-u").stdout == b"0\n"  # whose server it is, not the listener's


@pytest.mark.system
def test_everything_goes_on_as_before(make_host: Callable[..., Host]) -> None:
    """Promise: "the listener can be a user without rights": with an interpreter that it cannot even read."""
    host = make_host()
    path = host.folder / "socket"
    host.start("--user", NOBODY, listen=("127.0.0.1:0", f"unix:{path}"))
    for address in host.addresses:
        assert host.run("seq", "3", address=address).stdout == b"1\n2\n3\n"
    data = os.urandom(3_000_000)
    assert host.run("cat", input=data).stdout == data
    assert host.run("sh", "-c", "kill -9 $$").returncode == 137
    host.allow_list.write_text("uname\n")
    (host.home / "host_cert.pem").unlink()
    assert host.process is not None
    host.process.send_signal(signal.SIGHUP)
    assert "result=done" in host.wait_for("reload result=")
    assert host.run("uname").returncode == 0
    with socket.create_connection(("127.0.0.1", host.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    host.wait_for("refused from=")
    assert host.stop() == 0
    assert not path.exists()  # in a directory that the listener may not write


@pytest.mark.system
def test_the_key_of_the_host_is_out_of_its_reach(make_host: Callable[..., Host]) -> None:
    """A taken listener has the key that it serves with in memory, and no file at all."""
    host = make_host().start("--user", NOBODY)
    for name in ("host_ed25519", "authorized_keys"):
        done = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", "--clear-groups", "cat", str(host.home / name)],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0


@pytest.mark.system
def test_nothing_is_left_when_the_runner_is_killed(make_host: Callable[..., Host]) -> None:
    """security.md, Processes: nothing is left behind, though the listener may signal nobody."""
    host = make_host().start("--user", NOBODY)
    with host.popen("sh", "-c", "trap '' TERM HUP; echo $$; sleep 1000") as client:
        assert client.stdout is not None
        leader = int(client.stdout.readline())
        os.kill(host.runner_pid(), signal.SIGKILL)
        assert client.wait() == 255
    wait_until(lambda: not os.path.exists(f"/proc/{leader}"), "the command is gone")
    assert host.process is not None
    assert host.process.wait() == 1


class Installed(NamedTuple):
    """An installation that everybody can read, and a home of nobody's."""

    bin: Path
    home: Path

    def server(self, *options: str, home: Path) -> list[str]:
        words = [str(self.bin / "rexec-server"), "--home", str(home), "--listen", "127.0.0.1:0"]
        return [*words, "--allow-list", str(home / "cmds.txt"), *options]


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """Install with the system's interpreter, where others than root can read it."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        place, checkout = Path(name), Path(__file__).parents[2]
        place.chmod(0o755)
        subprocess.run(["/usr/bin/python3", "-m", "venv", str(place / "venv")], check=True)
        for folder in ("rexec", "bin"):
            shutil.copytree(checkout / folder, place / "source" / folder)
        for file in ("pyproject.toml", "README.md"):
            shutil.copy(checkout / file, place / "source")
        words = [str(place / "venv/bin/pip"), "--disable-pip-version-check", "install", str(place / "source")]
        subprocess.run(words, check=True, capture_output=True)
        home = place / "home"
        home.mkdir(mode=0o700)
        (home / "cmds.txt").write_text(RULES)
        for path in (home, home / "cmds.txt"):
            shutil.chown(path, NOBODY)
        yield Installed(place / "venv/bin", home)


def served(server: subprocess.Popen[str]) -> str:
    """Return where a server that was just started listens."""
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"listening on (\S+) ", line):
            return found[1]
    raise AssertionError("it does not listen")


@pytest.mark.system
def test_only_root_may(installed: Installed) -> None:
    """cli.md: "one line, exit 2": an ordinary user stays who they are, and may say so."""
    ordinary = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", *installed.server(home=installed.home)]
    done = subprocess.run([*ordinary, "--user", "daemon"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"only root" in done.stderr
    with subprocess.Popen([*ordinary, "--user", NOBODY], stderr=subprocess.PIPE, text=True) as server:
        served(server)
        server.terminate()
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()
    assert server.returncode == 0


@pytest.mark.system
def test_a_system_wide_installation_serves_as_somebody_else(installed: Installed, tmp_path: Path) -> None:
    """Promise: "`/usr/bin/python3` is readable by other users, a private interpreter may not be"."""
    tmp_path.chmod(0o700)
    (tmp_path / "cmds.txt").write_text(RULES)
    words = installed.server("--user", NOBODY, home=tmp_path)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        address = served(server)
        (tmp_path / "r").symlink_to(installed.bin / "rexec")  # as pipx has it
        client = [str(tmp_path / "r"), "--home", str(tmp_path), address, "seq", "2"]
        done = subprocess.run(client, capture_output=True, check=False)
        server.terminate()
    assert (done.returncode, done.stdout) == (0, b"1\n2\n"), done.stderr
    assert server.returncode == 0

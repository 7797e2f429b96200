"""-J and ProxyCommand: a way through another host, which carries TLS and sees nothing of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from rexec.auth.private import generate
from tests.regress.conftest import Host, has_ended, wait_until
from tests.regress.ssh import SHELL_RULES, SSH, ssh, ssh_popen, ssh_words

CARRY = """\
import os, select, socket, sys
sys.excepthook = lambda *_: os._exit(1)  # both ends may go at any time
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
poll = select.poll()
poll.register(0, select.POLLIN)
poll.register(far, select.POLLIN)
while True:
    for number, _ in poll.poll():
        if number:
            data = far.recv(65536)
            if not data:
                sys.exit()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            data = sys.stdin.buffer.raw.read(65536)
            if not data:
                poll.unregister(0)
            far.sendall(data or b"")
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host that lets others pass: it has a rule for `nc`, as the page of rexec-ssh says."""
    folder = tmp_path_factory.mktemp("gate")
    carry = folder / "carry.py"
    carry.write_text(CARRY)
    rules = (
        f"nc {{h=host}} {{p=port}} = {sys.executable} -I -S {carry} {{h}} {{p}}\n    background kill\ntrue\n"
    )
    host = Host(folder, rules).start()
    yield host
    host.end()


@pytest.fixture(scope="module")
def inner(gate: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host behind it, of the same user."""
    host = Host(tmp_path_factory.mktemp("inner"), SHELL_RULES)
    host.home = gate.home
    host.start()
    yield host
    host.end()


def jump(gate: Host) -> str:
    return f"127.0.0.1:{gate.port}"


def children_of(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_command_through_another_host(gate: Host, inner: Host) -> None:
    """`-J` is mapped: what the host in between runs is its own allowed `nc HOST PORT`."""
    before = gate.count('rule=cmds.txt:1 argv=\\["nc","127.0.0.1",')
    data = os.urandom(500_000)
    done = ssh(inner, "cat", options=("-J", jump(gate)), input=data)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")
    gate.wait_for(f'allow .*argv=\\["nc","127.0.0.1","{inner.port}"\\]', count=1)
    assert gate.count('rule=cmds.txt:1 argv=\\["nc","127.0.0.1",') == before + 1
    assert ssh(inner, "sh -c 'exit 9'", options=("-oProxyJump=" + jump(gate),)).returncode == 9


def test_through_two(gate: Host, inner: Host, tmp_path: Path) -> None:
    """security.md, Environment and inheritance: "PYTHONPATH" brings no code into the ways either."""
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('from elsewhere')\n")
    options = ("-J", f"{jump(gate)},{jump(gate)}")
    done = ssh(inner, "echo", "far", options=options, env={"PYTHONPATH": str(tmp_path)})
    assert (done.stdout, done.stderr) == (b"far\n", b"")


def test_a_file_may_say_so(gate: Host, inner: Host, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host far\n  HostName 127.0.0.1\n  Port {inner.port}\n  ProxyJump {jump(gate)}\n")
    done = subprocess.run(
        [SSH, "far", "-F", str(config), "echo", "x"],
        env=inner.environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n", b"")


def test_a_host_in_between_that_denies_it(make_gate: Host, inner: Host) -> None:
    """One line that says who denied what; the client has nothing to add."""
    done = ssh(inner, "true", options=("-J", jump(make_gate)))
    assert done.returncode == 255
    assert done.stderr.startswith(b'rexec-ssh: 127.0.0.1: denied: "nc 127.0.0.1 ')
    assert done.stderr.count(b"\n") == 1


@pytest.fixture
def make_gate(gate: Host, tmp_path: Path) -> Iterator[Host]:
    folder = tmp_path / "closed"
    folder.mkdir()
    host = Host(folder, "true\n")
    host.home = gate.home
    host.start()
    yield host
    host.end()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("-oProxyCommand=sh -c 'exit 3'", b"no way through the ProxyCommand: exit status 3"),
        ("-oProxyCommand=echo SSH-2.0-x", b"tls: "),
        ("-oProxyCommand=kill -9 $$", b"died by signal 9"),
        ("-oProxyCommand=%z", b"means nothing here"),
    ],
)
def test_a_way_that_leads_nowhere(inner: Host, option: str, said: bytes) -> None:
    done = ssh(inner, "true", options=(option,))
    assert (done.returncode, done.stdout) == (255, b"")
    assert said in done.stderr
    assert done.stderr.startswith(b"rexec-ssh: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_that_leads_nowhere_ends_with_its_client(
    inner: Host, tmp_path: Path, number: signal.Signals
) -> None:
    """It has read the first byte: the client waits for an answer, and the program for nothing that ends."""
    said = tmp_path / "pid"
    command = f"ProxyCommand=sh -c 'head -c 1 >/dev/null; echo $$ >{said}; exec sleep 1000'"
    with ssh_popen(inner, "true", options=("-o", command)) as client:
        wait_until(
            lambda: said.exists() and said.read_text().endswith("\n"), "the program has said who it is"
        )
        client.send_signal(number)
        assert client.wait() == -number
    assert has_ended(int(said.read_text()))


def test_a_program_of_ones_own(gate: Host, inner: Host) -> None:
    command = f"ProxyCommand={sys.executable} {gate.folder}/carry.py %h %p"
    done = ssh(inner, "cat", options=("-o", command), input=b"x" * 100_000)
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 100_000, b"")
    assert ssh(inner, "echo", "x", options=("-o", "ProxyCommand=none")).stdout == b"x\n"


def test_the_pin_is_that_of_the_last_host(gate: Host, inner: Host) -> None:
    """TLS goes from end to end: the host in between is trusted for itself, and for nothing else."""
    guest = gate.guest("stranger")
    known = Path(guest["REXEC_HOME"]) / "known_hosts"
    assert ssh(gate, "true", options=("-oStrictHostKeyChecking=no",), env=guest).returncode == 0
    options = ("-J", jump(gate), "-oHostName=localhost")
    done = ssh(inner, "true", options=options, env=guest)
    assert done.returncode == 255
    assert b"is not known" in done.stderr
    with known.open("a") as file:
        file.write(f"[localhost]:{inner.port} {generate('other').public.line('')}\n")
    done = ssh(inner, "true", options=(*options, "-oStrictHostKeyChecking=no"), env=guest)
    assert done.returncode == 255
    assert b"has changed" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_child_is_left_behind(gate: Host, inner: Host, number: int) -> None:
    with ssh_popen(inner, "sh -c 'echo ready; exec sleep 100'", options=("-J", jump(gate))) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        (child,) = children_of(client.pid)
        assert os.getpgid(child) == child  # Ctrl-C is for the command, not for the way to it
        client.send_signal(number)
        client.communicate(timeout=30)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the way is gone")
    done = gate.count('argv=."nc"')
    gate.wait_for("end user=\\S+ rule=cmds.txt:1", count=done)


def test_none_is_left_by_one_that_is_killed(gate: Host, inner: Host) -> None:
    with ssh_popen(inner, "sh -c 'echo ready; exec sleep 100'", options=("-J", jump(gate))) as client:
        assert client.stdout is not None
        client.stdout.readline()
        (child,) = children_of(client.pid)
        client.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the way is gone")


def test_a_shared_connection_through_another_host(gate: Host, inner: Host, tmp_path: Path) -> None:
    control = ("-S", str(tmp_path / "control"))
    options = (*control, "-M", "-oControlPersist=yes", "-J", jump(gate))
    assert ssh(inner, "echo", "x", options=options).stdout == b"x\n"
    # what the way says later is nobody's, and its errors are ours
    done = ssh(
        inner,
        "true",
        options=("-S", str(tmp_path / "other"), "-M", "-oProxyCommand=sh -c 'echo why >&2; exit 3'"),
    )
    assert done.returncode == 255
    assert done.stderr.startswith(b"why\nrexec-ssh: 127.0.0.1: no way through")
    done = ssh(inner, "echo", "y", options=control, env={"REXEC_HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, b"y\n")
    assert ssh(inner, options=(*control, "-O", "exit")).returncode == 0
    ended = gate.count('argv=\\["nc"')
    gate.wait_for("end user=\\S+ rule=cmds.txt:1", count=ended)


def test_a_prompt_through_another_host(gate: Host, inner: Host) -> None:
    words = ssh_words(inner, options=("-J", jump(gate)))
    client = pexpect.spawn(words[0], words[1:], env=inner.environment(TERM="dumb"), timeout=30)  # type: ignore[arg-type]
    client.expect_exact("> ")
    client.sendline("echo a''b")
    client.expect_exact("ab\r\n")
    client.expect_exact("> ")
    client.sendline("exit 4")
    client.expect(pexpect.EOF)
    assert client.wait() == 4

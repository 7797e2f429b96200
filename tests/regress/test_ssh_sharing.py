"""ssh's ControlMaster: several commands on one connection, and nobody kept waiting by who holds it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from rexec.client.door import Listener
from rexec.client.sharing import Unreachable, reach
from tests.regress.conftest import PATIENCE, Host, descriptors_of, has_ended, wait_until
from tests.regress.ssh import SHELL_RULES, ssh, ssh_popen, ssh_words

DATA = bytes(range(256)) * (12 * 1024)  # 3 MiB


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("far"), SHELL_RULES).start()
    yield host
    host.end()


class Sharing:
    """A control path, and what is said about its master."""

    def __init__(self, host: Host, path: Path) -> None:
        self.host = host
        self.path = path
        self.options: tuple[str, ...] = ("-S", str(path), "-oControlMaster=auto", "-oControlPersist=yes")
        # whoever has to connect by themselves fails: there is no key in this home
        nobody = path.parent / "nobody"
        nobody.mkdir()
        self.keyless = {"REXEC_HOME": str(nobody)}

    def order(self, word: str) -> subprocess.CompletedProcess[bytes]:
        return ssh(self.host, options=("-S", str(self.path), "-O", word))

    def pid(self) -> int:
        found = re.search(rb"pid=(\d+)", self.order("check").stderr)
        assert found is not None
        return int(found[1])

    def guest(self, *words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
        """Run a command that only the master can be asked for."""
        return ssh(self.host, *words, options=("-S", str(self.path)), env=self.keyless, **more)  # type: ignore[arg-type]

    def guest_popen(self, *words: str, **more: object) -> subprocess.Popen[bytes]:
        return ssh_popen(self.host, *words, options=("-S", str(self.path)), **more)


@pytest.fixture
def sharing(far: Host, tmp_path: Path) -> Iterator[Sharing]:
    found = Sharing(far, tmp_path / "control")
    yield found
    if found.path.exists() and found.order("exit").returncode == 0:
        wait_until(lambda: not found.path.exists(), "the master is gone")


@pytest.fixture
def shared(sharing: Sharing) -> Sharing:
    """A control path with a master at it."""
    done = ssh(sharing.host, "echo", "first", options=sharing.options)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"first\n", b"")
    return sharing


def test_the_second_command_needs_no_key(shared: Sharing) -> None:
    """`ControlMaster` and `ControlPath` share one connection as ssh's do."""
    assert shared.path.stat().st_mode & 0o777 == 0o600
    for _ in range(3):
        done = shared.guest("echo", "second")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"second\n", b"")


def test_a_guests_own_configuration_counts(shared: Sharing) -> None:
    config = Path(shared.keyless["REXEC_HOME"]) / "config.toml"
    config.write_text('[client]\ntimeout = "1ms"\n')
    assert shared.guest("sleep", "1000").returncode == 124
    config.write_text("[client]\nnothing = 1\n")
    done = shared.guest("echo", "x")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"config.toml:2: unknown key" in done.stderr


def test_an_order_to_a_master_that_goes_away_was_not_obeyed(sharing: Sharing) -> None:
    listener = Listener(str(sharing.path))
    words = ssh_words(sharing.host, options=("-S", str(sharing.path), "-O", "exit"))
    with subprocess.Popen(words, env=sharing.host.environment(), stderr=subprocess.PIPE) as client:
        select.select([listener], [], [], PATIENCE)
        line = listener.accept()
        assert line is not None
        line.close()
        listener.close()
        _, err = client.communicate(timeout=PATIENCE)
    assert (client.returncode, err) == (255, f"rexec-ssh: no master: {sharing.path}: it went away\n".encode())


def test_what_is_no_host_is_none_for_a_master_either(shared: Sharing) -> None:
    client = ssh_words(shared.host)[0]
    for host in ("a b", "-a", ":1", ""):
        words = [client, "-S", str(shared.path), "--", host, "echo", "x"]
        done = subprocess.run(words, env=shared.host.environment(), capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (255, b""), host


def test_the_master_holds_nothing_of_its_caller(shared: Sharing) -> None:
    """A master never holds the caller's stdio: the fixture has read its pipes to their end, too."""
    master = shared.pid()
    shared.guest("true")
    descriptors = Path(f"/proc/{master}/fd")
    held = {name.name: os.readlink(name) for name in descriptors.iterdir()}
    assert {held[number] for number in "012"} == {"/dev/null"}
    others = [place for number, place in held.items() if number not in "012"]
    pipes = [place for place in others if place.startswith("pipe:")]
    assert len(set(pipes)) <= 1  # its own, for signals
    assert os.getsid(master) == master
    assert Path(f"/proc/{master}/cwd").resolve() == Path("/")


def test_a_caller_that_waits_for_the_end_of_a_pipe_is_not_kept(far: Host, sharing: Sharing) -> None:
    words = ssh_words(far, "echo", "x", options=sharing.options)
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&1 | cat', "sh", *words],
        env=far.environment(),
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stdout == b"x\n"
    assert sharing.order("check").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("sh -c 'exit 7'", 7, b""),
        ("sh -c 'kill -9 $$'", 255, b""),
        ("nothing", 126, b"rexec-ssh: 127.0.0.1: denied: "),
        ("echo a && b", 126, b"rexec-ssh: 127.0.0.1: denied: "),
    ],
)
def test_the_end_of_a_command_is_what_it_would_be_without(
    shared: Sharing, words: str, code: int, said: bytes
) -> None:
    done = shared.guest(words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(said)
    assert (done.stderr == b"") == (said == b"")


def test_streams_both_ways(shared: Sharing, tmp_path: Path) -> None:
    assert shared.guest("cat", input=DATA).stdout == DATA
    sink = tmp_path / "sink"
    with sink.open("wb") as writing:
        assert (
            shared.guest(
                "sh -c 'cat; echo e >&2'", input=DATA, stdout=writing, stderr=subprocess.STDOUT
            ).returncode
            == 0
        )
    assert sink.read_bytes().replace(b"e\n", b"") == DATA
    ours, theirs = socket.socketpair()
    with ours, shared.guest_popen("cat", stdin=theirs, stdout=theirs) as client:
        theirs.close()
        writer = threading.Thread(target=lambda: (ours.sendall(DATA), ours.shutdown(socket.SHUT_WR)))
        writer.start()
        with ours.makefile("rb") as back:
            assert back.read() == DATA
        writer.join()
        assert client.wait(PATIENCE) == 0


def test_a_device_that_takes_nothing(shared: Sharing) -> None:
    """cli.md: "Output that did not arrive whole is never a success"."""
    with open("/dev/full", "wb", buffering=0) as full:
        done = shared.guest("seq", "100", stdout=full)
    assert done.returncode == 255
    assert done.stderr == b"rexec-ssh: 127.0.0.1: no space left on device\n"


def test_a_terminal_that_was_stopped_keeps_nobody(shared: Sharing) -> None:
    """cli.md: "a second INT within 2 s ends the client", also when the command is over by then."""
    ours, theirs = os.openpty()
    master = shared.pid()
    before = descriptors_of(master)
    ended = shared.host.count("end .*status=0")
    with shared.guest_popen("seq 12000", stdout=theirs) as client:  # a pipe holds it, a terminal does not
        shared.host.wait_for("end .*status=0", count=ended + 1)
        wait_until(lambda: descriptors_of(master) <= before, "it is over for the master too")

        def interrupt() -> bool:
            client.send_signal(signal.SIGINT)
            return client.poll() is not None

        wait_until(interrupt, "the guest is gone")
        assert client.returncode == -signal.SIGINT
    os.close(ours)
    os.close(theirs)


def test_many_at_once(shared: Sharing) -> None:
    clients = [shared.guest_popen("sh -c 'cat; cat >&2'") for _ in range(8)]
    for number, client in enumerate(clients):
        out, _ = client.communicate(b"%d" % number * 70_000, timeout=PATIENCE)
        assert out == b"%d" % number * 70_000
        assert client.returncode == 0


def test_variables_and_subsystems(shared: Sharing) -> None:
    done = ssh(
        shared.host, "env", options=("-S", str(shared.path), "-oSetEnv=LANG=xy A=b"), env=shared.keyless
    )
    assert b"LANG=xy\n" in done.stdout
    assert b"A=b\n" not in done.stdout
    done = ssh(shared.host, "sftp", options=("-S", str(shared.path), "-s"), env=shared.keyless, input=b"x")
    assert done.stdout == b"x"


def far_pid(client: subprocess.Popen[bytes]) -> int:
    """The pid that a command at the far end says first."""
    assert client.stdout is not None
    return int(client.stdout.readline())


def test_a_guest_that_is_killed_has_its_command_ended(shared: Sharing) -> None:
    with shared.guest_popen("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done'") as client:
        pid = far_pid(client)
        client.kill()
    wait_until(lambda: has_ended(pid), "the command is gone")
    assert shared.guest("true").returncode == 0


def test_signals_are_passed_on(shared: Sharing) -> None:
    with shared.guest_popen("sh -c 'trap \"exit 3\" USR1; echo $$; while :; do sleep 0.05; done'") as client:
        far_pid(client)
        client.send_signal(signal.SIGUSR1)
        assert client.wait(PATIENCE) == 3
    with shared.guest_popen("sh -c 'echo $$; exec sleep 100'") as client:
        far_pid(client)
        client.send_signal(signal.SIGTERM)
        _, err = client.communicate(timeout=PATIENCE)
        assert (client.returncode, err) == (255, b"")
    with shared.guest_popen("sh -c 'echo $$; exec sleep 100'") as client:
        far_pid(client)
        client.send_signal(signal.SIGINT)
        assert client.wait(PATIENCE) == -signal.SIGINT


def test_a_reader_that_has_enough(shared: Sharing) -> None:
    with shared.guest_popen("sh -c 'echo $$; exec yes'") as client:
        assert client.stdout is not None
        pid = far_pid(client)
        client.stdout.close()
        assert client.wait(PATIENCE) == 255  # yes died by a signal
    wait_until(lambda: has_ended(pid), "the command is gone")


# --- when there is no master ---------------------------------------------------------------------


def test_a_master_that_is_gone_is_no_matter(shared: Sharing) -> None:
    """Falls back to a direct connection when the master goes away."""
    master = shared.pid()
    os.kill(master, signal.SIGKILL)
    wait_until(lambda: has_ended(master), "the master is gone")
    assert shared.path.exists()
    options = ("-S", str(shared.path))
    done = ssh(shared.host, "echo", "direct", options=options)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"direct\n", b"")
    assert shared.order("check").returncode == 255
    assert ssh(shared.host, "true", options=shared.options).returncode == 0  # takes the stale one's place
    assert shared.guest("true").returncode == 0


def test_a_master_that_dies_while_it_works(shared: Sharing) -> None:
    with shared.guest_popen("sh -c 'echo $$; exec sleep 100'") as client:
        pid = far_pid(client)
        os.kill(shared.pid(), signal.SIGKILL)
        _, err = client.communicate(timeout=PATIENCE)
        assert client.returncode == 255
        assert err == b"rexec-ssh: 127.0.0.1: the master went away\n"
    wait_until(lambda: has_ended(pid), "the command is gone")


def test_a_server_that_goes_away_ends_the_master(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host(SHELL_RULES).start()
    sharing = Sharing(host, tmp_path / "control")
    assert ssh(host, "true", options=sharing.options).returncode == 0
    master = sharing.pid()
    host.stop()
    wait_until(lambda: has_ended(master) and not sharing.path.exists(), "the master is gone")


def test_something_else_at_the_path(far: Host, tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("mine")
    done = ssh(far, "echo", "x", options=("-S", str(path), "-M", "-oControlPersist=yes"))
    assert (done.returncode, done.stdout) == (0, b"x\n")
    assert done.stderr.startswith(b"rexec-ssh: the connection is not shared: ")
    assert path.read_text() == "mine"
    done = ssh(far, "echo", "x", options=("-S", "/nowhere/control", "-oControlMaster=auto"))
    assert (done.returncode, done.stdout) == (0, b"x\n")
    assert ssh(far, "echo", "x", options=("-S", str(path))).stdout == b"x\n"


def test_of_two_at_once_one_is_the_master(far: Host, sharing: Sharing) -> None:
    clients = [ssh_popen(far, "cat", options=sharing.options) for _ in range(3)]
    for client in clients:
        out, err = client.communicate(b"x", timeout=PATIENCE)
        assert (client.returncode, out) == (0, b"x")
        assert all(b"not shared" in line for line in err.splitlines())
    assert sharing.guest("true").returncode == 0


# --- how long it lasts ---------------------------------------------------------------------------


def test_without_persist_it_lasts_as_long_as_its_commands(far: Host, sharing: Sharing) -> None:
    with ssh_popen(far, "cat", options=("-S", str(sharing.path), "-M")) as first:
        wait_until(sharing.path.exists, "there is a master")
        master = sharing.pid()
        with sharing.guest_popen("cat") as second:
            assert second.stdin is not None
            assert second.stdout is not None
            second.stdin.write(b"x\n")
            second.stdin.flush()
            assert second.stdout.readline() == b"x\n"
            first.communicate(timeout=PATIENCE)
            assert first.returncode == 0
            second.communicate(b"y", timeout=PATIENCE)
            assert second.returncode == 0
    wait_until(lambda: has_ended(master) and not sharing.path.exists(), "the master is gone")


def test_it_ends_some_time_after_the_last(far: Host, sharing: Sharing) -> None:
    options = ("-S", str(sharing.path), "-M", "-oControlPersist=1")
    with ssh_popen(far, "cat", options=options) as first:
        wait_until(sharing.path.exists, "there is a master")
        master = sharing.pid()  # as long as something runs: a second may be over before it is asked
        first.communicate(timeout=PATIENCE)
        assert first.returncode == 0
    wait_until(lambda: has_ended(master) and not sharing.path.exists(), "the master is gone")


def test_it_listens_no_more_and_finishes_what_runs(shared: Sharing) -> None:
    """ssh(1), -O stop: "request the master to stop accepting further multiplexing requests"."""
    master = shared.pid()
    with shared.guest_popen("cat") as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"x\n")
        client.stdin.flush()
        client.stdout.readline()
        done = shared.order("stop")
        assert (done.returncode, done.stderr) == (0, b"rexec-ssh: stop listening request sent\n")
        wait_until(lambda: not shared.path.exists(), "nobody listens")
        client.communicate(b"", timeout=PATIENCE)
        assert client.returncode == 0
    wait_until(lambda: has_ended(master), "the master is gone")
    assert shared.order("check").returncode == 255


def test_it_exits_with_all_that_runs(shared: Sharing) -> None:
    master = shared.pid()
    with shared.guest_popen("sh -c 'echo $$; exec sleep 100'") as client:
        pid = far_pid(client)
        done = shared.order("exit")
        assert (done.returncode, done.stderr) == (0, b"rexec-ssh: exit request sent\n")
        assert client.wait(PATIENCE) == 255
    wait_until(lambda: has_ended(master) and has_ended(pid), "master and command are gone")


def test_a_master_without_a_command(far: Host, sharing: Sharing) -> None:
    """`ssh -MNf`, as scripts have it: the connection waits in the background for commands of others."""
    done = ssh(far, options=("-MNf", "-S", str(sharing.path)))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sharing.guest("echo", "x").stdout == b"x\n"
    assert sharing.order("exit").returncode == 0
    wait_until(lambda: not sharing.path.exists(), "the master is gone")
    with ssh_popen(far, options=("-MN", "-S", str(sharing.path))) as client:
        wait_until(sharing.path.exists, "there is a master")
        assert sharing.guest("true").returncode == 0
        client.terminate()
        client.wait(PATIENCE)
    wait_until(lambda: not sharing.path.exists(), "the master is gone")


def test_tokens_in_the_path(far: Host, tmp_path: Path) -> None:
    options = ("-oControlMaster=auto", "-oControlPersist=yes", "-S", f"{tmp_path}/%C")
    assert ssh(far, "true", options=options).returncode == 0
    (path,) = [name for name in tmp_path.iterdir() if len(name.name) == 40]
    assert ssh(far, options=("-O", "exit", "-S", f"{tmp_path}/%C")).returncode == 0
    wait_until(lambda: not path.exists(), "the master is gone")


# --- terminals -----------------------------------------------------------------------------------


def test_a_terminal_by_way_of_a_master(shared: Sharing) -> None:
    words = ssh_words(shared.host, "sh", options=("-S", str(shared.path), "-t"))
    client = pexpect.spawn(
        words[0],  # type: ignore[arg-type]
        words[1:],
        env=shared.host.environment(**shared.keyless),
        dimensions=(33, 77),
        timeout=30,
    )
    client.sendline("stty size; tty; echo rea''dy")
    client.expect("33 77")
    client.expect("/dev/pts/")
    client.expect("ready")
    client.setwinsize(44, 88)
    client.sendline("until test \"$(stty size)\" = '44 88'; do sleep 0.1; done; echo gro''wn; exit 5")
    client.expect("grown")
    client.expect(pexpect.EOF)
    assert client.wait() == 5


def test_a_terminal_that_no_command_gets(shared: Sharing) -> None:
    """What is typed at a terminal is read by who belongs to it, and passed on."""
    words = ssh_words(shared.host, "head -n 1", options=("-S", str(shared.path)))
    client = pexpect.spawn(
        words[0],  # type: ignore[arg-type]
        words[1:],
        env=shared.host.environment(**shared.keyless),
        timeout=30,
        echo=False,
    )
    client.sendline("typed")
    client.expect_exact("typed")
    client.expect(pexpect.EOF)
    assert client.wait() == 0


def test_the_way_out_of_a_stuck_terminal(shared: Sharing) -> None:
    words = ssh_words(
        shared.host, "sh -c 'stty raw; echo $$; exec sleep 100'", options=("-S", str(shared.path), "-t")
    )
    client = pexpect.spawn(
        words[0],  # type: ignore[arg-type]
        words[1:],
        env=shared.host.environment(**shared.keyless),
        timeout=30,
    )
    client.expect(r"(\d+)\s")
    pid = int(client.match[1])
    client.send("\r~.")
    client.expect_exact("session ended by ~.")
    client.expect(pexpect.EOF)
    assert client.wait() == 255
    wait_until(lambda: has_ended(pid), "the command is gone")


# --- the socket ----------------------------------------------------------------------------------


def test_only_one_master_has_a_path(tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    listener = Listener(path)
    serving = threading.Thread(target=serve_one, args=(listener,))
    serving.start()
    with pytest.raises(Unreachable, match="another master"):
        Listener(path)
    serving.join()
    listener.socket.close()  # as one that was killed: its name stays
    other = Listener(path)
    assert other.is_ours
    assert not listener.is_ours
    listener.close()
    assert os.path.exists(path)
    other.close()
    assert os.listdir(tmp_path) == []


def serve_one(listener: Listener) -> None:
    wait_until(lambda: (line := listener.accept()) is not None and (line.close() or True), "somebody comes")


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    for path in (str(tmp_path / "none"), str(tmp_path), "x" * 200, "\0"):
        with pytest.raises(Unreachable):
            reach(path)
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.bind(str(tmp_path / "other"))
    ours.listen()
    mute = threading.Thread(target=lambda: ours.accept()[0].close())
    mute.start()
    with pytest.raises(Unreachable, match="no master of ours"):
        reach(str(tmp_path / "other"))
    mute.join()
    ours.close()


def test_nobody_but_the_same_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands at a control path may be somebody else's (unix(7), SO_PEERCRED); so may a guest."""
    path = str(tmp_path / "control")
    listener = Listener(path)
    monkeypatch.setattr("rexec.client.sharing.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(Unreachable, match="belongs to another user"):
        reach(path)
    assert listener.accept() is None
    listener.close()

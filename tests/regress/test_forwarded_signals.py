"""Signals to the client go to the remote group; a client that has to end does so without fuss."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.regress.conftest import CLIENT, Host, processes_of, wait_until

# sigwait(3) loses no signal, as the traps of a shell would
LISTEN = r"""
import os, signal, sys
deaf, last = sys.argv[1], int(sys.argv[2])
known = [getattr(signal, "SIG" + name) for name in ("INT", "QUIT", "USR1", "USR2", "TERM", "HUP")]
signal.pthread_sigmask(signal.SIG_BLOCK, known)
os.write(1, b"ready %d\n" % os.getpid())
while True:
    name = signal.Signals(signal.sigwait(known)).name[3:]
    if name != deaf:
        os.write(1, name.encode() + b"\n")
        if last:
            os._exit(last)
"""
PATIENCE_SHOWN = 1.9  # seconds that a client waits at least


def begin(
    host: Host, *words: str, deaf: str = "-", code: int = 0, **more: object
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a client, by default of a program that names the signals it gets, and wait until it listens."""
    client = host.popen(*(words or ("python3", "-c", LISTEN, deaf, str(code))), **more)  # type: ignore[arg-type]
    assert client.stdout is not None
    word, leader = client.stdout.readline().split()
    assert word == b"ready"
    return client, int(leader)


@pytest.mark.parametrize("name", ["INT", "QUIT", "USR1", "USR2"])
def test_a_signal_is_forwarded_and_the_client_goes_on_waiting(shared_host: Host, name: str) -> None:
    """cli.md: "INT, QUIT, USR1, USR2 are forwarded and the client goes on waiting"."""
    client, _ = begin(shared_host, code=5)
    with client:
        client.send_signal(signal.Signals[f"SIG{name}"])
        out, err = client.communicate()
    assert (client.returncode, out, err) == (5, f"{name}\n".encode(), b"")


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_an_ending_signal_is_forwarded_and_the_commands_code_counts(shared_host: Host, name: str) -> None:
    """cli.md: "TERM and HUP are forwarded"; "The exit code is the command's if it came"."""
    client, _ = begin(shared_host, code=6)
    with client:
        client.send_signal(signal.Signals[f"SIG{name}"])
        out, err = client.communicate()
    assert (client.returncode, out, err) == (6, f"{name}\n".encode(), b"")


def test_signals_arrive_in_their_order_and_more_than_once(shared_host: Host) -> None:
    """cli.md: "Ctrl-C and the other forwardable signals go to the remote process group"."""
    client, _ = begin(shared_host)
    with client:
        assert client.stdout is not None
        for name in ("USR1", "QUIT", "USR1", "USR2", "INT"):
            client.send_signal(signal.Signals[f"SIG{name}"])
            assert client.stdout.readline() == f"{name}\n".encode()
        client.kill()


def test_a_signal_reaches_the_whole_group(shared_host: Host) -> None:
    """cli.md: "go to the remote process group"."""
    # a wait that the signal breaks off, before or while it waits, is one for nothing
    script = (
        'trap : USR1; python3 -c "$1" - 4 & until wait $!; code=$?; [ $code -lt 128 ]; do :; done; exit $code'
    )
    client, _ = begin(shared_host, "sh", "-c", script, "sh", LISTEN)
    with client:
        client.send_signal(signal.SIGUSR1)
        out, _ = client.communicate()
    assert (client.returncode, out) == (4, b"USR1\n")


def test_a_command_that_dies_of_a_forwarded_signal_is_128_plus_n(shared_host: Host) -> None:
    """cli.md: "128 + n: it died by signal n"."""
    client, _ = begin(shared_host, "sh", "-c", "echo ready $$; exec sleep 1000")
    with client:
        client.send_signal(signal.SIGUSR1)
        assert (client.wait(), client.communicate()[1]) == (128 + signal.SIGUSR1, b"")


LOOP = 'for word in one two; do "$1" "$2" sh -c "$3"; echo "code $?"; done'


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("echo ready; exec sleep 1000", b""),
        ("trap 'exit 3' INT; echo ready; while :; do sleep 0.05; done", b"code 3\n"),
    ],
    ids=["not handled", "handled"],
)
def test_ctrl_c_ends_the_loop_of_a_shell_unless_the_command_handled_it(
    shared_host: Host, script: str, shown: bytes
) -> None:
    """cli.md: "128+n of the signal the client got": who is interrupted dies of it, and bash looks at that."""
    words = ["bash", "-c", LOOP, "bash", CLIENT, shared_host.address, script]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, env=shared_host.environment(), start_new_session=True
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        os.killpg(shell.pid, signal.SIGINT)
        assert shell.stdout.read(len(shown)) == shown
        if shown:  # the loop goes on
            assert shell.stdout.readline() == b"ready\n"
            os.killpg(shell.pid, signal.SIGKILL)
        else:
            assert shell.wait() == -signal.SIGINT


def test_a_second_interrupt_ends_the_client(host: Host) -> None:
    """cli.md: "a second INT within 2 s ends the client"; security.md, People's terminals: "Ctrl-C twice"."""
    client, leader = begin(host)
    with client:
        assert client.stdout is not None
        client.send_signal(signal.SIGINT)
        assert client.stdout.readline() == b"INT\n"
        while client.poll() is None:  # the time it took to get here may have been more than 2 s
            client.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(0.5)
        assert client.returncode == -signal.SIGINT  # 130 to a shell
        assert client.communicate()[1] == b""
    host.wait_for("rexec-server: end ")
    wait_until(lambda: not processes_of(leader), "the group is gone")


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_a_deaf_command_does_not_keep_the_client(host: Host, name: str) -> None:
    """cli.md: "if the command has not ended 2 s later the client says goodbye and ends silently"."""
    client, leader = begin(host, deaf=name)
    number = signal.Signals[f"SIG{name}"]
    with client:
        before = time.monotonic()
        client.send_signal(number)
        assert client.wait() == 128 + number
        assert time.monotonic() - before > PATIENCE_SHOWN
        assert client.communicate()[1] == b""
    host.wait_for("rexec-server: left .* why=goodbye")
    host.wait_for("rexec-server: end ")
    wait_until(lambda: not processes_of(leader), "the group is gone")


def test_what_was_ignored_at_the_start_stays_ignored(shared_host: Host) -> None:
    """cli.md: "A signal that was ignored when the client started stays ignored"."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    client, _ = begin(shared_host, preexec_fn=ignore)
    with client:
        assert client.stdout is not None
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            client.send_signal(number)
        assert client.stdout.readline() == b"USR1\n"
        client.send_signal(signal.SIGUSR2)
        assert client.stdout.readline() == b"USR2\n"
        client.kill()


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_an_interrupt_while_connecting_is_no_traceback(shared_host: Host, name: str, tls: bool) -> None:
    """security.md, People's terminals: "Ctrl-C while connecting"."""
    number = signal.Signals[f"SIG{name}"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        options = () if tls else ("--no-tls",)
        with shared_host.popen("true", address=address, options=options) as client:
            connection, _ = silent.accept()
            with connection:
                if tls:
                    assert connection.recv(1)  # the handshake began: it waits for us
                status = Path(f"/proc/{client.pid}/status").read_text()
                caught = int(status.partition("\nSigCgt:")[2].split()[0], 16)
                assert not caught & 1 << number - 1  # nor can it get lost where modules are still imported
                client.send_signal(number)
                out, err = client.communicate()
    assert client.returncode == -number
    assert (out, err) == (b"", b"")


def test_an_interrupt_as_soon_as_the_command_runs_ends_both(host: Host) -> None:
    """cli.md: "Ctrl-C ... go to the remote process group", from the first moment on."""
    for turn in range(1, 11):
        with host.popen("sleep", "1000", stdin=subprocess.DEVNULL) as client:
            host.wait_for("rexec-server: allow ", count=turn)
            client.send_signal(signal.SIGINT)
            _, err = client.communicate()
        assert (client.returncode, err) == (-signal.SIGINT, b"")
    host.wait_for("rexec-server: end ", count=10)

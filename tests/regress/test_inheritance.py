"""Nothing of the server reaches a command but what the policy says."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.regress.conftest import RULES, Host

EXPECTED = {
    "PATH", "LANG", "HOME", "USER", "LOGNAME", "SHELL", "PAGER",
    "REXEC_USER", "REXEC_CONNECTION", "REXEC_RULE",
}  # fmt: skip
HOSTILE = {
    "SECRET": "s3cr3t", "LD_PRELOAD": "", "BASH_ENV": "/x", "PYTHONPATH": "/x", "IFS": "x",
    "PAGER": "less", "TZ": "x",
}  # fmt: skip


def spoil() -> None:
    """What a careless parent may leave to the server."""
    os.umask(0o000)
    for number in (
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGHUP,
    ):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM})
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server that inherited the worst."""
    host = Host(tmp_path_factory.mktemp("spoiled"), RULES)
    reading, writing = os.pipe()
    try:
        host.start(env=HOSTILE, preexec_fn=spoil, pass_fds=(reading, writing))
    finally:
        os.close(reading)
        os.close(writing)
    yield host
    host.end()


def variables(host: Host, *options: str) -> dict[str, str]:
    done = host.run("env", options=options)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.decode().splitlines())


def test_the_environment_is_built_from_nothing(spoiled: Host) -> None:
    """security.md, Environment: "The server's own ... environment ... must not reach a child"."""
    found = variables(spoiled)
    assert set(found) == EXPECTED
    assert (found["LANG"], found["SHELL"], found["PAGER"]) == ("C.UTF-8", "/bin/sh", "cat")
    assert found["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_a_command_knows_who_asked_for_it(shared_host: Host) -> None:
    """allow-list.md: "REXEC_USER, REXEC_CONNECTION, REXEC_RULE, which no client can set"."""
    found = variables(shared_host)
    assert found["REXEC_USER"] == found["USER"]
    client, _, server, port = found["REXEC_CONNECTION"].split()
    assert (client, server, int(port)) == ("127.0.0.1", "127.0.0.1", shared_host.port)
    assert found["REXEC_RULE"].startswith("cmds.txt:")


def test_only_the_three_standard_descriptors_are_open(spoiled: Host) -> None:
    """security.md, Environment: "The server's own descriptors ... must not reach a child"."""
    script = "import os; print(sorted(int(name) for name in os.listdir('/proc/self/fd')))"
    assert spoiled.run("python3", "-c", script).stdout == b"[0, 1, 2, 3]\n"  # 3 is the listing itself


def test_the_umask_is_the_policys(spoiled: Host) -> None:
    """security.md, Environment: "The server's own ... umask ... must not reach a child"."""
    assert spoiled.run("sh", "-c", "umask").stdout.strip() == b"0022"


def test_no_signal_is_ignored_or_blocked(spoiled: Host) -> None:
    """security.md, Environment: "signal mask and ignored signals must not reach a child"."""
    done = spoiled.run("cat", "/proc/self/status")
    found = dict(line.split(b":\t", 1) for line in done.stdout.splitlines() if b":\t" in line)
    reserved = 1 << 31 | 1 << 32  # signals 32 and 33 are the C library's own, and no program's to set
    assert {name: int(found[name], 16) & ~reserved for name in (b"SigIgn", b"SigBlk", b"SigCgt")} == {
        b"SigIgn": 0, b"SigBlk": 0, b"SigCgt": 0,
    }  # fmt: skip


def test_a_pipeline_ends_when_its_reader_does(spoiled: Host) -> None:
    """security.md, Environment: "`yes | head` ends fast"."""
    done = spoiled.run("sh", "-c", "yes | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"y\n", b"")


def test_a_command_has_its_own_session_and_no_terminal(shared_host: Host) -> None:
    """security.md, Environment: "TIOCSTI into the operator's terminal: every command has its own session"."""
    script = "import os; print(os.getpid() == os.getsid(0) == os.getpgrp())\ntry: os.open('/dev/tty', 0)\n"
    script += "except OSError as error: print(error.errno)"
    assert shared_host.run("python3", "-c", script).stdout == b"True\n6\n"  # ENXIO


def test_no_core_is_dumped(spoiled: Host) -> None:
    """allow-list.md, Defaults: "no core dumps"."""
    assert spoiled.run("sh", "-c", "ulimit -c").stdout == b"0\n"


def test_the_limit_of_descriptors_is_not_the_listeners(make_host: Callable[..., Host]) -> None:
    """security.md, Environment: what the listener raised for its sockets stays its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(512, soft)
    host = make_host().start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard)))
    assert host.run("sh", "-c", "ulimit -n").stdout == b"%d\n" % wanted


def test_the_working_directory_is_the_home(shared_host: Host) -> None:
    """allow-list.md, Defaults: "cwd the run-as user's home"."""
    found = shared_host.run("sh", "-c", 'test "$PWD" = "$HOME" && pwd')
    assert found.returncode == 0
    assert found.stdout != str(shared_host.folder).encode() + b"\n"


def test_a_variable_that_no_rule_passes_is_denied(shared_host: Host) -> None:
    """cli.md: "`-e NAME` that no `env pass` of the rule names is denied (126), never dropped"."""
    done = shared_host.run("env", options=("-e", "COLOUR=blue"))
    assert (done.returncode, done.stdout) == (126, b"")
    assert b"COLOUR" in done.stderr


def test_a_variable_that_the_rule_passes_arrives(make_host: Callable[..., Host]) -> None:
    """cli.md: "-e, --env NAME[=VALUE] asked of the server, within policy"."""
    host = make_host("env\n    env pass COLOUR LC_*\n").start()
    found = variables(host, "-e", "COLOUR=blue green\tred", "-e", "LC_TIME=C", "-e", "LC_X=")
    assert (found["COLOUR"], found["LC_TIME"], found["LC_X"]) == ("blue green\tred", "C", "")
    done = host.run("env", options=("-e", "LC_X"), env={"LC_X": "mine"})
    assert b"LC_X=mine\n" in done.stdout
    assert host.run("env", options=("-e", "OTHER=1")).returncode == 126


NEVER = (
    "LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "BASH_FUNC_x%%", "PYTHONPATH", "PERL5OPT",
    "NODE_OPTIONS", "IFS", "PATH", "GCONV_PATH", "REXEC_USER", "REXEC_RULE", "REXEC_CONNECTION", "HOME",
)  # fmt: skip


def test_some_variables_pass_by_no_rule(make_host: Callable[..., Host]) -> None:
    """security.md, Environment: "not passed unless a rule names them, some never"."""
    letters = " ".join(f"{letter}*" for letter in "ABCDEGHIKLMNOPQRSTUVWXYZ")
    host = make_host(f"env\n    env pass {letters}\n").start()
    for name in NEVER:
        done = host.run("env", options=("-e", f"{name}=x"))
        assert (done.returncode, done.stdout) == (126, b""), name
    assert host.count("rexec-server: deny ") == len(NEVER)

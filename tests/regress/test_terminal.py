"""`rexec -t HOST COMMAND`: a far terminal that is like the near one, and a near one that is given back."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.prompt.conftest import Terminal, modes_of
from tests.regress.conftest import CLIENT, Host, processes_of, wait_until
from tests.regress.forked import Done, forked

Run = Callable[..., Terminal]


@pytest.fixture
def run(shared_host: Host) -> Iterator[Run]:
    """Run clients at a terminal of their own, that are ended with the test."""
    begun: list[Terminal] = []

    def one(*words: str, option: str = "-t", host: Host = shared_host, **env: str) -> Terminal:
        line = [CLIENT, *option.split(), host.address, *words]
        begun.append(Terminal(line, host.environment(TERM="xterm", **env)))
        return begun[-1]

    yield one
    for terminal in begun:
        terminal.end()


def python(code: str) -> tuple[str, str, str]:
    return "python3", "-c", code


IS_A_TERMINAL = python("import os; print([os.isatty(n) for n in (0, 1, 2)])")


def test_the_command_has_a_terminal_of_its_own(run: Run) -> None:
    code = (
        "import os; print([os.isatty(n) for n in (0, 1, 2)], os.environ['TERM'], *os.get_terminal_size(0));"
        "print(os.getsid(0) == os.getpid(), os.tcgetpgrp(os.open('/dev/tty', os.O_RDWR)) == os.getpid())"
    )
    client = run(*python(code))
    client.wait_for(re.escape("[True, True, True] xterm 80 24\r\nTrue True\r\n"))
    assert client.wait() == 0


def test_without_t_there_is_none(run: Run) -> None:
    client = run(*IS_A_TERMINAL, option="")
    client.wait_for(re.escape("[False, False, False]"))
    assert client.wait() == 0


def test_capital_t_wins(run: Run) -> None:
    client = run(*IS_A_TERMINAL, option="-t -T")
    client.wait_for(re.escape("[False, False, False]"))


@pytest.mark.parametrize("option", ["-t", "-tt"])
def test_t_gives_one_without_a_local_terminal_too(shared_host: Host, option: str) -> None:
    done = shared_host.run(*IS_A_TERMINAL, options=(option,))
    assert (done.returncode, done.stdout) == (0, b"[True, True, True]\r\n")


def test_the_exit_code_is_the_commands(run: Run) -> None:
    assert run("sh", "-c", "exit 7").wait() == 7
    assert run("sh", "-c", "kill -KILL $$").wait() == 137


def test_a_new_size_arrives(run: Run) -> None:
    code = (
        "import os, signal; winch = {signal.SIGWINCH}; signal.pthread_sigmask(signal.SIG_BLOCK, winch);"
        "print('ready', flush=True); signal.sigwait(winch); print(*os.get_terminal_size(0))"
    )
    client = run(*python(code))
    client.wait_for("ready")
    client.resize(50, 132)
    client.wait_for("132 50")
    assert client.wait() == 0


@pytest.mark.parametrize(("letter", "code"), [("c", 130), ("\\", 131)])
def test_ctrl_c_and_ctrl_backslash_reach_the_foreground_group(run: Run, letter: str, code: int) -> None:
    client = run("sh", "-c", "trap '' USR1; echo ready; exec sleep 60")
    client.wait_for("ready")
    client.press(letter)
    assert client.wait() == code


def test_ctrl_z_reaches_the_program(run: Run) -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGTSTP, lambda *_: os._exit(os.write(1, b'stop') - 4));"
        "print('ready', flush=True); signal.pause()"
    )
    client = run(*python(code))
    client.wait_for("ready")
    client.press("z")
    client.wait_for("stop")
    assert client.wait() == 0


def test_the_erase_character_is_as_it_is_here(shared_host: Host) -> None:
    line = f"stty erase '#'; exec {CLIENT} -t {shared_host.address} cat"
    client = Terminal(["/bin/sh", "-c", line], shared_host.environment(TERM="xterm"))
    try:
        client.type("ab#c\r")
        client.wait_for("\nac\r")
        client.press("d")
        assert client.wait() == 0
    finally:
        client.end()


def test_the_last_bytes_before_the_end_are_never_lost(shared_host: Host) -> None:
    whole = b"".join(b"%d\r\n" % number for number in range(1, 201)) + b"last"
    lines = [["-t", shared_host.address, "sh", "-c", "seq 200; printf last"]] * 100
    assert forked(lines, shared_host.environment(TERM="xterm")) == [Done(0, whole, b"")] * 100


def test_the_end_of_input_without_a_local_terminal_is_typed(shared_host: Host) -> None:
    done = shared_host.run("cat", options=("-t",), input=b"a\n")
    assert done.returncode == 0
    assert done.stdout.replace(b"\r", b"").count(b"a\n") == 2  # its echo, and its copy


def test_tilde_dot_ends_a_stuck_session(run: Run) -> None:
    client = run("sh", "-c", "echo $$; exec sleep 60")
    leader = int(client.wait_for(r"(\d+)\r")[1])
    client.type("~.")
    assert client.wait() == 255
    wait_until(lambda: processes_of(leader) == [], "the command is gone")


def test_tilde_question_mark_helps_and_two_send_one(run: Run) -> None:
    client = run("sh", "-c", "echo ready; cat")
    client.wait_for("ready")
    client.type("~?")
    client.wait_for("Supported escapes")
    client.type("~~x\r")
    client.wait_for("\n~x\r")
    client.press("d")
    assert client.wait() == 0


RULES = "stty\n    pty only\nls\n    pty no\ntrue\n"


def test_the_rule_decides_about_terminals(make_host: Callable[..., Host]) -> None:
    """security.md, Around the allow list: "Asking for a terminal ... instead, to get around policy"."""
    host = make_host(RULES).start()
    for command, options, code in (
        ("ls", ("-t",), 126), ("ls", (), 0), ("stty", (), 126), ("stty", ("-t",), 0), ("true", ("-t",), 0),
    ):  # fmt: skip
        assert host.run(command, options=options).returncode == code, (command, options)
    assert b"gives no terminal" in host.run("ls", options=("-t",)).stderr


@pytest.mark.parametrize("way", ["exit", "denied", "tilde", "TERM", "KILL", "HUP", "lost"])
def test_the_local_terminal_is_as_before(shared_host: Host, make_host: Callable[..., Host], way: str) -> None:
    """security.md, People's terminals: "A terminal is always restored: after a crash, a kill, a lost
    line". A shell holds the terminal, so that it is there before and after."""
    host = make_host("sh ...\n").start() if way == "lost" else shared_host
    words = "frob" if way == "denied" else "sh -c 'echo $$ in; read x'"
    line = f"echo begin; read x; {CLIENT} -t {host.address} {words}; echo end; read x"
    shell = Terminal(["/bin/sh", "-c", line], host.environment(TERM="xterm"))
    try:
        shell.wait_for("begin")
        before = modes_of(shell)
        shell.type("\r")
        if way != "denied":
            shell.wait_for(r"\d+ in")
            wait_until(lambda: modes_of(shell) != before, "the terminal is raw")
            _leave(way, shell, host)
        shell.wait_for("end")
        wait_until(lambda: modes_of(shell) == before, "the terminal is as before")
    finally:
        shell.end()


def _leave(way: str, shell: Terminal, host: Host) -> None:
    if way == "exit":
        shell.type("x\r")
    elif way == "tilde":
        shell.type("~.")
    elif way == "lost":
        host.stop(signal.SIGKILL)
    else:
        children = Path(f"/proc/{shell.child.pid}/task/{shell.child.pid}/children").read_text().split()
        os.kill(int(children[0]), getattr(signal, f"SIG{way}"))

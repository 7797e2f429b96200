"""`rexec HOST < script`: one command a line, nothing local, the first failure ends it."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from rexec.cli.prompt.script import Lines
from tests.regress.conftest import PATIENCE, Host, processes_of, wait_until


def run(host: Host, script: str | bytes, *options: str) -> tuple[int, str, str]:
    data = script if isinstance(script, bytes) else script.encode()
    done = host.run(input=data, options=options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_each_line_is_a_command(shared: Host) -> None:
    script = "# a comment\n\necho one\n   \necho 'two  words' | \n"
    assert run(shared, script.replace(" | ", "")) == (0, "one\ntwo  words\n", "")


def test_the_last_line_needs_no_end(shared: Host) -> None:
    assert run(shared, "echo one\necho two") == (0, "one\ntwo\n", "")


def test_an_empty_script_is_a_success(shared: Host) -> None:
    assert run(shared, "") == (0, "", "")


def test_words_are_bytes(shared: Host) -> None:
    done = shared.run(input=b"printf %s '\xff\xfe' \xc3\xbc\n")
    assert (done.returncode, done.stdout) == (0, b"\xff\xfe\xc3\xbc")


def test_an_open_quote_takes_the_next_line(shared: Host) -> None:
    assert run(shared, "echo 'a\nb'\necho c\n") == (0, "a\nb\nc\n", "")


def test_the_first_failure_ends_it_with_its_code(shared: Host) -> None:
    assert run(shared, "echo a\nsh -c 'exit 7'\necho b\n") == (7, "a\n", "")


def test_k_goes_on_and_ends_with_the_first_failures_code(shared: Host) -> None:
    for option in ("-k", "--keep-going"):
        assert run(shared, "sh -c 'exit 7'\nfalse\necho b\n", option) == (7, "b\n", "")


def test_the_configuration_may_say_that_a_script_goes_on(host: Host) -> None:
    """cli.md: "`[client]` (defaults: any long option with `_` for `-`)"."""
    (host.home / "config.toml").write_text("[client]\nkeep_going = true\n")
    assert run(host, "false\necho b\n") == (1, "b\n", "")


def test_a_denied_command_is_one_line_that_names_it(shared: Host) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job
    instead, to get around policy, limits or recording"."""
    code, out, err = run(shared, "echo a\nfrob 1\necho b\n")
    assert (code, out) == (126, "a\n")
    assert err.startswith(f"rexec: {shared.address}: stdin:2: denied: ")
    assert err.count("\n") == 1


def test_what_is_not_there_is_127(host: Host) -> None:
    host.allow_list.write_text("echo\n/nowhere/x\n")
    host.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    host.wait_for("rexec-server: reload result=done")
    code, out, err = run(host, "/nowhere/x\necho b\n", "-k")
    assert (code, out) == (127, "b\n")
    assert "stdin:1: " in err


LOCAL = ["!echo x", "echo x | cat", "echo x > f", "echo x >> f", "cat < f", "sleep 1 &"]
WRONG = [*LOCAL, "echo 'x", "echo $x", "echo a;echo b", "| x"]


@pytest.mark.parametrize("line", WRONG)
def test_a_line_with_a_local_part_or_an_error_is_exit_2(shared: Host, line: str) -> None:
    code, out, err = run(shared, f"echo a\n{line}\n")
    assert (code, out) == (2, "a\n")
    assert err.startswith(f"rexec: {shared.address}: stdin:2: ")
    assert err.count("\n") == 1
    assert not os.path.exists("f")


def test_control_characters_of_a_script_do_not_reach_the_terminal(shared: Host) -> None:
    """security.md, People's terminals: "what rexec itself prints is neutralised"."""
    code, _, err = run(shared, "'\x1b[2J\u202e'\n")
    assert code == 126
    assert err.rstrip("\n").isprintable()


def test_a_command_reads_nothing_of_the_script(shared: Host) -> None:
    assert run(shared, "cat\necho b\n") == (0, "b\n", "")


def test_a_command_gets_no_terminal(shared: Host) -> None:
    assert run(shared, "stty\n")[0] == 126
    assert run(shared, "python3 -c 'import os; print(os.isatty(0), os.isatty(1))'\n")[1] == "False False\n"


def test_a_command_runs_as_soon_as_its_line_is_there(shared: Host) -> None:
    with shared.popen() as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for word in (b"one\n", b"two\n"):
            client.stdin.write(b"echo " + word)
            client.stdin.flush()
            assert client.stdout.readline() == word
        client.stdin.close()
        assert client.wait(PATIENCE) == 0


def test_ctrl_c_ends_the_command_and_the_script(shared: Host) -> None:
    with shared.popen(options=("-k",)) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"sh -c 'echo $$; exec sleep 60'\necho b\n")
        client.stdin.close()
        leader = int(client.stdout.readline())
        client.send_signal(signal.SIGINT)
        assert client.wait(PATIENCE) == -signal.SIGINT  # 130 to a shell
        assert client.stdout.read() == b""
        wait_until(lambda: processes_of(leader) == [], "the command is gone")


def test_a_script_ends_when_the_connection_does(host: Host) -> None:
    with host.popen(options=("-k",)) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        client.stdin.write(b"echo a\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"a\n"
        host.stop()
        assert client.wait(PATIENCE) == 255
        assert b"connection lost" in client.stderr.read()


def test_options_of_one_command_need_a_command(shared: Host) -> None:
    for options in (("--json",), ("--status-fd", "2"), ("--explain",), ("-t",)):
        code, out, err = run(shared, "echo a\n", *options)
        assert (code, out) == (2, "")
        assert "a command" in err


def test_an_unknown_server_key_is_not_asked_about_in_a_script(shared: Host) -> None:
    env = shared.environment(REXEC_HOME=str(shared.folder / "stranger"))
    done = subprocess.run(
        shared.words(), input=b"echo a\n", capture_output=True, env=env, check=False, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (255, b"")


def lines_of(*pieces: bytes) -> list[tuple[int, str]]:
    lines = Lines()
    found = []
    for piece in (*pieces, b""):
        lines.take(piece)
        while (text := lines.next()) is not None:
            found.append((lines.first, text))
    return found


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lines_are_the_same_however_they_arrive(size: int) -> None:
    data = "ls\n\necho 'a\nb' \\\nc\n\u00fc\necho 'x\ny".encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert lines_of(*pieces) == [
        (1, "ls"),
        (2, ""),
        (3, "echo 'a\nb' \\\nc"),
        (6, "\u00fc"),
        (7, "echo 'x\ny\n"),
    ]


def test_an_open_quote_at_the_end_is_not_dropped() -> None:
    assert lines_of(b"echo 'x\n") == [(1, "echo 'x\n")]
    assert lines_of() == []

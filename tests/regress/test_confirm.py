"""allow-list.md: "the request must carry this very text, which the client asks for at a terminal or takes
from `--confirm TEXT`, else denied"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rexec
from tests.cli.prompt.conftest import Prompt, Terminal
from tests.regress.conftest import CLIENT, Host

RULES = """echo ...
    confirm "yes, echo"
    danger high
cat []
    confirm 'cat "it"'
sh ...
"""
QUESTION = re.escape('rexec: type "yes, echo" to go on: ')
Run = Callable[..., Terminal]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("asking"), RULES).start()
    yield host
    host.end()


@pytest.fixture
def at_a_terminal(asking: Host) -> Iterator[Run]:
    begun: list[Terminal] = []

    def run(*words: str, options: tuple[str, ...] = ()) -> Terminal:
        begun.append(Terminal([CLIENT, *options, asking.address, *words], asking.environment(TERM="xterm")))
        return begun[-1]

    yield run
    for terminal in begun:
        terminal.end()


def test_without_the_text_it_is_denied_and_nothing_runs(asking: Host, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for options in ((), ("--confirm", "yes"), ("--confirm", "yes, echo "), ("--confirm", "")):
        run = asking.run("echo", str(canary), options=options)
        assert (run.returncode, run.stdout) == (126, b"")
        assert b'cmds.txt:1 needs --confirm "yes, echo"' in run.stderr


def test_with_the_text_it_runs(asking: Host) -> None:
    run = asking.run("echo", "hello", options=("--confirm", "yes, echo"))
    assert (run.returncode, run.stdout) == (0, b"hello\n")


def test_a_text_that_no_rule_asks_for_does_no_harm(asking: Host) -> None:
    assert asking.run("sh", "-c", "exit 7", options=("--confirm", "what?")).returncode == 7


def test_at_a_terminal_it_is_asked_for(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", "hello")
    client.wait_for(QUESTION)
    client.type("yes, echo\n")
    client.wait_for(r"\r\nhello\r\n")
    assert client.wait() == 0


def test_with_a_terminal_for_the_command_too(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", "hello", options=("-t",))
    client.wait_for(QUESTION)
    client.type("yes, echo\n")
    client.wait_for(r"\r\nhello\r\n")
    assert client.wait() == 0


def test_another_answer_is_a_denial(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", "hello")
    client.wait_for(QUESTION)
    client.type("yes\n")
    client.wait_for('denied: .*needs --confirm "yes, echo"')
    assert client.wait() == 126


def test_no_answer_is_a_denial(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", "hello")
    client.wait_for(QUESTION)
    client.press("d")
    client.wait_for("denied: ")
    assert client.wait() == 126


def test_ctrl_c_ends_the_client(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", "hello")
    client.wait_for(QUESTION)
    client.press("c")
    assert client.wait() == -2


def test_a_text_of_ones_own_is_not_asked_about(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", "hello", options=("--confirm", "no"))
    client.wait_for("denied: ")
    assert client.wait() == 126
    assert "to go on" not in client.seen


def test_the_command_reads_what_is_typed_behind_the_answer(at_a_terminal: Run) -> None:
    client = at_a_terminal("cat")
    client.wait_for(re.escape('type "cat "it"" to go on:'))
    client.type('cat "it"\n')
    client.type("meow\n")
    client.wait_for(r"meow\r\n.*meow\r\n")
    client.press("d")
    assert client.wait() == 0


def test_a_text_that_is_no_text_is_a_usage_error(asking: Host) -> None:
    run = asking.run("echo", options=("--confirm", "\udcff"))
    assert (run.returncode, b"is not UTF-8" in run.stderr) == (2, True)


def test_json_is_not_asked(at_a_terminal: Run) -> None:
    client = at_a_terminal("echo", options=("--json",))
    client.wait_for('"state": "denied"')
    assert client.wait() == 126


def test_the_python_api_takes_it(asking: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with rexec.connect(asking.address, home=asking.home) as host:
        assert host.run(["echo", "x"]).state == "denied"
        assert host.run(["echo", "x"], confirm="yes, echo").stdout == b"x\n"
        with host.popen(["echo", "y"], confirm="yes, echo") as process:
            assert process.stdout.read() == b"y\n"
        with pytest.raises(TypeError, match="confirm is a str, not bytes"):
            host.run(["echo"], confirm=b"yes, echo")  # type: ignore[arg-type]


def test_a_denial_is_written_down(asking: Host) -> None:
    asking.run("echo")
    asking.wait_for(r"deny .*rule=cmds.txt:1.*needs --confirm")


def test_explain_says_that_it_will_be_asked(asking: Host) -> None:
    run = asking.run("echo", options=("--explain",))
    assert run.returncode == 0
    assert b'confirm: "yes, echo"\n' in run.stdout
    assert b"danger: high\n" in run.stdout


# --- the prompt -------------------------------------------------------------------------------------


@pytest.fixture(params=["xterm", "dumb"])
def prompt(asking: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Prompt]:
    found = Prompt([CLIENT, asking.address], asking.environment(TERM=request.param), cwd=str(tmp_path))
    found.ready()
    yield found
    found.end()


def test_the_prompt_asks(prompt: Prompt) -> None:
    prompt.type("echo hello\r")
    prompt.wait_for(re.escape('type "yes, echo" to go on:'))
    prompt.type("yes, echo\r")
    prompt.wait_for_line("hello")
    assert prompt.ready() == 0


def test_the_prompt_asks_before_anything_local_runs(prompt: Prompt, tmp_path: Path) -> None:
    prompt.type("echo hello | cat > there\r")
    prompt.wait_for("to go on:")
    assert not (tmp_path / "there").exists()
    prompt.type("yes, echo\r")
    assert prompt.ready() == 0
    assert (tmp_path / "there").read_text() == "hello\n"


@pytest.mark.parametrize("answer", ["no\r", "\x03", "\x04"])
def test_at_the_prompt_another_answer_is_a_denial(prompt: Prompt, answer: str) -> None:
    prompt.type("echo hello\r")
    prompt.wait_for("to go on:")
    prompt.type(answer)
    prompt.wait_for("denied")
    assert prompt.ready() == 126
    assert prompt.run("sh -c 'exit 3'") is not None
    assert prompt.code == 3


# --- what lists say ---------------------------------------------------------------------------------

RED = re.escape("\x1b[31mecho ...\x1b[m")


def test_danger_is_red_in_lists_at_a_terminal_and_nowhere_else(asking: Host, at_a_terminal: Run) -> None:
    at_a_terminal(options=("--list",)).wait_for(f"{RED}\r\ncat \\[\\]\r\n")
    run = asking.run(options=("--list",))
    assert run.stdout.startswith(b"echo ...\n")


def test_danger_is_red_in_the_help_of_the_prompt(asking: Host) -> None:
    for term, shown in (("xterm", r"\x1b\[31m  echo \.\.\.\x1b\[m"), ("dumb", r"\n  echo \.\.\.\r")):
        prompt = Prompt([CLIENT, asking.address], asking.environment(TERM=term))
        try:
            prompt.ready()
            prompt.type("help\r")
            prompt.wait_for(shown)
        finally:
            prompt.end()


def test_danger_is_a_value_of_the_python_api(asking: Host) -> None:
    with rexec.connect(asking.address, home=asking.home) as host:
        assert [rule.danger for rule in host.list()] == ["high", "", ""]

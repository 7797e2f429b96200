"""The prompt at a terminal, driven as a person would: keys in, what is shown out."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.prompt.conftest import ESCAPE, Prompt, modes_of
from tests.regress.conftest import Host, processes_of, wait_until

Open = Callable[..., Prompt]

KEYS = """\
import os, sys, termios, tty, signal
print(*(os.isatty(number) for number in (0, 1, 2)), *os.get_terminal_size(0), flush=True)
signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b"size %d %d\\n" % os.get_terminal_size(0)))
tty.setraw(0)
print("ready", end="\\r\\n", flush=True)
while (key := os.read(0, 1)) != b"q":
    print("key", key.hex(), end="\\r\\n", flush=True)
"""


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """A line that runs a program which takes over the terminal, and shows the keys that it gets."""
    program = tmp_path / "keys.py"
    program.write_text(KEYS)
    return f"python3 {program}"


# --- one line ---------------------------------------------------------------------------------------


def test_a_line_runs_and_the_prompt_shows_its_code(prompt: Prompt) -> None:
    assert "\na b  c\n" in prompt.run("echo a 'b  c'")
    assert prompt.code == 0
    prompt.run("sh -c 'exit 7'")
    assert prompt.code == 7
    assert "\na\n" in prompt.run("echo a")
    assert prompt.code == 0


def test_a_denied_line_says_why_and_the_prompt_lives(prompt: Prompt) -> None:
    """security.md, Around the allow list: "Asking for a terminal, a prompt, a copy or a detached job
    instead, to get around policy, limits or recording": denied is exit 126, the reason on stderr, the
    connection still usable."""
    assert 'denied: "frob": no rule of cmds.txt allows "frob"' in prompt.run("frob")
    assert prompt.code == 126
    assert "\na\n" in prompt.run("echo a")


def test_a_denied_line_is_shown_as_such_before_enter(prompt: Prompt) -> None:
    prompt.type("git push")
    prompt.wait_for(r"\x1b\[0;31;4mgit(?: |\x1b\[C)push")
    prompt.wait_for("denied: ")
    prompt.type("\x15git status")
    prompt.wait_for(r"\x1b\[0;32mgit(?: |\x1b\[C)status")
    prompt.wait_for("allowed by cmds.txt:")


def test_operators_have_a_colour_of_their_own(prompt: Prompt) -> None:
    prompt.type("echo a | cat")
    prompt.wait_for(r"\x1b\[0;35;1m\|")
    prompt.type("\x15echo a;")
    prompt.wait_for(r"\x1b\[0;31;4m;")


def test_a_line_that_means_nothing_is_not_sent(prompt: Prompt) -> None:
    assert "quote the |" in prompt.run("grep a|b f")
    assert prompt.code == 2
    assert "quote the ;" in prompt.run("ls; ls")


def test_an_open_quote_asks_for_more(prompt: Prompt) -> None:
    prompt.type("printf '%s.' 'one\r")
    prompt.wait_for("quote ' is not closed")
    assert "\none\ntwo." in prompt.run("two'")
    assert prompt.code == 0


def test_escape_sequences_in_what_rexec_says_are_shown(prompt: Prompt) -> None:
    """security.md, People's terminals: "what rexec itself prints is neutralised"."""
    shown = prompt.run("'\x16\x1b[2J\u202e'")
    assert "\\u202e" in shown
    assert prompt.code == 126
    assert "\x1b[2J" not in prompt.seen


def test_wide_and_combining_characters_arrive(prompt: Prompt) -> None:
    assert "\n\u6f22\u5b57 \u00fcber \u65e5\u672c\n" in prompt.run("echo \u6f22\u5b57 \u00fcber \u65e5\u672c")


def test_output_without_an_end_of_line_does_not_hide_the_prompt(prompt: Prompt) -> None:
    assert prompt.run("printf abc").endswith("\nabc\n")


def test_forty_columns_are_enough(shared: Host, open_prompt: Open) -> None:
    prompt = open_prompt(shared, columns=40)
    word = "x" * 60
    assert f"\n{word}\n" in prompt.run(f"echo {word}")
    assert prompt.code == 0


# --- leaving ----------------------------------------------------------------------------------------


def test_ctrl_d_leaves_with_the_last_code(prompt: Prompt) -> None:
    prompt.run("sh -c 'exit 3'")
    prompt.press("d")
    assert prompt.wait() == 3


@pytest.mark.parametrize(("line", "code"), [("exit", 0), ("exit 9", 9)])
def test_exit_leaves(prompt: Prompt, line: str, code: int) -> None:
    prompt.type(f"{line}\r")
    assert prompt.wait() == code


def test_exit_takes_a_number_only(prompt: Prompt) -> None:
    assert "N is 0 to 255" in prompt.run("exit x")
    assert prompt.code == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_terminal_is_as_before_after_a_signal(prompt: Prompt, number: int) -> None:
    """security.md, People's terminals: "A terminal is always restored: after a crash, a kill"."""
    raw = modes_of(prompt)
    prompt.child.kill(number)
    assert " icanon" not in raw
    wait_until(lambda: {"icanon", "echo"} <= set(modes_of(prompt).split()), "the modes are back")


def test_an_unreachable_host_ends_it_at_once(shared: Host, open_prompt: Open, tmp_path: Path) -> None:
    gone = open_prompt(shared, "-p", "1", "--home", str(tmp_path / "home"), wait=False)
    assert gone.wait() == 255
    assert "rexec: " in gone.seen


# --- Ctrl-C -----------------------------------------------------------------------------------------


def test_ctrl_c_at_an_idle_prompt_clears_the_line(prompt: Prompt) -> None:
    prompt.type("echo never")
    prompt.wait_for("never")
    prompt.press("c")
    prompt.ready()
    assert "\nagain\n" in prompt.run("echo again")
    assert "\nnever" not in prompt.seen


def test_ctrl_c_ends_the_command_and_keeps_the_prompt(prompt: Prompt) -> None:
    prompt.type("sh -c 'echo $$; exec sleep 60'\r")
    leader = int(prompt.wait_for_line(r"(\d+)")[1])
    prompt.press("c")
    assert prompt.ready() == 130
    assert processes_of(leader) == []
    assert "\na\n" in prompt.run("echo a")


def test_ctrl_c_ends_a_command_without_a_terminal(shared: Host, open_prompt: Open) -> None:
    prompt = open_prompt(shared, "-T")
    prompt.type("sh -c 'echo $$; exec sleep 60'\r")
    leader = int(prompt.wait_for_line(r"(\d+)")[1])
    prompt.press("c")
    assert prompt.ready() == 130
    wait_until(lambda: processes_of(leader) == [], "it is gone")


def test_a_second_ctrl_c_kills(shared: Host, open_prompt: Open) -> None:
    prompt = open_prompt(shared, "-T")
    prompt.type("sh -c 'trap \"echo trapped\" INT; echo go; while :; do sleep 0.05; done'\r")
    prompt.wait_for_line("go")
    prompt.press("c")
    prompt.wait_for("trapped")
    prompt.press("c")
    while prompt.child.expect(
        [r"\[137\]", "trapped"]
    ):  # the time between the two may have been more than 2 s
        prompt.press("c")


# --- a command with a terminal ------------------------------------------------------------------------


def test_a_full_screen_program_takes_over_and_gives_back(prompt: Prompt, keys: str) -> None:
    before = modes_of(prompt)
    prompt.type(f"{keys}\r")
    prompt.wait_for("True True True 80 24")
    prompt.wait_for("ready")
    for key, code in (("\x03", "03"), ("\x1a", "1a"), ("x", "78"), ("\x1b[A", "41")):
        prompt.type(key)
        prompt.wait_for(f"key {code}")
    prompt.resize(30, 100)
    prompt.wait_for("size 100 30")
    prompt.type("q")
    assert prompt.ready() == 0
    assert modes_of(prompt).replace("rows 30; columns 100", "rows 24; columns 80") == before
    assert "\na\n" in prompt.run("echo a")


def test_tilde_dot_ends_a_stuck_program_and_keeps_the_prompt(prompt: Prompt, keys: str) -> None:
    prompt.type(f"{keys}\r")
    prompt.wait_for("ready")
    prompt.type("~.")
    assert prompt.ready() == 255
    assert "\na\n" in prompt.run("echo a")


FULL_SCREEN = "sh -c 'printf \"\\033[?1049h\\033[?1000h\"; echo $$ in; read x'"


def test_the_screen_of_a_program_that_was_killed_is_given_back(prompt: Prompt) -> None:
    """security.md, People's terminals: "A terminal is always restored: after a crash, a kill"."""
    prompt.type(f"{FULL_SCREEN}\r")
    leader = int(prompt.wait_for(r"(\d+) in")[1])
    os.kill(leader, signal.SIGKILL)
    prompt.child.expect_exact("\x1b[?1000l\x1b[?1049l")
    assert prompt.ready() == 137


def test_the_screen_is_given_back_when_the_prompt_is_killed(prompt: Prompt) -> None:
    prompt.type(f"{FULL_SCREEN}\r")
    prompt.wait_for(r"\d+ in")
    prompt.child.kill(signal.SIGKILL)
    prompt.child.expect_exact("\x1b[?2004l\x1b[?25h\x1b[?1000l\x1b[?1049l")


@pytest.mark.parametrize(
    ("line", "terminal"),
    [("id", None), ("python3 -c 'import os; print(os.isatty(1))'", "True"),
     ("python3 -c 'import os; print(os.isatty(1))' | cat", "False")],
)  # fmt: skip
def test_who_gets_a_terminal(prompt: Prompt, line: str, terminal: str | None) -> None:
    shown = prompt.run(line)
    assert prompt.code == 0
    assert terminal is None or f"\n{terminal}\n" in shown


def test_a_rule_that_says_only_gets_its_terminal(prompt: Prompt) -> None:
    assert "speed" in prompt.run("stty")
    assert prompt.code == 0


def test_a_command_that_waits_for_input_gets_it(prompt: Prompt) -> None:
    prompt.type("sh -c 'echo go; exec cat'\r")
    prompt.wait_for_line("go")
    prompt.type("hello\r")
    prompt.wait_for_line("hello")
    prompt.press("d")
    assert prompt.ready() == 0


# --- local parts --------------------------------------------------------------------------------------


def test_local_commands_and_pipes_run_here(prompt: Prompt, tmp_path: Path) -> None:
    assert f"\n{tmp_path}\n" in prompt.run("!pwd")
    assert "\nCBA\n" in prompt.run("printf 'c\\nb\\na\\n' | tr a-z A-Z | tr -d '\\n'; echo")
    prompt.run("!exit 4")
    assert prompt.code == 4
    prompt.run("echo x | sh -c 'cat >/dev/null; exit 5'")
    assert prompt.code == 5
    prompt.run("sh -c 'exit 6' | cat")
    assert prompt.code == 6


def test_a_local_reader_that_has_enough_ends_the_command(prompt: Prompt) -> None:
    assert "\ny\ny\n" in prompt.run("yes | head -n 2")
    assert prompt.code == 0


def test_redirects_are_files_here(prompt: Prompt, tmp_path: Path) -> None:
    prompt.run("echo one > 'a file'")
    prompt.run("echo two >> 'a file'")
    assert (tmp_path / "a file").read_text() == "one\ntwo\n"
    prompt.run("echo three > 'a file'")
    assert (tmp_path / "a file").read_text() == "three\n"
    assert "\nthree\n" in prompt.run("cat < 'a file'")
    prompt.run("wc < 'a file' > copy")
    assert (tmp_path / "copy").read_text().split() == ["1", "1", "6"]
    assert "no such file" in prompt.run("cat < nothing")
    assert prompt.code == 2


def test_a_denied_command_does_not_empty_the_file(prompt: Prompt, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept\n")
    prompt.run("frob > kept")
    assert prompt.code == 126
    assert (tmp_path / "kept").read_text() == "kept\n"


# --- its own commands ---------------------------------------------------------------------------------


def test_help_lists_what_may_be_run(prompt: Prompt) -> None:
    shown = prompt.run("help")
    assert re.search(r"\n  git status +What has changed\n", shown)
    assert "!COMMAND" in shown
    assert prompt.run("?").count("git status") == 1
    assert "id (cmds.txt:18, never with a terminal)" in prompt.run("help id")
    assert "send a signal" in prompt.run("help kill")
    assert "no rule for frob" in prompt.run("help frob")


def test_cd_is_kept_and_asked_of_the_policy(prompt: Prompt) -> None:
    prompt.run("cd /usr/share")
    assert "\n/usr/share\n" in prompt.run("pwd")
    prompt.run("cd ..")
    assert "\n/usr\n" in prompt.run("pwd")
    assert "does not let the client choose the directory" in prompt.run("echo a")
    assert prompt.code == 126
    prompt.run("cd")
    assert "\na\n" in prompt.run("echo a")


def test_a_quoted_word_is_never_the_prompts_own(prompt: Prompt) -> None:
    assert "denied" in prompt.run("'exit'")
    assert prompt.code == 126


def test_own_commands_take_no_operators(prompt: Prompt) -> None:
    assert "takes no | < > &" in prompt.run("help | cat")


def test_completion_offers_what_may_be_run(prompt: Prompt) -> None:
    prompt.type("gi\t")
    prompt.wait_for('denied: "git"')
    prompt.type(" sta\t")
    prompt.wait_for("allowed by cmds.txt:")
    prompt.type("\r")
    prompt.ready()
    assert "git status" in (Path(prompt.history).read_text())


def test_completion_offers_options_and_names_of_files_there(prompt: Prompt) -> None:
    """cli.md: "completion of what this user may run (and of option words its rules list)"."""
    prompt.type("stat --cached=ne\t")
    prompt.wait_for('denied: "stat --cached=never"')
    prompt.type(" /etc/ld.so.conf.\t")
    prompt.wait_for("allowed by cmds.txt:")
    prompt.type("\r")
    assert prompt.ready() == 0


def test_a_long_command_says_how_long(prompt: Prompt) -> None:
    prompt.type("sleep 2\r")
    assert float(prompt.wait_for(r" (\d\.\d) s")[1]) >= 2


# --- jobs ---------------------------------------------------------------------------------------------


def test_a_job_prints_above_the_prompt_and_says_that_it_is_done(prompt: Prompt) -> None:
    prompt.type("sh -c 'sleep 0.2; echo from the job; exit 4' &\r")
    prompt.wait_for(r"\[1\]")
    prompt.wait_for("from the job")
    prompt.wait_for(r"\[1\] exit 4")
    prompt.ready()
    assert "\na\n" in prompt.run("echo a")


def test_jobs_are_listed_signalled_and_waited_for(prompt: Prompt) -> None:
    prompt.run("sleep 61 &")
    prompt.run("sleep 62 &")
    shown = prompt.run("jobs")
    assert "[1] running  sleep 61 &" in shown
    assert "[2] running  sleep 62 &" in shown
    prompt.type("kill -KILL 1\r")
    prompt.wait_for(r"\[1\] died by KILL")
    prompt.type("fg\r")
    prompt.wait_for("sleep 62 &\r\n")
    prompt.press("c")
    prompt.wait_for(r"\[130\]")
    assert "no job" in prompt.run("fg 7")
    assert "no signal" in prompt.run("kill -FROB 1")


def test_a_job_begun_is_no_failure(prompt: Prompt) -> None:
    prompt.run("false")
    assert prompt.code == 1
    prompt.run("sleep 60 &")
    assert prompt.code == 0


COUNTING = "sh -c 'echo $$; while read x; do echo got $x; done'"


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_ctrl_z_stops_a_command_without_a_terminal_and_fg_goes_on(shared: Host, open_prompt: Open) -> None:
    """POSIX.1-2017, XCU fg: "move a background job into the foreground", here with its keyboard."""
    prompt = open_prompt(shared, "-T")
    prompt.type(f"{COUNTING}\r")
    leader = int(prompt.wait_for_line(r"(\d+)")[1])
    prompt.type("one\r")
    prompt.wait_for_line("got one")
    prompt.press("z")
    prompt.wait_for_line(r"\[1\] stopped  sh -c [^\r]*")
    assert prompt.ready() == 148
    wait_until(lambda: stopped(leader), "the command is stopped")
    assert "\na\n" in prompt.run("echo a")
    assert "[1] stopped" in prompt.run("jobs")
    prompt.type("fg\r")
    prompt.wait_for_line(r"sh -c [^\r]*")
    prompt.type("two\r")
    prompt.wait_for_line("got two")
    prompt.press("z")
    prompt.wait_for_line(r"\[1\] stopped  sh -c [^\r]*")
    assert prompt.ready() == 148
    prompt.type("kill 1\r")
    prompt.wait_for(r"\[1\] died by TERM")
    assert processes_of(leader) == []


def test_a_stopped_command_keeps_its_file_and_its_pipe(prompt: Prompt, tmp_path: Path) -> None:
    go = tmp_path / "go"
    # No sleep(1) in it: who waits in vfork(2) for a child that is stopped does not stop itself.
    line = f"sh -c 'echo $$ > {tmp_path}/pid; echo begun; while ! test -e {go}; do :; done; echo over'"
    for behind, shown in (("> out", tmp_path / "out"), ("| cat > piped", tmp_path / "piped")):
        prompt.type(f"{line} {behind}\r")
        wait_until(lambda path=shown: path.exists() and path.read_text(), "it has begun")  # type: ignore[misc]
        prompt.press("z")
        assert prompt.ready() == 148
        leader = int((tmp_path / "pid").read_text())
        wait_until(lambda pid=leader: stopped(pid), "the command is stopped")  # type: ignore[misc]
        go.touch()
        assert shown.read_text() == "begun\n"
        prompt.run("fg")
        assert prompt.code == 0
        wait_until(lambda path=shown: path.read_text() == "begun\nover\n", "all of it")  # type: ignore[misc]
        go.unlink()


def test_a_named_pipe_keeps_nobody_from_typing(prompt: Prompt, tmp_path: Path) -> None:
    """fifo(7): to open one waits for the other end; here it is Ctrl-C that must not."""
    os.mkfifo(tmp_path / "fifo")
    for line, code in (("cat < fifo", 130), ("echo a > fifo", 2)):
        prompt.type(f"{line}\r")
        wait_until(lambda: " icanon" in modes_of(prompt), "the prompt has let go of the terminal")
        prompt.press("c")
        assert prompt.ready() == code
    prompt.type("cat < fifo\r")
    (tmp_path / "fifo").write_text("from afar\n")
    prompt.wait_for_line("from afar")
    assert prompt.ready() == 0
    prompt.type("echo b > fifo\r")
    assert (tmp_path / "fifo").read_text() == "b\n"
    assert prompt.ready() == 0


def test_the_time_in_a_full_screen_program_says_nothing(prompt: Prompt) -> None:
    prompt.type("sh -c 'printf \"\\033[?1049h\\033[?1049l\"; sleep 2'\r")
    prompt.ready()
    assert prompt.child.match["took"] is None  # type: ignore[index]


def test_leaving_with_jobs_is_asked_twice(prompt: Prompt) -> None:
    prompt.type("sh -c 'echo $$; exec sleep 60' &\r")
    leader = int(prompt.wait_for_line(r"(\d+)")[1])
    prompt.type("exit\r")
    prompt.wait_for("exit again to leave")
    prompt.type("exit\r")
    assert prompt.wait() == 0
    wait_until(lambda: processes_of(leader) == [], "the job is gone")


# --- the connection -----------------------------------------------------------------------------------


def test_a_lost_connection_is_one_line_and_the_next_command_connects_again(
    host: Host, open_prompt: Open
) -> None:
    prompt = open_prompt(host)
    assert "\na\n" in prompt.run("echo a")
    address = host.address
    host.stop()
    prompt.wait_for("the next command connects again")
    prompt.ready()
    prompt.run("echo b")
    assert prompt.code == 255
    host.start(listen=(address,))
    assert "\nc\n" in prompt.run("echo c")
    assert prompt.code == 0
    assert prompt.seen.count("the next command connects again") == 1


def test_one_connection_serves_the_whole_prompt(host: Host, open_prompt: Open) -> None:
    prompt = open_prompt(host)
    for _ in range(3):
        prompt.run("true")
    prompt.type("exit\r")
    prompt.wait()
    host.wait_for("rexec-server: left ")
    assert host.count("rexec-server: left ") == 1


# --- history ------------------------------------------------------------------------------------------


def test_history_is_private_and_shared_between_sessions(shared: Host, open_prompt: Open) -> None:
    first = open_prompt(shared)
    first.run("echo remembered")
    first.run(" echo secret")
    path = Path(first.history)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
    assert "echo remembered\n" in path.read_text()
    assert "secret" not in path.read_text()
    second = open_prompt(shared)
    second.press("r")
    second.type("rememb")
    second.wait_for("echo .*remem")
    second.type("\r\r")
    second.wait_for_line("remembered")


# --- other terminals ------------------------------------------------------------------------------------


def test_a_dumb_terminal_gets_no_escape_sequences(shared: Host, open_prompt: Open) -> None:
    prompt = open_prompt(shared, TERM="dumb")
    assert "\na\n" in prompt.run("echo a")
    prompt.run("false")
    assert prompt.code == 1
    prompt.type("echo 'x\r")
    prompt.wait_for("> ")
    assert "\nx\ny\n" in prompt.run("y'")
    prompt.type("echo never")
    prompt.press("c")
    prompt.ready()
    assert "\x1b" not in prompt.seen
    prompt.press("d")
    assert prompt.wait() == 0


def test_no_color_means_no_colour(shared: Host, open_prompt: Open) -> None:
    prompt = open_prompt(shared, NO_COLOR="1")
    prompt.type("git push")
    prompt.wait_for(r"\x1b\[0;4mgit(?: |\x1b\[C)push")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[[0-9;]*38;", prompt.seen)


def test_vi_keys_as_the_inputrc_says(shared: Host, open_prompt: Open, tmp_path: Path) -> None:
    (tmp_path / "inputrc").write_text("$include /etc/inputrc\nset editing-mode vi\n")
    prompt = open_prompt(shared, INPUTRC=str(tmp_path / "inputrc"))
    prompt.type("echo wrongright")
    prompt.wait_for("wrongright")
    assert "\nright\n" in prompt.run("\x1b0w5xA")


# --- a paste ------------------------------------------------------------------------------------------


def paste(text: str) -> str:
    return f"\x1b[200~{text}\x1b[201~"


def test_a_paste_of_two_hundred_commands_runs_in_order(prompt: Prompt) -> None:
    prompt.type(paste("".join(f"echo line-{number}\n" for number in range(200))))
    prompt.wait_for_line("line-199")
    prompt.ready()
    shown = [int(number) for number in re.findall(r"\nline-(\d+)\r", ESCAPE.sub("", prompt.seen))]
    assert shown == list(range(200))


def test_a_pasted_line_with_a_local_part_waits_for_enter(prompt: Prompt, tmp_path: Path) -> None:
    prompt.type(paste("echo one\n!touch made\necho two\necho 'a\nb'\necho rest"))
    prompt.wait_for_line("one")
    prompt.wait_for("touch made")
    assert not (tmp_path / "made").exists()
    prompt.type("\r")
    prompt.wait_for_line("two")
    assert (tmp_path / "made").exists()
    prompt.wait_for_line("b")
    prompt.wait_for("echo rest")
    assert "\nrest" not in prompt.seen
    assert "\nrestored\n" in prompt.run("ored")


# --- a server that is met for the first time --------------------------------------------------------------


def test_an_unknown_key_is_asked_about_once(host: Host, open_prompt: Open) -> None:
    """security.md, People's terminals: "Ctrl-C while connecting"."""
    guest = host.guest()
    prompt = open_prompt(host, wait=False, **guest)
    prompt.wait_for("Is it the right one")
    prompt.press("c")
    assert prompt.wait() == 255
    assert "was not accepted" in prompt.seen
    prompt = open_prompt(host, wait=False, **guest)
    prompt.wait_for("Is it the right one")
    prompt.type(f"{host.fingerprint}\r")
    prompt.ready()
    assert "\na\n" in prompt.run("echo a")
    assert "\nb\n" in open_prompt(host, **guest).run("echo b")


def test_a_job_that_floods_the_screen_can_be_ended(prompt: Prompt) -> None:
    """security.md, Processes: "Output flood with a client that does not read"."""
    prompt.type("yes &\r")
    prompt.wait_for_line("y")
    prompt.type("kill 1\r")
    prompt.wait_for(r"\[1\] died by TERM")
    prompt.ready()
    assert "\na\n" in prompt.run("echo a")

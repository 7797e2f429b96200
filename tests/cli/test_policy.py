"""`rexec-server check` and `rexec-server explain`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexec.cli.output import run_click
from rexec.cli.policy import check_command, diff_command, expand_command, explain_command
from rexec.cli.server import cli

GOOD = """%path /usr/bin:/bin
ls -l
    timeout 10s
[alice]
false
    timeout 1s
[@ops]
true []
    timeout 1s
"""


@pytest.fixture
def listed(tmp_path: Path):
    """Return a function that writes an allow list and gives its path."""

    def write(text: str) -> str:
        place = tmp_path / "cmds.txt"
        place.write_text(text)
        place.chmod(0o644)
        return str(place)

    return write


def check(path: str) -> int:
    return run_click(check_command, "rexec-server", [path])


def explain(*arguments: str) -> int:
    return run_click(explain_command, "rexec-server", arguments)


def test_check_says_nothing_about_a_file_without_problems(listed, capsys) -> None:
    path = listed("ls -l\n    timeout 10s\n")
    assert check(path) == 0
    assert capsys.readouterr() == ("", f"rexec-server: {path}: 1 rule: no problems\n")


def test_a_wrong_line_of_a_subcommand_is_told_where_its_help_is(capsys) -> None:
    assert run_click(cli, "rexec-server", ["explain", "--what"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "rexec-server: hint: rexec-server explain --help"


def test_check_sums_up_on_stderr(listed, capsys) -> None:
    path = listed("ls\n    timeout 10s\nsh\n    timeout 1s\n")
    assert check(path) == 1
    assert capsys.readouterr().err == f"rexec-server: {path}: 2 rules: 1 warning, 2 notes\n"
    path = listed("ls {inz}\n*\n")
    assert check(path) == 2
    assert capsys.readouterr().err == f"rexec-server: {path}: refused: 2 errors\n"


def test_check_exits_with_0_for_notes(listed, capsys) -> None:
    path = listed("ls\n    timeout 10s\n")
    assert check(path) == 0
    assert capsys.readouterr().out == (
        f'{path}:1:1: note: "ls" takes any arguments\n'
        "    ls\n    ^\n"
        "    hint: ls [] takes none, ls ... says that any are meant\n"
    )


def test_check_exits_with_1_for_warnings(listed, capsys) -> None:
    path = listed("/nowhere/x a\n    timeout 10s\n")
    assert check(path) == 1
    assert f'{path}:1:1: warning: "/nowhere/x" is not there\n' in capsys.readouterr().out


def test_check_exits_with_2_for_errors_and_prints_all_of_them(listed, capsys) -> None:
    path = listed("ls *\n/nowhere/x a\n  timeout 30\n")
    assert check(path) == 2
    out = capsys.readouterr().out
    assert f'{path}:1:4: error: "*" must be quoted\n    ls *\n       ^\n' in out
    assert f"{path}:2:1: warning: " in out
    assert f'{path}:3:11: error: "30" is no duration\n' in out


def test_check_exits_with_2_for_a_file_that_is_not_there(tmp_path, capsys) -> None:
    assert check(str(tmp_path / "nothing")) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("rexec-server: ")
    assert shown.err.count("\n") == 1


def test_check_prints_nothing_that_steers_a_terminal(listed, capsys) -> None:
    assert check(listed("ls \x1b[2J\n")) == 2
    assert "\x1b" not in capsys.readouterr().out


def test_explain_exits_with_0_when_allowed(listed, capsys) -> None:
    assert explain("--allow-list", listed(GOOD), "--as", "alice", "--", "ls", "-l") == 0
    out = capsys.readouterr().out
    assert "allowed by cmds.txt:2: ls -l\n" in out
    assert "environment: PATH=/usr/bin:/bin\n" in out
    assert "limits: timeout 10s, umask 022, linger 1s\n" in out


def test_explain_exits_with_126_when_denied(listed, capsys) -> None:
    assert explain("--allow-list", listed(GOOD), "--as", "bob", "--", "ls", "-l", "/") == 126
    assert capsys.readouterr().out.splitlines()[-1] == (
        'denied: "ls -l /": cmds.txt:2 allows exactly "ls -l" (extra argument "/")'
    )


def test_explain_exits_with_127_when_the_program_is_not_there(listed, capsys) -> None:
    assert explain("--allow-list", listed("/nowhere/x"), "--as", "bob", "--", "/nowhere/x") == 127
    assert capsys.readouterr().out.splitlines()[-1].startswith("not there: ")


def test_explain_exits_with_2_when_the_file_is_refused(listed, capsys) -> None:
    assert explain("--allow-list", listed("ls *\n"), "--as", "bob", "--", "ls") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith('rexec-server: cmds.txt:1:4: "*" must be quoted\nrexec-server: hint: ')


def test_explain_asks_for_this_user_and_these_groups(listed, capsys) -> None:
    path = listed(GOOD + "%group ops = carol\n")
    assert explain("--allow-list", path, "--as", "alice", "--", "false") == 0
    assert explain("--allow-list", path, "--as", "bob", "--", "false") == 126
    assert explain("--allow-list", path, "--as", "carol", "--", "true") == 0
    assert explain("--allow-list", path, "--as", "bob", "--", "true") == 126
    assert explain("--allow-list", path, "--as", "bob", "--group", "dev", "--group", "ops", "--", "true") == 0


def test_explain_asks_with_a_terminal_and_from_an_address(listed, capsys) -> None:
    path = listed("ls -l\n    pty only\n")
    assert explain("--allow-list", path, "--as", "bob", "--", "ls", "-l") == 126
    given = ["--from", "2001:DB8::1", "--at", "2030-01-31T08:00", "--pty"]
    assert explain("--allow-list", path, "--as", "bob", *given, "--", "ls", "-l") == 0
    out = capsys.readouterr().out
    assert "environment: TERM=xterm\n" in out
    assert "environment: REXEC_CONNECTION=2001:db8::1\n" in out


def test_the_words_of_the_command_are_its_own(listed, capsys) -> None:
    path = listed("ls --help --as x\n")
    assert explain("--allow-list", path, "--as", "bob", "ls", "--help", "--as", "x") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ["--as", "bob"],
        ["--as", "-x", "--", "ls"],
        ["--as", "a\x1bb", "--", "ls"],
        ["--as", "bob", "--group", "@ops", "--", "ls"],
        ["--as", "bob", "--from", "somewhere", "--", "ls"],
        ["--as", "bob", "--at", "tomorrow", "--", "ls"],
        ["--", "ls"],
    ],
)
def test_a_wrong_command_line_exits_with_2(listed, capsys, wrong: list[str]) -> None:
    assert explain("--allow-list", listed(GOOD), *wrong) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\x1b" not in shown.err


def test_expand_writes_out_includes_and_profiles(listed, tmp_path, capsys) -> None:
    (tmp_path / "more.txt").write_text("df -h\n")
    (tmp_path / "more.txt").chmod(0o644)
    path = listed("%include more.txt\n[alice]\n%use ansible\n")
    assert run_click(expand_command, "rexec-server", [path]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"# {tmp_path}/more.txt\ndf -h\n[alice]\n# %use ansible\n/bin/sh -c ...\n")
    assert "%" not in "".join(line for line in out.splitlines() if not line.startswith("#"))


def test_expand_prints_nothing_of_a_file_that_is_refused(listed, capsys) -> None:
    assert run_click(expand_command, "rexec-server", [listed("ls *\n")]) == 2
    assert capsys.readouterr().out == ""


def test_diff_has_the_exit_codes_of_diff(listed, tmp_path, capsys) -> None:
    old = listed("[alice]\nls -l\n")
    other = tmp_path / "other.txt"

    def diff(text: str) -> tuple[int, str]:
        other.write_text(text)
        other.chmod(0o644)
        code = run_click(diff_command, "rexec-server", [old, str(other)])
        return code, capsys.readouterr().out

    assert diff("[alice]\nls -l\n") == (0, "")
    assert diff("[alice]\nls  -l  # all\n") == (
        0,
        "no decision differs: rules are written, described or ordered differently\n",
    )
    assert diff("[alice bob]\nls -l\n") == (1, f"bob:\n  + {other}:2: ls -l\n")
    assert diff("ls *\n") == (2, "")


def test_explain_knows_from_where_and_when(listed, capsys) -> None:
    path = listed("ls -l\n    from 10.0.0.0/8\n    when Mon-Fri 08:00-18:00\n    until 2030-12-31\n")

    def code(peer: str, moment: str) -> int:
        given = ["--allow-list", path, "--as", "bob", "--from", peer, "--at", moment]
        found = explain(*given, "--", "ls", "-l")
        capsys.readouterr()
        return found

    assert code("10.1.2.3", "2030-12-30T09:00") == 0  # a Monday
    assert code("192.0.2.1", "2030-12-30T09:00") == 126
    assert code("10.1.2.3", "2030-12-30T18:00") == 126
    assert code("10.1.2.3", "2030-12-29T09:00") == 126
    assert code("10.1.2.3", "2031-01-02T09:00") == 126

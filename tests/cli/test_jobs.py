"""`--detach` and its kin: what their options exclude, and how the list of commands is laid out."""

from __future__ import annotations

import time

import pytest

from rexec.cli import jobs
from rexec.cli.main import run
from rexec.cli.options import parse
from rexec.client.answers import Job
from rexec.errors import UsageError


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--detach", "web1"], "--detach goes with a command"),
        (["--detach", "-t", "web1", "top"], "--detach and -t exclude each other"),
        (["--detach", "--receipt", "/nonexistent/x", "web1", "ls"], "--receipt goes with a command"),
        (["--detach", "--explain", "web1", "ls"], "--detach and --explain exclude each other"),
        (["--jobs", "--list", "web1"], "--jobs and --list exclude each other"),
        (["--jobs", "web1", "ls"], "--jobs takes no command"),
        (["--attach", "x", "web1", "ls"], "--attach takes no command"),
        (["--attach", "x", "--kill", "x", "web1"], "--attach and --kill exclude each other"),
        (["--kill", "x", "web1", "ls"], "--kill takes no command"),
        (["-k", "x", "web1"], "-k goes with a script on stdin"),
        (["-k", "--kill", "x", "web1"], "-k goes with a script on stdin"),
        (["--list", "web1", "ls"], "--list takes no command"),
        (["--list", "--explain", "web1", "ls"], "--list and --explain exclude each other"),
        (["--attach", "x", "-f", "web1"], "-f goes with --logs"),
        (["-f", "web1", "ls"], "-f goes with --logs"),
        (["--attach"], "--attach needs a value"),
        (["--jobs"], "no host"),
    ],
)
def test_what_goes_with_what(words: list[str], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(words)
    assert str(caught.value).startswith(why)


def test_options_end_at_the_host() -> None:
    line = parse(["--logs", "k3", "-f", "web1"])
    assert (line.logs, line.follow, line.host, line.command) == ("k3", True, "web1", [])
    assert parse(["web1", "ls", "--detach"]).is_of_jobs is False


def job(**changes: object) -> Job:
    row = Job("k3v9q2xm4t", "running", None, None, 1_800_000_000.0, 12.34, "cmds.txt:1", ("make", "all"))
    return row._replace(**changes)  # type: ignore[arg-type]


def test_a_table_has_a_line_for_each_and_nothing_in_it_steers_a_terminal() -> None:
    """security.md, People's terminals: "Control characters, escape sequences, newlines, bidi marks in user
    names, argv"."""
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_800_000_000.0))
    odd = job(
        command=("sh", "-c", "echo 'a b'\n\x1b[2J", "", "\u202e"),
        state="failed",
        exit_status=3,
        wall_s=3_700.0,
    )
    died = job(state="signal", signal="KILL", wall_s=90_000.0)
    lines = jobs._table([job(), odd, died]).splitlines()
    assert lines == [
        "ID          STATE        STARTED              WALL   COMMAND",
        f"k3v9q2xm4t  running      {started}  12.3s  make all",
        rf"k3v9q2xm4t  failed 3     {started}  1h01m  sh -c 'echo '\''a b'\''\x0a\x1b[2J' '' '\u202e'",
        f"k3v9q2xm4t  signal KILL  {started}  1d01h  make all",
    ]


def test_a_list_of_none_is_its_head() -> None:
    assert jobs._table([]) == "ID  STATE  STARTED  WALL  COMMAND\n"

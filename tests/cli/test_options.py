"""The command line of `rexec`: options end at the host, and the rest is the command's."""

from __future__ import annotations

import pytest

from rexec.cli.options import OPTIONS, USAGE, parse
from rexec.errors import UsageError

COMMANDS: list[tuple[list[str], str | None, list[str]]] = [
    ([], None, []),
    (["web1"], "web1", []),
    (["web1", "ls", "-l"], "web1", ["ls", "-l"]),
    (["web1", "--help"], "web1", ["--help"]),
    (["web1", "-p", "1"], "web1", ["-p", "1"]),
    (["web1", "--", "ls"], "web1", ["ls"]),
    (["web1", "--", "--", "ls"], "web1", ["--", "ls"]),
    (["web1", "ls", "--", "x"], "web1", ["ls", "--", "x"]),
    (["--", "web1", "ls"], "web1", ["ls"]),
    (["--", "web1", "--", "ls"], "web1", ["ls"]),
    (["--"], None, []),
    (["-p", "1", "web1", "ls", "", "a\nb", "\udcff"], "web1", ["ls", "", "a\nb", "\udcff"]),
    (["-", "ls"], "-", ["ls"]),
    (["", "ls"], "", ["ls"]),
]


@pytest.mark.parametrize(("arguments", "host", "command"), COMMANDS)
def test_options_end_at_the_host(arguments: list[str], host: str | None, command: list[str]) -> None:
    """cli.md: "Options end at the host: all that follows is the command's, dashes and `--help` included
    ... (one `--` directly after the host is dropped)"."""
    line = parse(arguments)
    assert (line.host, line.command) == (host, command)
    assert not line.help


FIELDS: list[tuple[list[str], dict[str, object]]] = [
    (["-p", "22"], {"port": 22}),
    (["-p22"], {"port": 22}),
    (["--port=22"], {"port": 22}),
    (["-p", "1", "-p", "2"], {"port": 1}),
    (["-l", "alice", "--user", "bob"], {"user": "alice"}),
    (["-i", "a", "--identity=b"], {"identity": ["a", "b"]}),
    (["-e", "A=1", "-eB"], {"env": ["A=1", "B"]}),
    (["-e", "A="], {"env": ["A="]}),
    (["--env=A=b=c"], {"env": ["A=b=c"]}),
    (["-C", "/srv", "--cwd", "/tmp"], {"cwd": "/srv"}),
    (["--timeout", "2m"], {"timeout": 120.0}),
    (["--connect-timeout=500ms"], {"connect_timeout": 0.5}),
    (["-nqv"], {"no_stdin": True, "quiet": 1, "verbose": 1}),
    (["-qq"], {"quiet": 2, "quiet_all": True}),
    (["-q"], {"quiet": 1, "quiet_all": False}),
    (["-vvv"], {"verbose": 3}),
    (["-np", "7"], {"no_stdin": True, "port": 7}),
    (["--json", "--list", "--explain"], {"json": True, "lists": True, "explain": True}),
    (["--status-fd", "3"], {"status_fd": 3}),
    (["--no-tls", "--accept-new"], {"no_tls": True, "accept_new": True}),
    (["--home", "/h", "--config", "/c"], {"home": "/h", "config": "/c"}),
    (["-h"], {"help": True}),
    (["--version"], {"version": True}),
]


@pytest.mark.parametrize(("arguments", "fields"), FIELDS)
def test_an_option_sets_its_field_and_of_two_the_first_counts(
    arguments: list[str], fields: dict[str, object]
) -> None:
    line = parse([*arguments, "web1", "ls"])
    assert {name: getattr(line, name) for name in fields} == fields
    assert (line.host, line.command) == ("web1", ["ls"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["-x"], ["--unknown"], ["--unknown=1"], ["--por", "1"], ["-p"], ["--port"], ["-p", "x"],
        ["-p", "70000"],
        ["-p", "-1"], ["--port="], ["--json=1"], ["--no-tls=no"], ["--timeout", "0"], ["--timeout", "-1s"],
        ["--timeout", "1w"], ["--timeout", "nan"], ["--timeout", "1e3"], ["--timeout", "\u0661s"],
        ["--status-fd", "-1"], ["--status-fd", "\u0663"], ["-nz"], ["-\x1b[2J"], ["--\udcff"], ["-e"],
        ["-nptcp"], ["-p", "9" * 5000], ["--status-fd", "3000000000"], ["--timeout", "9" * 400],
    ],
)  # fmt: skip
def test_what_is_no_option_is_one_line_and_exit_2(arguments: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        parse(arguments)
    assert refused.value.exit_code == 2
    assert str(refused.value).isprintable()


def test_every_option_stands_in_the_help() -> None:
    for option in OPTIONS:
        for name in (option.short, option.long):
            assert name in USAGE
        assert option.about in USAGE
    assert all(len(line) <= 100 for line in USAGE.splitlines())

"""The environment of a child."""

from __future__ import annotations

import pytest

from rexec.policy import environment
from tests.policy.fakes import denial, permit

BASE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/home/joe",
    "USER": "runner",
    "LOGNAME": "runner",
    "SHELL": "/bin/sh",
    "PAGER": "cat",
    "REXEC_USER": "alice",
    "REXEC_CONNECTION": "192.0.2.1 4711",
    "REXEC_RULE": "cmds.txt:1",
}


def test_the_environment_is_built_from_nothing() -> None:
    """security.md, Environment and inheritance: "The server's own ... environment ... must not reach
    a child"."""
    assert dict(permit("ls", "ls").env) == BASE


def test_a_terminal_brings_its_type() -> None:
    assert dict(permit("ls", "ls", pty="xterm").env) == {**BASE, "TERM": "xterm"}
    assert dict(permit("ls", "ls", pty="").env)["TERM"] == "dumb"


def test_the_path_of_the_file_is_the_path_of_its_commands() -> None:
    env = dict(permit("%path /opt/bin:/bin\nls", "ls").env)
    assert env["PATH"] == "/opt/bin:/bin"


def test_a_rule_sets_and_passes_variables() -> None:
    text = "ls\n    env A=1 'B=x y' PATH=/opt\n    env pass LANG LC_*"
    env = dict(permit(text, "ls", env=(("LANG", "de"), ("LC_ALL", "fr"))).env)
    assert env == {**BASE, "A": "1", "B": "x y", "PATH": "/opt", "LANG": "de", "LC_ALL": "fr"}


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "PYTHONPATH", "PERL5OPT"),
        *("NODE_OPTIONS", "GIT_SSH_COMMAND", "PAGER", "LESSOPEN", "EDITOR", "IFS", "PATH", "TZ"),
        *("TERMINFO", "GCONV_PATH", "TERM", "LANG", "HOME", "REXEC_USER"),
    ],
)
def test_no_variable_passes_unless_a_rule_names_it(name: str) -> None:
    """security.md, Environment and inheritance: "LD_PRELOAD, LD_AUDIT, BASH_ENV, ENV, BASH_FUNC_x%%,
    PYTHONPATH, PERL5OPT, NODE_OPTIONS, GIT_*, PAGER, LESSOPEN, EDITOR, IFS, PATH, TZ, TERMINFO,
    GCONV_PATH from the client: not passed unless a rule names them"."""
    message = denial("ls", "ls", env=((name, "x"),))
    assert message.startswith('"ls": cmds.txt:1 ')
    assert name in message


def test_what_no_rule_passes_is_denied_by_its_name() -> None:
    text = "ls\n    env pass LANG"
    assert denial(text, "ls", env=(("LANG", "C"), ("TZ", "UTC"))) == (
        '"ls": cmds.txt:1 does not pass the variable TZ'
    )


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("L*", "LD_PRELOAD"),
        ("P*", "PATH"),
        ("P*", "PYTHONSTARTUP"),
        ("R*", "REXEC_RULE"),
        ("B*", "BASH_ENV"),
        ("I*", "IFS"),
        ("N*", "NODE_OPTIONS"),
        ("G*", "GCONV_PATH"),
        ("H*", "HOME"),
    ],
)
def test_some_never_pass_even_by_a_glob(pattern: str, name: str) -> None:
    """security.md, Environment and inheritance: "some never"."""
    assert denial(f"ls\n    env pass {pattern}", "ls", env=((name, "x"),)) == (
        f'"ls": cmds.txt:1 cannot pass the variable {name}: it is never taken from a client'
    )


@pytest.mark.parametrize("name", ["", "A=B", "BASH_FUNC_x%%", "1A", "A B", "é", "A\n", "\x1b"])
def test_what_is_no_name_never_passes(name: str) -> None:
    """security.md, Environment and inheritance: "BASH_FUNC_x%%"."""
    message = denial("ls\n    env pass A* BASH_*", "ls", env=((name, "x"),))
    assert message.endswith("that is no name")
    assert message.isprintable()


def test_what_the_rule_sets_is_not_the_clients() -> None:
    text = "ls\n    env LC_ALL=C\n    env pass LC_*"
    assert denial(text, "ls", env=(("LC_ALL", "de"),)) == '"ls": cmds.txt:1 sets the variable LC_ALL itself'


def test_the_last_of_two_values_counts() -> None:
    text = "ls\n    env pass A"
    assert dict(permit(text, "ls", env=(("A", "1"), ("A", "2"))).env)["A"] == "2"


def test_the_value_of_a_variable_arrives_unchanged() -> None:
    value = "() { :; }; echo \udcff\n'\"$(id)"
    assert dict(permit("ls\n    env pass A", "ls", env=(("A", value),)).env)["A"] == value


def test_a_glob_that_may_stand_for_something_is_no_hopeless_one() -> None:
    assert not environment.is_hopeless("L*")
    assert environment.is_hopeless("LD_*")
    assert environment.is_hopeless("LD_PRELOAD")
    assert not environment.is_glob("*")


def test_the_guard_holds_by_itself() -> None:
    assert not environment.passes(("L*", "LD_PRELOAD"), "LD_PRELOAD")
    assert environment.passes(("L*",), "LANG")
    assert not environment.passes(("L*",), "TZ")

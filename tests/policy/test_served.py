"""Server commands. What is refused stands in tests/vectors/policy/served-*.txt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.served import Assembled, Served
from tests.policy.fakes import permit, policy_of, refusals

SVC = "svc {act=start|stop} {u=word} = systemctl --no-pager {act} -- {u}.service"


def test_the_server_command_is_found_and_started_instead() -> None:
    found = permit(f"%path /usr/bin\n{SVC}", "svc", "stop", "nginx")
    assert found.path == "/usr/bin/systemctl"
    assert found.argv == ("systemctl", "--no-pager", "stop", "--", "nginx.service")
    assert found.values == (("act", "stop"), ("u", "nginx"))
    assert found.logged == ("svc", "stop", "nginx")


def test_the_program_is_started_by_the_name_that_is_written() -> None:
    assert permit("x = /bin/echo hi", "x").argv == ("/bin/echo", "hi")
    assert permit("/x/y = echo hi", "/x/y").argv == ("echo", "hi")


def test_a_rule_tells_both_of_its_commands() -> None:
    (rule,) = policy_of(f"{SVC}  # comment").rules
    assert (rule.command, rule.starts) == ("svc", "systemctl")
    assert (rule.text, rule.form) == (SVC, "svc {act=start|stop} {u=word}")
    assert rule.names == {"act", "u"}
    assert rule.served is not None
    assert rule.served.names == {"act", "u"}
    assert not rule.bare
    (plain,) = policy_of("ls").rules
    assert (plain.starts, plain.form, plain.names) == ("ls", "ls", frozenset())


def test_without_patterns_a_server_command_takes_no_arguments() -> None:
    assert policy_of("now = date +%s").rules[0].patterns == ()


@settings(max_examples=100)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30))
def test_a_value_is_never_split(value: str) -> None:
    """security.md, Around the allow list: "One argument that pretends to be two"; "`$()`, backticks,
    newline, `;|&<>`, `${IFS}` ...: bytes are data, they arrive unchanged"."""
    found = permit("x {v=any} = y {v} a{v}b{v}", "x", value)
    assert found.argv == ("y", value, f"a{value}b{value}")


def test_an_optional_or_repeated_value_is_as_many_arguments_as_were_said() -> None:
    text = "x {v=word}? {n=int}* = y {n} -- {v}"
    assert permit(text, "x").argv == ("y", "--")
    assert permit(text, "x", "a").argv == ("y", "--", "a")
    assert permit(text, "x", "1", "2").argv == ("y", "2", "--", "1")
    assert permit(text, "x", "a", "1", "2").argv == ("y", "1", "2", "--", "a")


def test_an_assembled_word_is_filled() -> None:
    values = (("a", "1"), ("b", "2"), ("b", "3"))
    assert Assembled(("x",)).filled(values) == ["x"]
    assert Assembled(("", "."), ("a",)).filled(values) == ["1."]
    assert Assembled(("", ""), ("b",)).filled(values) == ["2", "3"]
    assert Assembled(("<", "|", ">"), ("a", "a")).filled(values) == ["<1|1>"]
    assert Served("y", (Assembled(("", ""), ("b",)), Assembled(("",)))).argv(values) == ("y", "2", "3", "")


@pytest.mark.parametrize(
    "text",
    [
        "x {a=word} = sh /srv/do.sh {a}",
        "x {a=word} = sh -c 'do \"$1\"' sh {a}",
        "x {a=word} = sh /srv/do.sh -- {a}",
        "x {a=word} = env LANG=C y {a}",
        "x {a=word} = timeout -s KILL 10 y {a}",
        "x {a=word} = flock /run/lock y {a}",
        "x {a=host} = ssh {a} uptime",
        "x {a=word} = y --to={a}",
    ],
)
def test_a_value_may_stand_behind_what_is_run(text: str) -> None:
    assert policy_of(text).rules[0].served is not None


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("x {unit=word} = y {unti}", 19, "did you mean {unit}?"),
        ("x {unit=word} = y {other}", 19, "capture it before the =: {other=word}"),
        ("x {a=word} = python3 -c {a}", 25, "let it stand behind what is run, and behind no option"),
        ("x {a=word} = sh /srv/do.sh -x {a}", 31, "let it stand behind what is run, and behind no option"),
        ("x {a=text} = ssh web1 ls {a}", 26, "let it be a word, a number or one of a set"),
        ("x {a=word} = sudo ls a{a}", 22, "let it stand alone"),
        ("x {a=word} = ", 13, "a literal = is '='"),
    ],
)
def test_a_flaw_names_its_column_and_the_way_out(text: str, column: int, hint: str) -> None:
    error = refusals(text)[0]
    assert (error.column, error.suggestion) == (column, hint)


@pytest.mark.parametrize(
    "words",
    ["env python3 {x}", "sudo -u web sh {x}", "nice -n 5 env A=b bash {x}", "timeout 5 env perl -w {x}"],
)
def test_a_wrapped_interpreter_does_not_run_what_the_client_names(words: str) -> None:
    """allow-list.md: a value "stands behind the script or program that they run"; wrappers wrap others."""
    (refusal,) = refusals(f"run {{x=text}} = {words}")
    assert "could take the value for what it runs" in str(refusal)


@pytest.mark.parametrize(
    "words", ["env python3 /srv/x.py {x}", "nice -n 5 /srv/job {x}", "env /srv/job sh {x}"]
)
def test_behind_what_is_run_a_value_is_an_argument(words: str) -> None:
    assert permit(f"run {{x=text}} = {words}", "run", "v").argv[-1] == "v"

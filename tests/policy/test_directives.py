"""The directives. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

from rexec.policy.directives import DEFAULT_PATH, DIRECTIVES
from tests.policy.fakes import denial, permit, policy_of, refusals
from tests.tree import ROOT


def test_without_directives_the_path_is_the_default() -> None:
    policy = policy_of("ls")
    assert policy.path == DEFAULT_PATH
    assert not policy.strict
    assert policy.groups == {}


def test_directives_are_written_down() -> None:
    policy = policy_of("%path /opt/bin:/bin\n%strict\n%group ops = alice bob\nls\n%group dev = alice")
    assert policy.path == ("/opt/bin", "/bin")
    assert policy.strict
    assert policy.groups == {"ops": {"alice", "bob"}, "dev": {"alice"}}
    assert policy.groups_of("alice") == {"ops", "dev"}


def test_a_group_may_be_made_below_its_first_use() -> None:
    policy = policy_of("[@ops]\nls\n%group ops = alice")
    assert policy.rules[0].is_for("alice", policy.groups_of("alice"))


def test_a_misspelt_directive_gets_a_suggestion() -> None:
    assert refusals("%strit")[0].suggestion == "did you mean %strict?"
    assert refusals("%x")[0].suggestion == "a program of that name is written in quotes"


def test_a_set_names_the_words_that_a_pattern_takes() -> None:
    text = "%set UNIT = nginx 'my unit'\nls {UNIT}"
    for word in ("nginx", "my unit"):
        assert permit(text, "ls", word).argv == ("ls", word)
    assert "nginx" in denial(text, "ls", "sshd")


def test_the_reference_names_every_directive() -> None:
    page = (ROOT / "docs/reference/allow-list.md").read_text()
    assert [name for name in DIRECTIVES if f"\n| `{name}" not in page] == []

"""Files of an allow list, and how one includes others. Single flaws stand in tests/vectors/policy."""

from __future__ import annotations

import hashlib

import pytest

from rexec.limits import INCLUDE_DEPTH, INCLUDE_FILES_MAX, POLICY_LINE_MAX, POLICY_MAX, POLICY_TOTAL_MAX
from rexec.policy.problems import Flaw, Problem
from rexec.policy.rules import Policy
from rexec.policy.source import Source, foreign, refuse_controls
from rexec.policy.who import EVERYONE
from tests.policy.fakes import FakeDisk, error, policy_of, refusals


def disk_of(**files: str) -> FakeDisk:
    disk = FakeDisk()
    disk.files = {name.replace("__", "/") + ".txt": text for name, text in files.items()}
    return disk


def including(text: str, **files: str) -> Policy:
    return policy_of(text, disk_of(**files))


def refused(text: str, **files: str) -> Problem:
    return error(text, disk_of(**files))


def test_a_source_has_lines() -> None:
    assert Source.of("a", "/a", "x\ny\n").lines == ("x", "y", "")


def test_a_text_of_another_form_is_foreign() -> None:
    assert foreign("ls\n") is None
    assert foreign("a\nb\udcff") == (2, 2, "this is not UTF-8")
    assert foreign("\ufeffls") == (1, 1, "a byte order mark stands in front: write plain UTF-8")
    assert foreign("ä" * (POLICY_MAX // 2 + 1)) is not None


@pytest.mark.parametrize("line", ["a\x1bb", "a\x85", "a\u202eb", "a\r", "ä" * (POLICY_LINE_MAX // 2 + 1)])
def test_no_line_may_hide_anything(line: str) -> None:
    refuse_controls("ls # ünïcode\t")
    with pytest.raises(Flaw):
        refuse_controls(line)


def test_files_are_read_in_the_order_of_their_names_and_in_place() -> None:
    policy = including("df\n%include d/*.txt\nid", d__b="uptime", d__a="ls\nls -l", c="w")
    assert [rule.label for rule in policy.rules] == [
        "cmds.txt:1",
        "d/a.txt:1",
        "d/a.txt:2",
        "d/b.txt:1",
        "cmds.txt:3",
    ]


def test_a_file_includes_relative_to_itself() -> None:
    policy = including("%include d/a.txt", d__a="%include e/b.txt", d__e__b="ls")
    assert [rule.label for rule in policy.rules] == ["d/e/b.txt:1"]


def test_an_included_file_begins_in_the_section_above_and_its_own_end_with_it() -> None:
    policy = including(
        "[alice]\n%include d/a.txt\nid", d__a="ls\n[bob]\ndf\n%include b.txt", d__b="w\n[carol]"
    )
    people = {rule.command: set(rule.section.users) for rule in policy.rules}
    assert people == {"ls": {"alice"}, "df": {"bob"}, "w": {"bob"}, "id": {"alice"}}
    assert including("%include a.txt\nid", a="[bob]").rules[0].section == EVERYONE


def test_what_else_an_included_file_says_holds_below_it_too() -> None:
    policy = including(
        "%include a.txt\n[@ops]\nls {UNIT}", a="%group ops = alice\n%set UNIT = x y\n%default idle 3s"
    )
    assert policy.rules[0].grant.idle == 3.0
    assert policy.rules[0].is_for("alice", policy.groups_of("alice"))


def test_strict_and_path_may_be_included_before_the_first_rule() -> None:
    policy = including("%include a.txt\nls", a="%strict\n%path /bin")
    assert (policy.strict, policy.path) == (True, ("/bin",))
    assert refused("ls\n%include a.txt", a="%strict").text == "%strict comes before the first rule"


def test_an_option_does_not_belong_to_a_rule_of_another_file() -> None:
    assert str(refused("ls\n%include a.txt", a="  timeout 3s")) == (
        "a.txt:1:3: an option without a rule above it"
    )


def test_assertions_and_remarks_of_included_files_name_them() -> None:
    problem = refused("ls\n%include a.txt", a="\n%assert deny alice: ls")
    assert str(problem) == "a.txt:2:21: alice is allowed this by cmds.txt:1"
    assert problem.source == "%assert deny alice: ls"
    policy = including("%include a.txt\nls []", a="\nls []\nnowhere []")
    assert [str(warning) for warning in policy.warnings if "timeout" not in warning.text] == [
        "cmds.txt:2:1: never reached: a.txt:2 matches all of it before",
        'a.txt:3:1: "nowhere" is not there in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ]


def test_a_file_may_be_included_for_several_sections() -> None:
    policy = including("[alice]\n%include a.txt\n[bob]\n%include a.txt", a="ls")
    assert [(set(rule.section.users), rule.label) for rule in policy.rules] == [
        ({"alice"}, "a.txt:1"),
        ({"bob"}, "a.txt:1"),
    ]


def test_the_generation_covers_every_text() -> None:
    one, other = (including("%include a.txt", a=text).generation for text in ("ls", "df"))
    assert one != other
    assert one != including("%include b.txt", b="ls").generation
    assert one == hashlib.sha256(b"%include a.txt\0a.txt\0ls").hexdigest()


def test_a_loop_is_refused() -> None:
    problem = refused("%include a.txt", a="%include b.txt", b="\n%include a.txt")
    assert str(problem) == "b.txt:2:10: a.txt is included already: this is a loop"


def test_files_include_each_other_so_deep_and_no_deeper() -> None:
    chain = {f"f{n}": f"%include f{n + 1}.txt" for n in range(1, INCLUDE_DEPTH)}
    assert including("%include f1.txt", **chain, **{f"f{INCLUDE_DEPTH}": "ls"}).rules
    chain[f"f{INCLUDE_DEPTH}"] = f"%include f{INCLUDE_DEPTH + 1}.txt"
    problem = refused("%include f1.txt", **chain, **{f"f{INCLUDE_DEPTH + 1}": "ls"})
    assert problem.text == f"files include files more than {INCLUDE_DEPTH} deep"


def test_a_bomb_of_includes_is_refused() -> None:
    twice = {f"f{n}": f"%include f{n + 1}.txt\n%include f{n + 1}.txt" for n in range(1, 12)}
    disk = disk_of(**twice, f12="")
    problems = [problem for problem in refusals("%include f1.txt", disk) if "are included" in problem.text]
    assert problems
    assert str(INCLUDE_FILES_MAX) in problems[0].text


def test_the_size_of_all_texts_is_bounded() -> None:
    full = "#\n" * (POLICY_MAX // 2)
    text = "%include a.txt\n" * (POLICY_TOTAL_MAX // POLICY_MAX)
    assert "are included" in refused(text, a=full).text


def test_a_foreign_file_is_not_read_on() -> None:
    problem = refused("%include a.txt\nls", a="\ufeffls *\nls *")
    assert str(problem).startswith("a.txt:1:1: a byte order mark")

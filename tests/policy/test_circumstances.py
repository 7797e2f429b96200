"""Where and when a rule is there at all. Monday 2030-04-01 is the day of these tests."""

from __future__ import annotations

from rexec.policy.circumstances import is_bound, outside
from rexec.policy.grant import PLAIN
from tests.policy.fakes import asked, denial, permit, policy_of, refusals, request_of

NOON = 1_901_275_200.0  # 2030-04-01 12:00 UTC
OFFICE = "ls []\n    when Mon-Fri 08:00-18:00\n"


def test_a_plain_rule_is_everywhere_and_always() -> None:
    assert not is_bound(PLAIN)
    assert outside(PLAIN, request_of("ls")) is None


def test_from_lets_a_request_from_elsewhere_go_on_to_the_rules_below() -> None:
    text = "ls ...\n    from 10.0.0.0/8\n    timeout 9s\nls []\n    timeout 1s"
    assert permit(text, "ls", peer="10.1.2.3").timeout == 9.0
    assert permit(text, "ls", peer="192.0.2.1").timeout == 1.0


def test_a_denial_for_the_place_alone_says_so() -> None:
    text = "ls []\n    from 10.0.0.0/8 ::1\n"
    assert denial(text, "ls") == '"ls": cmds.txt:1 is for 10.0.0.0/8 ::1/128, not for 192.0.2.1'
    assert denial("ls []\n    from 10.0.0.0/8", "ls", peer="").endswith("not for a unix socket")
    assert permit(text, "ls", peer="").rule.line == 1


def test_a_denial_for_the_time_alone_says_so() -> None:
    assert permit(OFFICE, "ls", now=NOON)
    assert denial(OFFICE, "ls", now=NOON + 6 * 3600) == '"ls": cmds.txt:1 is for Mon-Fri 08:00-18:00'
    both = OFFICE + "    when Sat"
    assert denial(both, "ls", now=NOON + 6 * 3600).endswith("is for Mon-Fri 08:00-18:00 or Sat")


def test_time_is_that_of_the_wall_clock() -> None:
    assert denial(OFFICE, "ls", now=NOON, utc_offset=6 * 3600)
    assert permit(OFFICE, "ls", now=NOON + 6 * 3600, utc_offset=-6 * 3600)


def test_a_rule_is_over_from_a_moment_on() -> None:
    text = "ls []\n    until 2030-04-01T12:00Z"
    assert permit(text, "ls", now=NOON - 1)
    assert denial(text, "ls", now=NOON, utc_offset=3600) == (
        '"ls": cmds.txt:1 was for the time before 2030-04-01 13:00'
    )


def test_words_that_match_no_rule_are_told_of_first_by_the_rule_that_they_match() -> None:
    text = "ls -l\n    from 10.0.0.0/8\nls -a"
    assert "is for 10.0.0.0/8" in denial(text, "ls", "-l")
    assert "allows exactly" in denial(text, "ls", "-x")


def test_rules_of_others_are_not_told_of() -> None:
    text = "[bob]\nls []\n    from 10.0.0.0/8\n[alice]\ndf"
    assert denial(text, "ls") == '"ls": no rule of cmds.txt allows "ls"'


def test_what_is_asked_for_besides_is_judged_by_the_rule_that_is_there() -> None:
    text = "ls []\n    from 10.0.0.0/8\n    pty no\nls []\n    pty yes"
    assert permit(text, "ls", pty="xterm").rule.line == 4
    assert "gives no terminal" in denial(text, "ls", pty="xterm", peer="10.0.0.1")


def test_an_assertion_holds_at_every_time_and_place() -> None:
    bound = "ls []\n    from 10.0.0.0/8\n    when Mon\n    until 2001-01-01\n"
    assert policy_of(bound + "%assert allow alice: ls").rules
    assert refusals(bound + "%assert deny alice: ls")[-1].text == "alice is allowed this by cmds.txt:1"
    below = bound + "ls ...\n    pty only\n%assert deny alice: ls -l"
    assert refusals(below)[-1].text == "alice is allowed this by cmds.txt:5"


def test_a_bound_rule_hides_none_below_it() -> None:
    assert not any("never reached" in p.text for p in policy_of(OFFICE + "ls []\n").warnings)
    assert any("never reached" in p.text for p in policy_of("ls []\n" + OFFICE).warnings)


def test_the_same_request_gets_the_same_answer_at_the_same_time() -> None:
    assert asked(OFFICE, "ls", now=NOON) == asked(OFFICE, "ls", now=NOON)

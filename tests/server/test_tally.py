"""Counts of a rule, whoever asked: at once, and within a time."""

from __future__ import annotations

from rexec.policy.decide import decide
from rexec.policy.parse import parse
from rexec.policy.request import Request
from rexec.policy.rules import Permit
from rexec.server.disk import LocalDisk
from rexec.server.tally import Tally


def permit(rules: str, *words: str, user: str = "alice", name: str = "cmds.txt") -> Permit:
    request = Request(
        user=user, groups=frozenset(), words=words or ("true",), peer="", connection="", now=0.0,
        pty_allowed=True,
    )  # fmt: skip
    found = decide(parse(rules, name, LocalDisk()), request)
    assert isinstance(found, Permit), found
    return found


def test_a_plain_rule_is_not_counted() -> None:
    tally = Tally()
    plain = permit("true\n")
    assert [tally.admit(plain, 0.0) for _ in range(1000)] == [None] * 1000
    tally.over(plain)
    assert not tally._counts


def test_so_many_at_once_whoever_asks() -> None:
    tally = Tally()
    rules = "true\n    parallel 2\nfalse\n    parallel 1\n"
    alice, bob, other = permit(rules), permit(rules, user="bob"), permit(rules, "false")
    assert tally.admit(alice, 0.0) is None
    assert tally.admit(bob, 0.0) is None
    for refused in (alice, bob):
        assert tally.admit(refused, 0.0) == "cmds.txt:1 runs at most 2 at once: wait until one has ended"
    assert tally.admit(other, 0.0) is None
    tally.over(bob)
    assert tally.admit(alice, 0.0) is None


def test_so_many_within_a_time() -> None:
    tally = Tally()
    mine = permit("true\n    rate 2/min\n")
    assert [tally.admit(mine, now) for now in (0.0, 30.0)] == [None, None]
    assert tally.admit(mine, 59.5) == "cmds.txt:1 starts at most 2 a minute: try again in 1 s"
    assert tally.admit(mine, 60.0) is None
    assert tally.admit(mine, 60.0) == "cmds.txt:1 starts at most 2 a minute: try again in 30 s"
    assert tally.admit(mine, 1e6) is None


def test_every_window_of_that_length_is_within_the_rate() -> None:
    """No burst at a border: any minute, not each minute of the clock."""
    tally = Tally()
    mine = permit("true\n    rate 3/s\n")
    started = [now / 10 for now in range(200) if tally.admit(mine, now / 10) is None]
    assert all(sum(start <= one < start + 1 for one in started) <= 3 for start in started)
    assert len(started) >= 50


def test_one_refused_for_its_number_does_not_count_as_a_start() -> None:
    tally = Tally()
    both = permit("true\n    parallel 1\n    rate 2/h\n")
    assert tally.admit(both, 0.0) is None
    assert [bool(tally.admit(both, 1.0)) for _ in range(5)] == [True] * 5
    tally.over(both)
    assert tally.admit(both, 2.0) is None


def test_a_rule_is_known_by_its_text_and_its_people() -> None:
    """A reload, or an edit elsewhere in the file, gives nobody a fresh start; another rule has its own."""
    tally = Tally()
    assert tally.admit(permit("[alice]\ntrue\n    parallel 1\n"), 0.0) is None
    assert tally.admit(permit("# more\n[alice]\ntrue\n    parallel 1\n    timeout 5s\n"), 0.0) is not None
    assert tally.admit(permit("[bob]\ntrue\n    parallel 1\n", user="bob"), 0.0) is None
    assert tally.admit(permit("true\n    parallel 1\n"), 0.0) is None
    assert tally.admit(permit("true []\n    parallel 1\n"), 0.0) is None


def test_what_says_nothing_any_more_is_forgotten() -> None:
    """The memory of a count is bounded by what runs and what started lately."""
    tally = Tally()
    running, lately, gone = (
        permit(f"true\n    {option}\n", name=name)
        for name, option in (("a", "parallel 1"), ("b", "rate 5/h"), ("c", "rate 5/min"))
    )
    for one in (running, lately, gone):
        tally.admit(one, 0.0)
    tally.tidy(60.0)
    assert len(tally._counts) == 2
    tally.over(running)
    tally.tidy(3600.0)
    assert not tally._counts

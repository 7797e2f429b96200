"""Drafts from what was seen: they are read, and they decide all that was seen as it was decided."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.decide import decide, plain_request
from rexec.policy.learn import Seen, draft
from rexec.policy.rules import Deny, Policy
from tests.policy.fakes import FakeDisk, policy_of, request_of


def drafted(seen: Iterable[Seen]) -> str:
    return draft(seen, FakeDisk())


def learnt(*rows: tuple[str, str, bool]) -> str:
    """Draft from rows of a user, words with blanks between, and whether they were allowed."""
    return drafted(Seen(user, tuple(words.split(" ")), allowed) for user, words, allowed in rows)


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def allows(policy: Policy, user: str, words: tuple[str, ...]) -> bool:
    return not isinstance(decide(policy, request_of(*words, user=user)), Deny)


def test_one_command_is_one_exact_rule() -> None:
    assert rules(learnt(("al", "uptime", True), ("al", "df -h", True))) == ["[al]", "df -h", "uptime []"]


def test_a_place_gets_the_narrowest_type_that_takes_all_that_was_seen() -> None:
    seen = {
        "tail -n 5": "tail -n 50",
        "svc stop": "svc start",
        "cat /var/log/a": "cat /var/log/b/c",
        "at 2030-01-01 x": "at 2030-01-02 x",
        "ping 192.0.2.1 -c": "ping 2001:db8::1 -c",
    }
    text = learnt(*[("al", words, True) for pair in seen.items() for words in pair])
    assert rules(text) == [
        "[al]",
        "at {2030-01-01|2030-01-02} x",
        "cat {path:/var/log/** ro}",
        "ping {192.0.2.1|2001:db8::1} -c",
        "svc {start|stop}",
        "tail -n {int:5..50}",
    ]


def test_many_words_at_one_place_become_a_type() -> None:
    hosts = [("al", f"ping 192.0.2.{number}", True) for number in range(1, 20)]
    names = [("al", f"show x{number}", True) for number in range(20)]
    odd = [("al", f"echo ,{number}", True) for number in range(20)]
    assert rules(learnt(*hosts, *names, *odd)) == ["[al]", "echo {text}", "show {name}", "ping {ip}"]


def test_files_that_have_only_the_root_in_common_are_no_path() -> None:
    assert rules(learnt(("al", "cat /etc/a", True), ("al", "cat /srv/b", True))) == [
        "[al]",
        "cat {/etc/a|/srv/b}",
    ]


def test_options_stay_word_for_word() -> None:
    text = learnt(
        ("al", "ls -l /a/b", True),
        ("al", "ls -a /a/c", True),
        ("al", "ls -- -x", True),
        ("al", "ls -- -y", True),
    )
    assert rules(text) == ["[al]", "ls -- {any}", "ls -a /a/c", "ls -l /a/b"]


def test_how_often_and_by_whom_stands_above() -> None:
    text = learnt(("al", "ls x1", True), ("bo", "ls x2", True), ("al", "ls x1", True), ("cy", "id", True))
    assert "[al bo]\n# 3 times by al (2), bo (1)\nls {x1|x2}\n\n[cy]\n# 1 time by cy (1)\nid []\n" in text
    assert text.startswith("# A draft from 4 commands of 3 users.")


def test_what_was_denied_is_a_comment() -> None:
    text = learnt(("al", "ls", True), ("bo", "cat /etc/shadow", False), ("bo", "cat /etc/shadow", False))
    assert "\n# denied 2 times by bo (2)\n# cat /etc/shadow\n" in text
    assert rules(text) == ["[al]", "ls []"]


def test_what_was_denied_narrows_the_rule() -> None:
    rows = [("al", f"show x{number}", True) for number in range(9)]
    assert len(rules(learnt(*rows, ("al", "show secret", False)))) == 10
    assert rules(learnt(*rows, ("bo", "show secret", False))) == ["[al]", "show {name}"]
    assert rules(learnt(("al", "cat -- x", True), ("al", "cat x", False))) == ["[al]", "cat '--' x"]


def test_words_that_no_type_takes_are_written_out() -> None:
    assert rules(learnt(("al", "ls é", True), ("al", "ls x", True))) == ["[al]", "ls x", "ls é"]


def test_what_was_allowed_once_is_allowed() -> None:
    assert rules(learnt(("al", "ls", False), ("al", "ls", True), ("al", "ls", False))) == ["[al]", "ls []"]


def test_what_no_rule_can_say_is_left_out_and_told() -> None:
    text = drafted(
        [
            Seen("al", ("echo", "a\nb\x1b[2J"), True),
            Seen("al", ("login", "***"), True),
            Seen("al\x1b", ("ls",), True),
            Seen("al", ("./x",), False),
            Seen("al", (), False),
            Seen("al", ("echo", "x" * 5000), True),
            Seen("al", ("echo", "\udcff"), True),
        ]
    )
    assert rules(text) == []
    assert "# Left out, since no rule can say these words as they are:\n" in text
    assert all(line.isprintable() for line in text.splitlines())
    assert policy_of(text).rules == ()


def test_copies_get_the_directory_that_they_were_of() -> None:
    text = learnt(
        ("al", "@get /srv/out/a", True),
        ("al", "@get -r /srv/out/b/c", True),
        ("al", "@get /etc/motd", True),
        ("al", "@put /srv/in/x", True),
        ("bo", "@get /etc/shadow", False),
    )
    assert rules(text) == [
        "[al]",
        "@get {path:/srv/out/** ro}",
        "@get {path:/etc/motd/** ro}",
        "@put {path:/srv/in/** rw}",
    ]
    assert "# denied 1 time by bo (1)\n# @get {path:/etc/shadow/** ro}\n" in text
    assert "Left out" not in text
    assert len(policy_of(text).rules) == 3


def test_a_copy_that_was_denied_narrows_the_rule() -> None:
    rows = [("al", f"{command} /srv/{name}", True) for command in ("@get", "@put") for name in "ab"]
    denied = [("al", f"{command} /srv/c", False) for command in ("@get", "@put")]
    text = learnt(*rows, *denied)
    assert rules(text) == [
        "[al]",
        *("@get {path:/srv/a ro}", "@get {path:/srv/b ro}", "@put {path:/srv/a rw}", "@put {path:/srv/b rw}"),
    ]
    policy = policy_of(text)
    for user, words, allowed in (*rows, *denied):
        decision = decide(policy, plain_request(user, tuple(words.split())))
        assert isinstance(decision, Deny) is not allowed


def test_a_copy_of_what_no_place_can_say_is_left_out() -> None:
    text = learnt(*[("al", f"@get {path}", True) for path in ("x", "/", "/srv/*", "/srv/../etc")])
    assert rules(text) == []
    assert text.count("# 1 time by al (1): @get ") == 4


def test_who_had_a_shell_gets_one() -> None:
    asked = [Seen("al", ("@shell", text), True) for text in ("ls; id", "a\nb", "ls -l")]
    text = drafted([*asked, Seen("bo", ("@shell", "id; ls"), False), Seen("bo", ("@shell", "***"), False)])
    assert rules(text) == ["[al]", "@shell"]
    assert "# 3 times by al (3)\n@shell\n" in text
    assert "# denied 1 time by bo (1)\n# @shell\n" in text
    assert text.count("Left out") == 1


def test_a_shell_that_would_allow_what_was_denied_is_left_out() -> None:
    text = drafted([Seen("al", ("@shell", "ls; id"), True), Seen("al", ("@shell", "rm -r /; ls"), False)])
    assert rules(text) == []
    assert "# Left out" in text


def test_many_users_are_split_over_sections() -> None:
    text = drafted(Seen(f"user{number}", ("ls",), True) for number in range(100))
    assert [line.count("user") for line in rules(text) if line.startswith("[")] == [40, 40, 20]
    assert "and others" not in policy_of(text).rules[0].text


USERS = st.sampled_from(["al", "bo", "cy"])
WORDS = st.sampled_from(
    "-l|-n|--|5|17|007|/srv/a|/srv/b/c|/etc|x|y-z|a b||...|=|'q'|[x]|{y}|é|%x|@y|#z|2030-01-01|-".split("|")  # noqa: SIM905
)
COMMANDS = st.tuples(st.sampled_from(["ls", "/bin/cat", "a b", "[", "%x", "é"]), WORDS, WORDS).map(
    lambda words: tuple(words)
) | st.lists(WORDS, max_size=3).map(lambda words: ("ls", *words))
ROWS = st.lists(st.builds(Seen, USERS, COMMANDS, st.booleans()), max_size=25)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_the_draft_is_read_and_decides_what_was_seen_as_it_was_decided(rows: list[Seen]) -> None:
    policy = policy_of(drafted(rows))
    allowed = {(row.user, row.words) for row in rows if row.allowed}
    for row in rows:
        assert allows(policy, row.user, row.words) is ((row.user, row.words) in allowed)

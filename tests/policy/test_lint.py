"""What is said about files that may be used as they stand."""

from __future__ import annotations

import pytest

from rexec.policy.disk import Account, Found, Owned
from tests.policy.fakes import FakeDisk, policy_of


def remarks(text: str) -> list[str]:
    """Give the remarks of a file, without the note that some rule has no timeout."""
    found = policy_of(text).warnings
    return [
        f"{problem.line} {problem.severity.value} {problem.text}"
        for problem in found
        if "no timeout" not in problem.text
    ]


def test_a_good_file_has_no_remarks() -> None:
    assert policy_of("ls ...\n    timeout 3s\ndf -h\n    timeout 3s").warnings == ()


def test_a_program_alone_is_a_note_unless_the_file_is_strict() -> None:
    assert remarks("ls") == ['1 note "ls" takes any arguments']
    assert remarks("ls ...") == []
    assert remarks("%strict\nls") == []


def test_rules_without_a_timeout_are_one_note() -> None:
    found = policy_of("ls ...\n    timeout 3s\ndf -h\nid []").warnings
    assert [(problem.line, problem.text) for problem in found] == [
        (3, "2 of 3 rules have no timeout, this is the first")
    ]


def test_a_missing_program_is_a_warning() -> None:
    assert remarks("%path /a:/b\nnowhere x") == ['2 warning "nowhere" is not there in /a:/b']
    assert remarks("/nowhere x") == ['1 warning "/nowhere" is not there']


def test_a_missing_directory_is_a_warning() -> None:
    assert remarks("ls []\n    cwd /missing") == ['1 warning the directory "/missing" is not there']
    assert remarks("ls []\n    cwd /srv") == []


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("ls ...\n    confine ro /missing/a /usr", 'confine ro: "/missing/a"'),
        ("ls ...\n    confine rw /missing/a", 'confine rw: "/missing/a"'),
        ("ls ...\n    exec-only /missing/a /bin/sh", 'exec-only: "/missing/a"'),
        ("ls {path:/missing/*/x ro}", 'path: "/missing"'),
    ],
)
def test_a_place_that_is_not_there_is_a_note(rule: str, what: str) -> None:
    assert remarks(rule) == [f"1 note {what} is not there"]
    assert remarks(rule.replace("/missing", "/srv")) == []


def test_a_missing_home_is_a_warning_where_a_command_of_another_account_starts_in_it() -> None:
    disk = FakeDisk()
    disk.accounts["nobody", None] = Account("nobody", "/missing", 65534, 65534, (65534,))
    text = 'the home of "nobody", "/missing", is not there to start in'
    (found,) = (problem for problem in policy_of("ls []\n    as nobody\n    timeout 1s", disk).warnings)
    assert (found.text, found.suggestion) == (text, "an indented line below it: cwd /")
    assert policy_of("ls []\n    as nobody\n    cwd /\n    timeout 1s", disk).warnings == ()


def test_a_value_in_a_quoted_word_of_a_server_command_is_a_warning() -> None:
    assert remarks("greet {n=name} = echo '{n}'") == [
        "1 warning {n} in quotes is text: the value does not get there"
    ]
    assert remarks("greet {n=name} = echo '{m}' {n}") == []


def test_a_program_that_others_may_write_is_a_warning() -> None:
    assert remarks("lax []") == ["1 warning /usr/bin/lax is writable by others"]


class OwnedDisk(FakeDisk):
    """Every program belongs to an account that is neither root nor the server's."""

    def find(self, command: str, path: tuple[str, ...]) -> Found | None:
        found = super().find(command, path)
        return found and found._replace(owned=(Owned(34, f"{found.path} belongs to uid 34"),))


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("ls []", True),
        ("ls []\n    as postgres", True),
        ("ls []\n    as root", True),
        ("ls []\n    as backup", False),
        ("nowhere []", False),
    ],
)
def test_a_program_that_somebody_else_owns_is_a_warning(text: str, warned: bool) -> None:
    found = [problem for problem in policy_of(text, OwnedDisk()).warnings if "belongs" in problem.text]
    assert [problem.text for problem in found] == ["/usr/bin/ls belongs to uid 34"] * warned


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("find ...", True),
        ("find", True),
        ("/usr/bin/find / ...", True),
        ("find /srv -type f", False),
        ("sort []", False),
        ("sudo ...", True),
        ("env []", False),
        ("less /var/log/syslog", True),
        ("man []", True),
        ("sh []", True),
        ("sh []\n    stdin no", False),
        ("sh ...\n    stdin no", True),
        ("sh /srv/backup.sh", False),
        ("python3.11 ...", True),
        ("python3", True),
        ("perl5.36.0 []", True),
        ("ls ...", False),
    ],
)
def test_a_program_that_starts_others_is_a_warning_where_the_client_can_make_it(
    text: str, warned: bool
) -> None:
    """security.md, Around the allow list: "Option injection into allowed programs (`find -exec`, ...
    `less !`, `awk system()` ...)": `check` warns where a rule leaves the choice to the client."""
    assert any(" warning " in remark for remark in remarks(text)) is warned


@pytest.mark.parametrize(
    ("text", "shadowed"),
    [
        ("ls ...\nls -l", True),
        ("ls\nls", True),
        ("ls -l\nls -l", True),
        ("ls -l ...\nls -l /srv", True),
        ("ls -l ...\nls -l ...", True),
        ("ls -l ...\nls ...", False),
        ("ls -l\nls -a", False),
        ("ls ...\ndf -h", False),
        ("ls anything\nls ...", False),
        ("[alice]\nls ...\n[everyone]\nls -l", False),
        ("[everyone]\nls ...\n[alice]\nls -l", True),
        ("%group ops = alice\n[@ops]\nls ...\n[alice]\nls -l", True),
        ("%group ops = alice\n[alice]\nls ...\n[@ops]\nls -l", False),
        ("ls ...\n    for alice\nls -l", False),
        ("ls ...\n    for alice\nls -l\n    for alice", True),
        ("[alice bob]\nls ...\n    for alice\n[alice]\nls -l", True),
        ("ls -a\nls -a -b ...\nls -a -b -c", True),
        ("kill {int}\nkill 5", True),
        ("kill {int}\nkill five", False),
        ("kill {a=int}\nkill {b=int}", True),
        ("kill {int:1..5}\nkill {int:1..6}", False),
        ("kill {int}\nkill {word}", False),
        ("ls [-a] {name}?\nls -a", True),
        ("[alice]\nkill {int}\n[everyone]\nkill 5", False),
        ("cat {path:/srv/**}\ncat {path:/srv/**}", True),
        ("cat {path:/srv/**}\n    cwd /srv\ncat {path:/srv/**}\n    cwd /etc", False),
        ("cat {path:/srv/**}\n    cwd /srv\ncat x", False),
        ("cat ...\ncat {path:/srv/**}\n    cwd /etc", True),
    ],
)
def test_a_rule_that_is_never_reached_is_a_warning(text: str, shadowed: bool) -> None:
    assert any("never reached" in remark for remark in remarks(text)) is shadowed


def test_a_group_that_no_directive_makes_is_one_note() -> None:
    text = "[@ops @dev]\nls ...\n%group dev = alice\n[@ops]\ndf -h"
    assert remarks(text) == ["2 note no %group makes @ops: only keys with groups= have it"]


def test_a_digest_that_is_the_file_s_is_no_remark() -> None:
    disk = FakeDisk()
    disk.digests = {"/usr/bin/ls": "ab" * 32}
    text = f"ls []\n    timeout 3s\n    sha256 {'ab' * 32}\n"
    assert policy_of(text, disk).warnings == ()
    assert len(policy_of(text.replace("ab", "cd"), disk).warnings) == 1


def test_a_confined_rule_that_may_write_everywhere_is_a_warning() -> None:
    assert remarks("ls []\n    confine rw /") == ["1 warning confine rw / confines nothing"]
    assert remarks("ls []\n    confine rw / net none") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ls ...\n    as root", "1 warning runs as root with arguments that the client chooses"),
        (
            "id []\n    as root\n    limit procs=3",
            "1 warning limit procs holds nothing: the kernel does not count the processes of root",
        ),
        ("id []\n    confine rw /", "1 warning confine rw / confines nothing"),
        ("id []\n    until 2001-01-01", "1 note until is over: the rule matches nothing any more"),
        (f"id []\n    sha256 {'0' * 64}", "1 warning /usr/bin/id cannot be read: it will be denied"),
    ],
)
def test_an_option_that_deserves_a_second_look_gets_one(text: str, said: str) -> None:
    assert said in remarks(text)


@pytest.mark.parametrize(
    "text",
    [
        "id []\n    as root",
        "ls ...\n    as backup",
        "id []\n    as backup\n    limit procs=3",
        "id []\n    confine rw /srv",
        "id []\n    confine rw / net none",
        "id []\n    until 2099-01-01",
        f"nowhere []\n    sha256 {'0' * 64}",
    ],
)
def test_one_that_is_well_gets_none(text: str) -> None:
    said = ("runs as root", "limit procs", "confines", "until", "digest", "cannot be read")
    assert not [remark for remark in remarks(text) if any(word in remark for word in said)]


def test_another_digest_is_told() -> None:
    disk = FakeDisk()
    disk.digests = {"/usr/bin/id": "1" * 64}
    texts = [p.text for p in policy_of(f"id []\n    sha256 {'0' * 64}", disk).warnings]
    assert f"/usr/bin/id has the digest {'1' * 64}: it will be denied" in texts
    disk.digests = {"/usr/bin/id": "0" * 64}
    texts = [p.text for p in policy_of(f"id []\n    sha256 {'0' * 64}", disk).warnings]
    assert not any("denied" in text for text in texts)

"""What may stand at the cursor: of the asker's own rules, and no name from outside their roots."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from rexec.policy.parse import parse
from rexec.policy.request import Request
from rexec.server.completion import NAMES_MAX, WORDS_MAX, Choice, complete
from rexec.server.disk import LocalDisk

RULES = """\
%set UNIT = nginx redis
true [-q --color={{auto|never}} --file={{text}}] {{start|stop}} {{u=UNIT}}
    about "Nothing at all"
cat {{path:{root}/** file}}
wc [--from={{path:{root}/** file}} --plain={{int}}]
ls -- {{path:{root}/logs/*}}
    cwd {root}
head {{path:{root}/one.txt}}
false {{start|stop}}
    until 2001-01-01
[bob]
sleep {{short|long}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "logs" / "deep").mkdir(parents=True)
    for name in ("one.txt", "two words", ".hidden", "logs/a.log", "logs/b.log"):
        (root / name).touch()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "name").touch()
    return root


def offered(root: Path, *words: str, user: str = "alice", cwd: str | None = None) -> list[str]:
    return [choice.word for choice in choices(root, *words, user=user, cwd=cwd)]


def choices(
    root: Path, *words: str, user: str = "alice", cwd: str | None = None, rules: str = RULES
) -> list[Choice]:
    policy = parse(rules.format(root=root), "cmds.txt", LocalDisk())
    request = Request(
        user=user, groups=frozenset(), words=words, peer="", connection="unix", now=2e9, pty_allowed=True,
        cwd=cwd,
    )  # fmt: skip
    return complete(policy, request)


def test_words_of_options_enums_and_sets_are_offered(root: Path) -> None:
    assert offered(root, "true", "") == ["-q", "--color=auto", "--color=never", "--file=", "start", "stop"]
    assert offered(root, "true", "--c") == ["--color=auto", "--color=never"]
    assert offered(root, "true", "-q", "st") == ["start", "stop"]
    assert offered(root, "true", "start", "") == ["nginx", "redis"]
    assert choices(root, "true", "--f") == [Choice("--file=", "Nothing at all", True)]


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("alice", ("sleep", "")),  # is bob's
        ("alice", ("false", "")),  # is over
        ("alice", ("frob", "")),
        ("alice", ("true", "nothing", "")),
        ("alice", ("true",)),
        ("nobody", ("sleep", "")),
    ],
)
def test_nothing_is_offered_that_the_asker_may_not_run(root: Path, user: str, words: tuple[str, ...]) -> None:
    assert offered(root, *words, user=user) == []


def test_bob_is_offered_what_is_his(root: Path) -> None:
    assert offered(root, "sleep", "", user="bob") == ["short", "long"]


def test_names_of_files_come_from_the_root_of_the_rule(root: Path) -> None:
    assert offered(root, "cat", "") == [f"{root}/"]
    assert offered(root, "cat", str(root)[:-2]) == [f"{root}/"]
    assert sorted(offered(root, "cat", f"{root}/")) == [
        f"{root}/logs/", f"{root}/one.txt", f"{root}/two words",
    ]  # fmt: skip
    assert offered(root, "cat", f"{root}/o") == [f"{root}/one.txt"]
    assert offered(root, "cat", f"{root}/.") == [f"{root}/.hidden"]
    assert sorted(offered(root, "cat", f"{root}/logs/")) == [
        f"{root}/logs/a.log", f"{root}/logs/b.log", f"{root}/logs/deep/",
    ]  # fmt: skip
    assert offered(root, "head", "/") == [f"{root}/one.txt"]


def test_names_of_files_are_offered_behind_an_equals_sign(root: Path) -> None:
    assert offered(root, "wc", "--f") == ["--from="]
    assert offered(root, "wc", "--from=") == [f"--from={root}/"]
    assert offered(root, "wc", f"--from={root}/o") == [f"--from={root}/one.txt"]
    assert offered(root, "wc", f"--from={root}/lo") == [f"--from={root}/logs/"]
    assert offered(root, "wc", "--from=/etc/") == []
    assert offered(root, "wc", "--plain=") == ["--plain="]
    assert offered(root, "wc", "--plain=/") == []


@pytest.mark.skipif(os.getuid() != 0, reason="root alone becomes somebody else")
def test_names_are_those_that_the_account_of_the_rule_sees() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "open"
        root.mkdir()
        os.chmod(place, 0o755)
        for name in ("open", "closed"):
            (root / name).mkdir()
            (root / name / "file").touch()
        os.chown(root / "closed", 65534, 65534)
        (root / "closed").chmod(0o700)
        (root / "open").chmod(0o700)
        rules = "cat {{path:{root}/** file}}\n    as nobody\n    cwd /\n"
        seen = [choice.word for choice in choices(root, "cat", f"{root}/closed/", rules=rules)]
        assert seen == [f"{root}/closed/file"]
        assert choices(root, "cat", f"{root}/open/", rules=rules) == []


def test_a_name_is_seen_from_the_directory_of_the_command(root: Path) -> None:
    assert offered(root, "ls", "--", "") == [f"{root}/logs/"]
    assert sorted(offered(root, "ls", "--", "logs/")) == ["logs/a.log", "logs/b.log", "logs/deep/"]
    assert offered(root, "ls", "--", "./logs/a") == ["./logs/a.log"]
    assert offered(root, "ls", "--", f"{root}/o") == []


@pytest.mark.parametrize(
    "word", ["/etc/", "/", "../", "{root}/../secret/", "{root}/nothing/", "secret/", "\0"]
)
def test_no_name_comes_from_elsewhere(root: Path, word: str) -> None:
    """security.md, Around the allow list: "Links that leave a root" and other spellings of a path."""
    assert offered(root, "cat", word.format(root=root)) in ([], [f"{root}/"])


def test_no_link_leads_out_of_the_root(root: Path) -> None:
    """security.md, Around the allow list: "Links that leave a root"."""
    (root / "out").symlink_to(root.parent / "secret")
    (root / "out.txt").symlink_to(root.parent / "secret" / "name")
    (root / "in.txt").symlink_to(root / "one.txt")
    (root / "loop").symlink_to("loop")
    assert offered(root, "cat", f"{root}/out") == []
    assert offered(root, "cat", f"{root}/out/") == []
    assert offered(root, "cat", f"{root}/i") == [f"{root}/in.txt"]


def test_a_root_that_is_a_link_is_its_own_place(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert f"{link}/one.txt" in offered(link, "cat", f"{link}/")


def test_a_directory_of_any_size_gives_a_bounded_answer(root: Path) -> None:
    """security.md, Processes: one user's question does not keep the others waiting."""
    for number in range(NAMES_MAX + 100):
        (root / f"file{number}").touch()
    assert len(offered(root, "cat", f"{root}/f")) <= WORDS_MAX


def test_names_of_any_bytes_are_no_error(root: Path) -> None:
    (root / os.fsdecode(b"\xff\n")).touch()
    assert len(offered(root, "cat", f"{root}/")) == 3  # such a name no rule takes

"""What a permit leaves to the disk, and what is denied when the disk says no."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rexec.policy.rules import PathCheck
from rexec.process import checks
from rexec.process.checks import discharge
from tests.process.test_child import permit_of


def path_check(path: Path | str, glob: str, kind: str = "", *, writing: bool = False) -> str | None:
    return checks._wrong_path(PathCheck(str(path), glob, kind, writing, os.path.basename(path)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file, a directory and links that stay and leave; a secret beside it."""
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "file").touch()
    (root / "dir" / "inner").touch()
    (tmp_path / "secret").touch()
    (tmp_path / "rootx").mkdir()
    links = {
        "stays": "dir/inner", "out": "../secret", "near": "../rootx", "loop": "loop", "dangling": "../none",
        "absent": "none", "updir": "..",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


def test_a_rule_without_paths_asks_the_disk_nothing() -> None:
    assert discharge(permit_of("true\n", "true")) is None


@pytest.mark.parametrize("name", ["file", "dir", "dir/inner", "stays", "nothing", "absent", "dir/nothing"])
def test_what_is_beneath_the_root_is_fine(root: Path, name: str) -> None:
    assert path_check(root / name, f"{root}/**") is None


@pytest.mark.parametrize("name", ["out", "near", "dangling", "updir", "updir/secret", "updir/root/../secret"])
def test_a_link_that_leaves_the_root_is_not(root: Path, name: str) -> None:
    """security.md, Around the allow list: "Links that leave a root"."""
    why = path_check(root / name, f"{root}/**")
    assert why == f'"{os.path.basename(name)}" leads out of {root}'


def test_a_link_that_leads_in_a_circle_is_not(root: Path) -> None:
    assert path_check(root / "loop", f"{root}/**") == '"loop": too many levels of symbolic links'


@pytest.mark.parametrize("end", ["file", "none", "../none"])
def test_more_links_than_the_kernel_follows_are_a_denial(root: Path, end: str) -> None:
    """security.md, Around the allow list: "Links that leave a root": a user may have made thousands."""
    (root / "chain0").symlink_to(end)
    for number in range(1, 3000):
        (root / f"chain{number}").symlink_to(f"chain{number - 1}")
    loop = '"chain2999": too many levels of symbolic links'
    assert path_check(root / "chain2999", f"{root}/**") == loop
    assert path_check(root / "chain2999" / "x", f"{root}/**") == '"x": too many levels of symbolic links'


def test_a_link_through_what_is_not_there_leads_nowhere(root: Path) -> None:
    (root / "through").symlink_to("none/../../../etc/passwd")
    assert path_check(root / "through", f"{root}/**") == '"through": too many levels of symbolic links'


def test_a_link_to_what_is_not_there_is_judged_by_where_that_would_be(root: Path) -> None:
    (root / "again").symlink_to("absent/more")
    assert path_check(root / "again", f"{root}/**") is None
    (root / "first").symlink_to("dangling/more")
    assert path_check(root / "first", f"{root}/**") == f'"first" leads out of {root}'


def test_the_root_may_be_a_link_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert path_check(tmp_path / "alias" / "file", f"{tmp_path}/alias/**") is None
    assert path_check(tmp_path / "alias" / "out", f"{tmp_path}/alias/**") is not None
    assert path_check(tmp_path / "alias", f"{tmp_path}/alias", "dir") is None


def test_one_component_is_one_component_behind_links_too(root: Path) -> None:
    assert path_check(root / "file", f"{root}/*") is None
    assert path_check(root / "stays", f"{root}/*") is not None


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("file", "file", None),
        ("stays", "file", None),
        ("dir", "file", '"dir" is not a file'),
        ("nothing", "file", '"nothing": no such file'),
        ("dir", "dir", None),
        ("file", "dir", '"file" is not a directory'),
        ("nothing", "dir", '"nothing": no such directory'),
        ("nothing", "new", None),
        ("dir/nothing", "new", None),
        ("file", "new", '"file" is there already'),
        ("dir", "new", '"dir" is there already'),
        ("stays", "new", '"stays" is there already'),
        ("absent", "new", '"absent" is there already'),
        ("nodir/nothing", "new", '"nothing": no such file or directory'),
        ("updir/nothing", "new", '"nothing" leads out of {root}'),
    ],
)
def test_kinds_are_those_of_what_is_there(root: Path, name: str, kind: str, why: str | None) -> None:
    assert path_check(root / name, f"{root}/**", kind) == (why and why.format(root=root))


def test_a_fifo_is_not_a_file(root: Path) -> None:
    os.mkfifo(root / "fifo")
    assert path_check(root / "fifo", f"{root}/**", "file") == '"fifo" is not a file'


def test_odd_names_are_shown_without_harm(root: Path) -> None:
    """security.md, People's terminals: "Control characters ... in ... file names"."""
    (root / "a\x1b[2J\n").symlink_to("../secret")
    why = path_check(root / "a\x1b[2J\n", f"{root}/**")
    assert why is not None
    assert why.isprintable()


def test_a_denial_names_the_rule_and_the_argument(root: Path) -> None:
    permit = permit_of(f"cat {{path:{root}/** ro file}}\n", "cat", f"{root}/out")
    assert discharge(permit) == f'cmds.txt:1: "{root}/out" leads out of {root}'
    assert discharge(permit_of(f"cat {{path:{root}/** ro file}}\n", "cat", f"{root}/file")) is None


def test_a_denial_names_where_a_relative_argument_was_seen_from(root: Path) -> None:
    rules = f"cat {{path:{root}/** ro file}}\n    cwd {root}/dir\n"
    assert discharge(permit_of(rules, "cat", "inner")) is None
    why = discharge(permit_of(rules, "cat", "gone"))
    assert why == f'cmds.txt:1: "gone": no such file (seen from {root}/dir)'


def test_a_hidden_value_stays_hidden(root: Path) -> None:
    rules = f"cat {{f=path:{root}/** ro file}}\n    redact f\n"
    why = discharge(permit_of(rules, "cat", f"{root}/out"))
    assert why is not None
    assert "root/out" not in why


def test_a_directory_that_leads_out_is_denied(root: Path) -> None:
    rules = f"pwd\n    cwd ask {root}/**\n"
    assert discharge(permit_of(rules, "pwd", cwd=f"{root}/dir")) is None
    why = discharge(permit_of(rules, "pwd", cwd=f"{root}/near"))
    assert why == f"cmds.txt:1: working directory {root}/near leads out of {root}"
    assert discharge(permit_of(rules, "pwd", cwd=f"{root}/nothing")) is None  # not started: 127


def test_another_program_than_the_digest_says_is_denied(tmp_path: Path) -> None:
    """security.md, Around the allow list: "a program swapped between digest and start"."""
    import hashlib

    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o755)
    rules = f"{program}\n    sha256 {hashlib.sha256(b'#!/bin/sh' + bytes([10])).hexdigest()}\n"
    permit = permit_of(rules, str(program))
    assert discharge(permit) is None
    program.write_bytes(b"#!/bin/sh\necho\n")
    assert discharge(permit) == f"cmds.txt:1: {program} is not the program with this sha256"
    program.unlink()
    assert discharge(permit) is None  # not started: 127
    program.mkdir()
    assert discharge(permit) == f"cmds.txt:1: {program}: permission denied"


def test_nothing_is_left_open(root: Path) -> None:
    permit = permit_of(f"pwd\n    cwd ask {root}/**\n", "pwd", cwd=f"{root}/near")
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        discharge(permit)
    assert os.listdir("/proc/self/fd") == before


# --- as another account ---------------------------------------------------------------------------


@pytest.mark.system
def test_the_disk_is_looked_at_as_the_account(root: Path) -> None:
    for place in (*root.parents, root):
        if place.owner() == "root" and str(place).startswith("/tmp/"):
            place.chmod(0o755)
    rules = f"cat {{path:{root}/** ro file}}\n    as nobody\n    cwd /\n"
    assert discharge(permit_of(rules, "cat", f"{root}/dir/inner")) is None
    assert discharge(permit_of(rules, "cat", f"{root}/out")) is not None
    (root / "dir").chmod(0o700)
    why = discharge(permit_of(rules, "cat", f"{root}/dir/inner"))
    assert why == f'cmds.txt:1: "{root}/dir/inner": permission denied'
    assert os.getuid() == 0


@pytest.mark.system
def test_a_disk_that_does_not_answer_is_a_denial(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    monkeypatch.setattr(checks, "CHECK_PATIENCE", 0.01)
    monkeypatch.setattr(checks, "_wrong_place", lambda permit: signal.pause())
    permit = permit_of(f"cat {{path:{root}/** ro file}}\n    as nobody\n    cwd /\n", "cat", f"{root}/file")
    assert discharge(permit) == "cmds.txt:1: the disk did not answer within 0.01 s"

"""The allow list on the disk, and what the parser asks of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rexec import files
from rexec.errors import ConfigError
from rexec.policy.disk import Found, Owned
from rexec.policy.problems import PolicyRefused
from rexec.server import disk
from rexec.server.disk import LocalDisk


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """Return a directory for programs that only its owner may write."""
    place = tmp_path / "bin"
    place.mkdir(mode=0o755)
    return place


def program(place: Path, mode: int = 0o755) -> Path:
    place.write_text("#!/bin/sh\n")
    place.chmod(mode)
    return place


def warnings_of(place: Path, below: Path) -> list[str]:
    """Give the warnings about `place` that name something below a directory: /tmp is open to all."""
    found = LocalDisk().find(str(place), ())
    assert found is not None
    return [text for text in found.warnings if text.startswith(str(below))]


def test_a_program_is_found_along_the_path_and_pinned(bin_dir: Path, tmp_path: Path) -> None:
    program(bin_dir / "tool")
    found = LocalDisk().find("tool", (str(tmp_path), str(bin_dir)))
    assert found is not None
    assert found.path == str(bin_dir / "tool")


def test_the_first_directory_of_the_path_wins(bin_dir: Path, tmp_path: Path) -> None:
    program(bin_dir / "tool")
    program(tmp_path / "tool")
    found = LocalDisk().find("tool", (str(tmp_path), str(bin_dir)))
    assert found is not None
    assert found.path == str(tmp_path / "tool")


def test_an_absolute_path_is_taken_as_it_is(bin_dir: Path) -> None:
    found = LocalDisk().find(str(program(bin_dir / "tool")), ("/nowhere",))
    assert isinstance(found, Found)
    assert found.path == str(bin_dir / "tool")


def test_what_cannot_be_started_is_not_there(bin_dir: Path) -> None:
    program(bin_dir / "plain", 0o644)
    (bin_dir / "directory").mkdir()
    (bin_dir / "loop").symlink_to(bin_dir / "loop")
    (bin_dir / "dangling").symlink_to(bin_dir / "nothing")
    for name in ["plain", "directory", "loop", "dangling", "nothing", "x" * 5000]:
        assert LocalDisk().find(name, (str(bin_dir),)) is None


def test_a_path_of_the_root_directory_is_searched_too() -> None:
    assert LocalDisk().find("no-such-program", ("/",)) is None
    found = LocalDisk().find("sh", ("/", "/bin"))
    assert found is not None
    assert found.path == "/bin/sh"


def test_a_program_of_this_machine_has_no_warnings(bin_dir: Path) -> None:
    assert warnings_of(program(bin_dir / "tool"), bin_dir) == []


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_program_that_others_may_write_is_told(bin_dir: Path, mode: int) -> None:
    place = program(bin_dir / "tool", mode)
    assert warnings_of(place, bin_dir) == [f"{place} is writable by others"]


def test_a_directory_above_that_others_may_write_is_told(bin_dir: Path) -> None:
    (bin_dir / "deep").mkdir(mode=0o755)
    place = program(bin_dir / "deep" / "tool")
    bin_dir.chmod(0o775)
    assert warnings_of(place, bin_dir) == [f"{bin_dir}, above {place}, is writable by others"]


def given_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make `place` somebody else's, or without root, this process somebody else; give the owner."""
    if os.geteuid() == 0:
        os.chown(place, 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    return place.stat().st_uid


def owned(place: Path) -> tuple[Owned, ...]:
    found = LocalDisk().find(str(place), ())
    assert found is not None
    return found.owned


def test_a_program_of_another_owner_is_told(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = program(bin_dir / "tool")
    assert str(place) not in str(owned(place))
    uid = given_away(place, monkeypatch)
    assert Owned(uid, f"{place} belongs to another user (uid {uid})") in owned(place)


def test_a_directory_of_another_owner_above_is_told(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bin_dir / "deep").mkdir(mode=0o755)
    place = program(bin_dir / "deep" / "tool")
    uid = given_away(bin_dir, monkeypatch)
    assert Owned(uid, f"{bin_dir}, above {place}, belongs to another user (uid {uid})") in owned(place)


def test_the_target_of_a_link_is_told_if_it_is_of_another_owner(
    bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tool").symlink_to(program(bin_dir / "tool"))
    uid = given_away(bin_dir / "tool", monkeypatch)
    place = tmp_path / "tool"
    assert Owned(uid, f"{place} belongs to another user (uid {uid})") in owned(place)


def test_a_program_of_another_owner_is_a_warning_of_the_list(
    bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = program(bin_dir / "tool")
    path = write(tmp_path, f"{place} []\n")
    policy = disk.load(path)
    uid = given_away(place, monkeypatch)
    monkeypatch.setattr(files, "read_trusted", lambda path, limit: Path(path).read_text())
    told = f"{place} belongs to another user (uid {uid})"
    assert told not in [problem.text for problem in policy.warnings]
    assert told in [problem.text for problem in disk.load(path).warnings]


def test_a_link_is_judged_at_its_target_and_on_the_way(bin_dir: Path, tmp_path: Path) -> None:
    open_dir, link_dir = tmp_path / "open", tmp_path / "links"
    open_dir.mkdir()
    open_dir.chmod(0o777)
    link_dir.mkdir(mode=0o755)
    program(bin_dir / "tool")
    (open_dir / "middle").symlink_to("../bin/tool")
    (link_dir / "tool").symlink_to(open_dir / "middle")
    place = link_dir / "tool"
    assert warnings_of(place, tmp_path) == [f"{open_dir}, above {place}, is writable by others"]
    program(bin_dir / "tool", 0o777)
    assert warnings_of(place, tmp_path)[0] == f"{place} is writable by others"


def test_a_linked_directory_is_judged_at_its_target(bin_dir: Path, tmp_path: Path) -> None:
    program(bin_dir / "tool")
    (tmp_path / "alias").symlink_to(bin_dir)
    bin_dir.chmod(0o777)
    place = tmp_path / "alias" / "tool"
    assert f"{bin_dir}, above {place}, is writable by others" in warnings_of(place, tmp_path)


def test_what_went_away_meanwhile_is_not_there(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = program(bin_dir / "tool")

    def vanished(path: str) -> list[str]:
        raise FileNotFoundError(path)

    monkeypatch.setattr(disk, "_on_the_way", vanished)
    assert LocalDisk().find(str(place), ()) is None


def test_the_account_is_that_of_the_password_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/elsewhere")
    account = LocalDisk().account()
    assert account.name
    assert account.home.startswith("/")
    assert account.home != "/elsewhere"


def test_an_account_without_an_entry_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_001)
    account = LocalDisk().account()
    assert account[:3] == ("4000000001", "/", 4_000_000_001)


def test_a_directory_is_a_directory(tmp_path: Path) -> None:
    assert LocalDisk().is_directory(str(tmp_path))
    assert not LocalDisk().is_directory(str(tmp_path / "nothing"))


def write(tmp_path: Path, text: str) -> str:
    place = tmp_path / "cmds.txt"
    place.write_text(text)
    place.chmod(0o644)
    return str(place)


def test_a_list_is_read_and_called_by_its_last_name(tmp_path: Path) -> None:
    policy = disk.load(write(tmp_path, "ls []\n"))
    assert policy.rules[0].label == "cmds.txt:1"
    assert policy.rules[0].program is not None
    assert disk.load(write(tmp_path, "ls\n"), name="x/y").rules[0].label == "x/y:1"


def test_a_bad_list_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match=r"^cmds\.txt:2:4: "):
        disk.load(write(tmp_path, "ls\nls *\n"))


def test_a_list_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "ls\n")
    os.chmod(path, 0o666)
    with pytest.raises(ConfigError):
        disk.load(path)


def test_a_list_that_is_missing_huge_or_a_fifo_is_refused(tmp_path: Path) -> None:
    """security.md, Processes: "a bad, missing, huge or FIFO policy file"."""
    with pytest.raises(ConfigError):
        disk.load(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError):
        disk.load(write(tmp_path, "#" * (1024 * 1024 + 1)))
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ConfigError):
        disk.load(str(tmp_path / "fifo"))


# --- %include ---------------------------------------------------------------------------------------


def beside(tmp_path: Path, name: str, text: str, mode: int = 0o644) -> Path:
    place = tmp_path / name
    place.parent.mkdir(mode=0o755, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
    return place


def labels(tmp_path: Path, text: str) -> list[str]:
    return [rule.label for rule in disk.load(write(tmp_path, text)).rules]


def test_files_are_included_by_name_and_by_pattern(tmp_path: Path) -> None:
    beside(tmp_path, "d/b.txt", "ls\n")
    beside(tmp_path, "d/a.txt", "ls\n%include ../one.txt\n")
    beside(tmp_path, "d/a.txt~", "ls\n")
    beside(tmp_path, "d/.hidden.txt", "ls\n")
    beside(tmp_path, "one.txt", "id\n")
    assert labels(tmp_path, "%include d/*.txt\n") == ["d/a.txt:1", "one.txt:1", "d/b.txt:1"]
    assert labels(tmp_path, f"%include {tmp_path}/one.txt\n") == [f"{tmp_path}/one.txt:1"]
    assert labels(tmp_path, "%include none/*.txt\n") == []


def test_a_quoted_name_is_no_pattern(tmp_path: Path) -> None:
    beside(tmp_path, "d/[x]*.txt", "ls\n")
    beside(tmp_path, "d/x.txt", "df\n")
    assert labels(tmp_path, "%include 'd/[x]*.txt'\n") == ["d/[x]*.txt:1"]


def test_an_included_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    place = beside(tmp_path, "d/a.txt", "ls\n", 0o664)
    with pytest.raises(PolicyRefused, match=r"^cmds\.txt:1:10: .*others may write it"):
        labels(tmp_path, "%include d/*.txt\n")
    place.chmod(0o644)
    place.parent.chmod(0o775)
    with pytest.raises(PolicyRefused, match="others may add files to it") as refused:
        labels(tmp_path, "%include d/*.txt\n")
    assert refused.value.hint == f"chmod go-w {place.parent}, or name each file"
    assert labels(tmp_path, "%include d/a.txt\n") == ["d/a.txt:1"]


def test_an_included_file_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nothing")
    for name in ("missing.txt", "fifo", "dangling.txt", "*gling.txt", "."):
        with pytest.raises(PolicyRefused, match=r"^cmds\.txt:1:10: "):
            labels(tmp_path, f"%include {name}\n")


def test_a_list_that_includes_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="this is a loop"):
        labels(tmp_path, "%include cmds.txt\n")


# --- what options ask ---------------------------------------------------------------------------------


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert LocalDisk().digest(str(tmp_path / "x")) == digest
    assert LocalDisk().digest(str(tmp_path / "nothing")) is None


def test_an_account_is_found_by_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    root = LocalDisk().other_account("root", None)
    assert root is not None
    assert (root.name, root.uid) == ("root", 0)
    assert 0 in root.groups
    daemon = LocalDisk().other_account("root", "daemon")
    assert daemon is not None
    assert daemon.gid in daemon.groups
    assert LocalDisk().other_account("no-such-user", None) is None
    assert LocalDisk().other_account("root", "no-such-group") is None

"""`rexec-cp` between a real server and a real client: what arrives, under which name, and what is told."""

from __future__ import annotations

import os
import random
import stat
import subprocess
from pathlib import Path

import pytest

from tests.copying.test_copies import ODD
from tests.regress.copying import Rooms, parts


def test_a_file_goes_there_and_comes_back(rooms: Rooms) -> None:
    data = random.Random(5).randbytes(700_000)
    (rooms.here / "a").write_bytes(data)
    assert rooms.copy("a", rooms.at(rooms.into / "b")).stderr == b""
    assert (rooms.into / "b").read_bytes() == data
    (rooms.into / "b").rename(rooms.out / "b")
    done = rooms.copy(rooms.at(rooms.out / "b"), ".")
    assert (rooms.here / "b").read_bytes() == data
    assert done.stdout == done.stderr == b""  # no terminal, no progress


def test_a_target_that_is_a_directory_is_copied_into(rooms: Rooms) -> None:
    (rooms.here / "a").write_text("a")
    (rooms.here / "b").write_text("b")
    (rooms.into / "sub").mkdir()
    rooms.copy("a", rooms.at(rooms.into / "sub"))  # the server says what it is
    rooms.copy("b", rooms.at(f"{rooms.into}/sub/"))  # the form says so
    assert sorted(os.listdir(rooms.into / "sub")) == ["a", "b"]
    rooms.copy("a", "b", rooms.at(rooms.into))
    assert sorted(os.listdir(rooms.into)) == ["a", "b", "sub"]
    rooms.copy(rooms.at(rooms.into), ".", code=126)  # what may be put may not be got


def test_several_sources_go_into_a_directory_here(rooms: Rooms) -> None:
    for name in ("a", "b"):
        (rooms.out / name).write_text(name)
    (rooms.here / "to").mkdir()
    rooms.copy(rooms.at(rooms.out / "a"), rooms.at(rooms.out / "b"), "to")
    assert sorted(os.listdir(rooms.here / "to")) == ["a", "b"]
    done = rooms.copy(rooms.at(rooms.out / "a"), rooms.at(rooms.out / "b"), "nowhere", code=2)
    assert b"nowhere: is no directory" in done.stderr


def test_a_key_that_others_may_read_is_exit_2_with_the_way_out(rooms: Rooms) -> None:
    key = rooms.here / "key"
    key.write_text("a key")
    key.chmod(0o644)
    done = rooms.copy("-i", key, rooms.at(rooms.out / "a"), ".", code=2)
    lines = done.stderr.decode().splitlines()
    assert lines == [
        f"rexec-cp: {key}: others may read or write it",
        f"rexec-cp: hint: chmod 600 {key}",
    ]


def test_a_tree_with_odd_names_goes_there_and_comes_back(rooms: Rooms) -> None:
    top = os.fsencode(rooms.here / "tree")
    for folder in (top, os.path.join(top, b"in\n side"), os.path.join(top, b"empty")):
        os.mkdir(folder)
    for name in ODD:
        for folder in (top, os.path.join(top, b"in\n side")):
            Path(os.fsdecode(os.path.join(folder, name))).write_bytes(name)
    rooms.copy("-r", "tree", rooms.at(rooms.into))
    (rooms.into / "tree").rename(rooms.out / "tree")
    rooms.copy("-r", rooms.at(rooms.out / "tree"), "back")
    assert listing(rooms.here / "back") == listing(rooms.here / "tree") == listing(rooms.out / "tree")


def listing(top: Path) -> dict[bytes, bytes]:
    found = {}
    for folder, folders, names in os.walk(os.fsencode(top)):
        below = os.path.relpath(folder, os.fsencode(top))
        found.update({os.path.join(below, name): b"/" for name in folders})
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.join(below, name)] = file.read()
    return found


def test_links_in_a_tree_are_told_and_never_followed(rooms: Rooms) -> None:
    (rooms.host.folder / "secret").write_text("secret")
    (rooms.out / "tree").mkdir()
    (rooms.out / "tree" / "file").write_text("x")
    (rooms.out / "tree" / "link\x1b[m").symlink_to(rooms.host.folder / "secret")
    done = rooms.copy("-r", rooms.at(rooms.out / "tree"), ".", code=1)
    said = rooms.at(rooms.out / "tree") + r"/link\x1b[m: is a link, and links are not copied"
    assert done.stderr.decode() == f"rexec-cp: {said}\n"
    assert os.listdir(rooms.here / "tree") == ["file"]


def test_what_is_denied_is_not_touched_and_the_next_one_is_copied(rooms: Rooms) -> None:
    """security.md, Around the allow list: "Denied" means: exit 126, the reason on stderr, one audit
    record, nothing started (prove it with a canary), the connection still usable."""
    secret = rooms.host.folder / "secret"
    secret.write_text("secret")
    (rooms.out / "allowed").write_text("x")
    before = rooms.host.count("deny ")
    done = rooms.copy(rooms.at(secret), rooms.at(rooms.out / "allowed"), ".", code=126)
    assert b"denied: " in done.stderr
    assert os.listdir(rooms.here) == ["allowed"]
    rooms.host.wait_for("deny ", count=before + 1)
    (rooms.here / "canary").write_text("canary")
    rooms.copy("canary", rooms.at(rooms.out / "canary"), code=126)
    assert not (rooms.out / "canary").exists()


@pytest.mark.parametrize("way", ["..", "link"])
def test_no_way_leads_out_of_the_root_of_a_rule(rooms: Rooms, way: str) -> None:
    """security.md, Around the allow list: links that leave a root."""
    secret = rooms.host.folder / "secret"
    secret.write_text("secret")
    (rooms.out / "link").symlink_to(rooms.host.folder)
    (rooms.into / "link").symlink_to(rooms.host.folder)
    (rooms.here / "canary").write_text("canary")
    path = f"{way}/../secret" if way == ".." else "link/secret"
    rooms.copy(rooms.at(f"{rooms.out}/{path}"), "got", code=126)
    assert not (rooms.here / "got").exists()
    path = f"{way}/../canary" if way == ".." else "link/canary"
    rooms.copy("canary", rooms.at(f"{rooms.into}/{path}"), code=126)
    assert not list(rooms.host.folder.glob("canary"))


def test_a_link_that_stays_in_the_root_is_followed_where_it_was_named(rooms: Rooms) -> None:
    (rooms.out / "file").write_text("x")
    (rooms.out / "link").symlink_to("file")
    rooms.copy(rooms.at(rooms.out / "link"), ".")
    assert (rooms.here / "link").read_text() == "x"
    assert not (rooms.here / "link").is_symlink()
    (rooms.here / "other").symlink_to("link")
    rooms.copy("other", rooms.at(rooms.into))
    assert (rooms.into / "other").read_text() == "x"


def test_nothing_is_overwritten_where_the_rule_says_new(rooms: Rooms) -> None:
    (rooms.here / "a").write_text("a")
    rooms.copy("a", rooms.at(rooms.new / "a"))
    (rooms.here / "a").write_text("other")
    done = rooms.copy("a", rooms.at(rooms.new / "a"), code=126)
    assert b"is there already" in done.stderr
    assert (rooms.new / "a").read_text() == "a"
    rooms.copy("a", rooms.at(rooms.into / "a"))
    rooms.copy("a", rooms.at(rooms.into / "a"))
    assert (rooms.into / "a").read_text() == "other"


def test_a_rule_for_one_file_takes_that_file_alone(rooms: Rooms) -> None:
    one = rooms.host.folder / "one"
    (rooms.here / "report").write_text("x")
    rooms.copy("report", rooms.at(one))  # the server says that it is a directory
    assert (one / "report").read_text() == "x"
    rooms.copy("report", rooms.at(one / "other"), code=126)
    assert os.listdir(one) == ["report"]


def test_what_a_rule_with_one_star_does_not_name_is_not_in_the_tree(rooms: Rooms) -> None:
    only = rooms.host.folder / "only"
    (only / "tree").mkdir(exist_ok=True)
    (only / "tree" / "deeper").write_text("x")
    done = rooms.copy("-r", rooms.at(only / "tree"), ".", code=1)
    assert b"tree/deeper: the rule does not allow it" in done.stderr
    assert os.listdir(rooms.here / "tree") == []


def test_standard_streams_are_files_too(rooms: Rooms) -> None:
    data = random.Random(6).randbytes(300_000)
    rooms.copy("-", rooms.at(rooms.into / "piped"), input=data)
    assert (rooms.into / "piped").read_bytes() == data
    (rooms.into / "piped").rename(rooms.out / "piped")
    done = rooms.copy(rooms.at(rooms.out / "piped"), "-")
    assert done.stdout == data
    assert done.stderr == b""


def test_a_stdout_that_is_full_is_told(rooms: Rooms) -> None:
    (rooms.out / "file").write_bytes(bytes(100_000))
    words = rooms.words(rooms.at(rooms.out / "file"), "-")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, env=rooms.host.environment(), check=False
        )
    assert (done.returncode, done.stderr.count(b"\n")) == (255, 1)
    assert b"no space left on device" in done.stderr


def test_modes_and_times(rooms: Rooms) -> None:
    (rooms.here / "a").write_text("a")
    (rooms.here / "a").chmod(0o4775)
    os.utime(rooms.here / "a", (1_000_000_000, 1_000_000_000.25))
    rooms.copy("-p", "a", rooms.at(rooms.into / "kept"))
    rooms.copy("a", rooms.at(rooms.into / "fresh"))
    kept, fresh = (rooms.into / "kept").stat(), (rooms.into / "fresh").stat()
    assert stat.S_IMODE(kept.st_mode) == stat.S_IMODE(fresh.st_mode) == 0o755
    assert kept.st_mtime == 1_000_000_000.25
    assert fresh.st_mtime > 1_000_000_001
    (rooms.into / "kept").rename(rooms.out / "kept")
    rooms.copy("-p", rooms.at(rooms.out / "kept"), ".")
    assert (rooms.here / "kept").stat().st_mtime == 1_000_000_000.25


def test_holes_stay_holes_on_the_way(rooms: Rooms) -> None:
    with open(rooms.here / "sparse", "wb") as file:
        file.seek(20 << 20)
        file.write(b"x")
    if (rooms.here / "sparse").stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this disk has no holes")
    rooms.copy("sparse", rooms.at(rooms.into))
    found = (rooms.into / "sparse").stat()
    assert found.st_size == (20 << 20) + 1
    assert found.st_blocks * 512 < 1 << 20


def test_from_one_host_to_another_through_here(rooms: Rooms) -> None:
    (rooms.out / "tree").mkdir()
    (rooms.out / "tree" / "file").write_text("x")
    (rooms.out / "tree" / "big").write_bytes(bytes(17 << 20) + b"x")  # it is asked for first
    (rooms.out / "tree" / "link").symlink_to("file")
    done = rooms.copy("-r", rooms.at(rooms.out / "tree"), rooms.at(rooms.into), code=1)
    assert done.stderr.count(b"\n") == 1
    assert b"tree/link: is a link" in done.stderr
    assert sorted(os.listdir(rooms.into / "tree")) == ["big", "file"]
    assert (rooms.into / "tree" / "big").stat().st_size == (17 << 20) + 1
    rooms.copy(rooms.at(rooms.out / "tree" / "file"), rooms.at("/etc/nowhere"), code=126)
    rooms.copy(rooms.at("/etc/passwd"), rooms.at(rooms.into / "passwd"), code=126)
    assert not (rooms.into / "passwd").exists()


def test_what_is_not_there_or_cannot_be_read_is_told_on_a_line_each(rooms: Rooms) -> None:
    rooms.copy(rooms.at(rooms.out / "nothing"), ".", code=1)
    done = rooms.copy("nothing", "neither", rooms.at(rooms.into), code=1)
    assert done.stderr.decode().splitlines() == [
        "rexec-cp: nothing: no such file or directory",
        "rexec-cp: neither: no such file or directory",
    ]
    done = rooms.copy(rooms.at(rooms.out / "*.log"), ".", code=1)
    assert b"hint: nothing is expanded at the host" in done.stderr
    (rooms.out / "tree").mkdir()
    done = rooms.copy(rooms.at(rooms.out / "tree"), ".", code=1)
    assert b"is a directory (-r copies it)" in done.stderr
    os.mkfifo(rooms.out / "fifo")
    done = rooms.copy(rooms.at(rooms.out / "fifo"), ".", code=1)
    assert b"is a pipe, not a regular file" in done.stderr


def test_a_device_that_was_named_here_is_written_to_and_not_replaced(rooms: Rooms) -> None:
    (rooms.out / "file").write_text("x")
    rooms.copy(rooms.at(rooms.out / "file"), "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert parts(Path("/dev")) == []


@pytest.mark.parametrize(
    "words",
    [
        ("a",),
        ("a", "b"),
        ("-x", "a", "h:b"),
        ("-P",),
        ("-P", "x", "a", "h:b"),
        ("-l", "0", "a", "h:b"),
        ("-", "h:"),
        ("-", "a", "h:b"),
        ("-r", "h:a", "-"),
        ("a", "-oProxyCommand=id:b"),
        ("a", "x\ny:b"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_before_anything_happens(
    rooms: Rooms, words: tuple[str, ...]
) -> None:
    done = rooms.copy(*words, code=2)
    assert done.stderr.startswith(b"rexec-cp: ")
    assert done.stderr.count(b"\n") <= 2

"""Copies as another account, and onto disks that have no room: what needs root to be set up."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.regress.conftest import Host, make_host
from tests.regress.copying import Rooms, parts

__all__ = ["make_host"]

pytestmark = pytest.mark.system


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def rooms_on(make_host: Callable[..., Host], folder: Path, options: str = "") -> Rooms:
    host = make_host("")
    own = host.folder.resolve()
    rules = [f"@get {{path:{own}/out/** ro}}", f"@put {{path:{folder}/** rw}}", options]
    host.allow_list.write_text("\n".join(rules) + "\n")
    return Rooms(host.start())


def test_a_disk_without_room_is_told_there_before_a_byte_is_sent(
    make_host: Callable[..., Host], small: Path
) -> None:
    """Promise: "free space and quota told as such"."""
    rooms = rooms_on(make_host, small)
    (rooms.here / "large").write_bytes(os.urandom(20 << 20))
    (rooms.here / "little").write_text("x")
    done = rooms.copy("large", "little", rooms.at(small), code=1)
    said = f"rexec-cp: 127.0.0.1:{small}/large: no space left on device\n"
    assert done.stderr.decode() == said
    assert os.listdir(small) == ["little"]
    log = (rooms.host.home / "audit" / "audit.jsonl").read_text().splitlines()
    end = next(record for record in map(json.loads, log) if record["event"] == "end")
    assert end["stdin"] < 1000


def test_a_disk_that_becomes_full_keeps_nothing_of_the_file(
    make_host: Callable[..., Host], small: Path
) -> None:
    rooms = rooms_on(make_host, small)
    done = rooms.copy("-", rooms.at(small / "piped"), input=os.urandom(6 << 20), code=1)
    assert b"no space left on device" in done.stderr
    assert os.listdir(small) == []
    rooms.copy("-", rooms.at(small / "piped"), input=b"x")


def test_a_full_disk_here_is_told_too(make_host: Callable[..., Host], small: Path) -> None:
    rooms = rooms_on(make_host, small)
    (rooms.out / "large").write_bytes(os.urandom(6 << 20))
    (rooms.out / "little").write_text("x")
    done = rooms.copy(rooms.at(rooms.out / "large"), rooms.at(rooms.out / "little"), small, code=1)
    assert done.stderr.decode().count("no space left on device") == 1
    assert os.listdir(small) == ["little"]
    assert parts(small) == []


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that every account can pass through."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def test_a_copy_is_made_as_the_account_of_its_rule(make_host: Callable[..., Host], shared: Path) -> None:
    """security.md, Around the allow list: `as`; what the account may not read or write is not copied."""
    nobody = pwd.getpwnam("nobody")
    for name, owner in (("theirs", nobody.pw_uid), ("roots", 0)):
        (shared / name).mkdir(mode=0o755)
        os.chown(shared / name, owner, owner)
    (shared / "theirs" / "secret").write_text("secret")
    (shared / "theirs" / "secret").chmod(0o600)  # root's, and nobody else's
    (shared / "theirs" / "open").write_text("open")
    host = make_host("")
    as_nobody = "    as nobody\n    cwd /\n    umask 027\n"
    host.allow_list.write_text(
        f"@get {{path:{shared}/** ro}}\n{as_nobody}@put {{path:{shared}/** rw}}\n{as_nobody}"
    )
    rooms = Rooms(host.start())
    rooms.copy(rooms.at(shared / "theirs" / "open"), ".")
    done = rooms.copy(rooms.at(shared / "theirs" / "secret"), ".", code=1)
    assert b"secret: permission denied" in done.stderr
    rooms.copy("open", rooms.at(shared / "theirs"))  # the server says that it is a directory
    found = (shared / "theirs" / "open").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (nobody.pw_uid, 0o640)
    done = rooms.copy("open", rooms.at(shared / "roots" / "open"), code=1)
    assert b"roots/open: permission denied" in done.stderr
    assert os.listdir(shared / "roots") == []
    (rooms.here / "tree").mkdir()
    shutil.copy(rooms.here / "open", rooms.here / "tree")
    rooms.copy("-r", "tree", rooms.at(shared / "theirs"))
    assert (shared / "theirs" / "tree" / "open").stat().st_uid == nobody.pw_uid

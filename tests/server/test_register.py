"""All detached commands of a home: what a server finds there, and what it keeps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.audit.log import Log
from rexec.protocol.frames import Cause
from rexec.server.detached import register as rooms
from rexec.server.detached.folder import END, Folder, Jobs, is_id, new_id, wardens
from rexec.server.detached.register import Full, Register
from rexec.server.evidence import Evidence


class Home:
    """A directory of commands, as wardens would leave it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "jobs").mkdir(mode=0o700)
        self.log = path / "log"
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        log = Log(descriptor)
        self.keep = 60.0
        self.register = Register(str(path), lambda: self.keep, log, Evidence(None, log))

    def add(self, *, user: str = "alice", key: str = "A", ended: float | None = None, **more: object) -> str:
        """Add a command that its warden holds or, with `ended`, one that is over."""
        name = new_id()
        about: dict[str, object] = {
            "user": user, "key": key, "words": ["x"], "label": "cmds.txt:1", "rule": "r",
            "started": time.time(), "bound": 1000, "decision": 1, "log": "", **more,
        }  # fmt: skip
        with Jobs(str(self.path / "jobs")) as jobs, jobs.begin(name, about) as folder:
            if ended is not None:
                folder.write(END, {"cause": "exited", "status": 0, "ended": ended, "seconds": 1.0})
            jobs.settle(name)
        return name

    def place(self, name: str) -> Path:
        return self.path / "jobs" / name

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def held(home: Home) -> Iterator[str]:
    """A command whose warden lives: another process, since nobody sees a lock of one's own."""
    name = home.add()
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            Folder(str(home.place(name))).lock()
            os.close(reading)
            os.write(writing, b"x")
            time.sleep(60)
        finally:
            os._exit(0)
    os.read(reading, 1)
    yield name
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(reading)
    os.close(writing)


def test_ids_are_ids() -> None:
    assert all(is_id(new_id()) for _ in range(100))
    assert not any(map(is_id, ("", "0" * 9, "0" * 11, "../../../x", ".new-00000", "0000000000"[:-1] + "O")))


def test_a_command_whose_warden_lives_runs(home: Home, held: str) -> None:
    home.register.begin(lambda _: False)
    entry = home.register.get(held)
    assert entry is not None
    assert not entry.is_over
    assert (home.register.running(), home.register.running_of("alice"), home.register.running_of("bob")) == (
        1,
        1,
        0,
    )
    assert len(wardens(str(home.path))) == 1
    assert entry.row()["state"] == "running"


def test_one_without_a_warden_and_without_an_end_is_lost_and_told_once(home: Home) -> None:
    """protocol.md: "an id with a decision and no end answers `lost`"; here of what runs on."""
    name = home.add()
    home.register.begin(lambda _: False)
    entry = home.register.get(name)
    assert entry is not None
    assert entry.outcome is not None
    assert entry.outcome.cause is Cause.LOST
    again = Register(str(home.path), lambda: 60.0, Log(2), Evidence(None, Log(2)))
    again.begin(lambda _: False)
    assert home.lines() == [
        f"rexec-server: end user=alice rule=cmds.txt:1 status=lost bytes=0 job={name}",
    ]


def test_the_beginning_of_an_id_will_do_among_ones_own(home: Home) -> None:
    first, second = home.add(ended=time.time()), home.add(ended=time.time())
    theirs = home.add(ended=time.time(), key="B")
    other = home.add(ended=time.time(), user="bob")
    find = home.register.find
    assert not isinstance(found := find("alice", "A", first), str)
    assert found.id == first
    alike = next(length for length in range(1, 11) if first[:length] != second[:length])
    assert not isinstance(find("alice", "A", first[:alike]), str)
    for name in (theirs, other, "", "nothing", "\0", "*"):
        assert find("alice", "A", name) == ""
    for _ in range(40):  # of 32 letters, one begins two ids by then
        home.add(ended=time.time())
    letters = {
        letter for letter in "0123456789abcdefghjkmnpqrstvwxyz" if isinstance(find("alice", "A", letter), str)
    }
    assert any("more than one" in str(find("alice", "A", letter)) for letter in letters)


def test_a_result_goes_when_its_time_is_over(home: Home) -> None:
    old, young = home.add(ended=time.time() - 61), home.add(ended=time.time() - 30)
    home.register.begin(lambda _: False)
    assert (home.place(old).exists(), home.place(young).exists()) == (False, True)
    home.keep = 10.0
    home.register.look()
    assert not home.place(young).exists()


def test_of_too_many_the_oldest_result_goes_and_none_that_runs(
    home: Home, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "JOBS_PER_USER", 3)
    now = time.time()
    old, young = home.add(ended=now - 20), home.add(ended=now - 10)
    theirs = home.add(user="bob", ended=now - 30)
    home.register.make_room("alice", 1000)
    assert [home.place(name).exists() for name in (held, old, young, theirs)] == [True, False, True, True]
    monkeypatch.setattr(rooms, "JOBS_PER_USER", 1)
    with pytest.raises(Full, match="alice has 1 detached commands already"):
        home.register.make_room("alice", 1000)
    assert home.place(held).exists()


def test_bytes_are_bounded_of_a_user_and_of_all(
    home: Home, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "JOBS_USER_BYTES", 5000)
    now = time.time()
    large = home.add(ended=now)
    (home.place(large) / "log-0").write_bytes(bytes(3500))
    home.register.make_room("alice", 200)
    assert home.place(large).exists()
    home.register.make_room("alice", 1000)  # with the 1,000 that the one which runs may have
    assert not home.place(large).exists()
    with pytest.raises(Full, match="may keep 0 MiB at most"):
        home.register.make_room("alice", 5000)
    monkeypatch.setattr(rooms, "JOBS_BYTES", 2500)
    theirs = home.add(user="bob", ended=now)
    (home.place(theirs) / "log-0").write_bytes(bytes(1000))
    home.register.make_room("carol", 1000)
    assert not home.place(theirs).exists()
    with pytest.raises(Full, match="as many detached commands as it can"):
        home.register.make_room("carol", 2000)


def test_what_is_no_command_is_passed_by(home: Home, tmp_path: Path) -> None:
    """security.md: "a planted link"; what others could have made is not read."""
    name = home.add(ended=time.time())
    place = home.path / "jobs"
    (place / ("0" * 10)).symlink_to(home.place(name))
    (place / ("1" * 10)).mkdir(mode=0o777)
    (place / ("1" * 10)).chmod(0o777)
    (place / ("2" * 10)).mkdir(mode=0o700)
    (place / ("3" * 10)).mkdir(mode=0o700)
    (place / ("3" * 10) / "job").write_text("[]")
    (place / ("4" * 10)).mkdir(mode=0o700)
    os.mkfifo(place / ("4" * 10) / "job")
    (place / "notes").write_text("mine")
    home.register.begin(lambda _: False)
    assert home.register.find("alice", "A", name) != ""
    assert home.register.rows("alice", "A").count(b'"id"') == 1
    assert sum("rexec-server: jobs result=bad " in line for line in home.lines()) == 5
    home.register.look()
    assert sum("rexec-server: jobs result=bad " in line for line in home.lines()) == 5  # once each
    assert (place / "notes").exists()


def test_what_was_half_made_is_swept_up_later(home: Home) -> None:
    place = home.path / "jobs"
    for name, age in ((".new-" + "0" * 10, 7200), (".old-" + "0" * 10, 7200), (".new-" + "1" * 10, 0)):
        (place / name).mkdir(mode=0o700)
        (place / name / "job").write_text("{}")
        os.utime(place / name, (time.time() - age,) * 2)
    home.register.begin(lambda _: False)
    assert os.listdir(place) == [".new-" + "1" * 10]

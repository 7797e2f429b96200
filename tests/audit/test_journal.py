"""The writer of the audit log: whole records or none, one chain over files and restarts."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rexec.audit import chain, journal, segments
from rexec.audit.chain import Head
from rexec.audit.journal import Journal
from rexec.audit.verify import Report, Verifier, kept_head
from rexec.auth.private import PrivateKey, generate
from rexec.errors import ConfigError

KEY = generate("host")
Record = dict[str, object]


class Logs:
    """One directory, and what its journals complained about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaints: list[str] = []
        self.now = 1_700_000_000 * 10**9
        self.opened: list[Journal] = []

    def open(self, *, key: PrivateKey | None = KEY, **more: int) -> Journal:
        made = Journal(str(self.path), self.complaints.append, clock=self.tick, **more)
        self.opened.append(made)
        made.begin(key, version="1")
        return made

    def tick(self) -> int:
        self.now += 1_000_000
        return self.now

    def leave(self, log: Journal) -> None:
        """End a run as SIGKILL does."""
        log.forget()
        self.opened.remove(log)

    def stop(self, log: Journal) -> None:
        log.close("done")
        self.opened.remove(log)

    def files(self) -> list[str]:
        return segments.files_of(str(self.path))

    def records(self) -> list[Record]:
        return [json.loads(line) for path in self.files() for line in Path(path).read_bytes().splitlines()]

    def events(self) -> list[object]:
        return [record["event"] for record in self.records()]

    def verify(self) -> Report:
        kept = kept_head(str(self.path), None)
        assert kept is not None
        return Verifier(frozenset({KEY.public.fingerprint()}), [kept]).verify(self.files(), whole=True)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    made = Logs(tmp_path)
    yield made
    for log in made.opened:
        log.forget()


def test_a_record_is_one_line_with_number_time_and_the_hash_of_the_line_before(logs: Logs) -> None:
    log = logs.open()
    assert log.write("allow", user="alice", from_="10.0.0.1", argv=["ls"]) == 3
    lines = Path(logs.files()[0]).read_bytes().splitlines(keepends=True)
    assert json.loads(lines[2]) == {
        "seq": 3,
        "time": "2023-11-14T22:13:20.003000Z",
        "event": "allow",
        "user": "alice",
        "from": "10.0.0.1",
        "argv": ["ls"],
        "prev": chain.hash_of(lines[1]),
    }
    assert log.head == Head(3, chain.hash_of(lines[2]))


@pytest.mark.parametrize(
    "word", ["two\nlines", "\x1b[2J", "\x7f", "\x9b", "\u202e", "\u2028", "\udcff", '"}']
)
def test_one_record_is_one_line_of_printable_ascii(logs: Logs, word: str) -> None:
    """security.md, People's terminals: control characters, newlines, bidi marks: one record is one line."""
    log = logs.open()
    before = log.head.seq
    log.write("deny", argv=[word])
    data = Path(logs.files()[0]).read_bytes()
    assert data.count(b"\n") == before + 1
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in data)
    assert logs.records()[-1]["argv"] == [word]


def test_a_log_is_made_for_its_owner_alone(logs: Logs) -> None:
    old = os.umask(0)
    try:
        logs.open()
    finally:
        os.umask(old)
    modes = {name: (logs.path / name).stat().st_mode & 0o777 for name in os.listdir(logs.path)}
    assert modes == {"audit.jsonl": 0o600, "lock": 0o600, "head.json": 0o600}


def test_a_start_and_a_stop_are_signed(logs: Logs) -> None:
    log = logs.open()
    log.write("allow")
    logs.stop(log)
    assert logs.events() == ["start", "checkpoint", "allow", "stop", "checkpoint"]
    assert logs.verify().unsigned == 0
    assert logs.verify().signers == {KEY.public.fingerprint()}


def test_a_restart_continues_the_chain(logs: Logs) -> None:
    for _ in range(3):
        logs.stop(logs.open())
    assert logs.verify().records == len(logs.records()) == 12


def test_a_run_that_was_killed_is_noted_by_the_next(logs: Logs) -> None:
    log = logs.open()
    log.write("allow")
    logs.leave(log)
    logs.stop(logs.open())
    assert logs.events()[2:5] == ["allow", "unclean", "start"]
    assert "killed" in "".join(logs.verify().notes)


def test_half_a_line_from_a_loss_of_power_is_kept_aside_and_noted(logs: Logs) -> None:
    log = logs.open()
    logs.leave(log)
    path = logs.path / "audit.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq":3,"ti')
    logs.open()
    assert path.read_bytes().startswith(whole)
    torn = logs.records()[2]
    assert (torn["event"], torn["bytes"]) == ("torn", 12)
    assert (logs.path / str(torn["kept"])).read_bytes() == b'{"seq":3,"ti'
    assert "set aside" in "".join(logs.verify().notes)


@pytest.mark.parametrize("damage", [b"\0" * 5000 + b"\n", b"not a record\n", b'{"seq":-1}\n' * 3])
def test_lines_that_are_no_records_are_kept_aside_and_found_by_verify(logs: Logs, damage: bytes) -> None:
    log = logs.open()
    logs.leave(log)
    with (logs.path / "audit.jsonl").open("ab") as file:
        file.write(damage)
    logs.open()
    found = logs.records()[2]
    assert found["event"] == "damaged"
    assert (logs.path / str(found["kept"])).read_bytes() == damage
    with pytest.raises(Exception, match=r"audit.jsonl:3: \d+ bytes that were no records"):
        logs.verify()


def test_a_file_without_any_record_is_kept_aside_as_a_whole(logs: Logs) -> None:
    (logs.path / "audit.jsonl").write_bytes(b"x" * (segments._TAIL + 5))
    logs.open()
    assert logs.events() == ["damaged", "start", "checkpoint"]


def test_a_full_file_is_followed_by_another_and_the_chain_goes_on(logs: Logs) -> None:
    log = logs.open(size_max=4000)
    for _ in range(40):
        log.write("allow", argv=["x" * 100])
    logs.stop(log)
    names = [os.path.basename(path) for path in logs.files()]
    assert len(names) > 2
    assert names[0] == "audit-000000000001.jsonl"
    for path in logs.files()[:-1]:
        *_, last = Path(path).read_bytes().splitlines()
        assert json.loads(last)["event"] == "checkpoint"
        assert json.loads(last)["why"] == "rotate"
        assert os.path.getsize(path) < 5000
    first = json.loads(Path(logs.files()[1]).read_bytes().splitlines()[0])
    assert names[1] == segments.full_name(first["seq"])
    assert first["prev"] == chain.hash_of(Path(logs.files()[0]).read_bytes().splitlines(keepends=True)[-1])
    logs.stop(logs.open(size_max=4000))
    assert logs.verify().records == len(logs.records())


def test_a_loss_of_power_between_two_files_does_not_break_the_chain(logs: Logs) -> None:
    log = logs.open(size_max=2000)
    while len(logs.files()) < 2:
        log.write("allow", argv=["x" * 100])
    logs.leave(log)
    (logs.path / "audit.jsonl").unlink()  # its name had not reached the disk
    (logs.path / "head.json").unlink()
    logs.open()
    assert logs.verify().records == len(logs.records())


def test_a_log_is_signed_after_so_many_records(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHECKPOINT_RECORDS", 10)
    log = logs.open()
    for _ in range(25):
        log.write("allow")
    whys = [record["why"] for record in logs.records() if record["event"] == "checkpoint"]
    assert whys == ["start", "count", "count"]


def test_a_log_is_signed_when_a_record_has_waited_long_enough(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CHECKPOINT_DELAY", 0.0)
    log = logs.open()
    log.tick()
    assert log.wait() is None  # nothing is there that was not signed
    log.write("allow")
    assert log.wait() == 0.0
    log.tick()
    assert log.wait() is None
    assert logs.records()[-1]["why"] == "time"


def test_without_a_key_there_are_no_checkpoints(logs: Logs) -> None:
    logs.stop(logs.open(key=None))
    assert logs.events() == ["start", "stop"]


def test_no_record_is_longer_than_readers_take(logs: Logs) -> None:
    """security.md, Protocol: deep or huge lists; a listener that was taken over says long things."""
    log = logs.open()
    log.write("deny", connection="x" * 16_000_000, why="\0" * 1_000_000, argv=["a"])
    last = logs.records()[-1]
    assert (last["connection"], last["argv"]) == ("x" * 1000 + "...", ["a"])
    assert logs.verify().records == 3


# --- a full disk ----------------------------------------------------------------------------------


class FullDisk:
    """Takes so many bytes, and then says that there is no room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self._write(descriptor, bytes(data)[: self.room])
        self.room -= count
        return count


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], FullDisk]:
    def fill(room: int) -> FullDisk:
        disk = FullDisk(room)
        monkeypatch.setattr(os, "write", disk)
        return disk

    return fill


@pytest.mark.parametrize("room", [0, 1, 50, 120])
def test_a_record_that_does_not_fit_leaves_nothing_behind(
    logs: Logs, fill: Callable[[int], FullDisk], room: int
) -> None:
    """security.md, Processes: disk full for the audit log: never half a record."""
    log = logs.open()
    before, head = Path(logs.files()[0]).read_bytes(), log.head
    fill(room)
    assert log.write("allow", argv=["x" * 200]) == 0
    assert log.trouble == "no space left on device"
    assert (Path(logs.files()[0]).read_bytes(), log.head) == (before, head)


def test_what_was_lost_is_counted_and_said_once_there_is_room(
    logs: Logs, fill: Callable[[int], FullDisk]
) -> None:
    log = logs.open()
    disk = fill(0)
    for _ in range(5):
        assert log.write("allow") == 0
    assert len(logs.complaints) == 1
    assert logs.complaints[0].endswith("audit.jsonl: no space left on device")
    disk.room = 10**6
    assert log.write("allow") == 4
    assert log.trouble == ""
    gap = logs.records()[2]
    assert (gap["event"], gap["lost"], gap["why"]) == ("gap", 5, "no space left on device")
    assert logs.verify().notes == [
        "audit.jsonl:3: 5 records before it could not be written: no space left on device"
    ]
    disk.room = 0
    log.write("allow")
    assert len(logs.complaints) == 2  # another time


def test_room_for_the_gap_alone_loses_no_count(logs: Logs, fill: Callable[[int], FullDisk]) -> None:
    log = logs.open()
    disk = fill(0)
    log.write("allow")
    disk.room = 190  # enough for the gap
    assert log.write("allow", argv=["x" * 300]) == 0
    disk.room = 10**6
    log.write("allow")
    gaps = [record["lost"] for record in logs.records() if record["event"] == "gap"]
    assert gaps == [1, 1]
    assert logs.verify().records == len(logs.records())


def test_half_a_record_that_cannot_be_taken_back_at_once_is_taken_back_later(
    logs: Logs, fill: Callable[[int], FullDisk], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logs.open()
    disk = fill(20)
    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
        assert log.write("allow") == 0
        disk.room = 10**6
        assert log.write("allow") == 0
    assert log.write("allow") > 0
    assert logs.verify().records == len(logs.records())


def test_a_file_that_cannot_be_followed_by_another_goes_on(logs: Logs) -> None:
    log = logs.open(size_max=4000)
    (logs.path / segments.full_name(1)).write_text("in the way")
    for _ in range(60):
        assert log.write("allow", argv=["x" * 100])
    assert "cannot begin another file" in logs.complaints[0]
    assert len(logs.complaints) < 4


# --- other servers, other people ------------------------------------------------------------------


def test_two_servers_do_not_write_one_log(logs: Logs) -> None:
    log = logs.open()
    assert segments.is_locked(str(logs.path))
    with pytest.raises(segments.Busy, match="another server writes its audit log here"):
        logs.open()
    logs.stop(log)
    assert not segments.is_locked(str(logs.path))
    logs.open()


def test_a_log_that_others_may_write_is_refused(logs: Logs) -> None:
    (logs.path / "audit.jsonl").touch(0o666)
    (logs.path / "audit.jsonl").chmod(0o666)
    with pytest.raises(ConfigError, match=r"audit\.jsonl: others may write it"):
        logs.open()


@pytest.mark.parametrize("name", ["audit.jsonl", "lock"])
def test_a_planted_link_is_not_followed(logs: Logs, name: str) -> None:
    """security.md, Protocol, TLS, authentication: a planted link."""
    (logs.path / "target").touch()
    (logs.path / name).symlink_to(logs.path / "target")
    with pytest.raises(ConfigError, match="symbolic links"):
        logs.open()


def test_a_fifo_in_the_place_of_the_log_does_not_hang(logs: Logs) -> None:
    os.mkfifo(logs.path / "audit.jsonl", 0o600)
    with pytest.raises(ConfigError, match="is not a regular file"):
        logs.open()


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone/lock: no such file or directory"):
        Journal(str(tmp_path / "gone"), print)


def test_a_log_that_was_cut_while_nobody_ran_is_noted(logs: Logs) -> None:
    log = logs.open()
    log.write("allow")
    logs.stop(log)
    path = logs.path / "audit.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    logs.open()
    cut = next(record for record in logs.records() if record["event"] == "cut")
    assert (cut["signed"], cut["found"]) == (5, 3)
    with pytest.raises(Exception, match="the log was cut before this start"):
        logs.verify()


def test_only_the_end_of_a_long_log_is_read_at_a_start(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logs.open()
    for _ in range(3000):
        log.write("allow", argv=["x" * 1000])
    logs.stop(log)
    pread, asked = os.pread, []

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        asked.append(size)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    logs.open()
    assert sum(asked) <= segments._TAIL + segments.AUDIT_LINE_MAX

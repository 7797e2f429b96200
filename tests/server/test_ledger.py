"""The ids on disk: what is known outlasts its run, and is refused rather than forgotten."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rexec.audit.chain import GENESIS
from rexec.audit.journal import Journal
from rexec.audit.log import Log
from rexec.auth.authorized import Principal
from rexec.errors import ConfigError
from rexec.policy.grant import PLAIN
from rexec.policy.rules import Deny, Permit
from rexec.process.child import NotStarted
from rexec.protocol.frames import Cause, Form, Pty
from rexec.server import ledger as module
from rexec.server import orders, repeats
from rexec.server.evidence import Evidence, Refused
from rexec.server.ledger import Ledger, Unkept, contents_of, owner
from rexec.server.ledgerfile import BEGUN, ENDED, LOST, RECORD, SETTLED, LedgerFile, Record
from rexec.server.seats import Seat
from rexec.server.ticket import Ticket

ALICE = owner("SHA256:key", "alice", b"n" * 16)
START = orders.Start(
    1, 2, Form.ARGV, (b"ls",), ((b"A", b"b"),), b"/", 5, True, Pty("xterm", 80, 24), "", number=7
)
ASKED = contents_of(START)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ids"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(home: Path, clock: Clock | None = None, said: list[str] | None = None) -> Ledger:
    return Ledger(str(home), (said if said is not None else []).append, clock or Clock())


def kind(ledger: Ledger, number: int, who: bytes = ALICE) -> int | None:
    found = ledger.find((who, number))
    return None if found is None else found.kind


def begin(ledger: Ledger, *numbers: int, user: str = "alice") -> None:
    for number in numbers:
        ledger.begin((ALICE, number), ASKED, user)


def the_file(home: Path) -> Path:
    (path,) = home.iterdir()
    return path


# --- what is known --------------------------------------------------------------------------------


def test_what_was_begun_runs_until_it_has_ended(home: Path) -> None:
    ledger = opened(home)
    assert kind(ledger, 1) is None
    begin(ledger, 1)
    assert kind(ledger, 1) == BEGUN
    ledger.end((ALICE, 1), Cause.EXITED, 3)
    found = ledger.find((ALICE, 1))
    assert found is not None
    assert (found.kind, found.cause, found.status, found.contents) == (ENDED, Cause.EXITED, 3, ASKED)
    assert kind(ledger, 2) is None
    assert kind(ledger, 1, owner("SHA256:key", "bob", b"n" * 16)) is None


def test_the_next_run_knows_it(home: Path) -> None:
    first = opened(home)
    begin(first, 1, 2, 3, 4)
    first.end((ALICE, 1), Cause.EXITED, 3)
    first.end((ALICE, 2), Cause.SIGNALLED, 9)
    first.drop((ALICE, 4))
    first.forget()  # as a crash does
    second = opened(home)
    assert [kind(second, number) for number in (1, 2, 3, 4)] == [ENDED, ENDED, LOST, None]
    second.forget()
    third = opened(home)
    assert [kind(third, number) for number in (1, 2, 3, 4)] == [ENDED, ENDED, LOST, None]
    assert the_file(home).stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_run_that_is_not_over_is_asked(home: Path) -> None:
    """A server that hands over, or was killed and still ends what it started: its successor knows it."""
    first = opened(home)
    begin(first, 1)
    second = opened(home)
    assert kind(second, 1) == BEGUN
    begin(first, 2)
    first.end((ALICE, 1), Cause.LOST, 0)
    assert [kind(second, number) for number in (1, 2)] == [ENDED, BEGUN]
    first.forget()
    assert [kind(second, number) for number in (1, 2)] == [ENDED, LOST]
    second.forget()
    third = opened(home)
    assert [kind(third, number) for number in (1, 2)] == [ENDED, LOST]


def test_a_run_that_writes_its_file_anew_is_asked_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(home)
    begin(first, 1)
    second = opened(home)
    assert kind(second, 1) == BEGUN
    monkeypatch.setattr(module, "IDS_FILE_TIDY", 0)
    for number in range(10, 20):
        begin(first, number)
        first.drop((ALICE, number))
    begin(first, 2)
    assert first._file.size < 5 * RECORD
    assert [kind(second, number) for number in (1, 2, 10)] == [BEGUN, BEGUN, None]
    first.forget()
    assert [kind(second, number) for number in (1, 2)] == [LOST, LOST]


def test_what_was_not_started_after_all_may_be_asked_for_again(home: Path) -> None:
    ledger = opened(home)
    begin(ledger, 1)
    ledger.drop((ALICE, 1))
    assert kind(ledger, 1) is None
    begin(ledger, 1)
    assert kind(ledger, 1) == BEGUN


def test_an_id_is_known_for_an_hour(home: Path, clock: Clock) -> None:
    ledger = opened(home, clock)
    begin(ledger, 1, 2)
    ledger.end((ALICE, 1), Cause.EXITED, 0)
    clock.now += 3_601
    begin(ledger, 3)
    assert [kind(ledger, number) for number in (1, 2, 3)] == [None, BEGUN, BEGUN]


def test_what_is_found_after_an_hour_is_not_known(home: Path, clock: Clock) -> None:
    first = opened(home, clock)
    begin(first, 1, 2)
    first.end((ALICE, 1), Cause.EXITED, 0)
    first.forget()
    clock.now += 3_601
    second = opened(home, clock)
    assert [kind(second, number) for number in (1, 2)] == [None, LOST]  # 2 may have run until just now


# --- bounds ---------------------------------------------------------------------------------------


def test_beyond_a_bound_nothing_is_begun_rather_than_forgotten(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDS_KEPT_PER_USER", 2)
    monkeypatch.setattr(module, "IDS_KEPT", 3)
    ledger = opened(home)
    begin(ledger, 1, 2, 3)
    for number in (1, 2):
        ledger.end((ALICE, number), Cause.EXITED, 0)
    with pytest.raises(Unkept, match="too many commands"):
        begin(ledger, 4)
    begin(ledger, 5, user="bob")
    ledger.end((ALICE, 5), Cause.EXITED, 0)
    with pytest.raises(Unkept, match="too many commands"):
        begin(ledger, 6, user="carol")
    ledger.settle(ALICE, (1).to_bytes(8))
    begin(ledger, 7)
    assert [kind(ledger, number) for number in (1, 2, 3, 5, 7)] == [SETTLED, ENDED, BEGUN, ENDED, BEGUN]


def test_what_is_settled_goes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDS_SETTLED", 2)
    ledger = opened(home)
    for number in range(5):
        begin(ledger, number)
        ledger.end((ALICE, number), Cause.EXITED, number)
        ledger.settle(ALICE, number.to_bytes(8) + b"rest")
    assert [kind(ledger, number) for number in range(5)] == [None, None, None, SETTLED, SETTLED]
    found = ledger.find((ALICE, 4))
    assert found is not None
    assert found.status == 4


def test_a_client_that_left_for_good_settles_what_still_runs(home: Path) -> None:
    ledger = opened(home)
    begin(ledger, 1)
    ledger.settle(ALICE, (1).to_bytes(8) + (2).to_bytes(8))
    assert kind(ledger, 1) == BEGUN
    ledger.end((ALICE, 1), Cause.EXITED, 0)
    assert kind(ledger, 1) == SETTLED
    ledger.close()
    assert kind(opened(home), 1) == SETTLED


def test_the_file_does_not_grow_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDS_FILE_TIDY", 40 * RECORD)
    monkeypatch.setattr(module, "IDS_SETTLED", 4)
    ledger = opened(home)
    begin(ledger, 1)
    for number in range(2, 300):
        begin(ledger, number)
        ledger.end((ALICE, number), Cause.EXITED, 0)
        ledger.settle(ALICE, number.to_bytes(8))
        assert the_file(home).stat().st_size <= 43 * RECORD
    ledger.forget()
    again = opened(home)
    assert [kind(again, number) for number in (1, 2, 298)] == [LOST, None, SETTLED]


# --- the disk -------------------------------------------------------------------------------------


def test_half_a_record_at_the_end_is_passed_over(home: Path) -> None:
    first = opened(home)
    begin(first, 1, 2)
    first.forget()
    path = the_file(home)
    for cut in range(1, RECORD):
        os.truncate(path, 2 * RECORD - cut)
        second = opened(home)
        assert [kind(second, number) for number in (1, 2)] == [LOST, None]
        second.forget()
        path = the_file(home)
        with path.open("ab") as file:
            file.write(bytes(RECORD))


def test_a_damaged_record_is_told_of_and_those_behind_it_are_known(home: Path) -> None:
    first = opened(home)
    begin(first, 1, 2, 3)
    first.forget()
    path = the_file(home)
    data = bytearray(path.read_bytes())
    data[RECORD + 3] ^= 1
    path.write_bytes(data)
    said: list[str] = []
    second = opened(home, said=said)
    assert [kind(second, number) for number in (1, 2, 3)] == [LOST, None, LOST]
    assert said == [f"{path}: 1 records are damaged"]


@pytest.fixture
def small_disk(home: Path) -> Iterator[Ledger]:
    """A ledger that may write no file beyond two records and a half."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ledger = opened(home)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * RECORD + RECORD // 2, hard))
    yield ledger
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_refuses_and_leaves_no_half(small_disk: Ledger, home: Path) -> None:
    begin(small_disk, 1, 2)
    with pytest.raises(Unkept, match="no space left on device"):
        begin(small_disk, 3)
    assert kind(small_disk, 3) is None
    assert the_file(home).stat().st_size == 2 * RECORD
    small_disk.end((ALICE, 1), Cause.EXITED, 0)  # cannot be written, and is known
    assert kind(small_disk, 1) == ENDED
    with pytest.raises(Unkept):
        begin(small_disk, 4)
    small_disk.forget()
    after = opened(home)
    assert [kind(after, number) for number in (1, 2, 3)] == [LOST, LOST, None]


@pytest.mark.parametrize("what", ["link", "mode", "directory", "fifo", "open directory", "large"])
def test_what_others_could_have_put_there_is_refused(
    home: Path, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """security.md, Protocol: "Key files: ... refused when others may read or write them; a planted link"."""
    home.mkdir(mode=0o700)
    path = home / ("0" * 16)
    why = f"{path}: is not a regular file"
    match what:
        case "link":
            (tmp_path / "target").write_bytes(b"")
            path.symlink_to(tmp_path / "target")
            why = f"{path}: is a symbolic link that is not followed"
        case "mode":
            path.write_bytes(b"")
            path.chmod(0o640)
            why = f"{path}: others may read or write it"
        case "directory":
            path.mkdir()
            why = f"{path}: is a directory"
        case "fifo":
            os.mkfifo(path, 0o600)
        case "open directory":
            home.chmod(0o770)
            why = f"{home}: others may write it"
        case "large":
            path.touch(0o600)
            os.truncate(path, 1 << 40)
            monkeypatch.setattr("rexec.server.ledgerfile.IDS_FILE_MAX", 1 << 16)
            why = f"{path}: is larger than 65536 bytes"
    with pytest.raises(ConfigError, match=re.escape(why)):
        opened(home)


def test_another_name_is_none_of_ours(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "notes").symlink_to("/etc/passwd")
    opened(home)
    assert (home / "notes").is_symlink()


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or directory"):
        Ledger(str(tmp_path / "none" / "ids"))


def test_a_file_that_was_not_put_in_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    file = LedgerFile(str(tmp_path))
    file.add(Record(ALICE, 1, ASKED, b"user", 1, BEGUN).pack())
    (tmp_path / f"{os.path.basename(file.path)}.new").write_bytes(b"")
    with pytest.raises(FileExistsError):
        file.rewrite(())
    file.add(Record(ALICE, 2, ASKED, b"user", 1, BEGUN).pack())
    assert Path(file.path).stat().st_size == file.size == 2 * RECORD
    file.forget()


# --- what is asked and answered -------------------------------------------------------------------


def test_the_same_words_are_the_same_contents() -> None:
    same = START.replace(session=9, child=9, number=9, begun=True, settled=b"12345678")
    assert contents_of(same) == ASKED
    other = [
        START.replace(**{name: value})
        for name, value in {
            "form": Form.STRING, "words": (b"l", b"s"), "env": (), "cwd": None, "timeout_ms": None,
            "stdin": False, "pty": None, "receipt": True, "confirm": "yes", "offered": ((b"A", b"b"),),
            "unknown": "x",
        }.items()
    ]  # fmt: skip
    assert len({contents_of(order) for order in (START, *other)}) == len(other) + 1


def test_owners_differ_by_key_user_and_name() -> None:
    name = b"n" * 16
    assert len({ALICE, owner("k", "u", name), owner("k", "v", name), owner("k", "u", b"m" * 16)}) == 4
    assert owner("k", "u", b"") == b""


@pytest.mark.parametrize(
    ("kind", "cause", "status", "answer"),
    [
        (BEGUN, 0, 0, (Cause.LOST, 0, "", "the command was started once, and has not ended yet")),
        (LOST, 6, 0, (Cause.LOST, 0, "", "the command was started once, and nobody knows how it ended")),
        (ENDED, 6, 0, (Cause.LOST, 0, "", "the command was started once, and ended before its time")),
        (ENDED, 5, 0, (Cause.LOST, 0, "", "the command was started once, and ended before its time")),
        (ENDED, 0, 7, (Cause.ALREADY_RAN, 7, "", "")),
        (SETTLED, 0, 7, (Cause.ALREADY_RAN, 7, "", "")),
        (ENDED, 1, 9, (Cause.ALREADY_RAN, 137, "KILL", "")),
        (ENDED, 1, 0, (Cause.ALREADY_RAN, 128, "", "")),
        (ENDED, 2, 0, (Cause.ALREADY_RAN, 0, "", "already ran, until its time was over")),
    ],
)
def test_what_is_said(kind: int, cause: int, status: int, answer: tuple[object, ...]) -> None:
    record = Record(ALICE, 7, ASKED, b"user", 1, kind, cause, status)
    assert repeats.told_of(2, record, ASKED) == orders.Repeated(2, False, *answer)  # type: ignore[arg-type]
    assert repeats.told_of(2, record, b"other...").is_other


# --- beside the audit log ---------------------------------------------------------------------------


WHO = cast(Principal, SimpleNamespace(user="alice", fingerprint="SHA256:key"))


class Full:
    """A journal on a full disk."""

    trouble = "no space left on device"
    directory = "/nowhere"
    head = GENESIS

    def write(self, event: str, **fields: object) -> int:
        return 0


def decide(evidence: Evidence) -> Ticket:
    seat = Seat(WHO, "", "unix", b"n" * 16)
    permit = cast(Permit, SimpleNamespace(cwd="/", account=SimpleNamespace(name="a"), pty=None, grant=PLAIN))
    return evidence.decided("allow", seat, START, "cmds.txt:1", "g", ["ls"], permit)


def test_where_the_audit_log_is_required_and_synced_so_is_the_id(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[LedgerFile] = []
    monkeypatch.setattr(LedgerFile, "sync", lambda file: synced.append(file))
    ledger = opened(home)
    ticket = decide(Evidence(None, Log(), required=True, ledger=ledger))
    assert (ticket.id, kind(ledger, 7)) == ((ALICE, 7), BEGUN)
    assert len(synced) == 1
    ledger.drop((ALICE, 7))
    decide(Evidence(None, Log(), ledger=ledger))
    assert len(synced) == 1


def test_what_the_audit_log_refuses_was_not_begun(home: Path) -> None:
    ledger = opened(home)
    with pytest.raises(Refused, match="the audit log cannot be written"):
        decide(Evidence(cast(Journal, Full()), Log(), required=True, ledger=ledger))
    assert kind(ledger, 7) is None


def test_what_could_not_be_started_may_be_asked_for_again(home: Path) -> None:
    ledger = opened(home)
    evidence = Evidence(None, Log(), ledger=ledger)
    evidence.failed(decide(evidence), "alice", "cmds.txt:1", NotStarted(127, "not there"))
    assert kind(ledger, 7) is None


def test_without_a_ledger_or_a_name_nothing_is_kept(home: Path) -> None:
    assert decide(Evidence(None, Log())).id is None
    evidence = Evidence(None, Log(), ledger=opened(home))
    seat = Seat(WHO, "", "unix")
    assert evidence.repeated(seat, START, Deny("no", None)) is None
    evidence.settle(seat.owner, (7).to_bytes(8))
    assert the_file(home).stat().st_size == 0

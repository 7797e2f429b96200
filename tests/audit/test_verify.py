"""Whatever is done to a log is found, and the first bad line is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rexec.audit import chain, journal, segments, verify
from rexec.audit.chain import GENESIS, Head
from rexec.audit.journal import Journal
from rexec.audit.verify import Bad, Report, Verifier, Witness, kept_head
from rexec.auth.private import PrivateKey, generate

KEY, OTHER = generate("host"), generate("other")
Lines = list[bytes]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of 20 records with a checkpoint after every fifth, ended in order."""
    monkeypatch.setattr(journal, "CHECKPOINT_RECORDS", 5)
    made = Journal(str(tmp_path), print)
    made.begin(KEY, version="1")
    for number in range(12):
        made.write("allow", user="alice", argv=["ls", str(number)])
    made.close("done")
    return tmp_path


def lines_of(log: Path) -> Lines:
    return (log / "audit.jsonl").read_bytes().splitlines(keepends=True)


def put(log: Path, lines: Lines) -> None:
    (log / "audit.jsonl").write_bytes(b"".join(lines))


def check(
    log: Path, *witnesses: Witness, signers: frozenset[str] | None = None, whole: bool = True
) -> Report:
    kept = kept_head(str(log), signers)
    assert kept is not None
    given = [*witnesses, kept]
    return Verifier(signers, given).verify(segments.files_of(str(log)), whole=whole)


def found(log: Path, *witnesses: Witness) -> str:
    with pytest.raises(Bad) as caught:
        check(log, *witnesses)
    return str(caught.value)


def chained(lines: Lines, key: PrivateKey | None) -> Lines:
    """Write a chain anew over what lines say, with signatures by `key`; None: with those that are there."""
    head, done = GENESIS, []
    for line in lines:
        fields = {**json.loads(line), "seq": head.seq + 1}
        signature = fields.pop("signature", None)
        fields["prev"] = head.hash
        if signature and key:
            line = chain.signed(fields, key)
        elif signature:
            line = chain.line_of({**fields, "signature": signature})
        else:
            line = chain.line_of(fields)
        head = Head(head.seq + 1, chain.hash_of(line))
        done.append(line)
    return done


def test_a_log_as_it_was_written_is_whole(log: Path) -> None:
    lines = lines_of(log)
    report = check(log)
    assert report.records == len(lines) == 18
    assert report.checkpoints == 4
    assert report.unsigned == 0
    assert report.head == chain.head_of(lines[-1])
    assert report.notes == []


def edit(lines: Lines, index: int) -> Lines:
    return [*lines[:index], lines[index].replace(b"alice", b"mallory"), *lines[index + 1 :]]


# security.md, People's terminals, logs and files: "Audit: edit, delete, reorder, cut the tail,
# duplicate, roll back: `verify` names the first bad line." Line 4 is the index 3.
DEEDS: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "edit": (lambda lines: edit(lines, 3), "audit.jsonl:4: was changed: the line behind it names another"),
    "delete": (lambda lines: lines[:3] + lines[4:], "audit.jsonl:4: before it record 4 is missing"),
    "delete three": (
        lambda lines: lines[:3] + lines[6:],
        "audit.jsonl:4: before it records 4 to 6 are missing",
    ),
    "delete the first": (
        lambda lines: lines[1:],
        "audit.jsonl:1: the log begins with record 2: record 1 is missing",
    ),
    "reorder": (
        lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
        "audit.jsonl:4: is record 5 in the place of record 4: the order was changed",
    ),
    "duplicate": (
        lambda lines: [*lines[:4], lines[3], *lines[4:]],
        "audit.jsonl:5: stands twice: it is record 4 again",
    ),
    "put an old one back": (
        lambda lines: [*lines[:6], lines[2], *lines[6:]],
        "audit.jsonl:7: is record 3, which has its place before: doubled or put back",
    ),
    "cut the tail": (
        lambda lines: lines[:-3],
        "audit.jsonl:15: the end was cut behind it: head.json knows record 18, records 16 to 18 are missing",
    ),
    "cut one line": (lambda lines: lines[:-1], "audit.jsonl:17: the end was cut behind it"),
    "cut half a line": (
        lambda lines: [*lines[:-1], lines[-1][:-9]],
        "audit.jsonl:18: was changed: it is not",
    ),
    "roll back": (lambda lines: lines[:7], "audit.jsonl:7: the end was cut behind it: head.json knows"),
    "another number": (
        lambda lines: [*lines[:3], lines[3].replace(b'"seq":4', b'"seq":9'), *lines[4:]],
        "audit.jsonl:4: was changed: its number is 9, not 4",
    ),
    "a line that is none": (
        lambda lines: [*lines[:3], b"hello\n", *lines[4:]],
        "audit.jsonl:4: was changed: it is not JSON",
    ),
    "a line too much": (
        lambda lines: [*lines[:3], chain.line_of({"event": "x"}), *lines[3:]],
        "audit.jsonl:4: was changed: it has no number or no event",
    ),
    "nothing left": (lambda lines: [], "there is no record at all"),
    "a signature of something else": (
        lambda lines: [*lines[:1], lines[1][:-9] + b"AAAAAA" + lines[1][-3:], *lines[2:]],
        "audit.jsonl:2: its signature does not hold",
    ),
    "the chain anew over an edit": (
        lambda lines: chained(edit(lines, 3), None),
        "audit.jsonl:8: its signature does not hold: it does not verify: it, or something behind "
        "audit.jsonl:2, was changed",
    ),
    "the chain anew with another key": (
        lambda lines: chained(edit(lines, 3), OTHER),
        "record 18: was another when head.json saw it: the log was written anew",
    ),
    "the last part anew": (
        lambda lines: lines[:12] + chained(edit(lines, 15), OTHER)[12:],
        "audit.jsonl:12: was changed",
    ),
    "no checkpoint at all": (
        lambda lines: chained([line for line in lines if b'"signature"' not in line], None),
        "no checkpoint up to here: nothing shows who wrote it",
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_was_done_to_a_log_is_found_and_the_first_bad_line_named(log: Path, deed: str) -> None:
    do, words = DEEDS[deed]
    put(log, do(lines_of(log)))
    assert found(log).startswith(words) or words in found(log), found(log)


def test_every_single_changed_byte_is_found(log: Path) -> None:
    """security.md, People's terminals, logs and files: edit."""
    data = (log / "audit.jsonl").read_bytes()
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 1
        (log / "audit.jsonl").write_bytes(bytes(changed))
        found(log)


def test_checkpoints_of_another_key_are_found(log: Path) -> None:
    with pytest.raises(Bad, match=f"signed by {KEY.public.fingerprint()}".replace("+", r"\+")):
        check(log, signers=frozenset({OTHER.public.fingerprint()}))
    check(log, signers=frozenset({OTHER.public.fingerprint(), KEY.public.fingerprint()}))


def test_two_signers_where_nobody_said_which_are_found(log: Path) -> None:
    lines = lines_of(log)
    *rest, last = lines
    fields = json.loads(last)
    fields.pop("signature")
    put(log, [*rest, chain.signed(fields, OTHER)])
    assert "not by" in found(log)


def test_a_log_of_another_place_is_found_by_its_witnesses(log: Path) -> None:
    """security.md, People's terminals, logs and files: roll back."""
    head = chain.head_of(lines_of(log)[9])
    check(log, Witness("note", head))
    assert found(log, Witness("note", Head(10, "0" * 64))).startswith(
        "record 10: was another when note saw it"
    )
    assert "note knows record 40, records 19 to 40 are missing" in found(
        log, Witness("note", Head(40, "0" * 64))
    )


def test_a_witness_may_know_what_a_record_said(log: Path) -> None:
    head = chain.head_of(lines_of(log)[9])

    def about(record: dict[str, object]) -> str | None:
        return None if record["user"] == "bob" else "user was 'bob'"

    assert (
        found(log, Witness("r.json", head, 3, about))
        == "audit.jsonl:3: r.json says otherwise: user was 'bob'"
    )


def test_the_last_checkpoint_is_not_to_be_taken_away(log: Path) -> None:
    (log / "head.json").unlink()
    assert found(log) == "head.json: the last checkpoint of the log is missing or cannot be read"
    (log / "head.json").touch()
    assert found(log) == "head.json: was changed: it is empty"
    (log / "head.json").write_bytes(lines_of(log)[0])
    assert found(log) == "head.json: was changed: it has no signature"


def test_a_head_of_another_key_is_found(log: Path) -> None:
    with pytest.raises(Bad, match=r"head\.json: signed by"):
        kept_head(str(log), frozenset({OTHER.public.fingerprint()}))


def test_one_file_of_many_may_be_looked_at_alone(log: Path) -> None:
    lines = lines_of(log)
    put(log, lines[6:])
    report = check(log, whole=False)
    assert report.notes == ["audit.jsonl:1: record 7 is the first that was looked at"]
    assert report.records == len(lines) - 6


def test_a_changed_first_line_of_a_part_is_found(log: Path) -> None:
    put(log, edit(lines_of(log), 6)[6:])
    with pytest.raises(Bad, match=r"audit\.jsonl:1: was changed"):
        check(log, whole=False)


def test_records_that_no_checkpoint_follows_are_counted(log: Path) -> None:
    kept = lines_of(log)[:10]
    put(log, kept)
    (log / "head.json").write_bytes(kept[7])
    assert check(log).unsigned == 2


def test_a_log_that_is_not_signed_for_longer_than_a_server_waits_is_found(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = lines_of(log)[:2]
    rest = [line for line in lines_of(log)[2:] if b'"signature"' not in line]
    put(log, kept + chained(kept + rest, None)[2:])
    (log / "head.json").write_bytes(kept[1])
    monkeypatch.setattr(verify, "CHECKPOINT_RECORDS", 5)
    assert found(log).startswith("audit.jsonl:9: no checkpoint for 7 records, which no server leaves out")


def test_names_and_values_in_messages_steer_no_terminal(tmp_path: Path) -> None:
    line = chain.line_of({"seq": 1, "time": "x", "event": "gap", "lost": "\x1b[2J", "prev": GENESIS.hash})
    (tmp_path / "a\x1bb.jsonl").write_bytes(line)
    report = Verifier(None).verify([str(tmp_path / "a\x1bb.jsonl")], whole=False)
    assert report.notes == ["a\\x1bb.jsonl:1: \\x1b[2J records before it could not be written: ?"]

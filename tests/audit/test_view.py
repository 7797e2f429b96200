"""Records for people: which, and how."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rexec.audit import chain
from rexec.audit.journal import Journal
from rexec.audit.view import Reader, Wanted, text_of

Record = dict[str, object]
HEAD: Record = {"seq": 7, "time": "2030-01-02T03:04:05.678901Z"}
ALLOW: Record = {
    **HEAD, "event": "allow", "user": "alice", "key": "SHA256:x", "from": "10.0.0.1", "rule": "cmds.txt:4",
    "argv": ["ls", "a b"], "cwd": "/srv", "as": "www", "prev": "0",
}  # fmt: skip
DENY: Record = {
    **HEAD, "event": "deny", "user": "bob", "from": "unix", "rule": None, "argv": ["rm"], "why": "no rule",
}  # fmt: skip
END: Record = {
    **HEAD, "event": "end", "of": 6, "user": "alice", "rule": "cmds.txt:4", "cause": "exited", "exit": 3,
    "signal": "", "stdin": 1, "stdout": 2, "stderr": 0, "seconds": 0.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


TEXTS: list[tuple[Record, str]] = [
    (ALLOW, "allow      alice from 10.0.0.1 by cmds.txt:4 as www in /srv: ls 'a b'"),
    (DENY, "deny       bob from unix: rm (no rule)"),
    (END, "end        of 6: alice by cmds.txt:4: exit 3, 0.5 s, stdin 1, stdout 2, stderr 0"),
    (
        {**END, "signal": "KILL", "exit": None, "cause": "timeout", "recording": "6.cast"},
        "end        of 6: alice by cmds.txt:4: timeout, signal KILL, 0.5 s, recorded in 6.cast, "
        "stdin 1, stdout 2, stderr 0",
    ),
    (
        {
            **HEAD,
            "event": "end",
            "of": 6,
            "user": "a",
            "rule": "r",
            "cause": "failed",
            "exit": 126,
            "why": "x",
        },
        "end        of 6: a by r: failed, exit 126 (x)",
    ),
    ({**HEAD, "event": "checkpoint", "why": "time", "signature": "AAAA"}, "checkpoint signed (time)"),
    ({**HEAD, "event": "gap", "lost": 3, "why": "full"}, "gap        lost=3 why=full"),
]


@pytest.mark.parametrize(("record", "text"), TEXTS)
def test_a_record_is_one_line_for_people(record: Record, text: str) -> None:
    assert text_of(record) == f"2030-01-02 03:04:05.678      7 {text}"


@pytest.mark.parametrize("word", ["\x1b[2J", "two\nlines", "\u202e", "\x9b6n", "\udcff"])
def test_no_value_steers_the_terminal(word: str) -> None:
    """security.md, People's terminals, logs and files: control characters, escape sequences, newlines."""
    for record in (ALLOW, DENY, END, {**HEAD, "event": "gap"}):
        for name in record:
            if name != "seq":
                shown = text_of({**record, name: [word] if name == "argv" else word})
                assert shown.isprintable(), (name, shown)


FILTERS = [
    (Wanted(), {"allow", "deny", "end"}),
    (Wanted(user="alice"), {"allow", "end"}),
    (Wanted(rule="cmds.txt:4"), {"allow", "end"}),
    (Wanted(rule="cmds.txt"), {"allow", "end"}),
    (Wanted(rule="cmds"), set()),
    (Wanted(peer="unix"), {"deny"}),
    (Wanted(denied=True), {"deny"}),
    (Wanted(since="2030-01-02T03:04:05.678901Z"), {"allow", "deny", "end"}),
    (Wanted(since="2030-01-02T03:04:05.678902Z"), set()),
    (Wanted(until="2030-01-02T03:04:05.678901Z"), set()),
    (Wanted(user="bob", denied=True, until="2031"), {"deny"}),
]


@pytest.mark.parametrize(("wanted", "events"), FILTERS)
def test_what_is_wanted_is_shown(wanted: Wanted, events: set[str]) -> None:
    assert {record["event"] for record in (ALLOW, DENY, END) if wanted.takes(record)} == events


def test_lines_that_are_no_records_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(chain.line_of(ALLOW) + b"junk\n" + b"x" * 400_000 + b"\n" + chain.line_of(ALLOW))
    said: list[str] = []
    assert len(list(Reader(str(tmp_path), said.append).records())) == 2
    assert said[0] == "audit.jsonl: a line was left out: it is not JSON"


def test_a_log_is_followed_into_its_next_file(tmp_path: Path) -> None:
    log = Journal(str(tmp_path), print, size_max=1500)
    log.begin(None)
    following = Reader(str(tmp_path), print).follow()
    seen: list[object] = []
    for number in range(40):
        log.write("allow", user=str(number))
        while (record := next(following)) is not None:
            seen.append(record["seq"])
    log.forget()
    assert len(list(tmp_path.glob("audit-*.jsonl"))) > 2
    assert seen == list(range(1, 42))


def test_half_a_line_waits_for_its_rest(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    line = json.dumps({**ALLOW}).encode() + b"\n"
    path.write_bytes(line + line[:20])
    following = Reader(str(tmp_path), print).follow()
    assert next(following) == ALLOW
    assert next(following) is None
    with path.open("ab") as file:
        file.write(line[20:])
    assert next(following) == ALLOW

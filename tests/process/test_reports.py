"""The runner's end of a reporter's line: what it believes."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from rexec.process.reports import COUNT, HERE, OVER, REPORT, TOLD, Reports
from rexec.process.starts import Escape


@pytest.fixture
def pair() -> Iterator[tuple[Reports, socket.socket]]:
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reports = Reports(mine)
    yield reports, other
    other.close()
    reports.close()


Pair = tuple[Reports, socket.socket]


def test_what_is_told_is_made_harmless(pair: Pair) -> None:
    """security.md, People's terminals: "Control characters ... in ... file names"."""
    reports, other = pair
    other.send(REPORT.pack(HERE, 17, 0, 0))
    other.send(REPORT.pack(TOLD, 5, 0, 3) + b"/tmp/\x1b[2J\xff\n")
    assert select.select([reports.fd], [], [], 0)[0]
    assert reports.attend() == [Escape(5, "/tmp/\\x1b[2J\\xff\\x0a", "confine", "make")]
    assert reports.reporter == 17


def test_nonsense_is_not_believed(pair: Pair) -> None:
    """It has the account of the program: others of that account could speak in its place."""
    reports, other = pair
    for data in (
        b"x",
        b"t",
        REPORT.pack(b"?", 1, 0, 0),
        REPORT.pack(TOLD, 1, 99, 0),
        REPORT.pack(TOLD, 1, 0, 99),
    ):
        other.send(data)
    assert reports.attend() == []
    other.send(REPORT.pack(HERE, 17, 0, 0))
    other.send(REPORT.pack(HERE, 18, 0, 0))  # the first one was sent before the program ran
    assert reports.attend() == []
    assert reports.reporter == 17
    other.send(REPORT.pack(TOLD, 1, 0, 1) + b"/" * 8000)
    (escape,) = reports.attend()
    assert escape.path == "/" * 8000
    assert len(str(escape)) < 250  # one line that somebody reads
    COUNT.pack_into(reports.shared, 0, 2**64 - 1)
    assert reports.untold < 2**41


def test_many_words_leave_others_their_turn(pair: Pair) -> None:
    reports, other = pair
    other.setblocking(False)
    for _ in range(40):
        other.send(REPORT.pack(TOLD, 1, 0, 1) + b"/x")
    assert [len(reports.attend()) for _ in range(3)] == [16, 16, 8]


@pytest.mark.parametrize("is_over", [True, False])
def test_an_end_that_was_not_said_is_told(pair: Pair, *, is_over: bool) -> None:
    reports, other = pair
    other.send(REPORT.pack(HERE, 17, 0, 0))
    if is_over:
        other.send(REPORT.pack(OVER, 0, 0, 0))
    other.close()
    assert reports.attend() == ([] if is_over else [Escape(17, "", "confine")])
    assert reports.attend() == []
    assert select.select([reports.fd], [], [], 0)[0] == []

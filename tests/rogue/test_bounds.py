"""What a rule bounds, with raw frames: no order of them gets around a count, a time, or a fence."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from tests.rogue import wire
from tests.rogue.client import PATIENCE, Rogue
from tests.rogue.conftest import Target

RULES = """\
true
echo ...
cat
    stdin 100K
    parallel 2
sleep ...
    idle 1s
yes
    output 64K kill
seq ...
    output 64K truncate
uname []
    rate 2/h
sh ...
    noexec
"""
TERMINAL = wire.string(b"xterm") + struct.pack("!HHHH", 80, 24, 0, 0) + wire.string(b"")
TIMEOUT, IDLE, OUTPUT, INPUT = 2, 3, 4, 8
FAR = 1 << 20  # bytes of credit


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One server for all tests here."""
    target = Target(tmp_path_factory.mktemp("bounded"))
    target.allow_list.write_text(RULES)
    target.start()
    yield target
    target.end()
    assert target.has_no_traceback(), "\n".join(target.lines)


@pytest.fixture
def friend(bounded: Target) -> Iterator[Rogue]:
    with bounded.friend() as rogue:
        yield rogue
    assert bounded.works()


def cause_of(body: bytes) -> int:
    """The cause of an Exit is its first byte."""
    return body[0]


def credit(stream: int, offset: int, channel: int = 1) -> bytes:
    return wire.frame(wire.CREDIT, struct.pack("!BQ", stream, offset), channel=channel)


def test_all_channels_and_connections_share_one_count(bounded: Target, friend: Rogue) -> None:
    """security.md, Around the allow list: "raw frames ... meet the same decision": `parallel`."""
    for channel in (1, 2):
        friend.exec(b"cat", channel=channel)
        friend.expect(wire.STARTED, channel)
    with bounded.rogue().log_in(bounded.bob) as other:
        for rogue, channel in ((friend, 3), (other, 1)):
            kind, body, _ = rogue.run(b"cat", channel=channel)
            assert kind == wire.DENIED
            assert "runs at most 2 at once" in wire.first_string(body).decode()
    for channel in (1, 2):
        friend.send(wire.frame(wire.EOF, b"\0", channel=channel))
        friend.expect(wire.EXIT, channel)


def test_forms_and_terminals_share_one_count(bounded: Target, friend: Rogue) -> None:
    """security.md: "Asking for a terminal ... instead, to get around policy, limits or recording": `rate`."""
    kinds = [
        friend.run(b"uname", **how)[0] for how in ({}, {"pty": TERMINAL}, {}, {"pty": TERMINAL}, {"env": ()})
    ]
    assert kinds == [wire.EXIT, wire.EXIT, wire.DENIED, wire.DENIED, wire.DENIED]
    with bounded.rogue().log_in(bounded.bob) as other:
        assert other.run(b"uname")[0] == wire.DENIED


def test_input_that_came_before_the_start_counts(friend: Rogue) -> None:
    """security.md: "raw frames with any content": what is sent behind an Exec at once is bounded, too."""
    exec_ = wire.frame(wire.EXEC, wire.exec_(friend.number(), b"cat"), channel=1)
    stdin = wire.frame(wire.STDIN, b"x" * 102_401, channel=1)
    friend.send(exec_, stdin, wire.frame(wire.EOF, b"\0", channel=1))
    kind, body, output = friend.outcome()
    assert (kind, cause_of(body)) == (wire.EXIT, INPUT)
    assert len(output) <= 102_400


def test_input_in_small_pieces_counts(friend: Rogue) -> None:
    friend.exec(b"cat")
    friend.expect(wire.STARTED, 1)
    for _ in range(105):
        friend.send(wire.frame(wire.STDIN, b"x" * 1024, channel=1))
    kind, body, _ = friend.outcome()
    assert (kind, cause_of(body)) == (wire.EXIT, INPUT)


def test_frames_that_bring_no_bytes_are_silence(friend: Rogue) -> None:
    """security.md: "raw frames with any content": pings, signals, sizes and credits do not put `idle` off."""
    friend.exec(b"sleep", b"1000")
    friend.expect(wire.STARTED, 1)
    friend.socket.settimeout(0.05)
    noise = (
        wire.frame(wire.PING, bytes(8)),
        wire.frame(wire.SIGNAL, wire.string(b"WINCH"), channel=1),
        wire.frame(wire.RESIZE, struct.pack("!HHHH", 80, 24, 0, 0), channel=1),
        credit(1, FAR),
    )
    while True:
        friend.send(*noise)
        try:
            found = friend.read()
        except TimeoutError:
            continue
        assert found is not None
        if found[0] == wire.EXIT:
            break
    assert cause_of(found[2]) == IDLE
    friend.socket.settimeout(PATIENCE)


def test_input_that_nobody_takes_is_silence(friend: Rogue) -> None:
    """security.md, Processes: "A program that never reads stdin while stdin floods: it ends"."""
    friend.exec(b"sleep", b"1000")
    friend.expect(wire.STARTED, 1)
    friend.send(wire.frame(wire.STDIN, b"x" * 200_000, channel=1))
    kind, body, _ = friend.outcome()
    assert (kind, cause_of(body)) == (wire.EXIT, IDLE)


@pytest.mark.parametrize("how", [{}, {"pty": TERMINAL}], ids=["pipes", "terminal"])
def test_no_credit_brings_more_output_than_the_rule_allows(friend: Rogue, how: dict[str, bytes]) -> None:
    """security.md: "Asking for a terminal ... instead, to get around policy, limits": `output`."""
    for words, cause in (((b"yes",), OUTPUT), ((b"seq", b"100000"), 0)):
        friend.exec(*words, **how)
        friend.send(credit(1, FAR), credit(2, FAR))
        kind, body, output = friend.outcome()
        assert (kind, cause_of(body), len(output)) == (wire.EXIT, cause, 64 * 1024)


def test_a_fence_holds_for_every_way_to_ask(bounded: Target, friend: Rogue) -> None:
    """security.md: "Asking for a terminal ...": `noexec`, with a canary."""
    script = b"/bin/touch " + os.fsencode(bounded.canary)
    for how in ({}, {"pty": TERMINAL}, {"stdin": 0}):
        kind, _, _ = friend.run(b"sh", b"-c", script + b"; exit 0", **how)
        assert kind == wire.EXIT
    assert not bounded.sang()
    assert bounded.count("rexec-server: escape .*path=/bin/touch option=noexec") == 3

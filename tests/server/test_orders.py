"""Orders and reports: what is sent arrives as it was, in order, with its descriptors or a word less."""

from __future__ import annotations

import os
import resource
import socket
import struct
from collections.abc import Iterator

import pytest

from rexec.errors import ConnectionLost, RemoteProtocolError
from rexec.protocol.frames import Cause, Form, Pty
from rexec.server import orders
from rexec.server.orders import MESSAGES, Message, OrderSocket

EVERY: list[Message] = [
    orders.Judge(
        1, 2, "publickey", "alice", b"body", b"hello", b"finished", b"nonce", "127.0.0.1:1", "::1", "a b"
    ),
    orders.Start(
        1, 2, Form.ARGV, (b"ls", b"\xff\0"), ((b"A", b""),), b"/", 5, True, Pty("xterm", 80, 24), "yes"
    ),
    orders.Start(1, 2, Form.SUBSYSTEM, (), (), None, None, False, None, ""),
    orders.Ask(1, 3, "explain", (b"ls",), False),
    orders.Send(2, "TERM"),
    orders.End(2, Cause.LOST),
    orders.Drained(2, 1 << 40, 0),
    orders.Leave(1),
    orders.Reload("SIGHUP"),
    orders.Judged(1, True, "alice"),
    orders.Rejected(2, "no", None),
    orders.Broken(2, 127, "not there", "cmds.txt:1"),
    orders.Over(2),
    orders.Ended(2, Cause.SIGNALLED, 0, "KILL", 1, 2, 3, 4),
    orders.Answer(3, True, b"[]"),
    orders.Reloaded(False, "bad"),
]


@pytest.fixture
def pair() -> Iterator[tuple[OrderSocket, OrderSocket]]:
    left, right = socket.socketpair()
    yield OrderSocket(left), OrderSocket(right)
    left.close()
    right.close()


def all_of(link: OrderSocket) -> list[Message]:
    """Read until nothing comes any more."""
    found: list[Message] = []
    while True:
        before = len(found), len(link._received)
        found += link.receive()
        if (len(found), len(link._received)) == before:
            return found


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(pair: tuple[OrderSocket, OrderSocket], message: Message) -> None:
    left, right = pair
    left.send(message)
    assert list(right.receive()) == [message]
    assert right.post(message)
    assert list(left.receive()) == [message]


def test_every_kind_of_message_is_tried_here() -> None:
    assert {type(message) for message in EVERY} | {orders.Begun} >= set(MESSAGES.values()) - _later()


def _later() -> set[type[Message]]:
    """Return kinds that bring descriptors, which have tests of their own."""
    return {kind for kind in MESSAGES.values() if kind.__name__ in ("Begun", "Resize")}


def test_messages_keep_their_order_and_come_whole_from_pieces(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    payloads = [message.encode() for message in EVERY]
    sent = b"".join(
        struct.pack("!IB", len(payload), message.code) + payload
        for message, payload in zip(EVERY, payloads, strict=True)
    )
    found: list[Message] = []
    for byte in sent:
        left.socket.send(bytes([byte]))
        found += right.receive()
    assert found == EVERY
    assert list(right.receive()) == []


def test_a_large_message_is_queued_and_goes_as_there_is_room(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    large = orders.Start(1, 2, Form.ARGV, (b"x" * 2_000_000,), (), None, None, True, None, "")
    assert not left.post(large)
    assert not left.post(orders.Leave(1))  # behind it, not before
    found: list[Message] = []
    while not left.flush():
        found += right.receive()
    found += all_of(right)
    assert found == [large, orders.Leave(1)]


def begun(child: int) -> Message:
    return orders.Begun(child, 4711, "cmds.txt:1", stdin=True, terminal=False, linger_ms=1000)


def test_descriptors_come_with_their_message(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    pipes = [os.pipe() for _ in range(6)]
    for child in (0, 3):
        left.send(begun(child), tuple(reading for reading, _ in pipes[child : child + 3]))
        left.send(orders.Over(child))
    heard: list[Message] = []
    taken: list[int] = []
    while len(heard) < 4:
        for message in right.receive():
            heard.append(message)
            if isinstance(message, orders.Begun):
                taken += right.take_descriptors()
    assert heard == [begun(0), orders.Over(0), begun(3), orders.Over(3)]
    for number, descriptor in enumerate(taken):
        assert not os.get_inheritable(descriptor)
        os.write(pipes[number][1], b"%d" % number)
        assert os.read(descriptor, 9) == b"%d" % number
        os.close(descriptor)
    for pipe in pipes:
        os.close(pipe[0])
        os.close(pipe[1])


def test_where_no_descriptor_can_be_opened_fewer_come_and_none_of_another(
    pair: tuple[OrderSocket, OrderSocket],
) -> None:
    """security.md, Processes: "EMFILE ...: no spin, recovers"."""
    left, right = pair
    reading, writing = os.pipe()
    left.send(begun(1), (reading, writing, reading))
    left.send(begun(2), (reading, writing, reading))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    try:
        gaps = [os.dup(reading) for _ in range(_gaps())]
        assert list(right.receive()) == [begun(1)]
        assert right.take_descriptors() == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert list(right.receive()) == [begun(2)]
    for descriptor in (*right.take_descriptors(), *gaps, reading, writing):
        os.close(descriptor)


def _gaps() -> int:
    """Return how many descriptors below the limit are free."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = 0
    for number in range(soft):
        try:
            os.fstat(number)
        except OSError:
            free += 1
    return free


def test_the_end_of_the_other_process_is_noticed(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    left.socket.close()
    with pytest.raises(ConnectionLost):
        list(right.receive())
    assert right.post(orders.Leave(1))  # its end is seen where we read
    assert right.flush()


@pytest.mark.parametrize("sent", [b"\0\0\0\0\xc8", b"\xff\xff\xff\xff\x07"])
def test_nonsense_is_the_end_of_the_other_process(pair: tuple[OrderSocket, OrderSocket], sent: bytes) -> None:
    """architecture.md: the listener may have been taken over; its lengths and types are judged."""
    left, right = pair
    left.socket.send(sent)
    with pytest.raises(ConnectionLost):
        list(right.receive())


def test_a_message_that_is_malformed_is_the_others_fault(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    left.socket.send(struct.pack("!IB", 1, orders.Leave.code) + b"x")
    with pytest.raises(RemoteProtocolError):
        list(right.receive())

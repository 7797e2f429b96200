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
from rexec.server.orders import MESSAGES, Message
from rexec.server.ordersocket import OrderSocket

EVERY: list[Message] = [
    orders.Judge(
        1, 2, "publickey", "alice", b"body", b"hello", b"finished", b"nonce", "127.0.0.1:1", "::1", "a b"
    ),
    orders.Start(
        1, 2, Form.ARGV, (b"ls", b"\xff\0"), ((b"A", b""),), b"/", 5, True, Pty("xterm", 80, 24), "yes"
    ),
    orders.Start(1, 2, Form.SUBSYSTEM, (), (), None, None, False, None, "", number=7, settled=b"12345678"),
    orders.Start(1, 2, Form.JOB, (b"@kill", b"k3"), (), None, None, False, None, "", detach=True),
    orders.Ask(1, 3, "explain", (b"ls",), False, b"/tmp", ((b"A", b"b"),)),
    orders.Send(2, "TERM"),
    orders.End(2, Cause.LOST),
    orders.Drained(2, 1 << 40, 0),
    orders.Leave(1, b"12345678"),
    orders.Reload("SIGHUP"),
    orders.Adopt("no certificate"),
    orders.Bound("/run/rexec"),
    orders.Opened(),
    orders.Stopping("SIGTERM"),
    orders.Ready(),
    orders.Bequeathed(),
    orders.Beat(),
    orders.Beaten(),
    orders.Judged(1, True, "alice"),
    orders.Rejected(2, "no", None),
    orders.Broken(2, 127, "not there", "cmds.txt:1"),
    orders.Repeated(2, False, Cause.ALREADY_RAN, 3, "", "already ran"),
    orders.Over(2),
    orders.Ended(2, Cause.SIGNALLED, 0, "KILL", 1, 2, 3, 4),
    orders.Ended(2, Cause.EXITED, 7, "", 1, 2, 3, 4, b"receipt", True),
    orders.Answer(3, True, b"[]"),
    orders.Reloaded(False, "bad"),
    orders.Escaped(2, "cmds.txt:4 is noexec: /bin/sh was not started"),
    orders.Offer(
        "host key", b"certificate", b"key", 10_000, 5, 15_000, 3_000, 60_000, 100, 10, "127.0.0.0/8 ::1/128"
    ),
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
    assert left.send(message)
    assert list(right.receive()) == [message]
    assert right.send(message)
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
    assert not left.send(large)
    assert not left.send(orders.Leave(1))  # behind it, not before
    assert left.waiting > 1_000_000
    found: list[Message] = []
    while not left.flush():
        found += right.receive()
    found += all_of(right)
    assert found == [large, orders.Leave(1)]
    assert not left.waiting


def test_what_is_in_no_hurry_goes_with_what_is(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    reading, writing = os.pipe()
    assert left.send(orders.Over(1), hurry=False)
    assert left.send(begun(2), (reading,), hurry=False)
    assert left.send(begun(3), (writing,), hurry=False)
    assert list(right.receive()) == []
    assert left.waiting
    assert left.send(orders.Over(4))
    assert not left.waiting
    assert all_of(right) == [orders.Over(1), begun(2), begun(3), orders.Over(4)]
    (first,), (second,) = right.take_descriptors(), right.take_descriptors()
    os.write(second, b"x")
    os.close(second)
    assert os.read(first, 2) == b"x"
    os.close(first)


def test_no_more_than_a_few_messages_wait_for_one_in_a_hurry(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    sent = [orders.Over(number) for number in range(8)]
    for message in sent:
        assert left.send(message, hurry=False)
    assert list(right.receive()) == sent
    left.send(orders.Over(8), hurry=False)
    assert list(right.receive()) == []
    assert left.flush()
    assert list(right.receive()) == [orders.Over(8)]


def test_what_went_in_part_goes_on_where_it_stopped(pair: tuple[OrderSocket, OrderSocket]) -> None:
    """Descriptors go with the first byte of what they went with, and once."""
    left, right = pair
    left.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    reading, writing = os.pipe()
    sent: list[Message] = [orders.Over(number) for number in range(2_000)]
    for message in sent[:1_000]:
        left.send(message, hurry=False)
    left.send(begun(7), (writing,), hurry=False)
    for message in sent[1_000:]:
        left.send(message, hurry=False)
    found: list[Message] = []
    while not left.flush():
        found += right.receive()
    found += all_of(right)
    assert found == [*sent[:1_000], begun(7), *sent[1_000:]]
    (arrived,) = right.take_descriptors()
    os.close(arrived)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_descriptors_wait_with_their_message(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    assert not left.send(orders.Answer(1, True, b"x" * 2_000_000))
    reading, writing = os.pipe()
    assert not left.send(begun(1), (writing,))
    found: list[Message] = []
    while not left.flush():
        found += right.receive()
    found += all_of(right)
    assert found[1] == begun(1)
    (arrived,) = right.take_descriptors()
    os.write(arrived, b"x")
    os.close(arrived)
    assert os.read(reading, 2) == b"x"
    assert os.read(reading, 2) == b""  # whoever sent it has none of it any more
    os.close(reading)


def test_what_waits_for_a_process_that_is_gone_is_dropped_and_closed(
    pair: tuple[OrderSocket, OrderSocket],
) -> None:
    left, right = pair
    assert not left.send(orders.Answer(1, True, b"x" * 2_000_000))
    reading, writing = os.pipe()
    assert not left.send(begun(1), (writing,))
    right.socket.close()
    assert left.flush()
    assert not left.waiting
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_who_stops_in_the_middle_gets_the_rest_later(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    for number in range(3):
        left.send(orders.Leave(number))
    assert not right.has_more
    assert next(right.receive()) == orders.Leave(0)
    assert right.has_more
    left.send(orders.Leave(3))
    assert list(right.receive()) == [orders.Leave(1), orders.Leave(2)]
    assert not right.has_more
    assert list(right.receive()) == [orders.Leave(3)]


def test_the_runner_takes_no_descriptors() -> None:
    """architecture.md: the listener may have been taken over; it hands nothing to the runner."""
    left, right = socket.socketpair()
    sender, runner = OrderSocket(left), OrderSocket(right, takes_descriptors=False)
    reading, writing = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    sender.send(orders.Leave(1), (writing,))
    assert list(runner.receive()) == [orders.Leave(1)]
    assert len(os.listdir("/proc/self/fd")) == before - 1  # the sender's own
    assert os.read(reading, 1) == b""
    os.close(reading)
    left.close()
    right.close()


def begun(child: int) -> Message:
    return orders.Begun(child, "cmds.txt:1", stdin=True, terminal=False, linger_ms=1000, bounds=None)


def test_descriptors_come_with_their_message(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    pipes = [os.pipe() for _ in range(6)]
    for child in (0, 3):
        left.send(begun(child), tuple(os.dup(reading) for reading, _ in pipes[child : child + 3]))
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
    for child in (1, 2):
        left.send(begun(child), (os.dup(reading), os.dup(writing), os.dup(reading)))
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
    assert right.send(orders.Leave(1))  # its end is seen where we read
    assert right.flush()


@pytest.mark.parametrize("sent", [b"\0\0\0\0\xc8", b"\xff\xff\xff\xff\x07"])
def test_nonsense_is_the_end_of_the_other_process(pair: tuple[OrderSocket, OrderSocket], sent: bytes) -> None:
    """architecture.md: the listener may have been taken over; its lengths and types are judged."""
    left, right = pair
    left.socket.send(sent)
    with pytest.raises(RemoteProtocolError):
        list(right.receive())


def test_a_message_that_is_malformed_is_the_others_fault(pair: tuple[OrderSocket, OrderSocket]) -> None:
    left, right = pair
    left.socket.send(struct.pack("!IB", 1, orders.Leave.code) + b"x")
    with pytest.raises(RemoteProtocolError):
        list(right.receive())

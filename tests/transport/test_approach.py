"""A connection is on its way before anybody waits for it, and tells what went wrong to who does."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.errors import ConnectError
from rexec.limits import TIMEOUT_MAX
from rexec.transport import approach
from rexec.transport.address import Address
from rexec.transport.approach import Approach
from rexec.transport.dial import arrive
from rexec.transport.passage import Via

PATIENCE = 30.0  # seconds that nothing here takes
NOBODY = Address("127.0.0.1", 1)  # listens there
_NO_FAMILY = 255  # socket(2): EAFNOSUPPORT
HELLO = b"\x16\x03"  # how the first record of TLS begins (RFC 8446, 5.1)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


def place(listening: socket.socket) -> Address:
    return Address("127.0.0.1", listening.getsockname()[1])


def test_it_arrives_before_anybody_waits(listener: socket.socket) -> None:
    way = Approach(place(listener), PATIENCE)
    far, _ = listener.accept()
    with far:
        wire = arrive(way, tls=False)
        assert wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        wire.put(b"here", PATIENCE)
        assert far.recv(4) == b"here"
        wire.close()


def test_no_patience_is_too_long(listener: socket.socket) -> None:
    """366 days are what may be asked for, and more than poll(2) takes."""
    way = Approach(place(listener), TIMEOUT_MAX)
    arrive(way, tls=False).close()


def test_tls_is_hailed_before_anybody_waits(listener: socket.socket) -> None:
    way = Approach(place(listener), PATIENCE)
    way.hail()
    far, _ = listener.accept()
    with far:
        assert far.recv(2) == HELLO
    with pytest.raises(ConnectError, match="tls: ") as caught:
        arrive(way, tls=True)
    assert caught.value.is_lost  # another attempt may do


def test_what_goes_wrong_is_told_to_who_waits() -> None:
    way = Approach(NOBODY, PATIENCE)
    way.hail()
    for _ in range(2):
        with pytest.raises(ConnectError, match="connection refused") as caught:
            arrive(way, tls=True)
        assert caught.value.is_refused
        assert "is rexec-server running" in (caught.value.hint or "")


def test_every_address_of_a_name_is_tried(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [(socket.AF_INET, (a.host, a.port)) for a in (NOBODY, NOBODY, place(listener))]
    monkeypatch.setattr(approach, "_places_of", lambda address: list(ends))
    wire = arrive(Approach(Address("three", 1), PATIENCE), tls=False)
    assert wire.names()[1] == str(place(listener))
    wire.close()


def test_what_this_machine_does_not_speak_is_passed_over(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As IPv6 where the kernel has none, and yet localhost is ::1 as well."""
    ends = [(_NO_FAMILY, ("::1", 1)), (socket.AF_INET, ("127.0.0.1", place(listener).port))]
    monkeypatch.setattr(approach, "_places_of", lambda address: list(ends))
    arrive(Approach(Address("two", 1), PATIENCE), tls=False).close()
    ends.pop()
    with pytest.raises(ConnectError, match="address family not supported"):
        arrive(Approach(Address("one", 1), PATIENCE), tls=False)


def test_a_socket_of_this_machine_is_reached_by_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with pytest.raises(ConnectError, match="no such file"):
        arrive(Approach(Address("", 0, path), PATIENCE), tls=False)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        arrive(Approach(Address("", 0, path), PATIENCE), tls=False).close()


def test_a_socket_whose_queue_is_full_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(path)
        listening.listen(0)
        first.connect(path)
        with pytest.raises(ConnectError, match="timed out"):
            arrive(Approach(Address("", 0, path), 0.01), tls=False)
        listening.accept()[0].close()
        arrive(Approach(Address("", 0, path), PATIENCE), tls=False).close()


def test_a_path_that_the_locale_cannot_write_is_none() -> None:
    with pytest.raises(ConnectError, match="not a path in this locale"):
        arrive(Approach(Address("", 0, "/\ud800"), PATIENCE), tls=False)


@pytest.mark.parametrize("host", ["a..b", ".a", f"{'a' * 64}.b", f"a.{'b' * 64}", "é" * 64])
def test_what_no_host_can_be_called_is_said(host: str) -> None:
    with pytest.raises(ConnectError, match="not a host name"):
        arrive(Approach(Address(host, 1), PATIENCE), tls=False)


def test_a_program_that_carries_it_is_ended_where_it_is_of_no_use() -> None:
    way = Approach(Address("far", 1), PATIENCE, Via(["true"], "the ProxyCommand", speaks=False))
    assert way.passage is not None
    pid = way.passage._pid
    with pytest.raises(ConnectError, match="tls: "):
        arrive(way, tls=True)
    with pytest.raises(ChildProcessError):  # it was waited for
        os.waitpid(pid, os.WNOHANG)

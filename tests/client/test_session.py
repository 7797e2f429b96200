"""A session that blocks: how long it waits."""

from __future__ import annotations

import socket

from rexec.client.session import Session
from rexec.limits import NONCE, SESSION_ID, TIMEOUT_MAX
from rexec.protocol import frames as f
from rexec.protocol.connection import Connection
from rexec.protocol.state import Role
from rexec.transport.dial import Wire


def test_no_silence_is_too_long_to_be_waited_for() -> None:
    """366 days are what may be asked for, and more than poll(2) takes."""
    ours, theirs = socket.socketpair()
    client, server = Connection(Role.CLIENT), Connection(Role.SERVER)
    server.receive_data(client.send(f.ClientHello(bytes(SESSION_ID))))
    client.receive_data(server.send(f.ServerHello(bytes(NONCE))))
    server.receive_data(client.send(f.Proof("publickey", "", b"")))
    while server.next_event() is not None:
        pass
    client.receive_data(server.accept(f.Welcome("alice")))
    while client.next_event() is not None:
        pass
    session = Session(Wire(ours, None), client, "alice")
    session.keepalive = TIMEOUT_MAX
    theirs.sendall(server.send(f.Ping(7)))
    session.pump()
    server.receive_data(theirs.recv(100))
    assert server.next_event() == (0, f.Pong(7))
    session.close()
    theirs.close()

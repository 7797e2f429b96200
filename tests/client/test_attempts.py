"""Attempts to connect: which loss is worth another, by which key it is made, and for how long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rexec.auth.private import generate
from rexec.client.attempts import Attempts
from rexec.client.config import Target
from rexec.client.greeting import Ends, Greeting, Terms
from rexec.client.identity import Signer
from rexec.client.resume import Pauses
from rexec.errors import AuthError, ConnectError, ConnectionLost
from rexec.limits import NONCE, RESUME_RESET, RESUME_SILENCE
from rexec.protocol import frames as f
from rexec.protocol.buffer import pack
from rexec.protocol.connection import RESUME
from rexec.transport.address import Address

if TYPE_CHECKING:
    from rexec.client.greeting import Steps

HOST, FIRST, SECOND = generate("host"), generate("first"), generate("second")
ENDS = Ends(None, None, "127.0.0.1:5512", None)
EXEC = f.Exec(1, f.Form.ARGV, (b"ls",))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    found = Target("web1", Address("127.0.0.1", 5512), "", str(tmp_path))
    found.known_hosts, found.accept_new, found.tls = os.devnull, True, False
    return found


def attempts(target: Target) -> Attempts:
    keys = (Signer(key.public, key.sign, "key") for key in (FIRST, SECOND))
    return Attempts(target, keys, Terms(first=lambda core: core.send(EXEC, 1)))


def heard(steps: Steps, greeting: Greeting, frame: f.Frame) -> bytes:
    """Let a client hear a frame; return what it says to that."""
    greeting.take(pack(frame, 0))
    return next(steps)


def hello(*features: str) -> f.ServerHello:
    return f.ServerHello(bytes(NONCE), HOST.public.blob, features=features)


def lost(first: Attempts) -> None:
    first.fail(ConnectionLost("connection lost"))


def test_a_connection_that_said_nothing_is_made_again_with_all_keys(target: Target) -> None:
    tried = attempts(target)
    before = tried.begin(ENDS)
    lost(tried)
    after = tried.begin(ENDS)
    assert after.name == before.name
    assert tried.patience == RESUME_RESET
    steps = after.steps()
    assert next(steps) == b""
    assert FIRST.public.blob in heard(steps, after, hello(RESUME))


def test_what_may_have_been_read_is_asked_for_by_the_same_key(target: Target) -> None:
    """protocol.md, Asking again: "by the same name and with the same key"; no other is tried."""
    tried = attempts(target)
    before = tried.begin(ENDS)
    steps = before.steps()
    next(steps)
    said = heard(steps, before, hello(RESUME))
    assert pack(EXEC, 1) in said
    assert SECOND.public.blob in heard(steps, before, f.Refused("no"))
    lost(tried)
    assert tried.patience == RESUME_SILENCE
    after = tried.begin(ENDS)
    again = after.steps()
    next(again)
    said = heard(again, after, hello(RESUME))
    assert SECOND.public.blob in said
    assert FIRST.public.blob not in said
    assert pack(EXEC, 1) not in said  # before the welcome tells what the server has
    with pytest.raises(AuthError, match="does not accept this key"):
        heard(again, after, f.Refused("no"))


def test_a_server_that_keeps_no_ids_is_not_asked_again(target: Target) -> None:
    tried = attempts(target)
    before = tried.begin(ENDS)
    steps = before.steps()
    next(steps)
    heard(steps, before, hello())
    with pytest.raises(ConnectionLost):
        lost(tried)


def test_without_resume_one_attempt_is_all(target: Target) -> None:
    target.resume_for = 0.0
    with pytest.raises(ConnectionLost):
        lost(attempts(target))


def test_nobody_there_is_no_loss(target: Target) -> None:
    with pytest.raises(ConnectError):
        attempts(target).fail(ConnectError("connection refused"))


def test_the_first_reason_is_told_once_and_in_the_end(target: Target) -> None:
    told: list[str] = []
    tried = Attempts(target, (), Terms(), lambda text, is_good: told.append(text))
    lost(tried)
    pauses = Pauses(target, 0.0)
    tried.why = ConnectError("timed out")
    tried.go_on(pauses, 0.0)
    tried.go_on(pauses, 1.0)
    assert told == ["connection lost; trying again"]
    with pytest.raises(ConnectError, match=r"^timed out$"):
        tried.go_on(pauses, RESUME_SILENCE + 1)


def test_of_a_server_that_is_mute_in_the_clear_the_commonest_reason_is_told(target: Target) -> None:
    greeting = attempts(target).begin(ENDS)
    assert greeting.no_answer().hint == "the server may speak TLS: leave --no-tls away"
    steps = greeting.steps()
    next(steps)
    heard(steps, greeting, hello())
    assert greeting.no_answer().hint is None

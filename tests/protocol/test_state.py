"""The two tables: complete, closed, and followed by the core in every single row."""

from __future__ import annotations

from itertools import product

import pytest

from rexec.errors import LocalProtocolError
from rexec.protocol import frames as f
from rexec.protocol.buffer import is_session_frame
from rexec.protocol.frames import FRAMES, Frame
from rexec.protocol.state import CHANNEL, HANDSHAKE, LATE, OPENERS, SESSION, Channel, Handshake, Role
from tests.protocol.samples import (
    CHANNEL_ROUTES,
    CLIENT,
    HANDSHAKE_ROUTES,
    OVER,
    PROOF,
    REFUSED,
    SERVER,
    channel_of,
    complaint,
    drive,
    events,
    sample,
    wire,
)

KINDS = tuple(FRAMES.values())
CONNECTION_KINDS = tuple(kind for kind in KINDS if not is_session_frame(kind))
SESSION_KINDS = tuple(kind for kind in KINDS if is_session_frame(kind))
WAITING = (Handshake.EARLY, Handshake.JUDGING)  # where a server parses nothing


def table_id(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(getattr(value, "value", value))


def rows(states: object, kinds: tuple[type[Frame], ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("state", "sender", "kind"),
        list(product(states, Role, kinds)),  # type: ignore[call-overload]
        ids=table_id,
    )


def test_the_other_end_of_the_other_end_is_this_end() -> None:
    assert [role.other.other for role in Role] == list(Role)


def test_every_state_is_reached_and_left_by_a_row() -> None:
    for table, states, start, end in (
        (HANDSHAKE, Handshake, Handshake.START, {Handshake.CLOSED}),
        (CHANNEL, Channel, Channel.CLOSED, set()),
    ):
        assert {after for (before, _, _), after in table.items() if after is not before} | {start} == set(
            states
        )
        assert {before for (before, _, _), after in table.items() if after is not before} == set(states) - end


def test_what_may_pass_before_the_welcome_is_what_a_client_may_send_on_a_channel() -> None:
    assert {kind for (_, sender, kind) in CHANNEL if sender is CLIENT} == set(SESSION)
    assert {kind for (state, sender, kind) in CHANNEL if state is Channel.CLOSED} == set(SESSION)
    assert set(SESSION) == {f.Exec, f.Query, *LATE}


@pytest.mark.parametrize("role", Role, ids=table_id)
@pytest.mark.parametrize("state", Handshake, ids=table_id)
def test_routes_lead_where_they_say(state: Handshake, role: Role) -> None:
    assert drive(role, HANDSHAKE_ROUTES[state]).state is state


@pytest.mark.parametrize("role", Role, ids=table_id)
@pytest.mark.parametrize("state", Channel, ids=table_id)
def test_channel_routes_lead_where_they_say(state: Channel, role: Role) -> None:
    channels = drive(role, CHANNEL_ROUTES[state]).session.channels
    assert (channels[1].state if 1 in channels else Channel.CLOSED) is state


@rows(Handshake, KINDS)
def test_sending_follows_the_handshake(state: Handshake, sender: Role, kind: type[Frame]) -> None:
    """security.md, Protocol: frames before authentication, twice, out of order, after the end."""
    connection = drive(sender, HANDSHAKE_ROUTES[state])
    frame = sample(kind, sender)
    after = HANDSHAKE.get((state, sender, kind))
    if state is Handshake.CLOSED:  # late: whoever did not know yet does no harm
        assert connection.send(frame, channel_of(frame)) == b""
    elif after is Handshake.REFUSED and kind in LATE:  # for a command whose proof was just refused
        assert connection.send(frame, 1) == b""
    elif after is None or (after is Handshake.REFUSED and kind in OPENERS):
        with pytest.raises(LocalProtocolError, match=f"{kind.__name__} in state {state.value}"):
            connection.send(frame, channel_of(frame))
        assert connection.state is state
    elif kind not in SESSION_KINDS:
        assert connection.send(frame) == wire(frame)
        assert connection.state is after


def refusal(kind: type[Frame], state: Handshake) -> str:
    """What is said against a frame that has no row; a flag is judged before its type."""
    if kind.flags and state is not Handshake.OPEN:
        return f"unknown header flags 0x{kind.flags:02x}"
    return f"{kind.__name__} in state {state.value}"


@rows(Handshake, KINDS)
def test_receiving_follows_the_handshake(state: Handshake, sender: Role, kind: type[Frame]) -> None:
    """security.md, Protocol: frames before authentication, twice, out of order, after the end."""
    connection = drive(sender.other, HANDSHAKE_ROUTES[state])
    frame = sample(kind, sender)
    complaint_ = complaint(connection, wire(frame))
    after = HANDSHAKE.get((state, sender, kind))
    if state is Handshake.CLOSED or (sender is CLIENT and state in WAITING):
        assert complaint_ == ""
        assert connection.state is state
    elif after is None:
        assert complaint_ == refusal(kind, state)
        assert connection.state is state
    elif kind not in SESSION_KINDS or state is Handshake.REFUSED:
        assert complaint_ == ""
        assert connection.state is after


@pytest.mark.parametrize("kind", KINDS, ids=table_id)
def test_what_stood_behind_a_proof_is_judged_after_the_verdict(kind: type[Frame]) -> None:
    """security.md, Protocol: frames before authentication, twice, out of order."""
    frame = sample(kind, CLIENT)
    for verdict in (Handshake.REFUSED, Handshake.OPEN):
        server = drive(SERVER, HANDSHAKE_ROUTES[Handshake.JUDGING])
        assert complaint(server, wire(frame)) == ""
        server.send(sample(f.Welcome if verdict is Handshake.OPEN else f.Refused, SERVER))
        legal = (verdict, CLIENT, kind) in HANDSHAKE
        assert complaint(server, b"") == ("" if legal else refusal(kind, verdict))


@rows(Channel, SESSION_KINDS)
def test_sending_follows_the_channel(state: Channel, sender: Role, kind: type[Frame]) -> None:
    connection = drive(sender, CHANNEL_ROUTES[state])
    frame = sample(kind, sender)
    after = CHANNEL.get((state, sender, kind))
    if after is None:
        with pytest.raises(LocalProtocolError, match="in state"):
            connection.send(frame, 1)
        return
    sent = connection.send(frame, 1)
    assert sent == (b"" if state is after is Channel.CLOSED else wire(frame))
    channel = connection.session.channels.get(1)
    assert (channel.state if channel else Channel.CLOSED) is after


@rows(Channel, SESSION_KINDS)
def test_receiving_follows_the_channel(state: Channel, sender: Role, kind: type[Frame]) -> None:
    """security.md, Protocol: frames before authentication, twice, out of order, after the end."""
    connection = drive(sender.other, CHANNEL_ROUTES[state])
    frame = sample(kind, sender)
    after = CHANNEL.get((state, sender, kind))
    if after is None:
        assert complaint(connection, wire(frame)).startswith(f"{kind.__name__} in state ")
        return
    late = state is after is Channel.CLOSED
    assert events(connection, wire(frame)) == ([] if late else [(1, frame)])
    channel = connection.session.channels.get(1)
    assert (channel.state if channel else Channel.CLOSED) is after
    assert (
        connection.session.received
        == sum(sender is role and is_session_frame(type(step)) for role, step in CHANNEL_ROUTES[state]) + 1
    )  # a late frame counts, or the two ends would not agree on what was received


@pytest.mark.parametrize("sender", Role, ids=table_id)
@pytest.mark.parametrize("kind", SESSION_KINDS, ids=table_id)
def test_a_channel_that_was_used_is_as_closed_as_a_new_one(sender: Role, kind: type[Frame]) -> None:
    """security.md, Protocol: frames after the end."""
    frame = wire(sample(kind, sender))
    used, new = drive(sender.other, OVER), drive(sender.other, CHANNEL_ROUTES[Channel.CLOSED])
    assert complaint(used, frame) == complaint(new, frame)
    assert used.session.channels.keys() == new.session.channels.keys()


def test_frames_behind_a_refused_proof_are_dropped_whatever_is_in_them() -> None:
    server = drive(SERVER, HANDSHAKE_ROUTES[Handshake.REFUSED])
    broken = b"\x1b\0\0\1\0\0\0\1\xff"  # an Eof of a stream that does not exist
    assert events(server, broken + wire(PROOF)) == [(0, PROOF)]
    assert server.send(REFUSED)
    assert server.session.received == 0

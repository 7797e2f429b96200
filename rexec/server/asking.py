"""What the listener passes on, as the policy is asked about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rexec.policy.forms import form_of
from rexec.policy.request import Request, bytes_of, text_of
from rexec.protocol.frames import Form, Pty
from rexec.server import orders

if TYPE_CHECKING:
    from rexec.auth.authorized import Principal
    from rexec.server.seats import Seat

_NAMED = {"argv": Form.ARGV, "string": Form.STRING, "copy": Form.COPY}


def request_of(order: orders.Start, seat: Seat, principal: Principal) -> Request:
    """Return the request that an order stands for."""
    return Request(
        user=principal.user,
        groups=frozenset(principal.groups),
        words=tuple(map(text_of, order.words)),
        form=order.form.name.lower(),
        env=tuple([(text_of(name), text_of(value)) for name, value in order.env]),
        cwd=None if order.cwd is None else text_of(order.cwd),
        timeout=None if order.timeout_ms is None else order.timeout_ms / 1000,
        pty=None if order.pty is None else order.pty.term,
        stdin=order.stdin,
        peer=seat.peer,
        connection=seat.ends,
        now=time.time(),
        utc_offset=time.localtime().tm_gmtoff,
        pty_allowed=principal.pty_allowed,
        confirm=order.confirm,
        offered=tuple([(text_of(name), text_of(value)) for name, value in order.offered]),
        detach=order.detach,
    )


def asked_of(order: orders.Ask, seat: Seat, principal: Principal) -> Request:
    """Return the request that a question is about."""
    terminal = Pty("xterm", 80, 24) if order.pty else None
    form, words = form_of(tuple(map(text_of, order.words)))
    as_start = orders.Start(
        order.session,
        0,
        _NAMED[form],
        tuple(map(bytes_of, words)),
        order.env,
        order.cwd,
        None,
        True,
        terminal,
        "",
    )
    return request_of(as_start, seat, principal)

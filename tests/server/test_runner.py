"""The runner's order of things, where that is not to be seen from outside."""

from __future__ import annotations

import selectors
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rexec.limits import REPORTS_MAX
from rexec.server import orders, runner
from rexec.server.ordersocket import OrderSocket
from rexec.server.runner import Runner
from tests.process.test_child import permit_of


@pytest.mark.parametrize(
    ("rule", "words", "steps"),
    [("ls {path:/** ro}", ("ls", "/etc"), ["flush", "disk"]), ("ls ...", ("ls", "/etc"), ["disk"])],
    ids=["a path to look at", "nothing to look at"],
)
def test_reports_that_wait_for_others_do_not_wait_for_a_disk(
    monkeypatch: pytest.MonkeyPatch, rule: str, words: tuple[str, ...], steps: list[str]
) -> None:
    seen: list[str] = []

    def discharge(permit: object) -> str:
        seen.append("disk")
        return "not there"

    monkeypatch.setattr(runner, "discharge", discharge)
    self = SimpleNamespace(
        _link=SimpleNamespace(flush=lambda: seen.append("flush")),
        _crowded=lambda user: None,
        _unfit=lambda permit: None,
        _reject=lambda order, seat, deny: seen.append(deny.message),
    )
    seat = SimpleNamespace(principal=SimpleNamespace(user="alice"))
    permit = permit_of(rule, *words)
    Runner._allow(cast(Any, self), cast(Any, None), cast(Any, seat), permit)
    assert seen == [*steps, "not there"]


def test_orders_that_came_are_had_as_soon_as_there_is_room_for_reports() -> None:
    """One long answer is more than may wait; the socket knows nothing of the orders behind it."""
    ours, theirs = socket.socketpair()
    link, listener = OrderSocket(ours), OrderSocket(theirs)
    obeyed: list[int] = []

    def obey(order: Any) -> None:
        obeyed.append(order.question)
        link.send(orders.Answer(order.question, True, bytes(2 * REPORTS_MAX)))

    self: Any = SimpleNamespace(
        _link=link,
        _obey=obey,
        _jobs=SimpleNamespace(listening=True),
        _watched=selectors.EVENT_READ,
        _selector=SimpleNamespace(modify=lambda link, events: None),
    )
    self._take_orders = lambda: Runner._take_orders(self)
    with ours, theirs:
        for number in range(3):
            listener.send(orders.Ask(1, number, "list", (), False, None, ()))
        events = selectors.EVENT_READ
        for count in (1, 2, 3):
            Runner._attend(self, events)
            assert obeyed == list(range(count))
            while link.waiting:
                link.flush()
                list(listener.receive())
            Runner._watch(self)
            assert bool(self._watched & selectors.EVENT_WRITE) == (count < 3)
            events = selectors.EVENT_WRITE

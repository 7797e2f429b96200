"""The listener's end of the line to the runner."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from rexec.protocol import frames as f
from rexec.server import orders
from rexec.server.desk import Desk
from rexec.server.ordersocket import OrderSocket


def at_a_desk(test: Callable[[Desk, OrderSocket], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        desk = Desk(OrderSocket(ours), lambda: None)
        await test(desk, OrderSocket(theirs, takes_descriptors=False))
        desk.close()
        theirs.close()

    asyncio.run(main())


def test_orders_that_are_gathered_go_with_one_call() -> None:
    async def test(desk: Desk, runner: OrderSocket) -> None:
        desk.order(orders.Send(1, "TERM"))
        assert [type(message) for message in runner.receive()] == [orders.Send]
        desk.gather()
        desk.order(orders.Send(1, "TERM"))
        desk.order(orders.Drained(1, 0, 0))
        assert list(runner.receive()) == []
        desk.send()
        assert [type(message) for message in runner.receive()] == [orders.Send, orders.Drained]
        desk.order(orders.Send(2, "HUP"))
        assert len(list(runner.receive())) == 1

    at_a_desk(test)


def test_what_was_gathered_and_does_not_go_goes_when_there_is_room() -> None:
    async def test(desk: Desk, runner: OrderSocket) -> None:
        count = 0
        while not desk.is_clogged:
            desk.gather()
            for _ in range(5):
                desk.order(orders.Send(count, "TERM" * 1_000))
                count += 1
            desk.send()
        received: list[orders.Message] = []
        while len(received) < count:
            received += runner.receive()
            await asyncio.sleep(0)
        assert [message.values()[0] for message in received] == list(range(count))

    at_a_desk(test)


class Flawed:
    """A patron that cannot be told how its command ended, or can be."""

    def __init__(self, *, is_flawed: bool) -> None:
        self.is_flawed = is_flawed
        self.told = asyncio.Event()

    def ended(self, report: orders.Ended) -> None:
        if self.is_flawed:
            raise KeyError("a flaw")
        self.told.set()


def test_a_report_that_cannot_be_taken_holds_up_none_behind_it() -> None:
    async def test(desk: Desk, runner: OrderSocket) -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: problems.append(about["exception"]))
        start = orders.Start(1, 1, f.Form.ARGV, (), (), None, None, False, None, "")
        flawed, sound = Flawed(is_flawed=True), Flawed(is_flawed=False)
        for number, patron in enumerate((flawed, sound), 1):
            desk.start(start.replace(child=number), patron)  # type: ignore[arg-type]
            runner.send(orders.Ended(number, f.Cause.EXITED, 0, "", 0, 0, 0, 0), hurry=False)
        runner.flush()
        await sound.told.wait()
        assert [type(problem) for problem in problems] == [KeyError]
        assert desk.running == 0

    at_a_desk(test)

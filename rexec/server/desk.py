"""The listener's end of the socket to the runner: orders out, reports to whom they concern."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING, Protocol

from rexec.errors import ConnectionLost
from rexec.limits import ORDERS_MAX
from rexec.server import orders
from rexec.server.outlets import Outlets

if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.server.orders import Message
    from rexec.server.ordersocket import OrderSocket


class Patron(Protocol):
    """Who asked for a child and hears of it."""

    def begun(self, report: orders.Begun, descriptors: list[int]) -> None:
        """The child runs; its stdin where it has one, stdout and stderr."""

    def rejected(self, report: orders.Rejected) -> None:
        """The policy said no."""

    def broken(self, report: orders.Broken) -> None:
        """It could not be started."""

    def repeated(self, report: orders.Repeated) -> None:
        """It was asked for before."""

    def escaped(self, report: orders.Escaped) -> None:
        """It was kept from something."""

    def over(self) -> None:
        """The leader has exited."""

    def ended(self, report: orders.Ended) -> None:
        """All is over."""


class Desk:
    """Numbers what is asked of the runner and routes what it answers."""

    def __init__(self, link: OrderSocket, lost: Callable[[], None]) -> None:
        self._link = link
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._patrons: dict[int, Patron] = {}
        self._waiting: dict[int, Callable[[Message], None]] = {}
        self._consider: Callable[[orders.Offer], str] = lambda _: ""
        self._reloaded: Callable[[orders.Reloaded], None] = lambda _: None
        self._beaten: Callable[[], None] = lambda: None
        self._gathers = False
        self.outlets = Outlets(self._loop, self.gather, self.send)
        self._loop.add_reader(link.fileno(), self._read)

    def close(self) -> None:
        """Stop listening to the runner; it ends what is left when it sees our end go."""
        self._loop.remove_reader(self._link.fileno())
        self._loop.remove_writer(self._link.fileno())
        self._link.socket.close()
        self.outlets.close()

    @property
    def running(self) -> int:
        """How many commands are not at their end."""
        return len(self._patrons)

    @property
    def is_clogged(self) -> bool:
        """Whether so much waits for the runner that nothing more should be asked of it."""
        return self._link.waiting > ORDERS_MAX

    def number(self) -> int:
        return next(self._numbers)

    def order(self, message: Message) -> None:
        """Send an order that is not answered by its own."""
        if not self._link.send(message, hurry=not self._gathers):
            self._loop.add_writer(self._link.fileno(), self._flush)

    def gather(self) -> None:
        """Let orders wait for each other until `send`: they go with one call, and wake the runner once."""
        self._gathers = True

    def send(self) -> None:
        """Send what was gathered."""
        self._gathers = False
        if not self._link.flush():
            self._loop.add_writer(self._link.fileno(), self._flush)

    def judge(self, order: orders.Judge, then: Callable[[Message], None]) -> None:
        """Have a proof verified."""
        self._waiting[order.session] = then
        self.order(order)

    def start(self, order: orders.Start, patron: Patron) -> None:
        """Have a command decided and started; the patron hears of it until its end."""
        self._patrons[order.child] = patron
        self.order(order)

    def ask(self, order: orders.Ask, then: Callable[[Message], None]) -> None:
        """Have a question answered."""
        self._waiting[order.question] = then
        self.order(order)

    def reload(
        self, reason: str, consider: Callable[[orders.Offer], str], then: Callable[[orders.Reloaded], None]
    ) -> None:
        """Have list, keys and configuration read again; `consider` says what is against serving with them."""
        self._consider, self._reloaded = consider, then
        self.order(orders.Reload(reason))

    def beat(self, then: Callable[[], None]) -> None:
        """Have the runner give a sign of life."""
        self._beaten = then
        self.order(orders.Beat())

    def _flush(self) -> None:
        if self._link.flush():
            self._loop.remove_writer(self._link.fileno())

    def _read(self) -> None:
        try:
            for message in self._link.receive():
                try:
                    self._route(message)
                except Exception as error:  # of one command: the reports behind it are none the worse for it
                    told = {"message": "a report could not be taken", "exception": error}
                    self._loop.call_exception_handler(told)
        except ConnectionLost:
            self._loop.remove_reader(self._link.fileno())
            self._lost()

    def _route(self, message: Message) -> None:
        match message:
            case orders.Begun():
                descriptors = self._link.take_descriptors()
                patron = self._patrons.get(message.child)
                if patron is not None:
                    patron.begun(message, descriptors)
                else:
                    for descriptor in descriptors:
                        os.close(descriptor)
            case orders.Rejected():
                self._patrons.pop(message.child).rejected(message)
            case orders.Broken():
                self._patrons.pop(message.child).broken(message)
            case orders.Repeated():
                self._patrons.pop(message.child).repeated(message)
            case orders.Escaped():
                self._patrons[message.child].escaped(message)
            case orders.Over():
                self._patrons[message.child].over()
            case orders.Ended():
                self._patrons.pop(message.child).ended(message)
            case orders.Judged():
                self._waiting.pop(message.session)(message)
            case orders.Answer():
                self._waiting.pop(message.question)(message)
            case orders.Reloaded():
                self._reloaded(message)
            case orders.Beaten():
                self._beaten()
            case orders.Offer():
                self.order(orders.Adopt(self._consider(message)))
            case _:
                raise AssertionError(f"{type(message).__name__} is not a report")

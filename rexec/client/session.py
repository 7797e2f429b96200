"""A connection to a server, blocking: pump frames until a command is over.

One thread, one `poll`: the socket, the local streams of all commands, and a wake-up for signals. No
stream waits for another: what one sink cannot take now is not credited, and the rest goes on.
"""

from __future__ import annotations

import select
import time

from rexec.client.dispatch import Dispatch
from rexec.errors import ConnectionLost, RexecError
from rexec.limits import ACK_DELAY, DATA_MAX, HEADER_SIZE, KEEPALIVE_IDLE, KEEPALIVE_TIMEOUT, POLL_MAX
from rexec.protocol import frames as f
from rexec.protocol.connection import RESUME
from rexec.protocol.frames import Farewell as Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from rexec.auth.keys import PublicKey
    from rexec.client.greeting import Greeting
    from rexec.client.resume import Return
    from rexec.protocol.connection import Connection
    from rexec.transport.dial import Wire
else:
    from _collections import deque  # without the classes around it

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL
_OUTBOX_MAX = 2 * (DATA_MAX + HEADER_SIZE)  # bytes waiting for the socket before stdin pauses


class Session(Dispatch):
    """An authenticated connection over a wire; `user` is who the server says we are."""

    def __init__(self, wire: Wire, connection: Connection, user: str) -> None:
        super().__init__(connection, user)
        self.wire = wire
        self.greeting: Greeting | None = None  # how we came in, and may come in again
        self.told: Callable[[str, bool], None] | None = None  # what becomes of the line; True: good news
        self._back: Return | None = None  # the way back, while there is no connection
        self._why = ""  # there is none
        self._ack_at: float | None = None
        self.wakeup = -1  # a descriptor that becomes readable when a signal came
        self._number = wire.fileno()
        self._outbox: deque[memoryview] = deque()
        self._unsent = 0  # bytes in it
        self.keepalive: float = KEEPALIVE_IDLE  # seconds of silence before a ping
        self.silence: float = KEEPALIVE_TIMEOUT  # and behind it, before the server counts as gone
        self._heard = time.monotonic()
        self._pinged = False
        self._polled: tuple[select.poll, dict[int, int]] = select.poll(), {}
        wire.unblock()
        self._queue(connection.again())  # what was too large to go out before the welcome

    def begin(self, first: f.Exec | f.Query | None) -> None:
        """Note what was sent with the proof; raises `ConnectionLost` where nobody can say if it was read."""
        self.first = first
        greeting = self.greeting
        if first is None or greeting is None or not greeting.is_another or greeting.resumed:
            return
        if RESUME not in self.connection.features:
            self.wire.close()
            raise ConnectionLost("connection lost, and this server does not tell what it was asked before")
        self._queue(self.connection.send(first, 1))

    @property
    def server_key(self) -> PublicKey | None:
        """The key by which we know the server."""
        return None if self.greeting is None else self.greeting.server_key

    @property
    def is_away(self) -> bool:
        """Whether there is no connection now, and one is sought."""
        return self._back is not None

    def close(self) -> None:
        """Say goodbye: what still runs is ended."""
        if self._back is not None:
            self._back.take_leave() if self._commands else self._back.close()
            self._back = None
            self._lose("connection closed")
        elif self._lost is None:
            self._queue(self._send(f.Goodbye(Reason.DONE)))
            self._lose("connection closed")
            try:
                self._flush()
            except ConnectionLost:
                pass
        for command in list(self._commands.values()):  # its end has come, but not all is handed on
            command.error = "closed before all output was written"
            self._forget_if_over(command)
        self.wire.close()

    # --- the pump -----------------------------------------------------------------------------

    def run(self, done: Callable[[], bool]) -> None:
        """Pump until `done`, or until the connection is lost, which every command is told."""
        while not done():
            self.pump()

    def pump(self, timeout: float | None = None) -> None:
        """Do what can be done now, waiting at most `timeout` seconds (None: for the next event)."""
        interest, has_more = self._interest()
        if interest != self._polled[1]:
            self._polled = _poll_of(interest), interest
        self.serve(dict(self._polled[0].poll(0 if has_more else self._wait(timeout))))

    def prepare(self, timeout: float | None = None) -> tuple[select.poll, float | None]:
        """Return what to poll, and for how many milliseconds; what came is for `serve`."""
        # nothing is done here: whoever waits for an end looks for it after `serve`, before the next poll
        interest, has_more = self._interest()
        return _poll_of(interest), 0 if has_more else self._wait(timeout)

    def serve(self, ready: dict[int, int]) -> None:
        """Do what can be done, after a poll."""
        self._guard(self._serve, ready)

    def _interest(self) -> tuple[dict[int, int], bool]:
        """Return what to poll, and whether something can be done that no poll announces.

        TLS may hold plaintext, and input may come from memory.
        """
        interest: dict[int, int] = {}
        has_more = False
        if self._back is not None:
            interest.update(self._back.interest())
        elif self._lost is None:
            interest[self._number] = select.POLLIN | (select.POLLOUT if self.is_waiting else 0)
            has_more = self.wire.pending()
        if self.wakeup >= 0:
            interest[self.wakeup] = select.POLLIN
        for command in self._commands.values():
            for sink in command.sinks.values():
                if sink.pending and sink.descriptor >= 0:
                    interest[sink.descriptor] = interest.get(sink.descriptor, 0) | select.POLLOUT
            source = command.source
            if source is not None and self._room_for_input(command):
                if source.descriptor >= 0:
                    interest[source.descriptor] = interest.get(source.descriptor, 0) | select.POLLIN
                else:
                    has_more = True
        return interest, has_more

    def _is_clogged(self) -> bool:
        return self._unsent >= _OUTBOX_MAX or self.connection.session.full

    def _wait(self, timeout: float | None) -> float | None:
        """Return milliseconds to wait: until the caller's time, or until a ping is due."""
        if self._lost is not None:
            return None if timeout is None else timeout * 1000
        now = time.monotonic()
        if self._back is not None:
            due = self._back.wait()
        else:
            due = self._heard + self.keepalive + (self.silence if self._pinged else 0) - now
        if self._ack_at is not None and self._ack_at - now < due:
            due = self._ack_at - now
        if timeout is not None and timeout < due:
            due = timeout
        return min(due * 1000 + 1, POLL_MAX) if due > 0 else 1

    def _serve(self, ready: dict[int, int]) -> None:
        if self._back is not None:
            self._come_back(self._back)
        elif self._lost is None:
            if ready.get(self._number, 0) & _READABLE or self.wire.pending():
                self._receive()
            self._keep_alive()
        for command in tuple(self._commands.values()):
            self._tend(command)
            source = command.source
            if source is not None and (source.descriptor < 0 or ready.get(source.descriptor, 0) & _READABLE):
                self._feed(command)
        if self._lost is None and self._back is None:
            self._acknowledge()
            self._flush()

    def _receive(self) -> None:
        data = self.wire.receive(self.connection.place)
        if data is None:
            if not self._may_return:
                self.connection.receive_eof()
            raise ConnectionLost("connection lost: the server closed it")
        if len(data):
            self._heard = time.monotonic()
            self._pinged = False
        self.connection.receive_here(data)
        self._events()

    def _keep_alive(self) -> None:
        silence = time.monotonic() - self._heard
        if silence >= self.keepalive + self.silence:
            raise ConnectionLost(f"connection lost: no answer for {silence:.0f} s")
        if silence >= self.keepalive and not self._pinged:
            self._pinged = True
            self._queue(self._send(f.Ping(0)))

    def _acknowledge(self) -> None:
        """Tell the server what it need not keep any more, now or a little later."""
        core = self.connection.session
        if not core.ack_pending:
            self._ack_at = None
            return
        if self._ack_at is None:
            self._ack_at = time.monotonic() + ACK_DELAY
        if core.ack_due or time.monotonic() >= self._ack_at:
            self._ack_at = None
            self._queue(self.connection.acknowledge())

    # --- without a connection -----------------------------------------------------------------

    @property
    def _may_return(self) -> bool:
        """Whether a connection that is lost may be sought again."""
        return self._is_agreed() and self.greeting is not None

    def _cut(self, error: ConnectionLost) -> None:
        if self._is_final(error) or not self._may_return:
            super()._cut(error)
            return
        from rexec.client.resume import Return

        assert self.greeting is not None
        self._why = str(error)
        self._back = Return(self.greeting, self.connection)
        self._outbox.clear()
        self._unsent = 0
        self._ack_at = None
        # The old wire stays open until we are back: its FIN would tell a server that still hears us, or hears
        # us again before we reach it, that the path works and who is not back within seconds is gone.
        if self.told is not None:
            self.told(f"{self._why}; trying again", False)

    def _come_back(self, back: Return) -> None:
        try:
            is_back = back.step()
        except RexecError as error:
            back.close()
            self._back = None
            self.wire.close()
            self._lose(f"{self._why}; not resumed: {error}")
            return
        if is_back:
            self._back = None
            self._go_on(back)

    def _go_on(self, back: Return) -> None:
        """Take up the session over the new connection; where the server knows it no more, begin a new one."""
        assert back.wire is not None
        assert back.greeting is not None
        self.wire.close()
        self.wire, self.greeting = back.wire, back.greeting
        self.connection = self.greeting.connection
        self._number = self.wire.fileno()
        self._heard = time.monotonic()
        self._pinged = False
        if not self.greeting.resumed:
            self._ask_again(self._why)
        if self.told is not None:
            self.told("resumed" if self.greeting.resumed else "connected again", True)
        self._queue(self.connection.again())
        self._events()

    # --- the wire -----------------------------------------------------------------------------

    def _queue(self, data: bytes) -> None:
        if data and self._back is None:
            self._outbox.append(memoryview(data))
            self._unsent += len(data)

    @property
    def is_waiting(self) -> bool:
        """Whether there is more to send than the wire takes now."""
        return bool(self._outbox) or self.wire.is_unsent

    def flush(self) -> None:
        """Send what the wire takes now."""
        if self._lost is None and self._back is None:
            self._guard(self._flush)

    def _flush(self) -> None:
        if not self.wire.push():
            return
        while self._outbox:
            sent = self.wire.send(self._outbox[0])
            if not sent:
                return
            self._unsent -= sent
            if sent < len(self._outbox[0]):
                self._outbox[0] = self._outbox[0][sent:]
            else:
                self._outbox.popleft()


def _poll_of(interest: dict[int, int]) -> select.poll:
    poll = select.poll()
    for descriptor, events in interest.items():
        poll.register(descriptor, events)
    return poll

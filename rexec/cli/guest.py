"""One command by way of a master: hand the request over, pass signals on, hear how it ended.

This is the fast way. Nothing may be imported here that a connection needs and a guest does not.
Pipes, files and sockets are handed over as they are. A terminal stays ours, since only who belongs to
it may read it in order: its bytes go through pipes (`relays`).
"""

from __future__ import annotations

from rexec.cli.signals import RESIZED, Signals
from rexec.client.sharing import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import stat
    from collections.abc import Callable
    from select import poll

    from rexec.cli.relays import Relay
    from rexec.cli.terminal import Attached
    from rexec.client.sharing import Line
else:
    import _stat as stat
    import posix as os

_NULL = os.makedev(1, 3)  # /dev/null (Linux's devices.txt)


class End:
    """How a command ended, as its master says; `closed`: nobody reads its output any more."""

    __slots__ = ("closed", "code", "error", "signal", "state", "unconfirmed")

    def __init__(self, state: str, code: int, error: str | None = None) -> None:
        self.state = state
        self.code = code
        self.signal: str | None = None
        self.error = error
        self.unconfirmed: str | None = None
        self.closed = False

    @property
    def ended_by_itself(self) -> bool:
        """Whether it had its say about the screen; a shell exits 128+n for one that was killed."""
        return self.state in ("ok", "failed") and self.code <= 128


class Guest:
    """One command that a master runs for us."""

    def __init__(
        self, line: Line, request: list[bytes], attached: Attached | None, notice: Callable[[str], None]
    ) -> None:
        self._notice = notice  # tells a person what the server says
        self._line = line
        self._request = request
        self._attached = attached
        self._relays: list[Relay] = []
        self._taken = False
        self.meanwhile: Callable[[], object] = lambda: None  # while the master has the command started
        self.signals = Signals()

    def run(self) -> End | None:
        """Return how it ended; None where the master did not even begin it."""
        is_local = self._attached is not None and self._attached.is_local
        self.signals.catch(*([RESIZED] if is_local else []))
        theirs = [self._handed(number) for number in (0, 1, 2)]
        try:
            self._line.say(b"run", *self._request, descriptors=theirs)
        except (OSError, Unreachable):
            self.signals.release()
            return None
        finally:
            for relay in self._relays:
                os.close(relay.theirs)
        end: End | None = None
        try:
            self.meanwhile()
            end = self._follow()
        finally:
            if self._attached is not None:
                self._attached.leave(keep_screen=end is not None and end.ended_by_itself)
            if end is None:
                self.signals.release()
        return end

    def _handed(self, number: int) -> int:
        """Return the descriptor to hand over for one of ours."""
        attached = self._attached if self._attached is not None and self._attached.is_local else None
        if (attached is None or number == 2) and not _stays_ours(number):
            return number
        from rexec.cli.relays import relay_of

        relay = relay_of(number, attached)
        self._relays.append(relay)
        return relay.theirs

    # --- while it runs ----------------------------------------------------------------------------

    def _follow(self) -> End | None:
        from select import POLLIN, poll  # while the master has the command started

        while True:
            polled = poll()
            polled.register(self._line.fileno(), POLLIN)
            polled.register(self.signals.descriptor, POLLIN)
            moving = self._register(polled) if self._taken else {}
            patience = self.signals.patience()
            ready = dict(polled.poll(None if patience is None else patience * 1000 + 1))
            for relay, (number, _) in moving.items():
                if number in ready:
                    relay.move()
            self.signals.forward(self._signal, self._resized)
            if self.signals.gave_up:
                return End("lost", 255)
            if self._attached is not None and self._attached.ended:
                return End("lost", 255, "session ended by ~.")
            if self._line.fileno() in ready:
                end, over = self._hear()
                if over:
                    return end

    def _register(self, polled: poll) -> dict[Relay, tuple[int, int]]:
        moving = {relay: relay.wanted for relay in self._relays if relay.wanted[0] >= 0}
        events: dict[int, int] = {}
        for number, event in moving.values():
            events[number] = events.get(number, 0) | event
        for number, event in events.items():
            polled.register(number, event)
        return moving

    def _hear(self) -> tuple[End | None, bool]:
        """Take one message; return the end of the command, and whether there is nothing to wait for."""
        try:
            fields, _ = self._line.hear()
        except OSError:
            fields = []
        try:
            return self._obeyed(fields)
        except ValueError:  # no word of ours, of a master of another version maybe
            return End("lost", 255, "the master says what is not understood"), True

    def _obeyed(self, fields: list[bytes]) -> tuple[End | None, bool]:
        match fields:
            case [b"taken"]:
                self._taken = True
            case [b"terminal"] if self._attached is not None:
                self._attached.enter()
            case [b"notice", text]:
                self._notice(text.decode("utf-8", "replace"))
            case [b"result", state, code, name, has_error, error, unconfirmed]:
                end = End(
                    state.decode(), int(code), error.decode("utf-8", "replace") if has_error == b"1" else None
                )
                end.signal = name.decode() or None
                end.unconfirmed = unconfirmed.decode() or None
                return self._drained(end), True
            case [b"refused", text]:
                return None, True
            case []:
                return (End("lost", 255, "the master went away") if self._taken else None), True
            case _:
                pass
        return None, False

    def _closed(self) -> End:
        end = End("lost", 255)
        end.closed = True
        for relay in self._relays:
            if relay.is_output and relay.error is not None and not isinstance(relay.error, BrokenPipeError):
                return End("lost", 255, (relay.error.strerror or "cannot be written").lower())
        return end

    def _drained(self, end: End) -> End:
        """Write what the master wrote before it said that all is over; what is not whole is no success."""
        for relay in self._relays:
            if not relay.is_output:
                continue
            while (wanted := relay.wanted)[0] >= 0:
                if self._awaited(*wanted):
                    relay.move()
                elif self.signals.gave_up:
                    return End("lost", 255)
            if relay.error is not None and end.state == "ok":
                return self._closed()
        return end

    def _awaited(self, number: int, event: int) -> bool:
        """Wait for a descriptor or a signal: a terminal may be stopped for ever; False where it was none."""
        from select import POLLIN, poll

        polled = poll()
        polled.register(number, event)
        polled.register(self.signals.descriptor, POLLIN)
        patience = self.signals.patience()
        ready = dict(polled.poll(None if patience is None else patience * 1000 + 1))
        self.signals.forward(self._signal, self._resized)
        return number in ready

    def _signal(self, name: str) -> None:
        try:
            self._line.say(b"signal", name.encode())
        except OSError:
            pass  # its end is heard of next

    def _resized(self) -> None:
        size = None if self._attached is None else self._attached.size()
        if size is not None:
            try:
                self._line.say(b"resize", b"%d" % size.columns, b"%d" % size.rows)
            except OSError:
                pass


def _stays_ours(number: int) -> bool:
    """Whether a descriptor is a device that might keep the master waiting, as a terminal is."""
    found = os.fstat(number)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev != _NULL

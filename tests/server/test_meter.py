"""The counts of bytes that a rule may ask for."""

from __future__ import annotations

from collections.abc import Callable

from rexec.protocol.frames import Cause
from rexec.server.meter import Meter
from rexec.server.orders import Bounds

NOTHING = Bounds(None, None, False, None)


class FakeLoop:
    """A loop whose clock the test turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, action: Callable[..., None], *args: object) -> FakeLoop:
        self.calls.append((self.now + delay, action, args))
        return self

    def cancel(self) -> None:
        self.calls.clear()

    def run_until(self, when: float) -> None:
        while self.calls and self.calls[0][0] <= when:
            self.now, action, args = self.calls.pop(0)
            action(*args)
        self.now = when


class Bench:
    """A meter, and why it ended the command."""

    def __init__(self, **bounds: object) -> None:
        self.loop = FakeLoop()
        self.ends: list[tuple[Cause, str]] = []
        self.meter = Meter(
            NOTHING.replace(**bounds),
            "cmds.txt:4",
            self.loop,  # type: ignore[arg-type]
            lambda cause, message: self.ends.append((cause, message)),
        )


def test_output_is_counted_up_to_the_bound() -> None:
    bench = Bench(output=10)
    assert [bench.meter.output(size) for size in (4, 6, 1, 5)] == [4, 6, 0, 0]
    assert bench.ends == []
    assert bench.meter.cut_off == "output is cut off after 10 bytes (cmds.txt:4)"


def test_too_much_output_ends_where_the_rule_says_so() -> None:
    bench = Bench(output=10, kill=True)
    assert bench.meter.output(10) == 10
    assert bench.ends == []
    assert bench.meter.output(1) == 0
    assert bench.ends == [(Cause.OUTPUT_LIMIT, "more than 10 bytes of output (cmds.txt:4)")]


def test_too_much_input_ends() -> None:
    bench = Bench(stdin=10)
    assert [bench.meter.input(size) for size in (0, 10)] == [0, 10]
    assert bench.ends == []
    assert bench.meter.input(3) == 0
    assert bench.ends == [(Cause.INPUT_LIMIT, "more than 10 bytes of input (cmds.txt:4)")]


def test_what_is_not_bounded_passes() -> None:
    bench = Bench(idle_ms=1000)
    assert (bench.meter.output(1 << 40), bench.meter.input(1 << 40)) == (1 << 40, 1 << 40)


def test_silence_ends_and_a_byte_puts_it_off() -> None:
    bench = Bench(idle_ms=1000)
    bench.loop.run_until(100.9)
    bench.meter.output(1)
    bench.loop.run_until(101.8)
    bench.meter.given()
    bench.loop.run_until(102.7)
    assert bench.ends == []
    bench.loop.run_until(102.9)
    assert bench.ends == [(Cause.IDLE, "no byte for 1 s (cmds.txt:4)")]
    assert bench.loop.calls == []


def test_a_command_that_is_over_is_not_watched() -> None:
    bench = Bench(idle_ms=1000)
    bench.meter.stop()
    bench.meter.stop()
    bench.loop.run_until(200.0)
    assert bench.ends == []

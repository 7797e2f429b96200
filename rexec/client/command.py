"""One command as its client sees it: streams, and in the end a result that is whole or an error."""

from __future__ import annotations

from rexec.client.result import Result
from rexec.client.streams import HeldSink, MemorySink
from rexec.protocol import frames as f
from rexec.protocol.frames import Cause, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from rexec.client.streams import Sink, Source
else:
    import _signal as signal  # without enums


class Command:
    """A command on its channel. `last` is the frame that ended it, `error` why there is none."""

    __slots__ = (
        "asked", "channel", "ended", "error", "is_abandoned", "is_deaf", "is_fed", "is_only_asked_about",
        "last", "noticed", "receipt", "received", "rule", "signals", "sinks", "size", "source", "started",
        "stopped", "terminal",
    )  # fmt: skip

    def __init__(self, channel: int, source: Source | None, stdout: Sink, stderr: Sink) -> None:
        self.channel = channel
        self.asked: f.Exec | f.Query | None = None  # what the server was asked
        self.signals: list[str] = []  # that were sent to it
        self.size: f.Resize | None = None  # of its terminal, as it was told last
        self.is_fed = False  # some input was sent, which cannot be sent again
        self.is_abandoned = False  # nobody waits for it
        self.is_only_asked_about = False  # it was started once, and is not to be started again
        self.source = source
        self.sinks = {Stream.STDOUT: stdout, Stream.STDERR: stderr}
        self.received = {Stream.STDOUT: 0, Stream.STDERR: 0}
        self.stopped: set[Stream] = set()  # streams that we read no more of
        self.ended: set[Stream] = set()  # streams that came to their end
        self.is_deaf = False  # no more input can be sent: it has ended, or nobody reads it
        self.started = False
        self.terminal = False  # it has one
        self.rule: str | None = None
        self.noticed: Callable[[str], None] | None = None  # told instead of who is told for all commands
        self.receipt: bytes | None = None  # not yet believed
        self.last: f.Exit | f.Denied | f.Failed | None = None
        self.error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether all is known and all output is handed on."""
        if self.error is not None:
            return True
        return self.last is not None and not self.is_pending

    @property
    def is_pending(self) -> bool:
        """Whether output waits to be handed on."""
        return any(sink.pending for sink in self.sinks.values())

    def is_held(self, stream: Stream) -> bool:
        """Whether output waits to be taken by hand."""
        sink = self.sinks[stream]
        return isinstance(sink, HeldSink) and not sink.is_empty

    @property
    def unconfirmed(self) -> str | None:
        """The text that the server wants to be confirmed with, where it denied for nothing else."""
        return self.last.confirm if isinstance(self.last, f.Denied) else None

    def has_ended(self, stream: Stream) -> bool:
        """Whether no more output comes."""
        gone = self.ended | self.stopped
        return stream in gone or self.last is not None or self.error is not None

    def broken_off(self, stream: Stream) -> str | None:
        """Say why a stream that has ended is not whole, if it is not."""
        if stream in self.ended or stream in self.stopped:
            return None
        result = self.result()
        return result.error if result.state == "lost" else None

    def take(self, frame: f.Frame) -> None:
        """Note a frame that is not data."""
        match frame:
            case f.Started():
                self.started = True
                self.rule = frame.rule
                self.terminal = frame.pty
            case f.Stop():
                self.source = None
                self.is_deaf = True
            case f.Eof():
                self.ended.add(frame.stream)
            case f.Receipt():
                self.receipt = frame.data
            case f.Exit() | f.Denied() | f.Failed():
                self.last = frame
                self.source = None
                self.is_deaf = True
            case _:
                pass

    def again(self) -> f.Exec | f.Query | None:
        """Return what to ask a server that lost the connection and the session; None: nothing.

        What its caller has seen some of is not to be started again; that is what the offsets say.
        """
        seen = any(self.received.values())
        if self.asked is None or self.is_abandoned or (seen and isinstance(self.asked, f.Query)):
            return None
        if isinstance(self.asked, f.Query) or not (seen or self.is_fed):
            self.started = False
            return self.asked
        self.is_only_asked_about = True
        stdout, stderr = self.received.values()
        return self.asked.replace(stdout_from=stdout if seen else 1, stderr_from=stderr)

    def result(self) -> Result:
        """Return what is known, as `--json` has it."""
        match self.last:
            case _ if self.error is not None:
                result = Result("lost", 255, error=self.error, rule=self.rule)
            case f.Denied():
                result = Result("denied", 126, error=self.last.message, rule=self.last.rule)
            case f.Failed():
                state, code = ("not_found", 127) if self.last.exit_code == 127 else ("denied", 126)
                result = Result(state, code, error=self.last.message, rule=self.last.rule)
            case f.Exit():
                result = self._ended(self.last)
            case _:
                result = Result("lost", 255, error="connection lost", rule=self.rule)
        self._add_output(result)
        return result

    def _ended(self, end: f.Exit) -> Result:
        state, code, error = _meaning(end)
        promised = {Stream.STDOUT: end.stdout, Stream.STDERR: end.stderr}
        if not end.output_kept:
            seen = sum(self.received.values())
            rest = f"; output incomplete at byte {seen}" if seen else ""
            state, code, error = "lost", 255, f"{error or 'the output is gone'}{rest}"
        for stream, count in self.received.items() if end.output_kept else ():
            if stream not in self.stopped and count != promised[stream]:
                state, code, error = "lost", 255, f"output incomplete at byte {count}"
        return Result(
            state,
            code,
            signal=end.signal or None,
            truncated=end.truncated,
            lingered=end.lingered,
            wall_s=end.wall_us / 1_000_000,
            rule=self.rule,
            error=error,
        )

    def _add_output(self, result: Result) -> None:
        if self.started or any(self.received.values()):
            result.stdout_bytes = self.received[Stream.STDOUT]
            result.stderr_bytes = self.received[Stream.STDERR]
        stdout, stderr = self.sinks[Stream.STDOUT], self.sinks[Stream.STDERR]
        if isinstance(stdout, MemorySink):
            result.stdout = bytes(stdout.data)
        if isinstance(stderr, MemorySink):
            result.stderr = bytes(stderr.data)


def _meaning(end: f.Exit) -> tuple[str, int, str | None]:
    """Return state, exit code and error of an exit."""
    match end.cause:
        case Cause.EXITED:
            return ("failed", end.status, None) if end.status else ("ok", 0, None)
        case Cause.SIGNALLED:
            return "signal", 128 + signal_number(end.signal), None
        case Cause.TIMEOUT:
            return "timeout", 124, "timed out"
        case Cause.IDLE:
            return "timeout", 124, f"timed out: {end.message or 'no output'}"
        case Cause.OUTPUT_LIMIT:
            return "ended", 255, end.message or "more output than the rule allows"
        case Cause.INPUT_LIMIT:
            return "ended", 255, end.message or "more input than the rule allows"
        case Cause.DRAINED:
            return "ended", 255, end.message or "the server is stopping"
        case Cause.ALREADY_RAN:
            return "lost", 255, end.message or f"already ran, status {end.status}"
        case _:
            return "lost", 255, end.message or "nobody knows how the command ended"


def signal_number(name: str) -> int:
    """Return the number of a signal given by its name without SIG, 0 for one this system has not."""
    plus = name.removeprefix("RTMIN+")
    if plus != name and plus.isascii() and plus.isdigit() and len(plus) <= 2:
        number = signal.SIGRTMIN + int(plus)
        return number if number <= signal.SIGRTMAX else 0
    number = getattr(signal, f"SIG{name}", 0)
    return int(number) if name.isalnum() else 0

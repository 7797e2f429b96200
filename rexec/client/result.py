"""What is known of a command when all is over."""

from __future__ import annotations

from rexec.errors import CommandError
from rexec.text import neutral


class Result:
    """One finished command: the keys of ``--json``, and its output as bytes.

    `state` is one of ok, failed, signal, timeout, denied, not_found, unreachable, untrusted,
    unauthenticated, lost, ended. `exit_code` is what ``rexec`` itself exits with; `signal` a name
    without SIG; `wall_s` seconds on the server; `rule` such as ``cmds.txt:4``. What has no meaning
    is None. `stdout` and `stderr` are empty where the output went elsewhere. `receipt` is what the
    server signed about it, where one was asked for and there is one.
    """

    __slots__ = (
        "error",
        "exit_code",
        "lingered",
        "receipt",
        "rule",
        "signal",
        "state",
        "stderr",
        "stderr_bytes",
        "stdout",
        "stdout_bytes",
        "truncated",
        "wall_s",
    )

    def __init__(
        self,
        state: str,
        exit_code: int,
        *,
        signal: str | None = None,
        stdout: bytes = b"",
        stderr: bytes = b"",
        stdout_bytes: int | None = None,
        stderr_bytes: int | None = None,
        truncated: bool | None = None,
        lingered: bool | None = None,
        wall_s: float | None = None,
        rule: str | None = None,
        error: str | None = None,
        receipt: bytes | None = None,
    ) -> None:
        self.state = state
        self.exit_code = exit_code
        self.signal = signal
        self.stdout = stdout
        self.stderr = stderr
        self.stdout_bytes = stdout_bytes
        self.stderr_bytes = stderr_bytes
        self.truncated = truncated
        self.lingered = lingered
        self.wall_s = wall_s
        self.rule = rule
        self.error = error
        self.receipt = receipt

    @property
    def ok(self) -> bool:
        """Whether the command ran, ended with status 0, and all its output came."""
        return self.state == "ok"

    @property
    def text(self) -> str:
        """`stdout` as UTF-8; raises `UnicodeDecodeError` where it is something else."""
        return self.stdout.decode()

    def check(self, name: str = "command") -> Result:
        """Return this result if it is `ok`, else raise `CommandError`; `name` stands in its message."""
        if not self.ok:
            raise CommandError(f"{neutral(name)}: {self._words()}", self)
        return self

    def _words(self) -> str:
        if self.state == "denied":
            return f"denied: {neutral(self.error or '')}"
        if self.error is not None:
            return neutral(self.error)
        return f"died by signal {neutral(self.signal)}" if self.signal else f"status {self.exit_code}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # its output may be changed

    def __repr__(self) -> str:
        more = "" if self.error is None else f", error={self.error!r}"
        return f"Result({self.state}, exit_code={self.exit_code}{more})"

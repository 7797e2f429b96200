"""Every exception of rexec, and the exit code that each one ends a command with.

RexecError                255  lost
├── UsageError              2         the command line is wrong
│   └── ConfigError         2         a file or setting is wrong: policy, keys, configuration, address
├── ConnectError          255  unreachable
├── TrustError            255  untrusted         the server is not who it should be
├── AuthError             255  unauthenticated   the server does not take our keys
├── ConnectionLost        255  lost              the line went away, output did not arrive whole
├── ProtocolError         255  lost
│   ├── LocalProtocolError                       our side asked for what the tables forbid: a bug
│   └── RemoteProtocolError                      the peer broke the protocol
└── CommandError          its own                a finished command that was to succeed (``check=True``)

A non-zero status, a death by signal and a denial are values, not exceptions. Messages are lower
case without a full stop; `hint` is at most one further line that names the way out.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.client.result import Result


class RexecError(Exception):
    """Base of all that rexec raises on purpose."""

    exit_code = 255
    state = "lost"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(RexecError):
    """The command line cannot be obeyed."""

    exit_code = 2


class ConfigError(UsageError):
    """A file or setting is missing, malformed or unsafe."""


class ConnectError(RexecError):
    """No connection could be made; `is_refused`: nothing listens there, `is_lost`: it began, and broke."""

    state = "unreachable"
    is_refused = False
    is_lost = False


class TrustError(RexecError):
    """The server's key is unknown, changed or refused."""

    state = "untrusted"


class AuthError(RexecError):
    """The server accepted none of our keys, or we have none."""

    state = "unauthenticated"


class ConnectionLost(RexecError):
    """The connection ended before the result was whole."""


class ProtocolError(RexecError):
    """The protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We tried to send what the state tables forbid."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol forbids."""


class CommandError(RexecError):
    """A command run with ``check=True`` did not succeed; `result` says how."""

    def __init__(self, message: str, result: "Result") -> None:
        super().__init__(message)
        self.result = result
        self.exit_code = result.exit_code
        self.state = result.state

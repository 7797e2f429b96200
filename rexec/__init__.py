"""Run exactly these commands on that machine, for these people, and nothing else.

    with rexec.connect("web1") as host:
        print(host.run(["ls", "-l"], check=True).text)

Names are loaded when they are first asked for: `import rexec` itself takes nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.client.aio import AsyncHost, connect_async
    from rexec.client.answers import Explanation, Job, Rule
    from rexec.client.api import Host, connect
    from rexec.client.async_process import AsyncProcess
    from rexec.client.process import Process
    from rexec.client.result import Result
    from rexec.errors import (
        AuthError,
        CommandError,
        ConfigError,
        ConnectError,
        ConnectionLost,
        LocalProtocolError,
        ProtocolError,
        RemoteProtocolError,
        RexecError,
        TrustError,
        UsageError,
    )

_PLACES = {
    "AsyncHost": "rexec.client.aio",
    "AsyncProcess": "rexec.client.async_process",
    "Explanation": "rexec.client.answers",
    "Host": "rexec.client.api",
    "Job": "rexec.client.answers",
    "Process": "rexec.client.process",
    "Result": "rexec.client.result",
    "Rule": "rexec.client.answers",
    "connect": "rexec.client.api",
    "connect_async": "rexec.client.aio",
}

__all__ = [
    "AsyncHost",
    "AsyncProcess",
    "AuthError",
    "CommandError",
    "ConfigError",
    "ConnectError",
    "ConnectionLost",
    "Explanation",
    "Host",
    "Job",
    "LocalProtocolError",
    "Process",
    "ProtocolError",
    "RemoteProtocolError",
    "Result",
    "RexecError",
    "Rule",
    "TrustError",
    "UsageError",
    "__version__",
    "connect",
    "connect_async",
]


def __getattr__(name: str) -> object:
    """Load a name of the API."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(_PLACES.get(name, "rexec.errors")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)

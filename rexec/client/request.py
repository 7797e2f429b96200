"""What the Python API is asked for, checked and turned into frames, sources and sinks.

A value of a wrong type is a `TypeError`, as everywhere in Python; what no server could be asked is a
`UsageError`. Both are raised before anything is sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from rexec import files
from rexec.client.config import Wishes, directory, load_config, resolve, variables
from rexec.client.identity import signers
from rexec.client.streams import FdSink, FdSource, HeldSink, MemorySink, MemorySource
from rexec.errors import UsageError
from rexec.limits import TIMEOUT_MAX
from rexec.protocol import frames as f
from rexec.protocol.frames import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rexec.client.config import Target
    from rexec.client.identity import Signer
    from rexec.client.streams import Sink, Source

Word = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Identity = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Passphrase = str | bytes | Callable[[str], str | bytes | None]
Input = bytes | bytearray | memoryview | int | IO[bytes]
Take = Callable[[bytes], object]  # is handed a piece of output
Output = int | IO[bytes] | IO[str] | Take


class Access(NamedTuple):
    """Where to connect, and the keys to try there."""

    target: Target
    signers: Iterator[Signer]


def access(
    host: str,
    *,
    user: str | None,
    port: int | None,
    identity: Identity | None,
    home: str | os.PathLike[str] | None,
    tls: bool,
    accept_new: bool,
    connect_timeout: float | None,
    passphrase: Passphrase | None,
) -> Access:
    """Return what `rexec [USER@]HOST` would do with the same options and `config.toml`."""
    if not isinstance(host, str):
        raise TypeError(f"the host is a str, not {type(host).__name__}")
    place = files.home(None if home is None else os.fspath(home), os.environ)
    wishes = Wishes(place)
    wishes.user, wishes.port = user, port
    wishes.identity = _paths(identity)
    wishes.no_tls, wishes.accept_new = not tls, accept_new
    wishes.connect_timeout = _seconds("connect_timeout", connect_timeout)
    target = resolve(host, wishes, load_config(place, None))
    return Access(target, signers(place, target.identities, os.environ, _asker(passphrase)))


def _paths(identity: Identity | None) -> list[str]:
    if identity is None:
        return []
    if isinstance(identity, str | os.PathLike):
        return [os.fspath(identity)]
    return [os.fspath(path) for path in identity]


def _asker(passphrase: Passphrase | None) -> Callable[[str], bytes | None]:
    """Return who is asked for the passphrase of a key's file: nobody at a terminal, ever."""

    def ask(path: str) -> bytes | None:
        given = passphrase(path) if callable(passphrase) else passphrase
        return given.encode() if isinstance(given, str) else given

    return ask


def _seconds(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, not {type(value).__name__}")
    if not 0 < value <= TIMEOUT_MAX:
        raise UsageError(f"{name} is {value}: it has to be more than 0 and at most {TIMEOUT_MAX:.0f} seconds")
    return float(value)


# --- a command -----------------------------------------------------------------------------------


def words(argv: Sequence[Word]) -> tuple[bytes, ...]:
    """Return an argument vector byte for byte; one string is none, since nothing is ever split."""
    if isinstance(argv, str | bytes | bytearray | os.PathLike) or not isinstance(argv, Iterable):
        raise TypeError(f"argv is a sequence of words such as ['ls', '-l'], not {type(argv).__name__}")
    found = tuple(os.fsencode(word) for word in argv)
    if not found:
        raise UsageError("argv is empty")
    return found


def request(
    target: Target,
    argv: Sequence[Word],
    env: Mapping[str | bytes, str | bytes] | None,
    cwd: Word | None,
    timeout: float | None,
    *,
    stdin: bool,
    confirm: str | None = None,
) -> f.Exec:
    """Return the frame; what is not said here is as `config.toml` says."""
    if confirm is not None and not isinstance(confirm, str):
        raise TypeError(f"confirm is a str, not {type(confirm).__name__}")
    wanted = target.timeout if timeout is None else _seconds("timeout", timeout)
    return f.Exec(
        0,
        f.Form.ARGV,
        words(argv),
        env=(*variables(target), *_variables(env)),
        cwd=directory(target) if cwd is None else os.fsencode(cwd),
        timeout_ms=None if wanted is None else max(1, round(wanted * 1000)),
        stdin=stdin,
        confirm=confirm,
    )


def question(target: Target, argv: Sequence[Word], *, pty: bool = False) -> f.Query:
    """Return the frame that asks what the policy would say to `request`."""
    return f.Query("explain", words(argv), pty, directory(target), variables(target))


def _variables(env: Mapping[str | bytes, str | bytes] | None) -> Iterator[tuple[bytes, bytes]]:
    if env is not None and not isinstance(env, Mapping):
        raise TypeError(f"env is a mapping of names to values, not {type(env).__name__}")
    for name, value in (env or {}).items():
        yield os.fsencode(name), os.fsencode(value)


# --- its streams -----------------------------------------------------------------------------------


def source(given: Input | None) -> Source | None:
    """Return where input comes from; None is no input at all."""
    if given is None:
        return None
    if isinstance(given, bytes | bytearray | memoryview):
        return MemorySource(bytes(given))
    if isinstance(given, int) and not isinstance(given, bool):
        return FdSource(given)
    descriptor = _descriptor(given)
    if descriptor is not None:
        return FdSource(descriptor)
    read: Any = getattr(given, "read", None)
    data = read() if callable(read) else given
    if not isinstance(data, bytes):
        raise TypeError(f"input is bytes, a descriptor or a binary file, not {type(data).__name__}")
    return MemorySource(data)


class Outlet(NamedTuple):
    """Where output goes: a sink, and who takes what that one holds."""

    sink: Sink
    take: Take | None


class Outlets(NamedTuple):
    """Where both streams of a command go; to be closed where it is not started after all."""

    stdout: Outlet
    stderr: Outlet

    @property
    def takers(self) -> dict[Stream, Take]:
        """Who is handed what, and in which order."""
        both = {Stream.STDOUT: self.stdout.take, Stream.STDERR: self.stderr.take}
        return {stream: take for stream, take in both.items() if take is not None}

    def close(self) -> None:
        """Give up what was opened."""
        self.stdout.sink.close()
        self.stderr.sink.close()


def outlets(stdout: Output | None, stderr: Output | None) -> Outlets:
    """Return where output goes; None is the result."""
    first = _outlet(stdout)
    try:
        return Outlets(first, _outlet(stderr))
    except BaseException:
        first.sink.close()
        raise


def _outlet(given: Output | None) -> Outlet:
    if given is None:
        return Outlet(MemorySink(), None)
    if isinstance(given, int) and not isinstance(given, bool):
        return Outlet(FdSink(given), None)
    descriptor = _descriptor(given)
    if descriptor is not None:
        flush: Any = getattr(given, "flush", None)
        if callable(flush):  # what was printed before comes before
            flush()
        return Outlet(FdSink(descriptor), None)
    write: Any = getattr(given, "write", given)
    if not callable(write) or hasattr(given, "encoding"):
        kind = type(given).__name__
        raise TypeError(f"output goes to a descriptor, a binary file or a callable, not {kind}")
    return Outlet(HeldSink(), write)


def _descriptor(given: object) -> int | None:
    """Return the descriptor of a file, None for one that has none, such as `io.BytesIO`."""
    fileno: Any = getattr(given, "fileno", None)
    if not callable(fileno):
        return None
    try:
        return int(fileno())
    except OSError:  # io.UnsupportedOperation
        return None

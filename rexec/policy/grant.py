"""What the options of a rule say, as values; each has the default that every command gets without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rexec.limits import LINGER, UMASK
from rexec.policy.who import EVERYONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from rexec.policy.disk import Account
    from rexec.policy.who import Who


class Output(NamedTuple):
    """``output 10M truncate|kill``: bytes of stdout and stderr together, and what happens beyond."""

    size: int
    kill: bool


class Rate(NamedTuple):
    """``rate 10/min``: starts within so many seconds, whoever asks."""

    starts: int
    seconds: int


class Limits(NamedTuple):
    """``limit``: resource limits of the program and each of its children (setrlimit(2)); None: inherited."""

    cpu: int | None = None  # seconds
    mem: int | None = None  # bytes of address space
    procs: int | None = None  # processes of the account that runs it
    files: int | None = None  # open descriptors
    fsize: int | None = None  # bytes of any file it writes


class Window(NamedTuple):
    """``when Mon-Fri 08:00-18:00``, in the server's local time; past midnight where `end` <= `start`."""

    days: frozenset[int]  # 0 is Monday: the day on which the window begins
    start: int  # minutes of the day
    end: int
    text: str  # as written, for a denial


class Fence(NamedTuple):
    """What the kernel is to hold; `confined` says whether `ro` and `rw` bound the files at all."""

    noexec: bool = False
    exec_only: tuple[str, ...] | None = None  # absolute paths of programs that may be started besides
    confined: bool = False
    ro: tuple[str, ...] = ()  # absolute paths of files or trees
    rw: tuple[str, ...] = ()
    net: bool = True
    best_effort: bool = False  # go without what this kernel lacks

    @property
    def is_asked_for(self) -> bool:
        """Tell whether the kernel is to hold anything at all."""
        return self.noexec or self.exec_only is not None or self.confined or not self.net


NO_LIMITS = Limits()
NO_FENCE = Fence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the options of a rule say; without any, what every command gets."""

    about: str = ""
    whom: Who = EVERYONE  # narrows the section
    sources: tuple[IPv4Network | IPv6Network, ...] = ()  # from; empty: anywhere
    windows: tuple[Window, ...] = ()  # when; empty: always
    until: float | None = None  # Unix time from which the rule matches nothing any more
    run_as: Account | None = None  # None: the server's own account
    timeout: float | None = None  # seconds
    idle: float | None = None  # seconds without a byte in either direction
    cwd: str | None = None  # None: the home of the account
    cwd_ask: str | None = None  # the root under which the client may choose; None: it may not
    env_set: tuple[tuple[str, str], ...] = ()
    env_pass: tuple[str, ...] = ()  # names, or a name and * behind it
    pty: str = "yes"  # no, yes, only
    stdin: bool = True
    stdin_max: int | None = None  # bytes that the client may send
    background_keep: bool = False
    resume: float | None = (
        None  # seconds that it may go on when its connection is lost; None: as the server says
    )
    idempotent: bool = False  # to run it twice does no harm
    detach: bool = False  # it may be started to run on without its client
    umask: int = UMASK
    nice: int | None = None
    limits: Limits = NO_LIMITS
    output: Output | None = None
    parallel: int | None = None  # at once, whoever asks
    rate: Rate | None = None
    fence: Fence = NO_FENCE
    sha256: str | None = None  # of the program's file, in hex
    record: str = "no"  # no, out, io
    redact: frozenset[str] = frozenset()  # names of captured values that no log may hold
    confirm: str | None = None  # the text that the client must send
    danger: str = ""  # low, high
    linger: float = LINGER  # seconds


PLAIN = Grant()

"""What is asked: all that a decision depends on, so that `decide` looks nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Job(NamedTuple):
    """A detached command of the asker's own: its id, and the rule that it was started by."""

    id: str
    label: str  # of the rule, as it was then
    rule: str  # its fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One command that somebody asks for.

    Strings from the wire are decoded by `text_of`, so that every byte survives. `groups` are those
    of the key; those of ``%group`` are added by `decide`. `timeout` is in seconds, `now` is Unix
    time, `pty` the TERM of the client where it asks for a terminal, `peer` the address as text or ""
    for a Unix socket, `utc_offset` the seconds by which local time is ahead, `confirm` the text that the
    client confirms with, `connection` the value of REXEC_CONNECTION, `pty_allowed` what the key says.
    `env` is asked for, `offered` are variables that a rule may take or leave. What `forms` makes of the words
    stands in `flaw` (what no rule could take), `line` (the string that they were split from) and `options`
    (of a copy). `detach` asks for a command that runs on without its client; `job` is the one that a request
    of the form ``job`` is about.
    """

    user: str
    groups: frozenset[str]
    words: tuple[str, ...]
    peer: str
    connection: str
    now: float
    pty_allowed: bool
    utc_offset: int = 0
    confirm: str | None = None
    form: str = "argv"
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None
    timeout: float | None = None
    pty: str | None = None
    stdin: bool = True
    offered: tuple[tuple[str, str], ...] = ()
    flaw: str = ""
    line: str | None = None
    options: tuple[str, ...] = ()
    detach: bool = False
    job: Job | None = None


def text_of(data: bytes) -> str:
    """Decode bytes of the wire; `bytes_of` gives back exactly the same."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Encode what `text_of` decoded, for the kernel."""
    return text.encode("utf-8", "surrogateescape")

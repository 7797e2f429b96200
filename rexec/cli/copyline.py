"""The command line of `rexec-cp`: scp's options, and what its words name.

`[USER@]HOST:PATH` is at a host, all else is here. A colon counts as in scp: not behind a slash, and not as
the first character. Brackets hold whatever has colons of its own: `[::1]:PATH`, `[HOST:PORT]:PATH`,
`[unix:/run/rexec.sock]:PATH`.
"""

from __future__ import annotations

import os

from rexec.cli.options import Line, confirmation
from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = b"-"  # stdin as a source, stdout as a target


class Spot:
    """What one word names: a path here (`host` is None) or at a host."""

    __slots__ = ("host", "path", "word")

    def __init__(self, word: str, host: str | None, path: bytes) -> None:
        self.word = word
        self.host = host
        self.path = path

    @property
    def is_stream(self) -> bool:
        return self.host is None and self.path == STREAM


class CopyLine(Line):
    """A parsed command line; what `rexec` takes besides keeps its default."""

    def __init__(self) -> None:
        super().__init__()
        self.recursive = False
        self.times = False
        self.compressed = False  # taken from those who are used to it; there is no compression
        self.resume = False
        self.limit: int | None = None  # Kbit/s
        self.sources: list[Spot] = []
        self.destination: Spot | None = None


def _port(text: str) -> int:
    from rexec.transport.address import parse_port

    return parse_port(text)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) < 2**40):
        raise UsageError(f"{text!a} is not a number of Kbit/s")
    return int(text)


def _seconds(text: str) -> float:
    from rexec.client.config import seconds

    return seconds(text)


# spellings, what it sets, the name of its value, how that is read, and what it is for
_ROWS: tuple[tuple[tuple[str, ...], str, str, Callable[[str], object] | None, str], ...] = (
    (("-r",), "recursive", "", None, "copy directories with all that is in them; no link is followed"),
    (("-p",), "times", "", None, "keep the times of files and directories"),
    (("-P",), "port", "PORT", _port, "connect to this port (5512)"),
    (("-i",), "identity", "FILE", str, "prove with this key alone; may be given again"),
    (("-l",), "limit", "LIMIT", _limit, "copy no faster than this, in Kbit/s"),
    (("-q",), "quiet", "", None, "no progress, and only what failed on stderr"),
    (("-v",), "verbose", "", None, "more words on stderr"),
    (("-C",), "compressed", "", None, "ignored: there is no compression"),
    (("--resume",), "resume", "", None, "go on with files that an interrupted copy left behind"),
    (("--home",), "home", "DIR", str, "keys and known hosts, instead of $REXEC_HOME or ~/.rexec"),
    (("--config",), "config", "FILE", str, "settings, instead of HOME/config.toml"),
    (("--accept-new",), "accept_new", "", None, "take the key of a server that is not known yet"),
    (("--no-tls",), "no_tls", "", None, "in the clear, to unix: and loopback addresses alone"),
    (("--connect-timeout",), "connect_timeout", "10s", _seconds, "give up connecting after this time (10s)"),
    (("--confirm",), "confirm", "TEXT", confirmation, "the text with which a rule wants to be confirmed"),
    (("--version",), "version", "", None, "print the version"),
    (("-h", "--help"), "help", "", None, "print this"),
)
_OPTIONS = {name: (field, value, take) for names, field, value, take, _ in _ROWS for name in names}


def parse(arguments: list[str]) -> CopyLine:
    """Return the line that the arguments mean. Raises `UsageError`."""
    line = CopyLine()
    rest = list(arguments)
    words: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            _set(line, name, value if equals else None, rest)
        elif word.startswith("-") and word != "-":
            _letters(line, word[1:], rest)
        else:
            words.append(word)
    if line.help or line.version:
        return line
    if len(words) < 2:
        raise UsageError("a source and a target are needed", hint="rexec-cp [OPTIONS] SOURCE... TARGET")
    *line.sources, line.destination = map(spot, words)
    return line


def _letters(line: CopyLine, letters: str, rest: list[str]) -> None:
    while letters:
        name, letters = f"-{letters[0]}", letters[1:]
        if _known(name)[1]:
            _set(line, name, letters or None, rest)
            return
        _set(line, name, None, rest)


def _known(name: str) -> tuple[str, str, Callable[[str], object] | None]:
    if name not in _OPTIONS:
        raise UsageError(f"unknown option {name!a}", hint="rexec-cp --help lists them")
    return _OPTIONS[name]


def _set(line: CopyLine, name: str, given: str | None, rest: list[str]) -> None:
    field, _, take = _known(name)
    before = getattr(line, field)
    if take is None:
        if given is not None:
            raise UsageError(f"{name} takes no value")
        setattr(line, field, True if isinstance(before, bool) else before + 1)
        return
    if given is None:
        if not rest:
            raise UsageError(f"{name} needs a value")
        given = rest.pop(0)
    try:
        taken = take(given)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    if isinstance(before, list):
        before.append(taken)
    elif before is None:  # of two, the first counts, as in ssh
        setattr(line, field, taken)


def spot(word: str) -> Spot:
    """Return what a word names. Raises `UsageError`."""
    user, bracket, rest = word.partition("[")
    inside, closed, path = rest.partition("]:")
    if bracket and closed and (not user or (user.endswith("@") and "/" not in user and ":" not in user)):
        is_bare = inside.count(":") > 1 and not inside.startswith(("[", "unix:"))  # an IPv6 address
        return Spot(word, user + (f"[{inside}]" if is_bare else inside), os.fsencode(path))
    before, colon, path = word.partition(":")
    if not colon or not before or "/" in before:
        return Spot(word, None, os.fsencode(word))
    return Spot(word, before, os.fsencode(path))


def _usage() -> str:
    lines = ["usage: rexec-cp [OPTIONS] SOURCE... TARGET", ""]
    for names, _, value, _, about in _ROWS:
        lines.append(f"  {_shown(names, value):<24} {about}")
    lines += [
        "",
        "SOURCE and TARGET: [USER@]HOST:PATH at a host; PATH here (./a:b where it has a colon); - is stdin",
        "or stdout. Brackets hold a host with colons: [::1]:PATH, [HOST:PORT]:PATH, [unix:/SOCKET]:PATH.",
        "Exit: 0 all copied; 1 some of it failed; 126 denied; 255 rexec failed; 2 the command line is wrong.",
    ]
    return "\n".join(lines) + "\n"


def _shown(names: tuple[str, ...], value: str) -> str:
    return f"{', '.join(names)} {value}".strip()


USAGE = _usage()

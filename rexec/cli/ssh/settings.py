"""What a command line of ssh, and a file in ssh's format, say; None where they say nothing."""

from __future__ import annotations

from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from rexec.client.config import Target

    T = TypeVar("T")

_DIGITS = 15  # of a time, at most


class Settings:
    """One row a setting, named as in ssh_config(5) where it has a name there. The first to set one counts."""

    def __init__(self) -> None:
        self.host: str | None = None
        self.command: list[str] = []
        # where to, and as whom
        self.port: int | None = None
        self.user: str | None = None
        self.host_name: str | None = None
        self.identity_files: list[str] = []
        self.config_file: str | None = None
        self.proxy_jump: str | None = None
        self.proxy_command: str | None = None
        # trust and patience
        self.strict: str | None = None  # ask, yes or accept-new
        self.known_hosts: list[str] | None = None
        self.batch: bool | None = None
        self.connect_timeout: float | None = None
        self.alive_interval: float | None = None
        self.alive_count: int | None = None
        # the command
        self.remote_command: str | None = None
        self.is_subsystem = False
        self.tty: str | None = None  # no, yes, force or auto
        self.no_stdin = False
        self.send_env: list[str] = []
        self.set_env: list[str] | None = None
        self.text = ""  # all words of the command, as it is sent
        self.gets_terminal = False
        self.carries = False  # the connection of another client, which started this one
        # a connection for several commands
        self.master: str | None = None  # no, yes or auto
        self.control_path: str | None = None
        self.persist: float | None = None  # seconds; 0: for ever; -1: no longer than its commands
        self.control: str | None = None  # check, exit or stop
        self.no_command = False  # -N, which only a master may be told
        self.background = False  # -f, likewise
        self.target: Target | None = None  # where all this leads, once it is known
        # words
        self.quiet: bool | None = None  # nothing of our own
        self.terse = False  # nothing but errors
        self.verbose = 0
        self.warnings: list[str] = []
        self.shows_settings = False
        self.shows_version = False

    def set(self, field: str, value: object) -> None:
        """Set what nobody has set before."""
        if getattr(self, field) is None:
            setattr(self, field, value)


def words_of(text: str) -> list[str]:
    """Return the words of a value, quoted as in ssh_config(5). Raises `UsageError` for an open quote.

    A backslash stands for itself, except before a quote, a backslash, and a blank outside quotes.
    """
    words: list[str] = []
    rest = text.strip(" \t\r\n\f")
    while rest and not rest.startswith("#"):
        word, rest = _word(rest)
        words.append(word)
        rest = rest.lstrip(" \t")
    return words


def _word(text: str) -> tuple[str, str]:
    found: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        following = text[at + 1 : at + 2]
        if char == "\\" and following and (following in "'\"\\" or (following == " " and not quote)):
            found.append(following)
            at += 1
        elif not quote and char in " \t":
            break
        elif not quote and char in "'\"":
            quote = char
        elif quote and char == quote:
            quote = ""
        else:
            found.append(char)
        at += 1
    if quote:
        raise UsageError("a quote is left open")
    return "".join(found), text[at:]


def seconds_of(text: str) -> float:
    """Return the seconds of a time in ssh's format, such as `90`, `10m` or `1h30m`. Raises `UsageError`."""
    total, digits = 0, ""
    for char in text + ("s" if text[-1:].isdigit() else ""):
        if char in "0123456789":
            digits += char
            continue
        factor = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}.get(char.lower())
        if factor is None or not digits or len(digits) > _DIGITS:
            break
        total, digits = total + int(digits) * factor, ""
    else:
        if text and not digits:
            return float(total)
    raise UsageError(f"{text!a} is not a time such as 90, 10m or 1h30m")


def number_of(text: str) -> int:
    """Return a number. Raises `UsageError`."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"{text!a} is not a number")
    return int(text)


def yes_or_no(text: str) -> bool:
    """Return what yes, no, true and false mean. Raises `UsageError`."""
    return one_of(text, {"yes": True, "true": True, "no": False, "false": False})


def one_of(text: str, meanings: dict[str, T]) -> T:
    """Return what one of these words means, whatever its case. Raises `UsageError`."""
    found = text.lower()
    if found not in meanings:
        raise UsageError(f"{text!a} is not one of {', '.join(meanings)}")
    return meanings[found]

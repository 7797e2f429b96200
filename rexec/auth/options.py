"""The options in front of a key in authorized_keys: one table, and nothing beside it is taken.

An option that is not in the table refuses the whole file. It was written to narrow what a key may do
(`command=`), or to let more keys in than the line shows (`cert-authority`): to read over it would give
more access than its author meant to give.
"""

from __future__ import annotations

from datetime import UTC, datetime

from rexec.auth.blob import Malformed
from rexec.auth.names import is_user_name
from rexec.auth.peers import parse_peers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = len("YYYYMMDD")
_MINUTE = len("YYYYMMDDHHMM")
_SECOND = len("YYYYMMDDHHMMSS")


class Options:
    """What the options of one line say."""

    __slots__ = ("expires", "groups", "peers", "pty", "users")

    def __init__(self) -> None:
        self.users: tuple[str, ...] = ()
        self.groups: frozenset[str] = frozenset()
        self.peers: tuple[str, ...] | None = None  # None: from everywhere
        self.expires: float | None = None  # seconds since the epoch
        self.pty = True


def split_options(line: str) -> tuple[str, str]:
    """Cut a line behind its options, at the first blank outside of quotes. Raises `Malformed`."""
    quoted = False
    for at, char in enumerate(line):
        if char == '"' and not (quoted and line[at - 1] == "\\"):
            quoted = not quoted
        elif char in " \t" and not quoted:
            return line[:at], line[at:].strip()
    if quoted:
        raise Malformed("a quote is not closed")
    return line, ""


def parse_options(text: str) -> Options:
    """Return what a list of options says. Raises `Malformed`, naming the option."""
    options = Options()
    for item in _items(text):
        name, equals, value = item.partition("=")
        row = TABLE.get(name.lower())  # sshd compares them without case, too
        if row is None:
            raise Malformed(f"option {name} is not supported, and to ignore it would widen access")
        takes_value, apply = row
        if takes_value is not bool(equals):
            raise Malformed(f"option {name} takes {'a' if takes_value else 'no'} value")
        apply(options, _unquoted(name, value) if takes_value else "")
    return options


def _items(text: str) -> list[str]:
    """Return the options of a list that is separated by commas outside of quotes."""
    items, start, quoted = [], 0, False
    for at, char in enumerate(text):
        if char == '"' and not (quoted and text[at - 1] == "\\"):
            quoted = not quoted
        elif char == "," and not quoted:
            items.append(text[start:at])
            start = at + 1
    items.append(text[start:])
    if "" in items:
        raise Malformed("an option is empty")
    return items


def _unquoted(name: str, value: str) -> str:
    inner = value[1:-1].replace('\\"', "")
    if len(value) < 2 or not (value[0] == value[-1] == '"') or '"' in inner:
        raise Malformed(f'option {name} wants its value in quotes: {name}="..."')
    return value[1:-1].replace('\\"', '"')


def _names(option: str, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if not is_user_name(name):
            raise Malformed(
                f'{option}="{value}": "{name}" is not a name: letters, digits and _ . @ - make one'
            )
    return names


def _users(options: Options, value: str) -> None:
    options.users += _names("user", value)


def _groups(options: Options, value: str) -> None:
    options.groups |= frozenset(_names("groups", value))


def _peers(options: Options, value: str) -> None:
    if options.peers is not None:  # sshd refuses a second one, and neither meaning would be sure
        raise Malformed("option from stands twice")
    options.peers = parse_peers(value)


def _expiry(options: Options, value: str) -> None:
    at = parse_time(value)
    options.expires = at if options.expires is None else min(at, options.expires)


def _pty(options: Options, _: str) -> None:
    options.pty = True


def _no_pty(options: Options, _: str) -> None:
    options.pty = False


def _nothing(options: Options, _: str) -> None:
    """Accept a narrowing of what rexec never gives."""


TABLE: dict[str, tuple[bool, Callable[[Options, str], None]]] = {
    "user": (True, _users),
    "groups": (True, _groups),
    "from": (True, _peers),
    "expiry-time": (True, _expiry),
    "restrict": (False, _no_pty),  # what else it takes away does not exist here
    "pty": (False, _pty),
    "no-pty": (False, _no_pty),
    "no-port-forwarding": (False, _nothing),
    "no-agent-forwarding": (False, _nothing),
    "no-x11-forwarding": (False, _nothing),
    "no-user-rc": (False, _nothing),
}


def parse_time(value: str) -> float:
    """Return seconds since the epoch for `YYYYMMDD[HHMM[SS]][Z]`, local time without the Z.

    Raises `Malformed`.
    """
    digits = value.removesuffix("Z")
    if not (digits.isascii() and digits.isdigit() and len(digits) in (_DAY, _MINUTE, _SECOND)):
        raise Malformed(f'expiry-time="{value}" is not YYYYMMDD[HHMM[SS]][Z]')
    parts = [int(digits[:4])] + [int(digits[at : at + 2]) for at in range(4, len(digits), 2)]
    try:
        moment = datetime(*parts)  # type: ignore[arg-type]
        return (moment.replace(tzinfo=UTC) if value.endswith("Z") else moment).timestamp()
    except (ValueError, OverflowError, OSError):
        raise Malformed(f'expiry-time="{value}" is no day or no time of day') from None

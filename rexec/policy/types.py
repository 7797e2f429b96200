"""The types of values: what one argument may be, one row of the table `TYPES` each.

All are judged on the whole argument, and on ASCII alone, so that a digit is 0-9. No value has
control characters or more than `VALUE_MAX` bytes, and none begins with ``-``, so that it can never
be an option of the program; but for ``any``.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from rexec.limits import VALUE_MAX
from rexec.policy.paths import is_canonical, is_glob, joined, matches, root_of
from rexec.policy.problems import Flaw
from rexec.policy.regular import Irregular, automaton
from rexec.policy.rules import PathCheck
from rexec.policy.wording import quoted, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Judge = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the file of a path may be: `glob` as in `PathCheck`, with the kind and use that are allowed."""

    glob: str
    kind: str  # file, dir, new, or "" for anything
    writing: bool

    @property
    def root(self) -> str:
        """Give the file or tree that a fence must open for it; a new file needs its directory."""
        if self.kind == "new" and "*" not in self.glob:
            return self.glob.rpartition("/")[0] or "/"
        return root_of(self.glob)

    def check(self, word: str, base: str) -> PathCheck | None:
        """Put the question to the disk that is left of an argument; None: it is outside as spelled."""
        path = joined(base, word)
        if path is None or not matches(self.glob, path) or ":" in word.partition("/")[0]:
            return None  # HOST:PATH and SCHEME:... are somewhere else to many programs; ./a:b is a file
        return PathCheck(path, self.glob, self.kind, self.writing, word)


@dataclass(frozen=True, slots=True)
class Type:
    """What one argument may be; equal types take the same arguments."""

    text: str  # as written
    expected: str
    judge: Judge = field(compare=False, repr=False)
    choices: tuple[str, ...] = ()  # all that there is, where that can be counted
    place: Place | None = None

    def takes(self, word: str, base: str) -> bool:
        """Judge one argument; a relative path is seen from `base`."""
        if not self.judge(word):
            return False
        return self.place is None or self.place.check(word, base) is not None


class Spec(NamedTuple):
    """A type as the file writes it: ``kind:argument modifier ...``."""

    kind: str
    argument: str | None
    modifiers: tuple[str, ...]
    column: int

    @property
    def text(self) -> str:
        argument = () if self.argument is None else (self.argument,)
        return " ".join([":".join([self.kind, *argument]), *self.modifiers])

    def flaw(self, text: str, hint: str | None = None) -> Flaw:
        return Flaw(self.column, text, hint)


def is_sound(word: str) -> bool:
    """Tell whether a word may be a value at all."""
    return word != "" and word[0] != "-" and is_printable(word)


def is_printable(word: str) -> bool:
    return len(word) <= VALUE_MAX and word.isascii() and word.isprintable()


def choice(text: str, members: Sequence[str], column: int) -> Type:
    """Make the type that takes these words alone."""
    for member in members:
        if not is_sound(member):
            hint = "an option is written in a list: [-x --long]" if member.startswith("-") else None
            raise Flaw(column, f"{quoted(member)} can be no value of a pattern", hint)
    if len(set(members)) < len(members):
        raise Flaw(column, f"{shown(text)} names a word twice")
    return Type(text, shown("|".join(members)), frozenset(members).__contains__, tuple(members))


# --- numbers --------------------------------------------------------------------------------------

_INT = re.compile(r"0|[1-9][0-9]*")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,17})\.\.(0|[1-9][0-9]{0,17})")


def _int(spec: Spec) -> Type:
    if spec.argument is None:
        return _by_form("a whole number", _INT.pattern)(spec)
    bounds = _RANGE.fullmatch(spec.argument)
    if bounds is None or int(bounds[1]) > int(bounds[2]):
        raise spec.flaw(f"{quoted(spec.argument)} is no range of whole numbers", "such as {int:1..100}")
    low, high = int(bounds[1]), int(bounds[2])
    return Type(spec.text, f"a whole number from {low} to {high}", _in_range(low, high))


def _in_range(low: int, high: int) -> Judge:
    longest = len(str(high))

    def judge(word: str) -> bool:
        return len(word) <= longest and _INT.fullmatch(word) is not None and low <= int(word) <= high

    return judge


def _hex(spec: Spec) -> Type:
    digits = spec.argument
    if digits is None:
        return _by_form("hexadecimal digits", "[0-9A-Fa-f]+")(spec)
    if not re.fullmatch(r"[1-9][0-9]{0,3}", digits) or int(digits) > VALUE_MAX:
        raise spec.flaw(f"{quoted(digits)} is no number of digits", "such as {hex:64}")
    form = re.compile(f"[0-9A-Fa-f]{{{digits}}}")
    return Type(spec.text, f"{digits} hexadecimal digits", lambda word: form.fullmatch(word) is not None)


# --- names, addresses, times ----------------------------------------------------------------------

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123, 2.1
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")  # as a last label: some would read an IPv4 address
_MAILBOX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*(?:\.[A-Za-z0-9_+-]+)*")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_URL = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9.-]+)(?::([0-9]+))?"
    r"(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?"  # RFC 3986, without a user
)


def _is_name_of_host(word: str) -> bool:
    labels = word.split(".")
    named = all(_LABEL.fullmatch(label) for label in labels)
    return named and len(word) <= 253 and not _NUMBER.fullmatch(labels[-1])


def _is_ip(word: str) -> bool:
    if ":" not in word and not _IPV4.fullmatch(word):
        return False
    try:
        return "%" not in word and bool(ipaddress.ip_address(word))
    except ValueError:
        return False


def _is_cidr(word: str) -> bool:
    address, slash, size = word.partition("/")
    if not (slash and _INT.fullmatch(size) and _is_ip(address)):
        return False
    try:
        return bool(ipaddress.ip_network(word))
    except ValueError:
        return False


def _is_host(word: str) -> bool:
    return _is_name_of_host(word) or _is_ip(word)


def _is_email(word: str) -> bool:
    mailbox, _, host = word.rpartition("@")
    return len(mailbox) <= 64 and bool(_MAILBOX.fullmatch(mailbox)) and "." in host and _is_name_of_host(host)


def _is_date(word: str) -> bool:
    found = _DATE.fullmatch(word)
    try:
        return found is not None and bool(datetime.date(int(found[1]), int(found[2]), int(found[3])))
    except ValueError:
        return False


def _url(spec: Spec) -> Type:
    schemes = frozenset((spec.argument or "").split("|"))
    if not all(re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) for scheme in schemes):
        raise spec.flaw("url needs the schemes that it takes", "such as {url:https}")

    def judge(word: str) -> bool:
        found = _URL.fullmatch(word) if is_sound(word) else None
        if found is None or found[1] not in schemes:
            return False
        is_host = _is_ip(found[2].strip("[]")) if found[2][0] == "[" else _is_host(found[2])
        return is_host and (found[3] is None or _is_port(found[3]))

    return Type(spec.text, f"a URL {'|'.join(sorted(schemes))}://...", judge)


# --- texts ----------------------------------------------------------------------------------------


def _re(spec: Spec) -> Type:
    if not spec.argument:
        raise spec.flaw("re needs a regular expression", "such as {re:'[a-z]{3}'}")
    try:
        takes = automaton(spec.argument).takes
    except Irregular as exc:
        raise spec.flaw(f"the expression cannot be used: {exc}") from None
    return Type(
        spec.text, f"what matches {shown(spec.argument)}", lambda word: is_sound(word) and takes(word)
    )


def _path(spec: Spec) -> Type:
    glob = spec.argument
    if not glob or not is_glob(glob):
        raise spec.flaw(_wrong_glob(glob or ""), _GLOB_HINT)
    if not is_printable(glob):
        raise spec.flaw("an argument is ASCII: no path could be beneath this")
    use = _modifier(spec, "ro", "rw")
    kind = _modifier(spec, "file", "dir", "new")
    if use == "ro" and kind == "new":
        raise spec.flaw("ro and new exclude each other: what is new is written")
    place = Place(glob, kind, use == "rw" or kind == "new")
    what = {"file": "a file", "dir": "a directory", "new": "a new file", "": "a path"}[kind]
    return Type(spec.text, f"{what} {shown(glob)}", is_sound, (), place)


_GLOB_HINT = "such as {path:/var/log/** ro}: * is one whole component, a last ** all that is beneath"


def _wrong_glob(glob: str) -> str:
    """Say what keeps a text from being the pattern of a path."""
    if not glob:
        return "path needs a path"
    if not glob.startswith("/"):
        return f"path needs an absolute path, and {quoted(glob)} is none"
    if not is_canonical(glob):
        what = "path needs the one spelling of a path: no //, . or .. in it, and no / at its end"
        return f"{what}: {quoted(glob)}"
    return f"path takes * and ** as whole components, ** at the end alone: {quoted(glob)}"


def _modifier(spec: Spec, *choices: str) -> str:
    found = [modifier for modifier in spec.modifiers if modifier in choices]
    if len(found) > 1:
        raise spec.flaw(f"a path has one of {' '.join(choices)}")
    return "".join(found)


# --- the table ------------------------------------------------------------------------------------


def _by_form(expected: str, form: str) -> Callable[[Spec], Type]:
    pattern = re.compile(form)

    def judge(word: str) -> bool:
        return len(word) <= VALUE_MAX and pattern.fullmatch(word) is not None

    return _by_judge(expected, judge)


def _by_judge(expected: str, judge: Judge) -> Callable[[Spec], Type]:
    def read(spec: Spec) -> Type:
        if spec.argument is not None:
            raise spec.flaw(f"{spec.kind} takes nothing behind a colon")
        return Type(spec.text, expected, judge)

    return read


def _checked(judge: Judge) -> Judge:
    return lambda word: is_sound(word) and judge(word)


_is_port = _in_range(1, 65_535)

TYPES: dict[str, Callable[[Spec], Type]] = {
    "any": _by_judge("any printable ASCII", is_printable),
    "cidr": _by_judge("a network such as 192.0.2.0/24", _checked(_is_cidr)),
    "date": _by_judge("a date YYYY-MM-DD", _is_date),
    "duration": _by_form("a duration such as 500ms 30s 10m 2h 1d", r"(?:0|[1-9][0-9]{0,8})(?:ms|s|m|h|d)"),
    "email": _by_judge("an address user@example.org", _checked(_is_email)),
    "hex": _hex,
    "host": _by_judge("a host name or address", _checked(_is_host)),
    "int": _int,
    "ip": _by_judge("an IP address", _checked(_is_ip)),
    "name": _by_form("a name", r"[A-Za-z_][A-Za-z0-9_.-]*"),
    "num": _by_form("a decimal number", r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"),
    "path": _path,
    "port": _by_judge("a port from 1 to 65535", _is_port),
    "re": _re,
    "text": _by_judge("printable ASCII without a leading dash", is_sound),
    "url": _url,
    "uuid": _by_form("a UUID", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "word": _by_form("a word", r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]*"),
}

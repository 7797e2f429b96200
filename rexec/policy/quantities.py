"""Durations, sizes, counts and rates, as the allow list writes them."""

from __future__ import annotations

import re

from rexec.limits import RATE_MAX, SIZE_MAX, TIMEOUT_MAX
from rexec.policy.grant import Limits, Output, Rate
from rexec.policy.optionlines import literal
from rexec.policy.problems import Flaw
from rexec.policy.wording import closest, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rexec.policy.optionlines import OptionLine
    from rexec.policy.tokens import Token

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZE = re.compile(r"([0-9]{1,19})([KMGT]?)")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_COUNT = re.compile(r"-?[0-9]{1,9}")
_RATE = re.compile(r"([0-9]{1,9})/(s|min|h|d)")
_PERIODS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_UMASK = re.compile(r"0?[0-7]{3}")

COUNT_MAX = 1 << 20  # what limit and parallel may count to: more descriptors than a kernel gives by default


def duration(token: Token) -> float:
    """Read a time such as ``30s``, in seconds."""
    text = literal(token, "a duration")
    found = _DURATION.fullmatch(text)
    if found is None:
        hint = "write a number and its unit: 500ms 30s 10m 2h 1d"
        raise Flaw(token.column, f"{quoted(text)} is no duration", hint)
    seconds = int(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= TIMEOUT_MAX:
        raise Flaw(token.column, f"{quoted(text)} is not between 1ms and 366d")
    return seconds


def size(token: Token) -> int:
    """Read a size such as ``10M``, in bytes; units are powers of 1024."""
    text = literal(token, "a size")
    found = _SIZE.fullmatch(text)
    if found is None:
        hint = "write bytes, or a number and K, M, G or T: 64K 10M"
        raise Flaw(token.column, f"{quoted(text)} is no size", hint)
    size = int(found[1]) * _BYTES[found[2]]
    if not 0 < size <= SIZE_MAX:
        raise Flaw(token.column, f"{quoted(text)} is not between 1 byte and {SIZE_MAX >> 40}T")
    return size


def count(token: Token, low: int, high: int) -> int:
    """Read a whole number within bounds."""
    text = literal(token, "a number")
    if _COUNT.fullmatch(text) is None:
        raise Flaw(token.column, f"{quoted(text)} is no whole number")
    if not low <= int(text) <= high:
        raise Flaw(token.column, f"{quoted(text)} is not between {low} and {high}")
    return int(text)


def rate(token: Token) -> Rate:
    """Read starts within a time, such as ``10/min``."""
    text = literal(token, "a rate")
    found = _RATE.fullmatch(text)
    if found is None:
        raise Flaw(
            token.column, f"{quoted(text)} is no rate", "write starts and a time: 5/s 10/min 100/h 3/d"
        )
    starts = int(found[1])
    if not 0 < starts <= RATE_MAX:
        hint = "a shorter time with fewer starts says much the same"
        raise Flaw(token.column, f"{starts} starts are not between 1 and {RATE_MAX}", hint)
    return Rate(starts, _PERIODS[found[2]])


def umask(token: Token) -> int:
    """Read an octal mask of permissions, such as ``027``."""
    text = literal(token, "an octal mask")
    if _UMASK.fullmatch(text) is None:
        raise Flaw(token.column, f"{quoted(text)} is no umask", "write three octal digits: 027")
    return int(text, 8)


def output(line: OptionLine) -> Output:
    """Read ``10M truncate|kill``."""
    what = "a size, and truncate or kill"
    values = line.some(what)
    if len(values) != 2 or values[1].text not in ("truncate", "kill"):
        raise Flaw(values[-1].column, f"{line.word.text} needs {what}", "output 10M kill")
    return Output(size(values[0]), values[1].text == "kill")


def limits(line: OptionLine) -> Limits:
    """Read ``cpu=10s mem=512M procs=32 files=64 fsize=100M``, each at most once."""
    found: dict[str, int] = {}
    for value in line.some("limits such as cpu=10s mem=512M"):
        name, equals, text = value.text.partition("=")
        read = _LIMITS.get(name)
        if read is None:
            near = closest(name, _LIMITS)
            hint = f"did you mean {near}?" if near else f"there are {' '.join(_LIMITS)}"
            raise Flaw(value.column, f"the limit {quoted(name)} is not known to this version", hint)
        if not equals:
            raise Flaw(value.column, f"the limit {name} needs = and a number", "limit cpu=10s mem=512M")
        if name in found:
            raise Flaw(value.column, f"{name} stands twice for one rule")
        found[name] = read(value._replace(text=text))
    return Limits(**found)


def _cpu(token: Token) -> int:
    seconds = duration(token)
    if seconds != int(seconds):
        raise Flaw(token.column, f"{quoted(token.text)}: the kernel counts whole seconds")
    return int(seconds)


_LIMITS: dict[str, Callable[[Token], int]] = {
    "cpu": _cpu,
    "mem": size,
    "procs": lambda token: count(token, 1, COUNT_MAX),
    "files": lambda token: count(token, 4, COUNT_MAX),  # 0-2, and one to read the program's libraries
    "fsize": size,
}

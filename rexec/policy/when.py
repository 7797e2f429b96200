"""``when`` and ``until``: the times at which a rule is there at all, in the server's local time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import floor

from rexec.policy.grant import Window
from rexec.policy.optionlines import literal
from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rexec.policy.tokens import Token

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = 86_400  # seconds
_EPOCH = datetime(1970, 1, 1)
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_SPAN = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_DATE = re.compile(r"((?:19|2[0-9])[0-9]{2})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(Z?))?")
_HINT = "when Mon-Fri 08:00-18:00"
_ALWAYS = (0, 24 * 60)  # minutes of a day


def read_window(values: Sequence[Token]) -> Window:
    """Read days, a span of the day, or both."""
    days, span = frozenset(range(7)), _ALWAYS
    rest = list(values)
    if rest and not literal(rest[0], "days or a span of the day")[:1].isdigit():
        days = _read_days(rest.pop(0))
    if rest:
        span = _read_span(rest.pop(0))
    if rest:
        raise Flaw(rest[0].column, "when takes days and one span of the day", _HINT)
    return Window(days, *span, " ".join(value.text for value in values))


def _read_days(token: Token) -> frozenset[int]:
    days: set[int] = set()
    for part in token.text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise Flaw(token.column, f"{quoted(part)} is no day of the week", f"write {' '.join(DAYS)}")
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 if dash else 0
        days.update((begin + more) % 7 for more in range(length + 1))
    return frozenset(days)


def _read_span(token: Token) -> tuple[int, int]:
    found = _SPAN.fullmatch(literal(token, "a span of the day"))
    if found is None:
        raise Flaw(token.column, f"{quoted(token.text)} is no span of the day", _HINT)
    hours_minutes = [int(group) for group in found.groups()]
    start, end = (hour * 60 + minute for hour, minute in (hours_minutes[:2], hours_minutes[2:]))
    if max(hours_minutes[1], hours_minutes[3]) > 59 or start >= 24 * 60 or end > 24 * 60:
        raise Flaw(token.column, f"{quoted(token.text)} is no span of the day", _HINT)
    if start == end:
        raise Flaw(token.column, f"{quoted(token.text)} begins when it ends", "a whole day is 00:00-24:00")
    return start, end


def is_open(window: Window, local: float) -> bool:
    """Tell whether a window is open at `local`, seconds since 1970 began on the wall clock."""
    days, seconds = divmod(floor(local), _DAY)
    today, minute = (days + _EPOCH_WEEKDAY) % 7, seconds // 60
    if window.start < window.end:
        return today in window.days and window.start <= minute < window.end
    if minute >= window.start:
        return today in window.days
    return minute < window.end and (today - 1) % 7 in window.days


def read_until(token: Token) -> float:
    """Read the last day, or a moment, of a rule; in Unix time, from which it matches nothing any more."""
    text = literal(token, "a date")
    found = _DATE.fullmatch(text)
    if found is None:
        hint = "until 2030-12-31, until 2030-12-31T18:00, or with a Z behind it in UTC"
        raise Flaw(token.column, f"{quoted(text)} is no date", hint)
    try:
        day = datetime(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return (day + timedelta(days=1)).timestamp()
        moment = day.replace(hour=int(found[4]), minute=int(found[5]))
        return (moment.replace(tzinfo=UTC) if found[6] else moment).timestamp()
    except (ValueError, OverflowError, OSError):
        raise Flaw(token.column, f"{quoted(text)} is no day or no time of day") from None


def shown_moment(seconds: float) -> str:
    """Show a moment of the wall clock."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M")

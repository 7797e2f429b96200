"""``when`` and ``until``. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import calendar
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.policy.grant import Window
from rexec.policy.tokens import scan
from rexec.policy.when import DAYS, is_open, read_until, read_window, shown_moment


def window(text: str) -> Window:
    return read_window(scan(text))


def at(day: str, clock: str) -> float:
    """Give a moment of the wall clock: 2030-04-01 was a Monday."""
    return calendar.timegm(time.strptime(f"2030-04-{DAYS.index(day) + 1:02} {clock}", "%Y-%m-%d %H:%M"))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon", {0}),
        ("Mon-Fri", {0, 1, 2, 3, 4}),
        ("Sat-Mon", {5, 6, 0}),
        ("Mon-Mon", {0}),
        ("Mon,Wed,Fri-Sat", {0, 2, 4, 5}),
        ("Tue-Mon", set(range(7))),
    ],
)
def test_days_are_names_ranges_and_lists(text: str, days: set[int]) -> None:
    assert window(text) == (days, 0, 1440, text)
    assert window(f"{text} 08:30-18:00") == (days, 510, 1080, f"{text} 08:30-18:00")


def test_without_days_it_is_every_day() -> None:
    assert window("22:00-06:00") == (set(range(7)), 1320, 360, "22:00-06:00")


@pytest.mark.parametrize(
    ("text", "day", "clock", "is_in"),
    [
        ("Mon-Fri 08:00-18:00", "Mon", "08:00", True),
        ("Mon-Fri 08:00-18:00", "Mon", "07:59", False),
        ("Mon-Fri 08:00-18:00", "Fri", "17:59", True),
        ("Mon-Fri 08:00-18:00", "Fri", "18:00", False),
        ("Mon-Fri 08:00-18:00", "Sat", "12:00", False),
        ("Sat 22:00-06:00", "Sat", "22:00", True),
        ("Sat 22:00-06:00", "Sun", "05:59", True),
        ("Sat 22:00-06:00", "Sun", "06:00", False),
        ("Sat 22:00-06:00", "Sun", "23:00", False),
        ("Sat 22:00-06:00", "Sat", "03:00", False),
        ("Sun 22:00-06:00", "Mon", "03:00", True),
        ("Sat,Sun", "Sat", "00:00", True),
        ("Sat,Sun", "Sun", "23:59", True),
        ("Sat,Sun", "Mon", "00:00", False),
        ("18:00-24:00", "Tue", "23:59", True),
        ("18:00-00:00", "Tue", "23:59", True),
        ("18:00-00:00", "Tue", "00:00", False),
    ],
)
def test_a_window_is_open_from_its_start_up_to_its_end(text: str, day: str, clock: str, is_in: bool) -> None:
    assert is_open(window(text), at(day, clock)) is is_in


@given(st.floats(min_value=-1e9, max_value=1e10))
def test_all_days_all_day_is_always(moment: float) -> None:
    assert is_open(window("Mon-Sun"), moment)
    assert is_open(window("00:00-12:00"), moment) is not is_open(window("12:00-00:00"), moment)


def test_until_a_day_takes_in_that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Etc/GMT-2")  # two hours ahead
    time.tzset()
    try:
        assert read_until(scan("2030-01-01")[0]) == 1_893_456_000.0 + 22 * 3600
        assert read_until(scan("2030-01-01T18:00")[0]) == 1_893_456_000.0 + 16 * 3600
        assert read_until(scan("2030-01-01T18:00Z")[0]) == 1_893_456_000.0 + 18 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_moment_is_shown_as_people_write_it() -> None:
    assert shown_moment(1_893_456_000.0 + 18 * 3600) == "2030-01-01 18:00"

"""Durations, sizes, counts and rates. More that is refused stands in tests/vectors/policy."""

from __future__ import annotations

import pytest

from rexec.policy import quantities
from rexec.policy.problems import Flaw
from rexec.policy.tokens import Token, scan


def token(text: str) -> Token:
    return scan(text)[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1ms", 0.001), ("30s", 30.0), ("10m", 600.0), ("2h", 7200.0), ("366d", 31_622_400.0)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert quantities.duration(token(text)) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("64K", 65_536), ("10M", 10 << 20), ("3G", 3 << 30), ("1T", 1 << 40)]
)
def test_a_size_is_in_powers_of_1024(text: str, size: int) -> None:
    assert quantities.size(token(text)) == size


@pytest.mark.parametrize(
    "text", ["", "M", "1.5M", "-1", "+1", "1m", "1MiB", "0", "0K", "1025G", "9" * 40, "١"]
)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(Flaw):
        quantities.size(token(f"'{text}'"))


def test_a_count_is_within_bounds() -> None:
    assert quantities.count(token("-20"), -20, 19) == -20
    for text in ("-21", "20", "1.0", "+1", "'1 '", "'٣'"):
        with pytest.raises(Flaw):
            quantities.count(token(text), -20, 19)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("5/s", (5, 1)), ("10/min", (10, 60)), ("100/h", (100, 3600)), ("10000/d", (10_000, 86_400))],
)
def test_a_rate_is_starts_within_a_time(text: str, rate: tuple[int, int]) -> None:
    assert quantities.rate(token(text)) == rate


@pytest.mark.parametrize("text", ["0/s", "10001/s", "10", "/s", "10/m", "10/2s", "-1/s", "1 /s"])
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(Flaw):
        quantities.rate(token(f"'{text}'"))


@pytest.mark.parametrize(("text", "mask"), [("022", 0o022), ("000", 0), ("777", 0o777), ("0077", 0o077)])
def test_a_umask_is_octal(text: str, mask: int) -> None:
    assert quantities.umask(token(text)) == mask

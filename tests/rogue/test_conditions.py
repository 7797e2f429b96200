"""By raw frames: what a rule asks for besides the words is asked of every client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rexec.policy.when import DAYS
from tests.rogue import wire
from tests.rogue.conftest import Target

RULES = """
touch {canary}
    confirm "touch it"
touch {canary} -a
    from 192.0.2.0/24 2001:db8::/32
touch {canary} -b
    when {day}
touch {canary} -c
    until 2001-01-01
touch {canary} -f
    from 127.0.0.0/8 ::1
    when Mon-Sun
    until 2998-12-31
touch {canary} -m
    from 192.0.2.0/24
    pty only
touch {canary} -m
true
"""


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("bound"))
    far = DAYS[(time.localtime().tm_wday + 3) % 7]  # no day that could begin or end during the test
    target.allow_list.write_text(RULES.format(canary=target.canary, day=far))
    target.start()
    yield target
    target.end()
    assert target.has_no_traceback()


@pytest.fixture
def canary(bound: Target) -> Path:
    bound.canary.unlink(missing_ok=True)
    return bound.canary


def refused(target: Target, *more: bytes, **fields: object) -> str:
    """Ask for the canary, which must be denied; return why."""
    with target.friend() as friend:
        kind, body, output = friend.run(*target.touch, *more, **fields)
        assert (kind, output) == (wire.DENIED, b"")
        assert not target.sang()
        assert wire.Exit(friend.run(b"true")[1]).status == 0
    return wire.first_string(body).decode()


@pytest.mark.parametrize(
    "confirm", [None, b"", b"touch", b"touch it ", b"TOUCH IT", b"touch it\0", b"x" * 60_000]
)
def test_another_text_confirms_nothing(bound: Target, canary: Path, confirm: bytes | None) -> None:
    """allow-list.md: "the request must carry this very text ... else denied"."""
    assert refused(bound, confirm=confirm).endswith('cmds.txt:2 needs --confirm "touch it"')
    assert not canary.exists()


def test_this_very_text_does(bound: Target, canary: Path) -> None:
    with bound.friend() as friend:
        assert wire.Exit(friend.run(*bound.touch, confirm=b"touch it")[1]).status == 0
    assert canary.exists()


def test_a_text_is_asked_for_only_where_all_else_is_well(bound: Target, canary: Path) -> None:
    assert "variable" in refused(bound, env=[(b"A", b"b")])


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        (b"-a", "is for 192.0.2.0/24 2001:db8::/32, not for 127.0.0.1"),
        (b"-b", "is for "),
        (b"-c", "was for the time before 2001-01-02 00:00"),
    ],
)
def test_elsewhere_and_at_another_time_a_rule_is_not_there(
    bound: Target, canary: Path, flag: bytes, why: str
) -> None:
    assert why in refused(bound, flag)


def test_here_and_now_it_is(bound: Target, canary: Path) -> None:
    with bound.friend() as friend:
        assert wire.Exit(friend.run(*bound.touch, b"-f")[1]).status == 0
    assert canary.exists()


def test_a_rule_that_is_not_there_gives_way_to_the_next(bound: Target, canary: Path) -> None:
    with bound.friend() as friend:
        assert wire.Exit(friend.run(*bound.touch, b"-m")[1]).status == 0

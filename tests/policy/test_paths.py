"""Paths as spelled."""

from __future__ import annotations

import pytest

from rexec.policy.paths import is_beneath, is_canonical, joined


@pytest.mark.parametrize("path", ["/", "/a", "/a/b.c/..d"])
def test_a_canonical_path_has_one_spelling(path: str) -> None:
    assert is_canonical(path)


@pytest.mark.parametrize("path", ["", "a", "./a", "//a", "/a/", "/a//b", "/./a", "/a/..", "/.."])
def test_other_spellings_are_not_canonical(path: str) -> None:
    assert not is_canonical(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x", "/base/x"),
        (".", "/base"),
        ("./x//y/", "/base/x/y"),
        ("/srv//x/.", "/srv/x"),
        ("/", "/"),
        ("", None),
        ("..", None),
        ("x/../../etc", None),
        ("/srv/..", None),
        ("...", "/base/..."),
    ],
)
def test_a_path_is_seen_from_its_base_and_never_climbs(path: str, expected: str | None) -> None:
    assert joined("/base", path) == expected


def test_beneath_means_whole_components() -> None:
    assert is_beneath("/srv", "/srv")
    assert is_beneath("/srv", "/srv/a")
    assert not is_beneath("/srv", "/srv2")
    assert is_beneath("/", "/anything")

"""Paths as spelled."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.paths import is_beneath, is_canonical, is_glob, joined, matches, root_of


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


@settings(max_examples=300)
@given(st.sampled_from(["/", "/b", "/b/.c", "b", ""]), st.text("a./", max_size=7))
def test_a_path_is_seen_as_its_components_say(base: str, path: str) -> None:
    parts = (path if path.startswith("/") else f"{base}/{path}").split("/")
    climbs = not path or ".." in parts
    expected = None if climbs else "/" + "/".join(part for part in parts if part not in ("", "."))
    assert joined(base, path) == expected


def test_beneath_means_whole_components() -> None:
    assert is_beneath("/srv", "/srv")
    assert is_beneath("/srv", "/srv/a")
    assert not is_beneath("/srv", "/srv2")
    assert is_beneath("/", "/anything")


@pytest.mark.parametrize(
    ("glob", "path", "matched"),
    [
        ("/srv", "/srv", True),
        ("/srv", "/srv/a", False),
        ("/srv/**", "/srv", True),
        ("/srv/**", "/srv/a/b", True),
        ("/srv/**", "/srv2", False),
        ("/srv/**", "/", False),
        ("/srv/*", "/srv/a", True),
        ("/srv/*", "/srv/a/b", False),
        ("/srv/*", "/srv", False),
        ("/srv/*/x", "/srv/a/x", True),
        ("/srv/*/x/**", "/srv/a/x/y/z", True),
        ("/srv/*/x/**", "/srv/a/y", False),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/*", "/a", True),
        ("/*", "/", False),
        ("/", "/", True),
        ("/", "/a", False),
        ("/srv/[ab]", "/srv/a", False),
        ("/srv/.", "/srv/a", False),
    ],
)
def test_a_star_is_one_component_and_two_are_a_tree(glob: str, path: str, matched: bool) -> None:
    """security.md, Around the allow list: "One argument that pretends to be two, two that match one
    pattern (sudoers wildcards)": a star never reaches across a slash."""
    assert matches(glob, path) is matched


@pytest.mark.parametrize("text", ["/", "/a", "/*", "/**", "/a/*/b", "/a/*/**", "/a b/**"])
def test_a_glob_has_whole_components(text: str) -> None:
    assert is_glob(text)


@pytest.mark.parametrize(
    "text", ["", "a", "*", "/a/", "/a/../b", "/a*", "/*a", "/a/**/b", "/**/**", "/***", "//**"]
)
def test_other_stars_are_none(text: str) -> None:
    assert not is_glob(text)


@pytest.mark.parametrize(
    ("glob", "root"),
    [("/srv/**", "/srv"), ("/srv/*/x", "/srv"), ("/srv/x", "/srv/x"), ("/**", "/"), ("/", "/")],
)
def test_the_root_of_a_glob_is_what_stands_before_the_first_star(glob: str, root: str) -> None:
    assert root_of(glob) == root

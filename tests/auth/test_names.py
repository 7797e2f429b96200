"""Names of users and groups."""

import pytest

from rexec.auth.names import is_user_name


@pytest.mark.parametrize("name", ["a", "_x", "alice", "A.b-c@d.example", "9lives", "x" * 64])
def test_a_plain_name_is_a_name(name):
    assert is_user_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-oProxyCommand=x",
        ".a",
        "@ops",
        "a b",
        "a\n",
        "a\x1b",
        "ä",
        "a/b",
        "a,b",
        'a"',
        "\u202ea",
        "x" * 65,
    ],
)
def test_what_could_be_an_option_a_path_or_two_words_is_not(name):
    """security.md, People's terminals: control characters, newlines, bidi marks in user names."""
    assert not is_user_name(name)

"""The options of authorized_keys."""

import time

import pytest

from rexec.auth.blob import Malformed
from rexec.auth.options import TABLE, parse_options, parse_time, split_options


def test_the_options_are_those_of_the_manual():
    assert list(TABLE) == [
        *("user", "groups", "from", "expiry-time", "restrict", "pty", "no-pty"),
        *("no-port-forwarding", "no-agent-forwarding", "no-x11-forwarding", "no-user-rc"),
    ]


@pytest.mark.parametrize(
    ("line", "front", "rest"),
    [
        ("a b", "a", "b"),
        ('a="x y" b c', 'a="x y"', "b c"),
        ('a="x\\" y",b\tc', 'a="x\\" y",b', "c"),
        ("a", "a", ""),
    ],
)
def test_options_end_at_the_first_blank_outside_of_quotes(line, front, rest):
    assert split_options(line) == (front, rest)


def test_an_open_quote_is_refused():
    with pytest.raises(Malformed, match="quote is not closed"):
        split_options('user="a ssh-ed25519 AAAA')


def test_users_and_groups_add_up():
    options = parse_options('user="a,b",groups="x",USER="c",groups="y, x"')
    assert options.users == ("a", "b", "c")
    assert options.groups == {"x", "y"}


def test_the_earlier_of_two_expiries_counts():
    for order in (
        'expiry-time="20300101Z",expiry-time="20290101Z"',
        'expiry-time="20290101Z",expiry-time="20300101Z"',
    ):
        assert parse_options(order).expires == parse_time("20290101Z")


@pytest.mark.parametrize(
    ("text", "pty"),
    [
        ('user="a"', True),
        ("no-pty", False),
        ("restrict", False),
        ("restrict,pty", True),
        ("pty,restrict", False),
    ],
)
def test_the_last_word_about_the_terminal_counts(text, pty):
    assert parse_options(text).pty is pty


def test_narrowings_of_what_is_never_given_are_taken():
    parse_options("no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc")


@pytest.mark.parametrize(
    "text",
    [
        'command="ls"',
        "cert-authority",
        'environment="A=b"',
        "port-forwarding",
        'tunnel="1"',
        "x",
        'principals="a"',
    ],
)
def test_any_other_option_is_refused_and_says_why(text):
    name = text.partition("=")[0]
    with pytest.raises(
        Malformed, match=f"^option {name} is not supported, and to ignore it would widen access$"
    ):
        parse_options(f'user="a",{text}')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("no-pty,", "empty"),
        ("no-pty,,pty", "empty"),
        ("user", "takes a value"),
        ('no-pty="x"', "takes no value"),
        ("user=a", "in quotes"),
        ('user="a', "in quotes"),
        ('user="', "in quotes"),
        ('user="a"b"', "in quotes"),
        ('user=""', '"" is not a name'),
        ('user="a,,b"', '"" is not a name'),
        ('user="-x"', '"-x" is not a name'),
        ('user="a\\"b"', "is not a name"),
        ('groups="@ops"', '"@ops" is not a name'),
        ('from="10.0.0.1",from="10.0.0.2"', "stands twice"),
        ('from="host.example"', "not an address"),
        ('expiry-time="soon"', "is not YYYYMMDD"),
    ],
)
def test_an_option_that_is_not_right_is_refused(text, why):
    with pytest.raises(Malformed, match=why):
        parse_options(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("19700102Z", 86_400), ("197001010001Z", 60), ("19700101000001Z", 1), ("20380119031408Z", 2**31)],
)
def test_a_time_with_z_is_utc(value, seconds):
    assert parse_time(value) == seconds


def test_a_time_without_z_is_local():
    assert parse_time("202501021530") == time.mktime((2025, 1, 2, 15, 30, 0, 0, 0, -1))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Z",
        "2025",
        "2025010",
        "202501011",
        "20250101z",
        "2025010112",
        "２０２５０１０１",
        "-0250101",
        "+0250101",
        " 2025010",
    ],
)
def test_a_time_has_one_form(value):
    """security.md, Around the allow list: Unicode digits, `+5`, ` 5`."""
    with pytest.raises(Malformed, match="is not YYYYMMDD"):
        parse_time(value)


@pytest.mark.parametrize("value", ["20250230", "20251301", "202501012400", "20250101235960", "00000101"])
def test_a_day_that_never_was_is_refused(value):
    with pytest.raises(Malformed, match="no day or no time"):
        parse_time(value)

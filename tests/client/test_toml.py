"""What is read without `tomllib` is read as by `tomllib`, and all else is left to it."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rexec.client.toml import read_plain

PLAIN = """\
# of one user
[client]
user = "alice"   # the principal
port = 5512
env = ["LANG", 'TZ=UTC',]
timeout = 2.5
no_tls = false

[hosts.web1]
address = "unix:/run/x y.sock"
\t[hosts."db.example.com"]  # with dots
"identity" = []
[hosts]
"""


def test_the_plain_form_is_read() -> None:
    assert read_plain(PLAIN) == tomllib.loads(PLAIN)
    assert read_plain("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "[client]\nport = 0x10",
        "[client]\nport = 1_000",
        '[client]\nuser = "a\\u0041"',
        'user = """a"""',
        "user = ''",
        "hosts.web1.port = 1",
        "web1 = {port = 1}",
        "[[hosts]]",
        "[client]\r\nport = 1",
        "env = [\n]",
        "env = [[]]",
        "when = 2026-01-01",
    ],
)
def test_what_is_beyond_it_is_left_to_tomllib(text: str) -> None:
    assert read_plain(text) in (None, tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "[client]\n[client]",
        "port = 1\nport = 2",
        "port = 01",
        "port",
        "port = ",
        "[client",
        "[client] x",
        "[]",
        "port = 1 2",
        'user = "a',
        "env = [1 2]",
        "env = [,]",
        "[a]\nb = 1\n[a.b]",
        "[a.b]\n[a]\nb = 1",
        "user = tru",
        "user = .5",
        "user = 5.",
        "a\x01 = 1",
        "a = 1 # \x01",
        "a = ٣",
    ],
)
def test_what_is_wrong_is_left_to_tomllib(text: str) -> None:
    assert read_plain(text) is None
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)


PIECES = st.sampled_from(
    [
        *(
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            " = ",
            ",",
            ".",
            "#",
            "\n",
            "\n[",
            "]\n",
            " ",
            "\t",
            "\r",
            "\\",
        ),
        *('"', "'", '"a"', "'b'", '""', "''", '"""', "a", "b", "client", "hosts", "a.b", "a = 1\n", "[a]\n"),
        *(
            "true",
            "false",
            "inf",
            "nan",
            "0",
            "1",
            "00",
            "1.0",
            "1e3",
            "-1",
            "+1",
            "0x1",
            "1_0",
            "\x7f",
            "é",
            "٣",
        ),
        *('x = "y"\n', "[a.b]\n", "[hosts.web1]\n", 'e = ["a", "b"]\n', "# c\n", "b.c = 1\n"),
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
@settings(max_examples=500, deadline=None)
@example("a = ''''")
@example('a = """"')
@example("[a]\n[a.b]\n[a]")
def test_no_text_is_read_otherwise(text: str) -> None:
    found = read_plain(text)
    if found is not None:
        assert repr(found) == repr(tomllib.loads(text))

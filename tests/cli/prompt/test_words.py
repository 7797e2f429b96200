"""Lines as they are typed: what they mean, or why they mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.cli.prompt.words import Incomplete, Line, Wrong, as_bytes, line_of, logical_lines, parse, quote

MEANINGS = [
    ("", Line()),
    ("  \t", Line()),
    ("# ls", Line()),
    ("ls -l  /etc", Line(("ls", "-l", "/etc"))),
    ("grep 'a|b' f", Line(("grep", "a|b", "f"))),
    ("grep a\\|b f", Line(("grep", "a|b", "f"))),
    ('grep "a|b" f', Line(("grep", "a|b", "f"))),
    ("echo a'b c'\"d e\"\\ f", Line(("echo", "ab cd e f"))),
    ("echo '' \"\"", Line(("echo", "", ""))),
    ("echo 'a\\n' \"\\$x \\\" \\\\ \\n\"", Line(("echo", "a\\n", '$x " \\ \\n'))),
    ('echo "$HOME `id` $(id)" \'*\' ~ *.txt {a,b} !x a#b', Line(
        ("echo", "$HOME `id` $(id)", "*", "~", "*.txt", "{a,b}", "!x", "a#b"))),
    ("echo 'a\nb'", Line(("echo", "a\nb"))),
    ("echo a\\\nb c \\\n d", Line(("echo", "ab", "c", "d"))),
    ("echo \"a\\\nb\"", Line(("echo", "ab"))),
    ("'kill' 3", Line(("kill", "3"), plain=False)),
    ("\\kill 3", Line(("kill", "3"), plain=False)),
    ("echo '|' \\> \"&\"", Line(("echo", "|", ">", "&"))),
    ("df -h | sort > x; ls &", Line(("df", "-h"), pipe="sort > x; ls &")),
    ("df | grep 'x | cat", Line(("df",), pipe="grep 'x | cat")),
    ("df | | x", Line(("df",), pipe="| x")),
    ("df > out", Line(("df",), target="out")),
    ("df >> 'a b'", Line(("df",), target="a b", append=True)),
    ("wc < in > out", Line(("wc",), source="in", target="out")),
    ("wc < in -l", Line(("wc", "-l"), source="in")),
    ("wc < in | sort", Line(("wc",), source="in", pipe="sort")),
    ("> out wc", Line(("wc",), target="out")),
    ("sleep 5 &", Line(("sleep", "5"), background=True)),
    ("sleep 5 > out &", Line(("sleep", "5"), target="out", background=True)),
    ("!ls | wc; x &", Line(local="ls | wc; x &")),
    ("  ! ls 'x", Line(local="ls 'x")),
    ("\u00fcber \u6f22\u5b57 \u202e", Line(("\u00fcber", "\u6f22\u5b57", "\u202e"))),
    ("?", Line(("?",))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), MEANINGS)
def test_a_line_means_its_words_and_operators(text: str, meaning: Line) -> None:
    assert parse(text) == meaning
    assert line_of(text) == meaning


OPEN = ["echo 'a", 'echo "a', "echo 'a\nb", 'echo "\\"', "echo \\", "ls > 'x", "echo a\\"]


@pytest.mark.parametrize("text", OPEN)
def test_an_open_quote_asks_for_more(text: str) -> None:
    assert isinstance(parse(text), Incomplete)
    assert isinstance(line_of(text), Wrong)


WRONG = [
    ("grep a|b f", 6, "quote the |"),
    ("ls|wc", 2, "quote the |"),
    ("ls || wc", 3, "quote the |"),
    ("ls && wc", 3, "quote the &"),
    ("ls; wc", 2, "quote the ;"),
    ("ls ;", 3, "quote the ;"),
    ("sleep 5&", 7, "quote the &"),
    ("ls >out", 3, "quote the >"),
    ("ls 2> out", 4, "quote the >"),
    ("ls 2>&1", 4, "quote the >"),
    ("ls > out&", 8, "quote the &"),
    ("cat << x", 4, "quote the <"),
    ("ls >>> x", 3, "quote the >"),
    ("echo $HOME", 5, "quote the $"),
    ("echo a$(id)", 6, "quote the $"),
    ("(ls)", 0, "quote the ("),
    ("echo `id`", 5, "quote the `"),
    ("ls # all", 3, "quote the #"),
    ("echo \x1b", 5, "control character"),
    ("echo '\0'", 5, "NUL"),
    ("| wc", 0, "no command before the |"),
    ("&", 0, "no command before the &"),
    ("ls |", 3, "no command behind the |"),
    ("ls |  ", 3, "no command behind the |"),
    ("ls > out | wc", 9, "not both"),
    ("ls > ", 3, "no file behind the >"),
    ("ls > | x", 3, "no file behind the >"),
    ("ls > ''", 3, "no file behind the >"),
    ("ls > a >> b", 7, "second redirect"),
    ("ls < a < b", 7, "second redirect"),
    ("> out", 0, "no command"),
    ("< in", 0, "no command"),
    ("ls & wc", 5, "nothing may follow the &"),
    ("ls & | wc", 5, "nothing may follow the &"),
    ("!", 0, "nothing follows the !"),
    ("! ", 0, "nothing follows the !"),
]


@pytest.mark.parametrize(("text", "position", "message"), WRONG)
def test_what_a_shell_would_read_otherwise_is_an_error(text: str, position: int, message: str) -> None:
    """security.md, Around the allow list: "`$()`, backticks, newline, `;|&<>`, `${IFS}` ...: bytes are
    data, they arrive unchanged". Unquoted they never get that far."""
    found = parse(text)
    assert isinstance(found, Wrong), found
    assert found.position == position
    assert message in found.message
    assert line_of(text) == found


def test_local_parts_are_known() -> None:
    assert not Line(("ls",), background=True).has_local_part
    for text in ("!ls", "ls | wc", "ls > a", "ls >> a", "wc < a"):
        found = parse(text)
        assert isinstance(found, Line)
        assert found.has_local_part


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
@settings(max_examples=200)
def test_what_is_quoted_reads_back_as_the_same_words(words: list[str]) -> None:
    found = parse(quote(words))
    assert isinstance(found, Line)
    assert found._replace(plain=True) == Line(tuple(words))


@given(st.text(st.sampled_from("a'\"\\|<>&;$`#! \n\t\0")))
@settings(max_examples=200)
def test_every_text_is_a_line_incomplete_or_wrong(text: str) -> None:
    found = parse(text)
    if isinstance(found, Wrong):
        assert 0 <= found.position < max(1, len(text))
        assert found.message.isprintable()


LOGICAL = [
    ("", [""]),
    ("ls", ["ls"]),
    ("ls\n", ["ls", ""]),
    ("ls\nwc", ["ls", "wc"]),
    ("echo 'a\nb'\nls", ["echo 'a\nb'", "ls"]),
    ("ls\necho 'a\nb", ["ls", "echo 'a\nb"]),
    ("ls \\\n-l\n", ["ls \\\n-l", ""]),
    ("a;\n\nb", ["a;", "", "b"]),
]


@pytest.mark.parametrize(("text", "lines"), LOGICAL)
def test_a_text_is_cut_where_a_line_ends(text: str, lines: list[str]) -> None:
    assert logical_lines(text) == lines


def test_words_go_out_as_the_bytes_that_were_typed() -> None:
    assert as_bytes(("\u00fc", "\udcff")) == (b"\xc3\xbc", b"\xff")

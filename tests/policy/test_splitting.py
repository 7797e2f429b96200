"""One string -> words: as a shell splits them, and nothing that only a shell could do."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexec.policy.splitting import RESERVED, Split, split

WORDS = {
    "": (),
    " \t \n": (),
    "ls -l": ("ls", "-l"),
    "  ls\t -l \n": ("ls", "-l"),
    "git-upload-pack '/srv/a b.git'": ("git-upload-pack", "/srv/a b.git"),
    "rsync --server . two\\ words": ("rsync", "--server", ".", "two words"),
    "hg -R 'it'\\''s' serve": ("hg", "-R", "it's", "serve"),
    'echo "a \\"b\\" \\$c \\n"': ("echo", 'a "b" $c \\n'),
    "echo '' \"\"": ("echo", "", ""),
    "a'b'\"c\"d": ("abcd",),
    "echo a\\\nb": ("echo", "ab"),
    'echo "a\\\nb"': ("echo", "ab"),
    "echo 'a\nb;$c`'": ("echo", "a\nb;$c`"),
    "echo a#b x=y": ("echo", "a#b", "x=y"),
    "echo \\;\\$\\`\\&\\(": ("echo", ";$`&("),
    "printf \xe9\udc80": ("printf", "\xe9\udc80"),
    "/bin/sh -c 'echo ~ && exit'": ("/bin/sh", "-c", "echo ~ && exit"),
    "echo back\\": ("echo", "back\\"),
}


@pytest.mark.parametrize("text", WORDS)
def test_plain_words_are_had_without_a_shell(text: str) -> None:
    assert split(text) == Split(WORDS[text])


SHELL = {
    "rm a && rm b": "&",
    "a; b": ";",
    "a | b": "|",
    "a > b": ">",
    "a < b": "<",
    "(a)": "(",
    "echo $HOME": "$",
    'echo "$HOME"': "$",
    "echo `id`": "`",
    'echo "`id`"': "`",
    "a\nb": "a newline",
    "echo # no": "#",
    "A=b env": "a variable is set",
    "cd /tmp": "cd",
    "exec perl -e 1": "exec",
    ". /etc/profile": ".",
    ": x": ":",
    "export A": "export",
    "if true": "if",
    "'exec' x": "exec",
    "echo a${IFS}b": "$",
}


@pytest.mark.parametrize("text", SHELL)
def test_what_only_a_shell_does_is_told(text: str) -> None:
    """security.md, Around the allow list: "$()`, backticks, newline, `;|&<>`, `${IFS}`"."""
    assert split(text) == Split((), shell=SHELL[text])


@pytest.mark.parametrize("text", ["echo 'a", 'echo "a', 'echo "a\\"', "'", "a' b"])
def test_an_open_quote_is_an_error(text: str) -> None:
    assert split(text).flaw.endswith("that is never closed")
    assert split(text).words == ()


@pytest.mark.parametrize(
    ("text", "sign"),
    [("ls *.c", "*"), ("ls a?", "?"), ("ls [ab]", "["), ("ls ~/x", "~"), ("ls a~ 'b*' \\?", "")],
)
def test_patterns_stay_as_they_are_and_are_told(text: str, sign: str) -> None:
    found = split(text)
    assert found.pattern == sign
    assert len(found.words) >= 2


PIECES = st.sampled_from(
    [
        "a",
        "b c",
        " ",
        "'",
        '"',
        "\\",
        "\\\\",
        "\\'",
        '\\"',
        "''",
        '""',
        "'x y'",
        '"x y"',
        "-",
        "=",
        "#",
        "\t",
        "\\\n",
        "\\$",
        '"\\$"',
        "é",
        "$",
        ";",
        "`",
        "\n",
        "~",
        "*",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
@settings(max_examples=250, deadline=None)
def test_the_words_are_those_of_a_real_shell(text: str) -> None:
    """Where the rule gives words, sh gives the same, but for patterns, which `set -f` leaves alone too."""
    found = split(f"printf '%s\\0' {text}")
    if found.flaw or found.shell or found.pattern == "~":
        return
    # what is trimmed at the end, and a last backslash, which shells read in different ways
    if text.endswith("\\") or text != text.rstrip(" \t\n"):
        return
    done = subprocess.run(
        ["sh", "-f", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=False, timeout=60
    )
    wanted = found.words[2:] or ("",)
    assert done.stdout.decode() == "".join(f"{word}\0" for word in wanted)


@given(st.text())
def test_any_text_gives_words_or_a_reason(text: str) -> None:
    found = split(text)
    assert not (found.words and (found.flaw or found.shell))
    assert not found.words or found.words[0] not in RESERVED


def test_time_is_linear() -> None:
    """security.md, Around the allow list: "one of 3 MB: a clear error, the server lives"."""
    text = "'a' " * 400_000
    assert len(split(text).words) == 400_000

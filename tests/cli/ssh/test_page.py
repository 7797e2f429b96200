"""docs/reference/rexec-ssh.md says of every option and keyword what the code does with it."""

from __future__ import annotations

import re

from rexec.cli.ssh import keywords, options, tokens
from tests.tree import ROOT, text_of

PAGE = text_of(ROOT / "docs" / "reference" / "rexec-ssh.md")


def rows(heading: str) -> dict[str, str]:
    """The first table under a heading: its first cell, without quotes, and its second."""
    text = re.split(r"^## ", PAGE.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    found = re.findall(r"^\| (.+?) \| (.+) \|$", text, re.M)[1:]
    return {name.strip("`"): said for name, said in found}


def test_every_option_and_what_becomes_of_it() -> None:
    """remote-shell.md, "What follows for rexec-ssh": mapped, quietly ignored, refused."""
    fates: dict[str, str] = {}
    values: set[str] = set()
    for cell, said in rows("Options").items():
        fate = re.split(r"[ :,]", said)[0]
        for letter, value in re.findall(r"-(\w)(?: ([A-Z]\S*))?", cell):
            assert letter not in fates
            fates[letter] = fate
            values |= {letter} if value else set()
    expected = dict.fromkeys(options.MAPPED, "mapped")
    expected |= dict.fromkeys(options.IGNORED + options.IGNORED_WITH_VALUE, "ignored")
    expected |= dict.fromkeys(options.REFUSED, "refused")
    assert fates == expected
    with_value = {letter for letter, (value, _) in options.MAPPED.items() if value}
    assert values == with_value | set(options.IGNORED_WITH_VALUE) | set(options.REFUSED)


def test_every_option_of_ssh_is_known() -> None:
    """ssh(1), OpenSSH 9.2: its synopsis, and `-P` of later ones."""
    known = set(options.MAPPED) | set(options.IGNORED + options.IGNORED_WITH_VALUE) | set(options.REFUSED)
    assert known == set("1246AaCfGgKkMNnqsTtVvXxYyBbcDEeFIiJLlmOopPQRSWw")


def test_every_keyword() -> None:
    found = rows("Keywords")
    refused = {name for name, said in found.items() if said.startswith("refused")}
    assert refused == set(keywords.REFUSED)
    assert set(found) - refused == set(keywords.MAPPED)


def test_what_a_file_may_say() -> None:
    text = PAGE.split("\n## A file of settings\n", 1)[1].split("All other", 1)[0].split("Read are", 1)[1]
    assert {name.lower() for name in re.findall(r"`(\w+)`", text)} == set(keywords.IN_FILE)


def test_every_token() -> None:
    text = PAGE.split("\nTokens in", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"`%(\w)`", text)) == set(tokens._MEANINGS)

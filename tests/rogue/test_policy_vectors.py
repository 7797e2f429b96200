"""The vectors of argument patterns by raw frames: a running server takes and refuses what `decide` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.policy.vectors import Stanza, stanzas
from tests.rogue import wire
from tests.rogue.conftest import Target

STANZAS = tuple(stanzas())
SHOW = """\
#!/bin/sh
echo started >> {started}
for word; do printf '%s\\0' "$word"; done
"""


class Shop(Target):
    """A server with a rule for each stanza, each under a name of its own, that all show their arguments."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.started = folder / "started"
        programs = folder / "programs"
        programs.mkdir(mode=0o755)
        show = programs / "show"
        show.write_text(SHOW.format(started=self.started))
        show.chmod(0o755)
        heads, rules = [], []
        for number, stanza in enumerate(STANZAS):
            (programs / f"v{number}").symlink_to("show")
            heads += [stanza.head] if stanza.head not in heads else []
            rules.append(stanza.text(f"v{number}", "show"))
        text = "\n".join([f"%path {programs}:/usr/bin:/bin", *heads, "echo ...", *rules, ""])
        self.allow_list.write_text(text)

    def starts(self) -> int:
        """Count the programs that were started."""
        return len(self.started.read_text().splitlines()) if self.started.exists() else 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.start()
    yield made
    assert made.works()
    assert made.has_no_traceback()
    made.end()


@pytest.mark.parametrize("number", range(len(STANZAS)), ids=[stanza.cases[0].place for stanza in STANZAS])
def test_a_server_takes_and_refuses_what_the_vectors_say(shop: Shop, number: int) -> None:
    """security.md, Around the allow list: "One argument that pretends to be two, two that match one
    pattern"; "by abbreviation, by bundling, by attached value, by a file name that starts with `-`";
    "Regex: unanchored, `$` before a newline, catastrophic backtracking. Unicode digits, `+5`, ` 5`, `0x10`
    for `{int}`"; "raw frames with any content meet the same decision"."""
    stanza: Stanza = STANZAS[number]
    before = shop.starts()
    with shop.friend() as friend:
        for case in stanza.cases:
            words = [f"v{number}".encode(), *map(os.fsencode, case.words)]
            kind, body, output = friend.run(*words, stdin=0)
            if case.gets is None:
                assert (kind, output) == (wire.DENIED, b""), case
            else:
                assert (kind, wire.Exit(body).status) == (wire.EXIT, 0), case
                assert output == b"".join(os.fsencode(word) + b"\0" for word in case.gets), case
    assert shop.starts() == before + sum(case.gets is not None for case in stanza.cases)

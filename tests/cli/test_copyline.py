"""What the words of `rexec-cp` mean."""

from __future__ import annotations

import pytest

from rexec.cli.copyline import USAGE, parse, spot
from rexec.errors import UsageError


@pytest.mark.parametrize(
    ("word", "host", "path"),
    [
        ("web1:/var/log", "web1", b"/var/log"),
        ("alice@web1:x", "alice@web1", b"x"),
        ("web1:", "web1", b""),
        ("web1:a:b", "web1", b"a:b"),
        ("[::1]:x", "[::1]", b"x"),
        ("alice@[::1]:x", "alice@[::1]", b"x"),
        ("[127.0.0.1:5512]:/x", "127.0.0.1:5512", b"/x"),
        ("[unix:/run/rexec.sock]:/x", "unix:/run/rexec.sock", b"/x"),
        ("[web1]:x", "web1", b"x"),
        ("./a:b", None, b"./a:b"),
        ("/a:b", None, b"/a:b"),
        ("dir/a:b", None, b"dir/a:b"),
        (":a", None, b":a"),
        ("a", None, b"a"),
        ("-", None, b"-"),
        ("dir/[x]:y", None, b"dir/[x]:y"),
        ("a\udcff:\udcfe", "a\udcff", b"\xfe"),
    ],
)
def test_a_word_is_at_a_host_or_here(word: str, host: str | None, path: bytes) -> None:
    found = spot(word)
    assert (found.host, found.path) == (host, path)


def test_options_as_scp_has_them() -> None:
    line = parse(["-rpq", "-P", "7000", "-i", "a", "-ib", "-l8000", "-C", "x", "y", "h:", "--resume", "-v"])
    assert (line.recursive, line.times, line.quiet, line.verbose, line.resume) == (True, True, 1, 1, True)
    assert (line.port, line.identity, line.limit, line.compressed) == (7000, ["a", "b"], 8000, True)
    assert [source.path for source in line.sources] == [b"x", b"y"]
    assert line.destination is not None
    assert line.destination.host == "h"
    dashes = parse(["--home=/x", "--", "-r", "h:-p"])
    assert (dashes.home, dashes.recursive, dashes.sources[0].path) == ("/x", False, b"-r")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a"],
        ["-z", "a", "h:"],
        ["--nothing", "a", "h:"],
        ["-l", "x", "a", "h:"],
        ["--resume=1", "a", "h:"],
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(words)


def test_help_names_every_option() -> None:
    assert all(name in USAGE for name in ("-r", "-p ", "-P PORT", "-l LIMIT", "--resume", "-C "))
    assert parse(["-h"]).help
    assert parse(["--version"]).version

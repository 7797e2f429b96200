"""Any line as tokens, as a list of options and as braces; and any words there and back."""

from __future__ import annotations

from collections.abc import Callable

from rexec.policy.optspecs import read_options
from rexec.policy.patterns import read_patterns
from rexec.policy.problems import Flaw
from rexec.policy.spelling import is_writable, spelled
from rexec.policy.tokens import Kind, Token, scan, scan_rule

SEEDS = (
    b"svc {act=start|stop} [-a -(xyz) -n={int} --long={re:'a{2} #'}]* -- {path:/srv/** ro}? ...",
    b"svc {u=U}+ = systemctl \"a \\\" b\" 'raw $' {u}.service # comment",
    b"[-a -(lah)n={word} --x {A|B}]", b"a'b", b"\"\\x\"", b"{re:'}'}", b"[[", b"= = =", b"{", b"\x85 \xa0",
)  # fmt: skip
SETS = {"U": ("nginx", "redis")}


def try_it(data: bytes) -> None:
    """Read a made-up line by each of the readers of lines."""
    line = data.decode("utf-8", "replace").replace("\n", " ")
    for read in (_scan, _patterns):
        column = _flawed(read, line)
        assert column is None or 1 <= column <= len(line) + 1, (line, column)
    _and_back([word for word in line.split(" ") if is_writable(word)])


def _flawed(read: Callable[[str], None], line: str) -> int | None:
    """Read a line; give the column of its flaw."""
    try:
        read(line)
    except Flaw as flaw:
        return flaw.column
    return None


def _scan(line: str) -> None:
    end = 0
    for token in scan(line, also="*"):
        assert end < token.column <= token.end <= len(line), (line, token)
        end = token.end


def _patterns(line: str) -> None:
    said, _ = scan_rule(line)
    for token in said:
        _list(token)
    read_patterns(said, strict=False, sets=SETS)


def _list(token: Token) -> None:
    """Read a list of options; each of its options, said as it is written, is taken by it."""
    if token.kind is not Kind.LIST or not token.text:
        return
    found = read_options(token, SETS)
    for option in found.options:
        if option.apart:
            reading = found.reading(option.name)
            assert reading is not None, (token.text, option)
            assert reading.names == (option.name,), (token.text, option)


def _and_back(words: list[str]) -> None:
    said = " ".join(spelled(word) for word in words)
    assert [token.text for token in scan(said)] == words, said
    assert all(token.is_literal for token in scan(said)), said

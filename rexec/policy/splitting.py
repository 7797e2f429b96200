"""One string -> words, by the published rule: quotes and backslashes as POSIX has them, and no expansion.

Programs that call a remote shell send one string (ssh joins its arguments with blanks), quoted for a
shell. Most of them mean plain words, and these are had without any shell. What a shell would do more with
(XCU 2.2, 2.4, 2.6, 2.9) is *shell syntax*: such a string is never run as words, since `rm a && rm b` must
not become one `rm` with four arguments.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BLANK = " \t"
_SIGNS = "\n;&|<>()$`"  # unquoted, each of them is an operator or begins an expansion
_PATTERN = "*?[~"  # these too are expanded by a shell, and here they are letters
_IN_DOUBLE = '$`"\\'  # what a backslash takes the meaning from between double quotes
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_RESERVED = """
! { } case do done elif else esac fi for function if in select then until while
. : alias bg break builtin cd command continue declare eval exec exit export fc fg getopts hash jobs let
local read readonly return set shift source times trap type typeset ulimit umask unalias unset wait
"""
RESERVED = frozenset(_RESERVED.split())  # as the first word, a shell does it itself


class Split(NamedTuple):
    """What a string means; where `flaw` or `shell` says something, the words stand for nothing.

    `flaw` says what is wrong, `shell` what only a shell could do. `pattern` is the first sign that a shell
    would have expanded and that stays as it is.
    """

    words: tuple[str, ...]
    flaw: str = ""
    shell: str = ""
    pattern: str = ""


def split(text: str) -> Split:
    """Split a string; the time is linear in its length."""
    reader = _Reader(text.strip(_BLANK + "\n"))
    reader.read()
    words = tuple(reader.words)
    if reader.flaw:
        return Split((), flaw=reader.flaw)
    first = words[0] if words else ""
    shell = reader.shell
    if not shell and reader.assigns:
        shell = "a variable is set"
    if not shell and first in RESERVED:
        shell = first
    return Split(() if shell else words, shell=shell, pattern=reader.pattern)


class _Reader:
    """One pass; `word` is None between words, for '' is one too."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.words: list[str] = []
        self.word: list[str] | None = None
        self.flaw = ""
        self.shell = ""
        self.pattern = ""
        self.assigns = _ASSIGNMENT.match(text) is not None

    def read(self) -> None:
        while self.at < len(self.text) and not self.flaw:
            char = self._next()
            if char in _BLANK:
                self._end()
            elif char == "'":
                self._single()
            elif char == '"':
                self._double()
            elif char == "\\":
                self._escaped()
            else:
                self._plain(char)
        self._end()

    def _next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def _end(self) -> None:
        if self.word is not None:
            self.words.append("".join(self.word))
            self.word = None

    def _add(self, text: str) -> None:
        if self.word is None:
            self.word = []
        self.word.append(text)

    def _plain(self, char: str) -> None:
        if char in _SIGNS or (char == "#" and self.word is None):
            self.shell = self.shell or ("a newline" if char == "\n" else char)
        if char in _PATTERN and (char != "~" or self.word is None):
            self.pattern = self.pattern or char
        self._add(char)

    def _escaped(self) -> None:
        """A backslash keeps what is behind it; a newline behind it is none (XCU 2.2.1)."""
        if self.at == len(self.text):
            self._add("\\")  # POSIX leaves it open, and every shell keeps it
            return
        char = self._next()
        if char != "\n":
            self._add(char)

    def _single(self) -> None:
        end = self.text.find("'", self.at)
        if end < 0:
            self.flaw = "a ' that is never closed"
            return
        self._add(self.text[self.at : end])
        self.at = end + 1

    def _double(self) -> None:
        self._add("")
        while self.at < len(self.text):
            char = self._next()
            if char == '"':
                return
            if char == "\\" and self.at < len(self.text):
                char = self._next()
                if char != "\n":
                    self._add(char if char in _IN_DOUBLE else "\\" + char)
                continue
            if char in "$`":
                self.shell = self.shell or char
            self._add(char)
        self.flaw = 'a " that is never closed'

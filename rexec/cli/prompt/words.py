"""One typed line: POSIX words without any expansion, and the few operators that stay on this side.

Quotes and backslashes are those of the shell (POSIX.1-2017, XCU 2.2); nothing else of it is there. An
operator counts only as a word of its own, and whatever a shell would give a meaning to has to be quoted:
a line either means exactly what it says, or is an error.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLANKS = " \t\n"
OPERATORS = ("|", "<", ">", ">>", "&")
_SPECIAL = frozenset("|<>&;()$`")
_ESCAPED_IN_QUOTES = frozenset('$`"\\')  # XCU 2.2.3; a newline too, which is dropped
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./^-")


class Word(NamedTuple):
    """One word: its text without quotes, and where it stands, quotes included."""

    text: str
    start: int
    end: int
    quoted: bool  # some of it

    @property
    def is_operator(self) -> bool:
        return not self.quoted and self.text in OPERATORS


class Line(NamedTuple):
    """What a line asks for; a line with neither words nor a local part is blank."""

    words: tuple[str, ...] = ()  # the remote argument vector
    source: str | None = None  # < file
    target: str | None = None  # > file, >> file
    append: bool = False
    pipe: str | None = None  # all behind the first |, for the local shell
    background: bool = False
    local: str | None = None  # all behind !, for the local shell
    plain: bool = True  # nothing of the first word is quoted: it may be one of the prompt's own

    @property
    def has_local_part(self) -> bool:
        """Whether something of it happens on this machine."""
        return any(part is not None for part in (self.source, self.target, self.pipe, self.local))

    @property
    def is_blank(self) -> bool:
        return not self.words and self.local is None


class Incomplete(NamedTuple):
    """A line that goes on: an open quote, or a backslash at its end."""

    message: str


class Wrong(NamedTuple):
    """A line that means nothing, and the index at which it went wrong."""

    position: int
    message: str


class Flaw(Exception):
    """What is wrong with a line, on its way out of the scanner."""

    def __init__(self, found: Incomplete | Wrong) -> None:
        self.found = found


def parse(line: str) -> Line | Incomplete | Wrong:
    """Return what a line means."""
    try:
        return _parse(line)
    except Flaw as flaw:
        return flaw.found


def as_bytes(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return an argument vector as it goes out."""
    return tuple(word.encode("utf-8", "surrogateescape") for word in words)


def quote(words: Sequence[str]) -> str:
    """Return a line that `parse` reads as exactly these words."""
    return " ".join(quote_word(word) for word in words)


def quote_word(word: str) -> str:
    """Return a word as it has to be typed."""
    if word and _SAFE.issuperset(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def logical_lines(text: str) -> list[str]:
    """Split a text where a line ends and no quote is open; what is left open comes last."""
    found: list[str] = []
    begun = ""
    for line in text.split("\n"):
        begun += line
        if isinstance(parse(begun), Incomplete):
            begun += "\n"
            continue
        found.append(begun)
        begun = ""
    return [*found, begun[:-1]] if begun else found


# --- from words to their meaning ------------------------------------------------------------------


def _parse(line: str) -> Line:
    begin = len(line) - len(line.lstrip(BLANKS))
    if line.startswith("#", begin):
        return Line()
    if line.startswith("!", begin):
        if not (local := line[begin + 1 :].strip(BLANKS)):
            raise Flaw(Wrong(begin, "nothing follows the !"))
        return Line(local=local)
    return _Meaning(line).line()


class _Meaning:
    """Gathers what the words of a line say."""

    def __init__(self, line: str) -> None:
        self._text = line
        self._scan = scan(line)
        self._words: list[Word] = []
        self._source: str | None = None
        self._target: str | None = None
        self._append = False
        self._pipe: str | None = None
        self._background = False

    def line(self) -> Line:
        for word in self._scan:
            if self._background:
                raise Flaw(Wrong(word.start, "nothing may follow the &"))
            if word.is_operator:
                self._operator(word)
            else:
                self._words.append(word)
            if self._pipe is not None:
                break  # what follows is not ours to read
        if not self._words and (self._source or self._target) is not None:
            raise Flaw(Wrong(0, "no command"))
        words = tuple(word.text for word in self._words)
        plain = not self._words or not self._words[0].quoted
        return Line(
            words, self._source, self._target, self._append, self._pipe, self._background, None, plain
        )

    def _operator(self, word: Word) -> None:
        if word.text in ("|", "&") and not self._words:
            raise Flaw(Wrong(word.start, f"no command before the {word.text}"))
        if word.text == "|":
            self._piped(word)
        elif word.text == "&":
            self._background = True
        else:
            self._redirected(word)

    def _piped(self, word: Word) -> None:
        self._pipe = self._text[word.end :].strip(BLANKS)
        if not self._pipe:
            raise Flaw(Wrong(word.start, "no command behind the |"))
        if self._target is not None:
            raise Flaw(Wrong(word.start, "output goes to a file or into a pipe, not both"))

    def _redirected(self, word: Word) -> None:
        name = next(self._scan, None)
        if name is None or name.is_operator or not name.text:
            raise Flaw(Wrong(word.start, f"no file behind the {word.text}"))
        if (self._source if word.text == "<" else self._target) is not None:
            raise Flaw(Wrong(word.start, "a second redirect of the same stream"))
        if word.text == "<":
            self._source = name.text
        else:
            self._target, self._append = name.text, word.text == ">>"


def line_of(text: str) -> Line | Wrong:
    """Return what a line means where nothing can be asked for more: an open quote is an error."""
    found = parse(text)
    return Wrong(len(text), found.message) if isinstance(found, Incomplete) else found


# --- from characters to words ---------------------------------------------------------------------


def scan(line: str) -> Iterator[Word]:
    """Yield the words of a line as they come; raises `Flaw` at the first place that is wrong."""
    at = 0
    while (at := _skip_blanks(line, at)) < len(line):
        word = _word(line, at)
        yield word
        at = word.end


def _skip_blanks(line: str, at: int) -> int:
    while at < len(line) and (line[at] in BLANKS or line.startswith("\\\n", at)):
        at += 1 if line[at] in BLANKS else 2
    return at


def _word(line: str, start: int) -> Word:
    end = start
    while end < len(line) and line[end] in _SPECIAL:
        end += 1
    if line[start:end] in OPERATORS and (end == len(line) or line[end] in BLANKS):
        return Word(line[start:end], start, end, quoted=False)
    parts: list[str] = []
    quoted = False
    at = start
    while at < len(line) and line[at] not in BLANKS:
        reader = _READERS.get(line[at], _bare)
        part, at = reader(line, at)
        quoted = quoted or reader is not _bare
        parts.append(part)
    return Word("".join(parts), start, at, quoted)


def _bare(line: str, at: int) -> tuple[str, int]:
    char = line[at]
    if char in _SPECIAL:
        raise Flaw(Wrong(at, _hint(line, at)))
    if char == "#" and line[at - 1] in BLANKS:
        raise Flaw(Wrong(at, "quote the #: there are no comments behind a command"))
    if char < " " or char == "\x7f":
        raise Flaw(Wrong(at, "quote the control character"))
    return char, at + 1


def _hint(line: str, at: int) -> str:
    char = line[at]
    if char in "|<>&":
        return f"quote the {char}, or put blanks around it"
    return f"quote the {char}: nothing is expanded here, and one line is one command"


def _raw(line: str, at: int) -> tuple[str, int]:
    end = line.find("'", at + 1)
    if end < 0:
        raise Flaw(Incomplete("the quote ' is not closed"))
    return _clear(line, at, line[at + 1 : end]), end + 1


def _double(line: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    at = start + 1
    while at < len(line) and line[at] != '"':
        if line[at] == "\\" and line[at + 1 : at + 2] == "\n":
            at += 2
            continue
        if line[at] == "\\" and line[at + 1 : at + 2] in _ESCAPED_IN_QUOTES:
            at += 1
        parts.append(line[at])
        at += 1
    if at >= len(line):
        raise Flaw(Incomplete('the quote " is not closed'))
    return _clear(line, start, "".join(parts)), at + 1


def _escaped(line: str, at: int) -> tuple[str, int]:
    if at + 1 == len(line):
        raise Flaw(Incomplete("nothing follows the backslash"))
    return _clear(line, at, line[at + 1].replace("\n", "")), at + 2


def _clear(line: str, at: int, text: str) -> str:
    if "\0" in text:
        raise Flaw(Wrong(at, "no argument can hold a NUL"))
    return text


_READERS = {"'": _raw, '"': _double, "\\": _escaped}

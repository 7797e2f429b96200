"""What a line will do, shown before Enter: the server's own verdict, asked for while nobody types."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prompt_toolkit.lexers import Lexer

from rexec.cli.prompt import words as w
from rexec.cli.prompt.rules import Verdict
from rexec.errors import RexecError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples

    from rexec.cli.prompt.line import Line

PAUSE = 0.08  # seconds without a key until the server is asked
_KNOWN_MAX = 256  # verdicts kept while one line is edited

STYLES = {
    "user": "ansigreen",
    "host": "ansigreen bold",
    "directory": "ansiblue",
    "code": "ansired",
    "duration": "ansiyellow",
    "allowed": "ansigreen",
    "denied": "ansired underline",
    "wrong": "ansired underline",
    "open": "ansiyellow",
    "operator": "ansimagenta bold",
    "local": "ansimagenta",
    "own": "ansicyan",
    "comment": "ansibrightblack",
    "bottom-toolbar": "noreverse ansibrightblack",
}


class Judge:
    """Verdicts by argument vector; one that is not known is asked for, and is None meanwhile."""

    def __init__(self, line: Line, changed: Callable[[], None]) -> None:
        self._line = line
        self._changed = changed
        self._known: dict[tuple[str, ...], Verdict] = {}
        self._asking: asyncio.Task[None] | None = None
        self._latest: tuple[str, ...] = ()

    def forget(self) -> None:
        """Begin a new line: the policy may have changed."""
        self._known.clear()
        self._latest = ()

    def close(self) -> None:
        """Ask nothing more."""
        if self._asking is not None:
            self._asking.cancel()

    def verdict(self, words: tuple[str, ...]) -> Verdict | None:
        """Return what is known; have the rest asked for after a pause."""
        found = self._known.get(words)
        if found is None and words and words != self._latest:
            self.close()
            self._latest = words
            self._asking = asyncio.create_task(self._ask(words))
        return found

    async def _ask(self, words: tuple[str, ...]) -> None:
        await asyncio.sleep(PAUSE)
        try:
            found = await self._line.judge(w.as_bytes(words))
        except RexecError:
            return  # it stays without a colour; Enter will tell
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[words] = found
        self._changed()


class Colours(Lexer):
    """Gives each character of the line its style; to be renewed when a verdict has come."""

    def __init__(self, judge: Judge, own: Container[str]) -> None:
        self._judge = judge
        self._own = own

    def renewed(self) -> Colours:
        """Return another one: what is drawn is remembered by text and lexer."""
        return Colours(self._judge, self._own)

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        text = document.text
        found = w.parse(text)
        verdict = None
        if isinstance(found, w.Line) and not is_own(found, self._own):
            verdict = self._judge.verdict(found.words)
        styles = paint(text, verdict, self._own)
        starts = [0]
        for line in document.lines:
            starts.append(starts[-1] + len(line) + 1)

        def line_of(number: int) -> StyleAndTextTuples:
            if number >= len(document.lines):
                return []
            start = starts[number]
            line = document.lines[number]
            return [(styles[start + index], char) for index, char in enumerate(line)]

        return line_of


def is_own(line: w.Line, own: Container[str]) -> bool:
    """Whether a line is the prompt's own: its first word is one of those, unquoted."""
    return bool(line.words) and line.plain and line.words[0] in own


def paint(text: str, verdict: Verdict | None, own: Container[str]) -> list[str]:
    """Return the style of each character."""
    styles = [""] * len(text)

    def fill(start: int, end: int, name: str) -> None:
        styles[start:end] = [f"class:{name}" if name else ""] * (end - start)

    bare = text.lstrip(w.BLANKS)
    begin = len(text) - len(bare)
    if bare.startswith("#"):
        fill(begin, len(text), "comment")
    elif bare.startswith("!"):
        fill(begin, begin + 1, "operator")
        fill(begin + 1, len(text), "local")
    else:
        _paint_words(text, verdict, own, fill)
    return styles


def _paint_words(
    text: str, verdict: Verdict | None, own: Container[str], fill: Callable[[int, int, str], None]
) -> None:
    style = "" if verdict is None else ("allowed" if verdict.allowed else "denied")
    is_first, is_file = True, False
    end = 0
    try:
        for word in w.scan(text):
            end = word.end
            if word.is_operator:
                fill(word.start, end, "operator")
                if word.text == "|":
                    fill(end, len(text), "local")
                    return
                is_file = word.text != "&"
                continue
            is_own_word = is_first and not word.quoted and word.text in own
            fill(word.start, end, "own" if is_own_word else "local" if is_file else style)
            is_first, is_file = is_first and is_file, False
    except w.Flaw as flaw:
        if isinstance(flaw.found, w.Wrong):
            fill(flaw.found.position, len(text), "wrong")
        else:
            fill(end, len(text), "open")

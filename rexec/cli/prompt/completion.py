"""Completion: what this user may run, what its rules take next as the server says, and local files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prompt_toolkit.completion import Completer, Completion

from rexec.cli.prompt import words as w
from rexec.errors import RexecError
from rexec.text import neutral

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from rexec.cli.prompt.rules import Rule

    Ask = Callable[[tuple[str, ...]], Awaitable[list[tuple[str, str]]]]

Choice = tuple[str, str]  # a word, and what it is for
_FILES_MAX = 200  # names of one directory that are offered


class Words(Completer):
    """Offers words for the place where the cursor is; about arguments the server is asked."""

    def __init__(self, rules: Callable[[], Sequence[Rule]], own: Mapping[str, str], ask: Ask) -> None:
        self._rules = rules
        self._own = own
        self._ask = ask

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        found = place(document.text_before_cursor)
        if found is None:
            return
        before, start, begun = found
        words = [word.text for word in _arguments(before)]
        if _is_remote(before, words):
            try:
                asked = ("@get",) if words[0] == "get" and not before[0].quoted else tuple(words)
                choices: Iterable[Choice] = await self._ask((*asked, begun))
            except RexecError:
                choices = following(self._rules(), words)
        else:
            choices = self._here(before, words, begun)
        for offer in _offers(choices, begun, start - len(document.text_before_cursor)):
            yield offer

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Offer what needs no question."""
        found = place(document.text_before_cursor)
        if found is not None:
            before, start, begun = found
            words = [word.text for word in _arguments(before)]
            if not _is_remote(before, words):
                choices = self._here(before, words, begun)
                yield from _offers(choices, begun, start - len(document.text_before_cursor))

    def _here(self, before: Sequence[w.Word], words: Sequence[str], begun: str) -> Iterable[Choice]:
        if before and before[-1].is_operator:
            return ((name, "local file") for name in files(begun)) if before[-1].text != "&" else ()
        if words[:1] == ["put"]:
            return ((name, "local file") for name in files(begun))
        return self._commands() if words else (*self._commands(), *self._own.items())

    def _commands(self) -> list[Choice]:
        rules = (rule for rule in self._rules() if not rule.command.startswith("@"))  # those have other words
        return [(rule.command, rule.about or rule.text) for rule in rules]


def _is_remote(before: Sequence[w.Word], words: Sequence[str]) -> bool:
    """Whether an argument of a remote command stands there."""
    is_put = words[:1] == ["put"] and not before[0].quoted
    return bool(words) and words != ["help"] and not before[-1].is_operator and not is_put


def _offers(choices: Iterable[Choice], begun: str, start: int) -> Iterator[Completion]:
    seen = set()
    for word, about in choices:
        if word.startswith(begun) and word.isprintable() and word not in seen:
            seen.add(word)
            yield Completion(w.quote_word(word), start, display=word, display_meta=neutral(about))


def place(text: str) -> tuple[list[w.Word], int, str] | None:
    """Return the words before the cursor's, where that one starts and what of it is there; None: no help."""
    if text.lstrip(w.BLANKS).startswith(("!", "#")):
        return None
    try:
        found = list(w.scan(text))
    except w.Flaw:
        return None
    if any(word.is_operator and word.text == "|" for word in found):
        return None
    if found and found[-1].end == len(text) and not found[-1].is_operator:
        return found[:-1], found[-1].start, found[-1].text
    return found, len(text), ""


def _arguments(before: Sequence[w.Word]) -> Iterator[w.Word]:
    """Yield the words of the remote command, without redirects and their files."""
    is_file = False
    for word in before:
        if not word.is_operator and not is_file:
            yield word
        is_file = word.is_operator


def following(rules: Sequence[Rule], words: Sequence[str]) -> Iterator[Choice]:
    """Yield what can stand behind these words by rules that are sure of it."""
    command, *given = words
    for rule in rules:
        at = len(given)
        if rule.command == command and rule.words[:at] == tuple(given) and len(rule.words) > at:
            yield rule.words[at], rule.about or rule.text


def files(begun: str) -> list[str]:
    """List local files whose names begin so, directories with a slash behind."""
    directory, _, _ = begun.rpartition("/")
    shown = f"{directory}/" if "/" in begun else ""
    try:
        with os.scandir(shown or ".") as entries:
            names = [shown + entry.name + ("/" if entry.is_dir() else "") for entry in entries]
    except OSError:
        return []
    return sorted(name for name in names if name.startswith(begun))[:_FILES_MAX]

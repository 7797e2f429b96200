"""Where lines come from: an editor with history and colours, or the terminal's own on a dumb one."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText, fragment_list_to_text
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.shortcuts import print_formatted_text
from prompt_toolkit.styles import Style

from rexec.cli.prompt import words as w
from rexec.cli.prompt.colours import STYLES
from rexec.cli.prompt.screen import write_all
from rexec.text import neutral

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyPressEvent

    from rexec.cli.prompt.colours import Colours

_MODE = re.compile(r"^\s*set\s+editing-mode\s+(vi|emacs)\s*$", re.MULTILINE)
_GOES_ON = "> "
_LEXERS = 32  # more than there are drawn lines remembered (prompt_toolkit, BufferControl)


class Cleared(Exception):
    """Ctrl-C: the line is nothing."""


def is_dumb(term: str | None) -> bool:
    """Whether a terminal takes no escape sequences."""
    return (term or "").lower() in ("", "dumb", "unknown")


class Plain:
    """Reads lines as the terminal edits them."""

    undo = b""  # what gives a terminal back that this was using

    def __init__(self) -> None:
        self._coming: asyncio.Future[str] | None = None

    async def read(self, message: FormattedText) -> str:
        """Return a line that is whole. Raises `Cleared`, `EOFError`."""
        text = await self._line(fragment_list_to_text(message))
        while isinstance(w.parse(text), w.Incomplete):
            text += "\n" + await self._line(_GOES_ON)
        return text

    async def ask(self, question: str, *, secret: bool) -> str:
        """Return an answer to a question."""
        if secret:
            from getpass import getpass

            return await asyncio.to_thread(getpass, question)
        return await self._line(question)

    def interrupt(self) -> None:
        """Take a Ctrl-C that came as a signal."""
        if self._coming is not None and not self._coming.done():
            write_all(1, b"\n")
            self._coming.set_exception(Cleared())

    def redraw(self) -> None:
        """There is nothing to draw again."""

    async def _line(self, message: str) -> str:
        write_all(1, message.encode("utf-8", "surrogateescape"))
        loop = asyncio.get_running_loop()
        self._coming = loop.create_future()
        loop.add_reader(0, self._readable, self._coming)
        try:
            return await self._coming
        finally:
            loop.remove_reader(0)
            self._coming = None

    @staticmethod
    def _readable(coming: asyncio.Future[str]) -> None:
        try:
            data = os.read(0, 4096)
        except OSError:
            data = b""
        if coming.done():
            return
        if data:
            coming.set_result(data.decode("utf-8", "surrogateescape").removesuffix("\n"))
        else:
            coming.set_exception(EOFError())


class Editor:
    """Reads lines with prompt_toolkit. A paste of several lines is run line by line; what has a local
    part waits for Enter."""

    undo = b"\x1b[m\x1b[?2004l\x1b[?25h"

    def __init__(
        self, history: History | None, completer: Completer, lexer: Colours, help_of: Callable[[str], str]
    ) -> None:
        self._output = create_output(always_prefer_tty=True)
        self._queue: list[str] = []  # lines of a paste; the last one is not entered
        self._lexers = deque([lexer], _LEXERS)
        self._session: PromptSession[str] = PromptSession(
            history=history,
            completer=completer,
            complete_while_typing=False,
            lexer=self._lexers[-1],
            include_default_pygments_style=False,
            style=Style.from_dict(STYLES),
            color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
            editing_mode=editing_mode(),
            enable_history_search=False,
            key_bindings=self._keys(),
            prompt_continuation=_GOES_ON,
            bottom_toolbar=lambda: help_of(self._session.default_buffer.text),
            output=self._output,
        )

    async def read(self, message: FormattedText) -> str:
        """Return a line that is whole. Raises `Cleared`, `EOFError`."""
        if self._queue and (len(self._queue) > 1 and _runs_at_once(self._queue[0])):
            text = self._queue.pop(0)
            shown = FormattedText([*message, ("", neutral(text))])
            print_formatted_text(shown, style=self._session.style, output=self._output)
            if self._session.history is not None:
                self._session.history.append_string(text)
            return text
        self._renew()
        default = self._queue.pop(0) if self._queue else ""
        try:
            return await self._session.prompt_async(message, default=default, handle_sigint=False)
        except (KeyboardInterrupt, EOFError) as error:
            self._queue.clear()
            if isinstance(error, KeyboardInterrupt):
                raise Cleared from None
            raise

    async def ask(self, question: str, *, secret: bool) -> str:
        """Return an answer to a question."""
        asking: PromptSession[str] = PromptSession(output=self._output)
        try:
            return await asking.prompt_async(question, is_password=secret, handle_sigint=False)
        except KeyboardInterrupt:
            raise Cleared from None

    def interrupt(self) -> None:
        """Forget the rest of a paste: Ctrl-C came while a command of it ran."""
        self._queue.clear()

    def redraw(self) -> None:
        """Show what has become known."""
        if self._session.app.is_running:
            self._renew()
            self._session.app.invalidate()

    def _renew(self) -> None:
        """Have all drawn anew; the old lexers live on, for they are known by their addresses."""
        self._lexers.append(self._lexers[-1].renewed())
        self._session.lexer = self._lexers[-1]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        def goes_on() -> bool:
            return isinstance(w.parse(self._session.default_buffer.text), w.Incomplete)

        @keys.add("enter", filter=Condition(goes_on), eager=True)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add(Keys.BracketedPaste, eager=True)
        def _(event: KeyPressEvent) -> None:
            self._paste(event, event.data.replace("\r\n", "\n").replace("\r", "\n"))

        return keys

    def _paste(self, event: KeyPressEvent, data: str) -> None:
        buffer = event.current_buffer
        buffer.insert_text(data)
        lines = w.logical_lines(buffer.text)
        if buffer is not self._session.default_buffer or len(lines) < 2:
            return
        buffer.text = lines.pop(0)
        buffer.cursor_position = len(buffer.text)
        self._queue = lines + self._queue[1:]
        if _runs_at_once(buffer.text):
            buffer.validate_and_handle()


def _runs_at_once(text: str) -> bool:
    """Whether a pasted line is entered as it is: nothing of it happens on this machine."""
    found = w.parse(text)
    return not (isinstance(found, w.Line) and found.has_local_part)


def editing_mode() -> EditingMode:
    """Return what the user's inputrc says (readline(3))."""
    named = os.environ.get("INPUTRC") or os.path.expanduser("~/.inputrc")
    for path in (named, "/etc/inputrc"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        found = _MODE.findall(text)
        return EditingMode.VI if found and found[-1] == "vi" else EditingMode.EMACS
    return EditingMode.EMACS

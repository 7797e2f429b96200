"""What a recording may do to the terminal on which it is replayed.

Text, colours, moving, erasing and scrolling pass, with the alternate screen and the cursor's looks.
All else is dropped, whatever it is: questions that a terminal answers as if somebody had typed,
titles, clipboard, links, mouse and paste modes, resets, and strings that only begin like a command.
"""

from __future__ import annotations

_FINALS = frozenset("ABCDEFGHJKLMPSTXZ@`adefmrsu")  # of CSI sequences without a private mark (ECMA-48)
_MODES = frozenset({"7", "25", "47", "1047", "1048", "1049"})  # wrap, cursor, screens (DECSET)
_SHORT = frozenset("78DEM=>")  # of two characters: cursor kept, index, next line, keypad
_SETS = frozenset("0AB")  # characters for lines and letters
_PLAIN = frozenset("\t\n\r\b\x0e\x0f")
_STRINGS = frozenset("]P_^X")  # OSC, DCS, APC, PM, SOS: up to their terminator
_LONGEST = 64  # characters of a sequence; a longer one is none
AGAIN = "\x1b[0m\x1b(B\x0f\x1b[?7h\x1b[?25h"  # what a terminal is to look like after it


class Filter:
    """Passes on what is harmless; a sequence may come in any number of pieces."""

    def __init__(self) -> None:
        self._held = ""  # the beginning of a sequence
        self._string = False  # inside a string that is dropped
        self._alternate = False

    def feed(self, text: str) -> str:
        """Return what of `text` may reach a terminal."""
        passed = []
        for char in text:
            passed.append(self._take(char))
        return "".join(passed)

    def finish(self) -> str:
        """Return what gives the terminal back as it was."""
        return ("\x1b[?1049l" if self._alternate else "") + AGAIN

    def _take(self, char: str) -> str:
        if self._string:
            return self._in_string(char)
        if char == "\x1b":
            self._held = char
            return ""
        if not self._held:
            return char if char in _PLAIN or not _is_control(char) else ""
        if _is_control(char):
            return self._take_inside(char)
        self._held += char
        return self._complete()

    def _take_inside(self, char: str) -> str:
        """Take a control character in the middle of a sequence: CAN and SUB end it, others stand alone."""
        if char in "\x18\x1a":
            self._held = ""
        return char if char in _PLAIN else ""

    def _in_string(self, char: str) -> str:
        ended = char in "\x07\x18\x1a\x9c" or (self._held == "\x1b" and char == "\\")
        self._held = "" if ended or char != "\x1b" else char
        self._string = not ended
        return ""

    def _complete(self) -> str:
        """Return the sequence that is held once it is whole, if it may pass."""
        kind, rest = self._held[1], self._held[2:]
        if kind in _STRINGS:
            self._string, self._held = True, ""
            return ""
        if kind == "[":
            if not rest or (not "@" <= rest[-1] <= "~" and len(rest) < _LONGEST):
                return ""
            return self._done(self._is_harmless(rest))
        if kind in "()":
            return self._done(rest in _SETS) if rest else ""
        if kind in " #%*+-./" and not rest:
            return ""
        return self._done(not rest and kind in _SHORT)

    def _done(self, passes: bool) -> str:
        whole, self._held = self._held, ""
        return whole if passes else ""

    def _is_harmless(self, rest: str) -> bool:
        numbers, final = rest[:-1], rest[-1]
        if numbers.startswith("?") and final in "hl":
            modes = numbers[1:].split(";")
            if not _MODES.issuperset(modes):
                return False
            if not {"47", "1047", "1049"}.isdisjoint(modes):
                self._alternate = final == "h"
            return True
        return final in _FINALS and all(char in "0123456789;:" for char in numbers)


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"

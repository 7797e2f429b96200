"""What a remote program did to the terminal's own state, and how to take that back.

Screen, mouse, paste and key modes live in the terminal and not in its termios: a program that is cut off
leaves them on. They are found in what it writes as it passes by. Names and numbers are those of xterm's
"Control Sequences" (ctlseqs) and ECMA-48.
"""

from __future__ import annotations

import re

_USUALLY_OFF = frozenset((
    1,  # DECCKM: cursor keys
    5,  # DECSCNM: reverse video
    6,  # DECOM: origin
    9, 1000, 1001, 1002, 1003, 1005, 1006, 1015, 1016,  # the mouse
    47, 1047, 1049,  # the alternate screen
    66,  # DECNKM: keypad
    1004,  # focus
    2004,  # bracketed paste
    2026,  # synchronised output
))  # fmt: skip
_USUALLY_ON = frozenset((7, 25))  # DECAWM: wrap; DECTCEM: the cursor is shown
_SCREENS = frozenset((47, 1047, 1049))
_FULL_SCREEN = _SCREENS | {1, 66}  # a program with these, or the keypad, lives in the terminal
_SOFT = frozenset((1, 6, 7, 25))  # what a soft reset puts back
_KEPT_MAX = 64  # bytes of a sequence that is not whole yet; a longer one is none of ours
_DEEP_MAX = 16  # key modes pushed on each other (kitty's protocol)

_SEQUENCE = re.compile(
    rb"\x1b\[(?P<private>[?>=<!]?)(?P<numbers>[0-9;:]{0,48})(?P<between>[ -/]?)(?P<final>[hlmrqpu])"
    rb"|\x1b(?P<short>[=>c\\])"
    rb"|\x1b\((?P<letters>[0-9A-Za-z])"
    rb"|\x1b(?P<opened>[P\]X^_])"  # DCS, OSC, SOS, PM, APC: a string follows
    rb"|(?P<plain>[\x07\x0e\x0f\x18])"  # BEL ends an OSC; SO and SI; CAN ends everything
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\(|)\Z")
_INTEREST = re.compile(rb"[\x1b\x07\x0e\x0f\x18]")


class Changes:
    """The state of a terminal as far as a program changed it."""

    def __init__(self) -> None:
        self._kept = b""
        self.took_over = False  # a full-screen program was there, even if it is gone
        self._modes: set[int] = set()  # those that are not as usual
        self._clear()

    def _clear(self) -> None:
        """Begin as after a reset (RIS)."""
        self._modes.clear()
        self._in_string = False
        self._has_more_keys = False  # modifyOtherKeys
        self._pushed = 0
        self._soften()

    def _soften(self) -> None:
        """Go on as after a soft reset (DECSTR)."""
        self._modes -= _SOFT
        self._is_coloured = False
        self._has_keypad = False
        self._has_region = False
        self._inserts = False
        self._has_shape = False
        self._is_drawing = False  # G0 is not ASCII
        self._is_shifted = False

    def feed(self, data: bytes) -> bool:
        """Look at output; False where nothing of it could matter."""
        if not self._kept and not _INTEREST.search(data):
            return False
        data = self._kept + data
        for found in _SEQUENCE.finditer(data):
            self._take(found)
        unfinished = _UNFINISHED.search(data, max(0, len(data) - _KEPT_MAX))
        self._kept = b"" if unfinished is None else unfinished.group()
        return True

    def undo(self) -> bytes:
        """Return what puts the terminal back; nothing where it is as it was."""
        parts = [b"\x18"] if self._kept or self._in_string else []
        parts += [
            sequence
            for is_so, sequence in (
                (self._is_coloured, b"\x1b[m"),
                (self._is_drawing, b"\x1b(B"),
                (self._is_shifted, b"\x0f"),
                (self._inserts, b"\x1b[4l"),
                (self._has_keypad, b"\x1b>"),
                (self._has_shape, b"\x1b[ q"),
                (self._has_more_keys, b"\x1b[>4m"),
                (self._pushed > 0, b"\x1b[<%du" % self._pushed),
                # it moves the cursor to the top; the main screen gets it back with its end
                (self._has_region, b"\x1b[r" if self._modes & _SCREENS else b"\x1b7\x1b[r\x1b8"),
            )
            if is_so
        ]
        last = sorted(self._modes, key=lambda mode: (mode in _SCREENS, mode == 25, mode))
        parts += [b"\x1b[?%d%c" % (mode, b"h" if mode in _USUALLY_ON else b"l") for mode in last]
        return b"".join(parts)

    def _take(self, found: re.Match[bytes]) -> None:
        plain, opened = found["plain"], found["opened"]
        self._in_string = opened is not None or (self._in_string and plain in (b"\x0e", b"\x0f"))
        if found["final"] is not None:
            self._control(found["private"], found["numbers"], found["between"] + found["final"])
        elif found["short"] == b"c":
            self._clear()
        elif found["short"] in (b"=", b">"):
            self._has_keypad = found["short"] == b"="
            self.took_over |= self._has_keypad
        elif found["letters"] is not None:
            self._is_drawing = found["letters"] != b"B"
        elif plain in (b"\x0e", b"\x0f") and not self._in_string:
            self._is_shifted = plain == b"\x0e"

    def _control(self, private: bytes, text: bytes, final: bytes) -> None:
        numbers = [int(part) for part in text.replace(b":", b";").split(b";") if part]
        match private, final:
            case b"?", b"h" | b"l":
                self._set(numbers, is_on=final == b"h")
            case b"", b"h" | b"l" if 4 in numbers:  # IRM
                self._inserts = final == b"h"
            case b"", b"m":
                self._is_coloured = numbers not in ([], [0])
            case b">", b"m" if numbers[:1] == [4]:
                self._has_more_keys = numbers[1:] not in ([], [0])
            case b"", b"r":
                self._has_region = bool(numbers)
            case b"", b" q":  # DECSCUSR
                self._has_shape = numbers not in ([], [0])
            case b">" | b"<", b"u":
                change = 1 if private == b">" else -(numbers or [1])[0]
                self._pushed = min(_DEEP_MAX, max(0, self._pushed + change))
            case b"!", b"p":  # DECSTR
                self._soften()
            case _:
                pass

    def _set(self, numbers: list[int], *, is_on: bool) -> None:
        for number in numbers:
            if number in (_USUALLY_OFF if is_on else _USUALLY_ON):
                self._modes.add(number)
                self.took_over |= number in _FULL_SCREEN
            else:
                self._modes.discard(number)

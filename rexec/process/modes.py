"""Terminal modes on the wire (RFC 4254, 8): pairs of an opcode and a u32, ended by a zero.

The table maps opcodes to the fields of termios(3). What a system does not have is left out when
encoding and passed over when decoding; so is every opcode that is not known.
"""

from __future__ import annotations

import struct
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PAIR = struct.Struct("!BI")
_END = 0
_FIRST_RESERVED = 160  # "opcodes 160 to 255 are not yet defined, and cause parsing to stop"
_DISABLED = 255  # a special character that is switched off

INPUT, OUTPUT, CONTROL, LOCAL, CHARACTERS = 0, 1, 2, 3, 6  # indexes of what tcgetattr returns

_CHARACTERS = {
    1: "VINTR", 2: "VQUIT", 3: "VERASE", 4: "VKILL", 5: "VEOF", 6: "VEOL", 7: "VEOL2", 8: "VSTART",
    9: "VSTOP", 10: "VSUSP", 12: "VREPRINT", 13: "VWERASE", 14: "VLNEXT", 18: "VDISCARD",
}  # fmt: skip
_FLAGS = {
    30: (INPUT, "IGNPAR"), 31: (INPUT, "PARMRK"), 32: (INPUT, "INPCK"), 33: (INPUT, "ISTRIP"),
    34: (INPUT, "INLCR"), 35: (INPUT, "IGNCR"), 36: (INPUT, "ICRNL"), 38: (INPUT, "IXON"),
    39: (INPUT, "IXANY"), 40: (INPUT, "IXOFF"), 41: (INPUT, "IMAXBEL"), 42: (INPUT, "IUTF8"),
    50: (LOCAL, "ISIG"), 51: (LOCAL, "ICANON"), 53: (LOCAL, "ECHO"), 54: (LOCAL, "ECHOE"),
    55: (LOCAL, "ECHOK"), 56: (LOCAL, "ECHONL"), 57: (LOCAL, "NOFLSH"), 58: (LOCAL, "TOSTOP"),
    59: (LOCAL, "IEXTEN"), 60: (LOCAL, "ECHOCTL"), 61: (LOCAL, "ECHOKE"), 70: (OUTPUT, "OPOST"),
    72: (OUTPUT, "ONLCR"), 73: (OUTPUT, "OCRNL"), 74: (OUTPUT, "ONOCR"), 75: (OUTPUT, "ONLRET"),
    92: (CONTROL, "PARENB"), 93: (CONTROL, "PARODD"),
}  # fmt: skip
_BITS = {"IUTF8": 0o40000, "ECHOCTL": 0o1000, "ECHOKE": 0o4000}  # those that the module does not name


def _bit(name: str) -> int | None:
    value = getattr(termios, name, _BITS.get(name))
    return None if value is None else int(value)


def encode_modes(attributes: list[Any]) -> bytes:
    """Return the modes of a terminal; `attributes` is what `termios.tcgetattr` gave."""
    pairs = []
    for opcode, name in _CHARACTERS.items():
        index = _bit(name)
        if index is not None:
            character = attributes[CHARACTERS][index]
            value = character[0] if isinstance(character, bytes) else character
            pairs.append((opcode, value or _DISABLED))
    for opcode, (place, name) in _FLAGS.items():
        bit = _bit(name)
        if bit is not None:
            pairs.append((opcode, int(bool(attributes[place] & bit))))
    return b"".join(_PAIR.pack(opcode, value) for opcode, value in pairs) + bytes((_END,))


def decode_modes(data: bytes) -> list[tuple[int, int]]:
    """Return the pairs up to the end mark, or to where they stop making sense."""
    pairs = []
    position = 0
    while position + _PAIR.size <= len(data) and _END < data[position] < _FIRST_RESERVED:
        pairs.append(_PAIR.unpack_from(data, position))
        position += _PAIR.size
    return pairs


def apply_modes(attributes: list[Any], pairs: list[tuple[int, int]]) -> list[Any]:
    """Return `attributes` of a terminal with the modes set."""
    changed = list(attributes)
    changed[CHARACTERS] = list(attributes[CHARACTERS])
    for opcode, value in pairs:
        if opcode in _CHARACTERS:
            index = _bit(_CHARACTERS[opcode])
            if index is not None:
                changed[CHARACTERS][index] = bytes((0 if value == _DISABLED else value & 0xFF,))
        elif opcode in _FLAGS:
            place, name = _FLAGS[opcode]
            bit = _bit(name)
            if bit is not None:
                changed[place] = changed[place] | bit if value else changed[place] & ~bit
    return changed

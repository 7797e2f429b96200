r"""Text from outside, made harmless: for terminals, logs and messages of ours."""

from __future__ import annotations


def neutral(text: str) -> str:
    r"""Show what is not printable as ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    Control characters, escapes, newlines, bidi marks, and bytes that are not UTF-8 (PEP 383).
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(ord(char)) for char in text)


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte, kept by "surrogateescape"
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

"""The data types of SSH (RFC 4251, 5), written and strictly read.

What is read here came from a stranger or out of a file: every length is judged before it is used,
numbers have one spelling only, and nothing may be left over.
"""

from __future__ import annotations

import binascii


class Malformed(ValueError):
    """Bytes or text that are not what they claim to be; the message says why, without a full stop."""


class Unsupported(Malformed):
    """A key that may well be right, of a kind or size that rexec does not take."""


def u32(value: int) -> bytes:
    """Return a number in four bytes."""
    return value.to_bytes(4, "big")


def string(value: bytes) -> bytes:
    """Return `value` with its length in front."""
    return u32(len(value)) + value


def mpint(value: int) -> bytes:
    """Return a non-negative number as SSH writes it: shortest form, first bit zero."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big") if value else b"")


class BlobReader:
    """A cursor over bytes; every length in them is hostile."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise Malformed("it ends too early")
        start, self._position = self._position, end
        return self._data[start:end]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.u32())

    def text(self) -> str:
        """Read a string that has to be UTF-8."""
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise Malformed("a text in it is not UTF-8") from None

    def mpint(self) -> int:
        """Read a positive number in its only spelling."""
        raw = self.string()
        value = int.from_bytes(raw, "big")
        if not value or string(raw) != mpint(value):
            raise Malformed("a number in it is not positive, or not in its shortest form")
        return value

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(len(self._data) - self._position)

    def finish(self) -> None:
        if self._position != len(self._data):
            raise Malformed("bytes are left over at its end")


def encode_base64(data: bytes) -> str:
    """Return base64 in one line, padded."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of padded base64, which has one spelling only."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, or text that is not ASCII
        raise Malformed("it is not base64") from None
    if encode_base64(data) != text:  # stray bits behind the last byte
        raise Malformed("it is not base64")
    return data

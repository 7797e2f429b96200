"""The little of DER (X.690) that certificates and public keys need, without a library.

The one-shot client reads the key out of a server's certificate here: the import of a whole X.509
library would cost more than its TLS handshake.
"""

from __future__ import annotations

from rexec.auth.blob import Malformed

INTEGER = 0x02
BIT_STRING = 0x03
SEQUENCE = 0x30
_VERSION = 0xA0  # [0] EXPLICIT, only in certificates of version 2 and 3


def element(tag: int, content: bytes) -> bytes:
    """Return one element in DER."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(content: bytes) -> bytes:
    """Return a BIT STRING of whole bytes."""
    return element(BIT_STRING, b"\0" + content)


class DerReader:
    """A cursor over DER; definite lengths in their shortest form, tags of one byte."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def tag(self) -> int | None:
        """The tag of the next element, None at the end."""
        return self._data[self._position] if self._position < len(self._data) else None

    def whole(self, tag: int) -> bytes:
        """Take the next element, which must have this tag, with its header."""
        if self.tag != tag:
            raise Malformed("it has not the shape of DER")
        size, header = self._length(self._position + 1)
        start, end = self._position, self._position + 1 + header + size
        if end > len(self._data):
            raise Malformed("it ends too early")
        self._position = end
        return self._data[start:end]

    def _length(self, position: int) -> tuple[int, int]:
        """Return the length written at `position`, and in how many bytes it is written."""
        first = self._data[position : position + 1]
        if not first:
            raise Malformed("it ends too early")
        if first[0] < 0x80:
            return first[0], 1
        count = first[0] & 0x7F
        raw = self._data[position + 1 : position + 1 + count]
        size = int.from_bytes(raw, "big")
        # No indefinite length, no leading zero, no long form where the short one does (X.690, 10.1).
        if not 1 <= count <= 4 or len(raw) != count or raw[0] == 0 or size < 0x80:
            raise Malformed("a length in it is not DER")
        return size, 1 + count

    def content(self, tag: int) -> bytes:
        """Take the content of the next element, which must have this tag."""
        start = self._position
        element = self.whole(tag)
        return element[1 + self._length(start + 1)[1] :]

    def enter(self, tag: int) -> DerReader:
        """Take the next element, which must have this tag, and read inside it."""
        return DerReader(self.content(tag))

    def number(self) -> int:
        """Take a positive INTEGER in its only spelling."""
        raw = self.content(INTEGER)
        value = int.from_bytes(raw, "big")
        if not value or element(INTEGER, raw) != integer(value):
            raise Malformed("a number in it is not positive, or not in its shortest form")
        return value

    def octets(self) -> bytes:
        """Take a BIT STRING of whole bytes."""
        raw = self.content(BIT_STRING)
        if raw[:1] != b"\0":
            raise Malformed("a bit string in it has no whole bytes")
        return raw[1:]

    def finish(self) -> None:
        if self._position != len(self._data):
            raise Malformed("bytes are left over at its end")


def spki_of(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of an X.509 certificate (RFC 5280, 4.1), all of it in DER."""
    outer = DerReader(certificate)
    parts = outer.enter(SEQUENCE)
    outer.finish()
    to_be_signed = parts.enter(SEQUENCE)
    if to_be_signed.tag == _VERSION:
        to_be_signed.whole(_VERSION)
    to_be_signed.whole(INTEGER)  # serial number
    for _ in ("signature", "issuer", "validity", "subject"):
        to_be_signed.whole(SEQUENCE)
    return to_be_signed.whole(SEQUENCE)

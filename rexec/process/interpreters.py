"""Which programs the kernel starts for a program: the loader of an ELF file, the interpreter of a script."""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = 4096  # bytes: the first line of a script, or the headers of an ELF file (execve(2) reads 256)
_DEPTH = 5  # scripts whose interpreter is a script: the kernel follows as many
_LOADER = 3  # PT_INTERP
_PATH_MAX = 4096
_HEADERS_MAX = 65_536  # bytes of program headers, as the kernel
_BROKEN = (struct.error, IndexError, OverflowError, ValueError)  # what a file makes of numbers that lie
# by EI_CLASS: e_phoff with the offset of e_phentsize, and p_offset with p_filesz inside a program header
_LAYOUT = {
    1: ("<I", 28, 42, "<I", 4, "<I", 16),
    2: ("<Q", 32, 54, "<Q", 8, "<Q", 32),
}


def interpreters(program: str) -> Iterator[str]:
    """Give the paths of all that is started for `program`; none where it cannot be read."""
    for _ in range(_DEPTH + 1):
        try:
            named = _named_by(program)
        except (OSError, *_BROKEN):
            return
        if not named:
            return
        yield named
        program = named


def _named_by(program: str) -> str:
    descriptor = os.open(os.fsencode(program), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        head = os.pread(descriptor, _HEAD, 0)
        if head.startswith(b"#!"):
            words = head[2:].partition(b"\n")[0].split()
            return os.fsdecode(words[0]) if words else ""
        return os.fsdecode(_loader(descriptor, head)) if head.startswith(b"\x7fELF") else ""
    finally:
        os.close(descriptor)


def _loader(descriptor: int, head: bytes) -> bytes:
    """Return the loader that an ELF file names; nothing where it is linked statically (elf(5))."""
    layout = _LAYOUT.get(head[4])
    if layout is None:
        return b""
    offset_form, offset_at, sizes_at, place_form, place_at, length_form, length_at = layout
    (start,) = struct.unpack_from(offset_form, head, offset_at)
    size, count = struct.unpack_from("<HH", head, sizes_at)
    table = os.pread(descriptor, min(size * count, _HEADERS_MAX), start)
    for at in range(0, len(table) - size + 1, size):
        if struct.unpack_from("<I", table, at)[0] == _LOADER:
            (place,) = struct.unpack_from(place_form, table, at + place_at)
            (length,) = struct.unpack_from(length_form, table, at + length_at)
            return os.pread(descriptor, min(length, _PATH_MAX), place).rstrip(b"\0")
    return b""

"""Capabilities that a server was given: its own, and not for what it starts (capabilities(7))."""

from __future__ import annotations

import os
import struct

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_SETS = struct.Struct("=6I")  # effective, permitted and inheritable, of a low half and a high one
_AMBIENT, _CLEAR_ALL = 47, 4  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL


def bequeath_none() -> None:
    """Let no capability of this process outlive execve(2) in those it starts. Raises `OSError`."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_ulong(0)
    library.prctl(_AMBIENT, ctypes.c_ulong(_CLEAR_ALL), nothing, nothing, nothing)  # none before Linux 4.3
    header, found = struct.pack("=Ii", _VERSION, 0), ctypes.create_string_buffer(_SETS.size)
    refused = library.capget(header, found)
    if not refused:
        sets = _SETS.unpack(found.raw)
        refused = library.capset(header, _SETS.pack(*sets[:2], 0, *sets[3:5], 0))
    if refused:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

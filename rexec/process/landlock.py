"""Landlock (landlock(7)): what a process may still do with files, held by the kernel, without root.

A ruleset names the rights that it handles; all of them are refused from then on but where a rule gives
them, to the process and to all that it starts, for good. Rules hold on to files, not to names: a link
that is swapped later leads to a file that no rule knows.
"""

from __future__ import annotations

import os
import stat
import struct
from functools import cache

from rexec.process.abi import native, process_control, system_call

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(13, 16))

TO_READ = READ_FILE | READ_DIR
TO_MAKE = MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM  # but no devices
TO_WRITE = WRITE_FILE | TRUNCATE | TO_MAKE | REMOVE_DIR | REMOVE_FILE | REFER
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # all others are rights of directories
_RIGHTS = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}  # by the version that brought them
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_TCP_SINCE, _SCOPES_SINCE = 4, 6

_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_NO_NEW_PRIVS = 38  # PR_SET_NO_NEW_PRIVS


@cache
def version() -> int:
    """Return the version of the kernel's Landlock; 0: it has none, or it is switched off."""
    abi = native()
    if abi is None:
        return 0
    try:
        return system_call(abi.landlock_create_ruleset, None, 0, _VERSION)
    except OSError:
        return 0


class Ruleset:
    """What a process may still do; what this kernel cannot hold is left out.

    `scoped` keeps its signals and its abstract sockets among those that are held with it, `no_tcp`
    keeps it from TCP.
    """

    def __init__(self, handled: int, *, scoped: bool = False, no_tcp: bool = False) -> None:
        abi = native()
        assert abi is not None
        self._abi = abi
        self._handled = handled & known_rights()
        words = [self._handled]
        if version() >= _TCP_SINCE:
            words.append(_BIND_TCP | _CONNECT_TCP if no_tcp else 0)
        if version() >= _SCOPES_SINCE:
            words.append(_ABSTRACT_SOCKETS | _SIGNALS if scoped else 0)
        attributes = struct.pack(f"={len(words)}Q", *words)
        self._descriptor = system_call(abi.landlock_create_ruleset, attributes, len(attributes), 0)

    def allow(self, place: str | int, rights: int) -> None:
        """Give rights on a file, or on a directory and all beneath it, by its path or descriptor.

        A place that is not there, or out of reach, gets none: nothing can be done there anyway.
        """
        if isinstance(place, int):
            self._add(place, rights)
            return
        try:
            descriptor = os.open(os.fsencode(place), os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        try:
            self._add(descriptor, rights)
        finally:
            os.close(descriptor)

    def _add(self, descriptor: int, rights: int) -> None:
        rights &= self._handled
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_FILES
        if rights:
            rule = struct.pack("=Qi", rights, descriptor)
            system_call(self._abi.landlock_add_rule, self._descriptor, _PATH_BENEATH, rule, 0)

    def enforce(self) -> None:
        """Hold this process to the rules, for good; `forgo_privileges` comes before.

        Who does so twice is held by the same rules, and out of the reach of who did it once (ptrace(2)).
        """
        system_call(self._abi.landlock_restrict_self, self._descriptor, 0)

    def close(self) -> None:
        os.close(self._descriptor)


def known_rights() -> int:
    """Return all rights to files that this kernel can hold."""
    return sum(rights for since, rights in _RIGHTS.items() if since <= version())


def forgo_privileges() -> None:
    """Let no program started from here gain rights, which both fences ask for (PR_SET_NO_NEW_PRIVS)."""
    process_control(_NO_NEW_PRIVS, 1)

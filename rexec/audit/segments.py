"""The files of a journal: `audit.jsonl`, and beside it those that were full, by their first number."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from typing import NamedTuple

from rexec.audit import chain
from rexec.audit.chain import Head, Malformed
from rexec.errors import ConfigError
from rexec.limits import AUDIT_LINE_MAX

CURRENT = "audit.jsonl"
HEAD = "head.json"  # the last checkpoint once more, so that a log that was cut before it is found out
LOCK = "lock"
RECORDINGS = "recordings"
_FULL = re.compile(r"audit-(\d{12})\.jsonl")
_FLAGS = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW
_OTHERS = 0o022  # writable by others than the owner
_TAIL = 2 * AUDIT_LINE_MAX  # bytes at the end of a file in which its last record is looked for


class Busy(ConfigError):
    """Another server writes here."""


class Tail(NamedTuple):
    """How a file ends: its last whole record, where that one ends, and whether lines behind it are none."""

    head: Head
    fields: dict[str, object]
    end: int
    damaged: bool


def full_name(first: int) -> str:
    """Return the name of a full file whose first record has this number."""
    return f"audit-{first:012d}.jsonl"


def files_of(directory: str) -> list[str]:
    """List the files of a journal, oldest first. Raises `OSError`."""
    names = os.listdir(directory)
    full = sorted(name for name in names if _FULL.fullmatch(name))
    return [os.path.join(directory, name) for name in full + [CURRENT] * (CURRENT in names)]


def lock(directory: str) -> int:
    """Return a descriptor that keeps other servers away while it is open. Raises `Busy`, `ConfigError`."""
    descriptor = opened(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno != errno.EWOULDBLOCK:
            raise refused(directory, error) from None
        raise Busy(
            f"{directory}: another server writes its audit log here", hint="give each its own --audit-dir"
        ) from None
    return descriptor


def is_locked(directory: str) -> bool:
    """Say whether a server writes here now."""
    try:
        descriptor = os.open(os.path.join(directory, LOCK), os.O_RDONLY | _FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(descriptor)


def opened(path: str, flags: int) -> int:
    """Return a descriptor of a file that nobody else may write. Raises `ConfigError`."""
    try:
        descriptor = os.open(path, flags | _FLAGS, 0o600)
    except OSError as error:
        raise refused(path, error) from None
    except ValueError:  # a NUL in it
        raise ConfigError(f"{path}: is no path") from None
    found = os.fstat(descriptor)
    reason = _reason(found)
    if reason is None:
        return descriptor
    os.close(descriptor)
    raise ConfigError(f"{path}: {reason}")


def _reason(found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user (uid {found.st_uid})"
    return "others may write it" if found.st_mode & _OTHERS else None


def refused(path: str, error: OSError) -> ConfigError:
    """Return an error of the system as one line."""
    return ConfigError(f"{path}: {(error.strerror or str(error)).lower()}")


def first_seq(descriptor: int) -> int | None:
    """Return the number of the first record of a file, None where it cannot be read."""
    data = os.pread(descriptor, AUDIT_LINE_MAX, 0)
    try:
        return chain.head_of(data[: data.find(b"\n") + 1]).seq
    except Malformed:
        return None


def tail(descriptor: int) -> Tail | None:
    """Return how a file ends, None where no record stands near its end. Reads no more than that."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _TAIL)
    data = os.pread(descriptor, _TAIL, start)
    end = data.rfind(b"\n") + 1
    damaged = False
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        try:
            fields = chain.read(data[begin:end])
            return Tail(chain.head_of(data[begin:end]), fields, start + end, damaged)
        except Malformed:
            damaged, end = True, begin
    return None

"""What was typed, one file a host, 0600; a line that begins with a blank is not kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prompt_toolkit.history import History

from rexec import files
from rexec.errors import ConfigError
from rexec.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_READ_MAX = MIB  # bytes at the end of a file that are searched
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:@[]")


class HostHistory(History):
    """Lines in a file: each entry is one line, in which `\\n` is a newline and `\\\\` a backslash."""

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._warn: Callable[[str], None] | None = warn

    def load_history_strings(self) -> Iterable[str]:
        return reversed(self._entries())

    def store_string(self, string: str) -> None:
        if string.startswith((" ", "\t")) or not string.strip():
            return
        try:
            files.append_line(self._path, _escaped(string))
        except ConfigError as error:
            self._complain(error)

    def _entries(self) -> list[str]:
        if files.stamp(self._path) is None:
            return []
        try:
            data = _end_of(self._path)
        except ConfigError as error:
            self._complain(error)
            return []
        return [_plain(line) for line in data.decode("utf-8", "surrogateescape").split("\n") if line]

    def _complain(self, error: ConfigError) -> None:
        """Say once why nothing is kept."""
        warn, self._warn = self._warn, None
        if warn is not None:
            warn(f"no history: {error}")


def open_history(home: str, host: str, warn: Callable[[str], None]) -> HostHistory:
    """Return the history of a host. Raises `ConfigError` where the home is not safe."""
    files.ensure_home(home)
    directory = os.path.join(home, "history")
    files.ensure_home(directory)
    return HostHistory(os.path.join(directory, file_name(host)), warn)


def file_name(host: str) -> str:
    """Return a name for a file that no host can make a path, or a hidden file, of."""
    data = host.encode("utf-8", "surrogateescape")
    safe = "".join(chr(byte) if chr(byte) in _SAFE else f"%{byte:02x}" for byte in data)
    return f"%2e{safe[1:]}" if safe.startswith(".") else safe


def _end_of(path: str) -> bytes:
    """Return the last lines of a file that nobody else may read or write. Raises `ConfigError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise files.refused(path, error) from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_mode & 0o077 or found.st_uid not in (os.geteuid(), 0):
            raise ConfigError(f"{path}: others may read or write it")
        start = max(0, found.st_size - _READ_MAX)
        file.seek(start)
        data = file.read(_READ_MAX)
    return data.partition(b"\n")[2] if start else data


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _plain(line: str) -> str:
    parts = line.split("\\\\")
    return "\\".join(part.replace("\\n", "\n").replace("\\r", "\r") for part in parts)

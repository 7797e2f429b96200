"""What the parser asks about the machine. The hall answers from the disk, tests from memory."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Found(NamedTuple):
    """A program, pinned when the file was read; `warnings` say who else could replace it."""

    path: str
    warnings: tuple[str, ...] = ()


class Account(NamedTuple):
    """The account that runs the commands."""

    name: str
    home: str


class Disk(Protocol):
    """The questions; each answer is taken once, when the file is read."""

    def find(self, command: str, path: tuple[str, ...]) -> Found | None:
        """Find a program by absolute path, or by name along `path`."""

    def account(self) -> Account:
        """Name the account that runs the commands."""

    def is_directory(self, path: str) -> bool:
        """Tell whether `path` is a directory now."""

"""What the parser asks about the machine. The hall answers from the disk, tests from memory."""

from __future__ import annotations

from typing import NamedTuple, Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rexec.policy.source import Source


class Owned(NamedTuple):
    """A program, or a directory on the way to it, of an account that is neither root nor the server's."""

    uid: int
    warning: str


class Found(NamedTuple):
    """A program, pinned when the file was read; `warnings` say who else could replace it.

    `owned` is what an account could replace, which is no news to a rule that runs as that account.
    """

    path: str
    warnings: tuple[str, ...] = ()
    owned: tuple[Owned, ...] = ()


class Account(NamedTuple):
    """An account that runs commands; `groups` are all of its groups, its first one included."""

    name: str
    home: str
    uid: int = -1
    gid: int = -1
    groups: tuple[int, ...] = ()


class Disk(Protocol):
    """The questions; each answer is taken once, when the file is read."""

    def find(self, command: str, path: tuple[str, ...]) -> Found | None:
        """Find a program by absolute path, or by name along `path`."""

    def account(self) -> Account:
        """Name the account that runs the commands."""

    def other_account(self, user: str, group: str | None) -> Account | None:
        """Name another account, with another first group where one is given; None: there is none."""

    def features(self) -> frozenset[str]:
        """Name what the kernel can hold a program to: landlock, seccomp."""

    def is_directory(self, path: str) -> bool:
        """Tell whether `path` is a directory now."""

    def is_there(self, path: str) -> bool:
        """Tell whether anything has this name now."""

    def digest(self, path: str) -> str | None:
        """Compute the SHA-256 of a file, in hex; None where it cannot be read."""

    def clock(self) -> float:
        """Tell the time, for what is over when the file is read; Unix time."""

    def included(self, pattern: str, within: Source, *, globs: bool) -> Sequence[Source]:
        """Read the files that `pattern` names, seen from `within`, by name; raise `ConfigError`.

        ``*`` and ``?`` in it stand for themselves unless it `globs`.
        """

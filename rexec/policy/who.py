"""Who a rule is for: everyone, users by name, groups by ``@name``."""

from __future__ import annotations

import re
from typing import NamedTuple

from rexec.limits import NAME_MAX
from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rexec.policy.tokens import Token

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.@-]{{0,{NAME_MAX - 1}}}")


class Who(NamedTuple):
    """The people of one section or one ``for``."""

    everyone: bool
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def includes(self, user: str, groups: frozenset[str]) -> bool:
        return self.everyone or user in self.users or not self.groups.isdisjoint(groups)

    def covers(self, other: Who, members: Mapping[str, frozenset[str]]) -> bool:
        """Tell whether whoever is in `other` is here too; `members` are the users of each group."""
        if self.everyone or other.everyone:
            return self.everyone
        users = self.users.union(*(members.get(group, frozenset()) for group in self.groups))
        return other.users <= users and other.groups <= self.groups


EVERYONE = Who(True)
NOBODY = Who(False, frozenset(("",)))  # no name is empty


def is_name(text: str) -> bool:
    """Tell whether `text` may name a user or a group."""
    return _NAME.fullmatch(text) is not None


def read_who(tokens: Sequence[Token], column: int) -> Who:
    """Read the names of a section or of ``for``; `column` is where they were expected."""
    if not tokens:
        raise Flaw(column, "names nobody", "write everyone, users, or groups as @ops")
    names = [_read_name(token) for token in tokens]
    if "everyone" not in names:
        groups = frozenset(name[1:] for name in names if name.startswith("@"))
        return Who(False, frozenset(name for name in names if not name.startswith("@")), groups)
    if len(names) > 1:
        raise Flaw(tokens[1].column, "everyone stands alone: it takes in all the others")
    return EVERYONE


def _read_name(token: Token) -> str:
    if not token.is_literal or not is_name(token.text.removeprefix("@")):
        hint = "blanks part the names, not commas" if "," in token.text else None
        raise Flaw(token.column, f"{quoted(token.text)} names no user and no group", hint)
    return token.text

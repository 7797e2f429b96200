"""Names of users and groups, as the files of a server may write them."""

from __future__ import annotations

from rexec.limits import NAME_MAX

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_REST = _FIRST | frozenset(".@-")


def is_user_name(text: str) -> bool:
    """Say whether `text` may name a user or a group.

    Letters, digits and `_ . @ -`, the last three not in front: such a name is never an option, a
    path, two words, or something that steers a terminal.
    """
    return 0 < len(text) <= NAME_MAX and text[0] in _FIRST and _REST.issuperset(text)

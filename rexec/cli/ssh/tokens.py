"""The tokens of ssh_config(5): `%h` and its like, `${NAME}`, and a `~` in front."""

from __future__ import annotations

import os

from rexec.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Tokens:
    """What the letters stand for where a connection leads to `host`, `port` as `user`."""

    __slots__ = ("_host", "_named", "_port", "_user")

    def __init__(self, named: str, host: str, port: int, user: str) -> None:
        self._named = named  # as it was typed
        self._host = host
        self._port = port
        self._user = user

    def expand(self, text: str, *, is_path: bool = False) -> str:
        """Return a text with every token replaced. Raises `UsageError` for an unknown one."""
        found = ""
        rest = os.path.expanduser(text) if is_path else text
        while rest:
            before, percent, rest = rest.partition("%")
            found += _variables(before, os.environ) if is_path else before
            if percent:
                found += self._one(rest[:1])
                rest = rest[1:]
        return found

    def _one(self, letter: str) -> str:
        if letter == "%":
            return "%"
        meaning = _MEANINGS.get(letter)
        if meaning is None:
            raise UsageError(f"{'%' + letter!a} means nothing here", hint=f"known: {' '.join(_KNOWN)}")
        return meaning(self)

    def _hash(self) -> str:
        # by the module underneath: hashlib loads OpenSSL, which takes longer than all of this
        from _sha1 import sha1  # type: ignore[import-not-found]  # a short name for a place, no secret

        whole = _node() + self._host + str(self._port) + self._user
        return str(sha1(whole.encode("utf-8", "surrogateescape")).hexdigest())


def _node() -> str:
    return os.uname().nodename


def login() -> str:
    """Return the name of the local user."""
    from pwd import getpwuid

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


_MEANINGS: dict[str, Callable[[Tokens], str]] = {
    "C": lambda tokens: tokens._hash(),
    "L": lambda _: _node().partition(".")[0],
    "d": lambda _: os.path.expanduser("~"),
    "h": lambda tokens: tokens._host,
    "i": lambda _: str(os.getuid()),
    "k": lambda tokens: tokens._named,
    "l": lambda _: _node(),
    "n": lambda tokens: tokens._named,
    "p": lambda tokens: str(tokens._port),
    "r": lambda tokens: tokens._user,
    "u": lambda _: login(),
}
_KNOWN = ("%%", *(f"%{letter}" for letter in _MEANINGS))


def _variables(text: str, environ: Mapping[str, str]) -> str:
    """Replace `${NAME}` by what this process has. Raises `UsageError` where it has none."""
    found = ""
    while text:
        before, opened, rest = text.partition("${")
        found += before
        if not opened:
            break
        name, closed, text = rest.partition("}")
        if not closed or name not in environ:
            raise UsageError(f"there is no such variable here: {name!a}")
        found += environ[name]
    return found

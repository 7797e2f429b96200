"""The keys that may come in, as the disk has them now, and the proofs that were seen."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from rexec import files
from rexec.auth.authorized import Authorized, Principal, parse_authorized
from rexec.errors import ConfigError
from rexec.limits import BINDINGS_MAX, KEY_LIST_MAX

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.auth.keys import PublicKey


class Keyring:
    """`authorized_keys`, read again whenever it changed.

    While the file is bad nobody new gets in, and who is in goes on by the last good one.
    """

    def __init__(self, path: str, user: str, log: Log) -> None:
        self._path = path
        self._user = user
        self._log = log
        self._stamp: object = None
        self._bad = False
        self._authorized = self._read()

    def _read(self) -> Authorized:
        self._stamp = files.stamp(self._path)
        return parse_authorized(files.read_trusted(self._path, KEY_LIST_MAX), self._path, self._user)

    def refresh(self, *, force: bool = False) -> str | None:
        """Read the file if it changed; return what is wrong with it, or None."""
        if not force and files.stamp(self._path) == self._stamp:
            return None
        try:
            self._authorized = self._read()
            self._bad = False
        except ConfigError as error:
            self._bad = True
            self._log.event("refused", why=f"keys: {error}")
            return str(error)
        return None

    def admit(self, key: PublicKey, user: str, peer: str) -> Principal | None:
        """Return who a key whose proof was verified belongs to, or None."""
        self.refresh()
        if self._bad:
            return None
        return self._authorized.judge(key, user, peer or None, time.time())

    def still(self, principal: Principal, peer: str) -> Principal | None:
        """Judge again, as before every command: keys are revoked and expire under open sessions."""
        self.refresh()
        return self._authorized.judge_again(principal, peer or None, time.time())


_SPENT = -1  # no number of a connection


class Bindings:
    """The bindings that proofs came with: one connection each, and never a second time."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def is_fresh(self, binding: bytes, connection: int) -> bool:
        """Note a binding; False where another connection had it (a replay)."""
        if self._seen.setdefault(binding, connection) != connection:
            return False
        if len(self._seen) > BINDINGS_MAX:
            self._seen.popitem(last=False)
        return True

    def spend(self, binding: bytes) -> None:
        """Note that a binding brought somebody in: from now on it is fresh for no connection at all."""
        self._seen[binding] = _SPENT

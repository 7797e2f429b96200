"""The listener gives up what it does not need: another user where one is named, then the fence.

Nothing is read from the disk afterwards, not by an import either: the interpreter may belong to a user
who is somebody else by then. So whatever a listener may come to need is imported here before.
"""

from __future__ import annotations

import os
import resource
from importlib import import_module
from typing import TYPE_CHECKING

from rexec.errors import ConfigError, UsageError
from rexec.server.disk import LocalDisk

if TYPE_CHECKING:
    from rexec.audit.log import Log
    from rexec.policy.disk import Account

# What is imported late by those who use it: encodings by name, errors when they are shown, the loop by its
# parts, and what reads a key that came by a reload.
_LATE = (
    *("encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.utf_8"),
    *("linecache", "traceback", "tracemalloc", "warnings"),
    *("asyncio.base_events", "asyncio.runners", "asyncio.selector_events", "asyncio.unix_events"),
    *("cryptography.hazmat.primitives.asymmetric.ec", "cryptography.hazmat.primitives.asymmetric.ed25519"),
    *("cryptography.hazmat.primitives.asymmetric.padding", "cryptography.hazmat.primitives.asymmetric.rsa"),
    *("cryptography.hazmat.primitives.asymmetric.utils", "cryptography.hazmat.primitives.hashes"),
    "cryptography.hazmat.primitives.serialization",
    *("rexec.process.account", "rexec.process.eventloop", "rexec.server.certificate"),
)


def account_of(name: str | None) -> Account | None:
    """Return the account that the listener is to become; None: it stays who it is. Raises `UsageError`."""
    if name is None:
        return None
    if name.isdigit():
        raise UsageError(f"--user {name}: a name is wanted, not a number")
    found = LocalDisk().other_account(name, None)
    if found is None:
        raise UsageError(f"--user {name!a}: there is no such user")
    if not found.uid:
        raise UsageError(
            f"--user {name}: has all rights", hint="name a user that owns nothing, or leave it out"
        )
    if found.uid == os.geteuid():
        return None
    if os.geteuid():
        raise UsageError(f"--user {name}: only root may become somebody else")
    return found


def load_all() -> None:
    """Import what a listener may need at any time."""
    for name in _LATE:
        import_module(name)


def confine(account: Account | None, log: Log) -> None:
    """Become the account and put up the fence, for good. Raises `ConfigError`."""
    from rexec.process import eventloop
    from rexec.process.account import become

    _settle_limits()
    try:
        if account is not None:
            become(account)
        eventloop.forgo_capabilities()
    except OSError as error:
        name = "this user" if account is None else account.name
        raise ConfigError(f"cannot become {name}: {(error.strerror or str(error)).lower()}") from None
    files, calls = eventloop.hold_files(), eventloop.filter_calls()
    log.event("fence", user=account and account.name, landlock=_words(files), seccomp=_words(calls))


def _settle_limits() -> None:
    """Take all descriptors that there may be, and leave no core, which would hold the keys."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _words(done: bool) -> str:
    return "yes" if done else "no"

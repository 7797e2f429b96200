"""Becoming another account, in full and for good."""

from __future__ import annotations

import errno
import os

from rexec.process.abi import native, system_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.disk import Account

_NOBODY_AT_ALL = 0xFFFFFFFF  # -1: setresuid(2) takes it for "leave it as it is" (CVE-2019-14287)
_JOIN_SESSION_KEYRING = 1  # keyctl(2)
_NO_KEYS = (errno.ENOSYS, errno.EPERM)  # no such thing in this kernel, or in this container


def is_ours(account: Account) -> bool:
    """Tell whether this process is the account already."""
    if (account.uid, account.gid) != (os.geteuid(), os.getegid()):
        return False
    return {account.gid, *account.groups} == {os.getegid(), *os.getgroups()}


def become(account: Account) -> None:
    """Give up this identity and take another. Raises `OSError` where anything of it is not so afterwards."""
    for number in (account.uid, account.gid, *account.groups):
        if not 0 <= number < _NOBODY_AT_ALL:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    groups = sorted({account.gid, *account.groups})
    _leave_keys()
    os.setgroups(groups)  # first: later there is no right to (CVE-2021-41617 kept them)
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    if not _is_complete(account, groups):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def _leave_keys() -> None:
    """Take an empty session keyring: who has one may use its keys, whoever they belong to (keyrings(7))."""
    abi = native()
    if abi is None:
        return
    try:
        system_call(abi.keyctl, _JOIN_SESSION_KEYRING, None)
    except OSError as error:
        if error.errno not in _NO_KEYS:
            raise


def _is_complete(account: Account, groups: list[int]) -> bool:
    return (
        os.getresuid() == (account.uid,) * 3
        and os.getresgid() == (account.gid,) * 3
        and sorted(os.getgroups()) == groups
        and (account.uid == 0 or _is_final())
    )


def _is_final() -> bool:
    """Tell that there is no way back to root."""
    try:
        os.setuid(0)
    except PermissionError:
        return True
    return False

"""``as user[:group]``: the account that a rule's commands run as."""

from __future__ import annotations

from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rexec.policy.disk import Account
    from rexec.policy.optionlines import OptionLine

_NOBODY_AT_ALL = (-1, 0xFFFF_FFFF)  # to setuid(2) and its kin: leave it as it is (CVE-2019-14287)


def read_account(line: OptionLine) -> Account | None:
    """Find the account by its names; None where it is the server's own, which nothing has to change to."""
    token = line.only("user or user:group")
    user, colon, group = token.text.partition(":")
    for name in (user, group) if colon else (user,):
        if not name or name[0] in "-+" or name.isdigit():
            hint = "as backup, or as backup:disk"
            raise Flaw(token.column, f"{quoted(token.text)}: accounts are named, never numbered", hint)
    account = line.disk.other_account(user, group if colon else None)
    if account is None:
        what = f"no user {quoted(user)}" + (f" or no group {quoted(group)}" if colon else "")
        raise Flaw(token.column, f"there is {what} on this machine")
    if account.uid in _NOBODY_AT_ALL or account.gid in _NOBODY_AT_ALL:
        raise Flaw(token.column, f"{quoted(token.text)} has no number that a process can have")
    return account if _may_become(line, account) else None


def _may_become(line: OptionLine, account: Account) -> bool:
    """Tell whether the server can run as the account; False: it does so already. Else raise `Flaw`."""
    own = line.disk.account()
    if own.uid == 0:
        return True
    if (own.uid, own.gid) == (account.uid, account.gid):
        return False
    hint = f"run it as root, or leave out as {line.values[0].text}"
    raise Flaw(line.values[0].column, f"the server runs as {own.name} and cannot become {account.name}", hint)

"""``as``: which account, and which never."""

from __future__ import annotations

import pytest

from rexec.policy.disk import Account
from tests.policy.fakes import ACCOUNTS, FakeDisk, error, permit, policy_of

DISK_GROUP = Account("backup", "/var/backups", 34, 6, (6, 34))
BACKUP = "ls []\n    as backup"


def disk(own: Account | None = None) -> FakeDisk:
    found = FakeDisk()
    found.accounts["backup", "disk"] = DISK_GROUP
    found.own = own or found.own
    return found


def run_as(text: str, found: FakeDisk) -> Account | None:
    return policy_of(text, found).rules[0].grant.run_as


def test_a_server_of_root_becomes_any_account() -> None:
    assert run_as(BACKUP, disk()) == ACCOUNTS["backup"]
    assert run_as("ls []\n    as backup:disk", disk()) == DISK_GROUP


@pytest.mark.parametrize(
    "name", ["0", "1000", "-1", "4294967295", "+0", "-", "backup:34", "backup:-1", ":disk"]
)
def test_accounts_are_named_and_never_numbered(name: str) -> None:
    """security.md, Around the allow list: "`as`: uid -1 (CVE-2019-14287)"."""
    assert "never numbered" in error(f"ls []\n    as '{name}'", disk()).text


@pytest.mark.parametrize("number", [-1, 0xFFFF_FFFF])
def test_an_account_whose_number_means_nobody_is_refused(number: int) -> None:
    """security.md, Around the allow list: "`as`: uid -1 (CVE-2019-14287)"."""
    found = disk()
    found.accounts["odd", None] = Account("odd", "/", number, 7, (7,))
    found.accounts["strange", None] = Account("strange", "/", 7, number, (7,))
    for name in ("odd", "strange"):
        problem = error(f"ls []\n    as {name}", found)
        assert problem.text == f'"{name}" has no number that a process can have'


def test_a_server_that_is_not_root_says_what_to_do() -> None:
    problem = error(BACKUP, disk(Account("joe", "/home/joe", 1000, 1000)))
    assert problem.text == "the server runs as joe and cannot become backup"
    assert problem.suggestion == "run it as root, or leave out as backup"


def test_a_server_that_is_the_account_already_changes_nothing() -> None:
    assert run_as(BACKUP, disk(ACCOUNTS["backup"])) is None


def test_home_directory_and_names_are_those_of_the_account() -> None:
    found = permit(BACKUP, "ls")
    env = dict(found.env)
    assert (env["HOME"], env["USER"], env["LOGNAME"]) == ("/var/backups", "backup", "backup")
    assert (found.account, found.cwd) == (ACCOUNTS["backup"], "/var/backups")
    assert permit("ls []\n    as backup\n    cwd /srv", "ls").cwd == "/srv"
    assert permit("ls []\n    as backup\n    cwd ask", "ls", cwd="x").cwd == "/var/backups/x"

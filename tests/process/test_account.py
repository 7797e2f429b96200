"""Becoming another account: all of it or nothing."""

from __future__ import annotations

import os

import pytest

from rexec.policy.disk import Account
from rexec.process.abi import native, system_call
from rexec.process.account import become, is_ours
from rexec.process.bounded import answer_within

OURS = Account("us", "/", os.geteuid(), os.getegid(), tuple(os.getgroups()))


def in_a_child(account: Account) -> str:
    """What becomes of a process that becomes an account."""

    def question() -> bytes:
        try:
            become(account)
        except OSError as error:
            return os.strerror(error.errno or 0).encode()
        return repr((os.getresuid(), os.getresgid(), sorted(os.getgroups()))).encode()

    answer = answer_within(60, question)
    assert answer is not None
    return answer.decode()


def test_an_account_is_ours_with_all_of_its_groups() -> None:
    assert is_ours(OURS)
    assert is_ours(OURS._replace(groups=(*OURS.groups, OURS.gid)))
    for other in (
        OURS._replace(uid=OURS.uid + 1),
        OURS._replace(gid=OURS.gid + 1),
        OURS._replace(groups=(*OURS.groups, 12_345)),
    ):
        assert not is_ours(other)


@pytest.mark.parametrize("number", [-1, -2, 0xFFFFFFFF, 1 << 32])
def test_a_number_that_means_nobody_is_refused(number: int) -> None:
    """security.md, Around the allow list: "`as`: uid -1 (CVE-2019-14287)"."""
    for account in (
        OURS._replace(uid=number),
        OURS._replace(gid=number),
        OURS._replace(groups=(OURS.gid, number)),
    ):
        assert in_a_child(account) == "Invalid argument"


@pytest.mark.system
def test_the_keys_of_the_server_stay_behind() -> None:
    """allow-list.md: `as`: who has the session keyring of root may use what is in it (keyrings(7))."""
    abi = native()
    assert abi is not None
    join, read, session = 1, 11, -3
    add_key = {"x86_64": 248, "aarch64": 217}[os.uname().machine]

    def question() -> bytes:
        system_call(abi.keyctl, join, None)
        key = system_call(add_key, b"user", b"a", b"secret", 6, session)
        before = system_call(abi.keyctl, read, key, None, 0)
        become(Account("x", "/", 1234, 1234))
        try:
            system_call(abi.keyctl, read, key, None, 0)
        except OSError as error:
            return b"%d %s" % (before, os.strerror(error.errno or 0).encode())
        return b"read"

    assert answer_within(60, question) == b"6 Permission denied"


@pytest.mark.system
def test_groups_are_those_of_the_account() -> None:
    """security.md, Around the allow list: "kept supplementary groups (CVE-2021-41617)"."""
    os.setgroups([0, 4])
    ids = (1234,) * 3
    assert in_a_child(Account("x", "/", 1234, 2345, (5, 2345))) == repr((ids, (2345,) * 3, [5, 2345]))
    assert in_a_child(Account("x", "/", 1234, 1234)) == repr((ids, ids, [1234]))


@pytest.mark.system
def test_root_in_another_group_is_complete() -> None:
    assert in_a_child(Account("root", "/", 0, 7, (7,))) == repr(((0,) * 3, (7,) * 3, [7]))


@pytest.mark.system
def test_a_way_back_to_root_is_noticed() -> None:
    """With a kept capability (SECBIT_KEEP_CAPS and kin) setuid(0) would succeed: nothing is started then."""
    from rexec.process.abi import process_control

    def question() -> bytes:
        process_control(28, 1 << 2)  # PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP: capabilities stay
        try:
            become(Account("x", "/", 1234, 1234))
        except PermissionError:
            return b"refused"
        return b"done"

    assert answer_within(60, question) == b"refused"

"""Addresses, as people write them."""

from __future__ import annotations

import pytest

from rexec.errors import UsageError
from rexec.transport.address import Address, is_loopback, parse_address, parse_port

GOOD = {
    "web1": ("web1", 5512, "web1:5512"),
    "web1:22": ("web1", 22, "web1:22"),
    "127.0.0.1:0": ("127.0.0.1", 0, "127.0.0.1:0"),
    "::1": ("::1", 5512, "[::1]:5512"),
    "[::1]": ("::1", 5512, "[::1]:5512"),
    "[::1]:65535": ("::1", 65_535, "[::1]:65535"),
    "fe80::1%eth0": ("fe80::1%eth0", 5512, "[fe80::1%eth0]:5512"),
    ":80": ("", 80, ":80"),
}


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_a_host_and_a_port(text: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port, str(address)) == GOOD[text]
    assert address.path == ""


@pytest.mark.parametrize(
    "text",
    [
        "web1:", "web1:x", "web1:65536", "web1:-1", "web1:+5", "web1: 5", "web1:\u0661", "[::1", "[]", "[]:5",
        "[::1]5", "-oProxyCommand=id", "a b", "a\tb", "a\x7f", "a\nb:5", "a\x85b", "a\u202eb", "a\udcff",
        "unix:", "unix:/" + "x" * 107, "unix:/a\0b", "unix:/a\nb", "unix:/\udcff", "",
        "web1:" + "9" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    """security.md, People's terminals: "A host called `-oProxyCommand=...` (CVE-2023-51385 and kin)"."""
    with pytest.raises(UsageError) as refused:
        parse_address(text)
    assert str(refused.value).isprintable()


def test_a_port_that_is_none_is_named_with_its_word() -> None:
    with pytest.raises(UsageError, match=r"^'web1:': '' is not a port$"):
        parse_address("web1:")


def test_a_port_that_is_not_written_is_the_one_that_is_given() -> None:
    assert parse_address("web1", port=7).port == 7
    assert parse_address("web1:8", port=7).port == 8
    assert parse_port("0") == 0


def test_a_socket_has_a_path() -> None:
    address = parse_address("unix:/run/rexec:1")
    assert (address.path, str(address)) == ("/run/rexec:1", "unix:/run/rexec:1")


LOCAL = ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
REMOTE = [
    "",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "127.0.0",
    "127.0.0.1.evil",
    "127.evil.0.1",
    "localhost.evil",
    "128.0.0.1",
]


def test_local_is_what_nobody_can_be_in_the_middle_of() -> None:
    """cli.md: "`--no-tls` is taken for `unix:` and loopback addresses; anything else refuses"."""
    assert all(is_loopback(host) and Address(host, 1).is_local for host in LOCAL)
    assert not any(is_loopback(host) or Address(host, 1).is_local for host in REMOTE)
    assert Address("", 0, "/run/rexec").is_local

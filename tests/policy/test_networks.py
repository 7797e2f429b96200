"""``from``. What is refused stands in tests/vectors/policy."""

from __future__ import annotations

import pytest

from rexec.policy.networks import is_from, read_networks
from rexec.policy.tokens import scan


@pytest.mark.parametrize(
    ("networks", "peer", "is_in"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.0/8 192.0.2.0/24", "192.0.2.9", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("::/0", "::ffff:10.0.0.1", False),
        ("::/0", "10.0.0.1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "", True),
        ("127.0.0.0/8", "", True),
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("10.0.0.0/8", "", False),
        ("::1", "127.0.0.1", False),
        ("0.0.0.0/0", "nonsense", False),
    ],
)
def test_a_peer_is_in_a_network_or_not(networks: str, peer: str, is_in: bool) -> None:
    """A Unix socket counts as both loopback addresses; IPv4 in IPv6 is IPv4."""
    assert is_from(read_networks(scan(networks)), peer) is is_in

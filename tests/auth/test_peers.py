"""Addresses that a key may be used from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rexec.auth.blob import Malformed
from rexec.auth.peers import parse_peers, peer_matches


@pytest.mark.parametrize(
    ("value", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("10.0.0.0/8", "10.255.0.1"),
        ("192.168.*", "192.168.4.5"),
        ("192.0.2.?", "192.0.2.9"),
        ("*", "2001:db8::1"),
        ("2001:DB8::/32", "2001:db8::1"),
        ("2001:db8:*", "2001:db8::1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("10.0.0.0/8", "::ffff:10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.0.0.1"),
        ("10.0*", "10.0.0.1"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.2"),
        ("!10.0.0.1,10.*", "10.0.0.2"),
    ],
)
def test_an_address_in_the_list_is_taken(value, peer):
    assert peer_matches(parse_peers(value), peer)


@pytest.mark.parametrize(
    ("value", "peer"),
    [
        ("192.0.2.7", "192.0.2.70"),
        ("10.0.0.0/8", "11.0.0.1"),
        ("10.0.0.0/8", "::1"),
        ("!10.0.0.1,10.*", "10.0.0.1"),
        ("10.*,!10.0.0.0/24", "10.0.0.1"),
        ("*,!::ffff:10.0.0.1", "10.0.0.1"),
        ("::/0", "10.0.0.1"),
        ("*", "not an address"),
        ("*", ""),
        ("*", None),
    ],
)
def test_any_other_is_not(value, peer):
    assert not peer_matches(parse_peers(value), peer)


@pytest.mark.parametrize(
    "value",
    [
        "example.com",
        "*.example.com",
        "bad.cafe*",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "",
        "10.0.0.1,",
        "10.0.0.1,,10.0.0.2",
        "!!10.0.0.1,*",
        "*.1/8",
    ],
)
def test_names_and_what_is_no_address_are_refused(value):
    with pytest.raises(Malformed, match="is not an address, a network or a pattern of addresses"):
        parse_peers(value)


@pytest.mark.parametrize("value", ["*,!2001:0db8:*", "::ffff:10.*", "010.*", "10.00.*"])
def test_a_pattern_that_matches_no_spelling_is_refused(value):
    """An exclusion that excludes nothing would widen access."""
    with pytest.raises(Malformed, match="matches no address"):
        parse_peers(value)


def test_a_list_that_only_excludes_is_refused():
    with pytest.raises(Malformed, match="only excludes"):
        parse_peers("!10.0.0.1")


@given(st.ip_addresses())
def test_every_address_is_in_its_own_list_and_in_all(address):
    assert peer_matches(parse_peers(str(address)), str(address))
    assert peer_matches(parse_peers("*"), str(address))

"""Addresses that a key may be used from: `from=` of authorized_keys, by addresses alone.

An item is an address, a network (`10.0.0.0/8`) or a pattern of addresses (`192.168.*`), with `!` in
front to exclude. Names of hosts are refused when the file is read: the server asks no DNS, whose
answers belong to whoever runs the zone of the client's address.
"""

from __future__ import annotations

import ipaddress

from rexec.auth.blob import Malformed
from rexec.auth.patterns import list_matches, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV4_PATTERN = frozenset("0123456789.*?")
_MAPPED = "::ffff:"  # an IPv4 address as IPv6 (RFC 4291, 2.5.5.2)
_MAPPED_BITS = 96
_IPV6_PATTERN = frozenset("0123456789abcdef:.*?")


def parse_peers(value: str) -> tuple[str, ...]:
    """Return the items of a list, each judged. Raises `Malformed`."""
    items = tuple(item.strip().lower() for item in value.split(","))
    for item in items:
        _check(item.removeprefix("!"))
    if all(item.startswith("!") for item in items):
        raise Malformed(f'from="{value}" only excludes, so that nobody could ever use the key')
    return items


def _check(item: str) -> None:
    if _is_pattern(item):
        if item.startswith(_MAPPED) or any(map(_has_leading_zero, item.replace(":", ".").split("."))):
            # Addresses are compared in their shortest spelling: an exclusion would exclude nothing.
            raise Malformed(f'from="{item}" matches no address: write it as addresses are written')
        return
    try:
        _network(item)
    except ValueError:
        raise Malformed(f'from="{item}" is not an address, a network or a pattern of addresses') from None


def _has_leading_zero(part: str) -> bool:
    return len(part) > 1 and part.startswith("0") and part.isalnum()


def _network(item: str) -> Network:
    """Return an address or network; bits behind the prefix are an error, as sshd has it."""
    network = ipaddress.ip_network(item)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:  # as `address_of` sees the address of such a peer
            return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _is_pattern(item: str) -> bool:
    letters = frozenset(item)
    allowed = _IPV6_PATTERN if ":" in letters else _IPV4_PATTERN
    return not letters.isdisjoint("*?") and letters <= allowed


def address_of(peer: str) -> Address | None:
    """Return an address as one of its spellings, None for what is none (a Unix socket has none)."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def peer_matches(items: tuple[str, ...], peer: str | None) -> bool:
    """Say whether a peer's address is in a list of `parse_peers`; a peer without address never is."""
    address = address_of(peer or "")
    return address is not None and list_matches(items, lambda item: _takes(item, address))


def _takes(item: str, address: Address) -> bool:
    if _is_pattern(item):
        return matches(str(address), item)
    return address in _network(item)

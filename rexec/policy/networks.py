"""``from``: the networks that a rule answers to."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

from rexec.policy.problems import Flaw
from rexec.policy.wording import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Address, IPv4Network

    from rexec.policy.tokens import Token

    Network = IPv4Network | IPv6Network

# Who comes by a Unix socket is here: in every network that holds one of the loopback addresses.
_HERE = (ip_address("127.0.0.1"), ip_address("::1"))
_MAPPED = IPv6Network("::ffff:0:0/96")


def read_networks(values: Iterable[Token]) -> tuple[Network, ...]:
    """Read addresses and networks in CIDR notation (RFC 4632, RFC 4291)."""
    return tuple(_read_network(value) for value in values)


def _read_network(token: Token) -> Network:
    text = token.text
    try:
        if "%" in text:  # a zone is no part of a network
            raise ValueError
        wide = ip_network(text, strict=False)
    except ValueError:
        raise Flaw(token.column, f"{quoted(text)} is no network", "from 10.0.0.0/8 2001:db8::/32") from None
    address, _, length = text.partition("/")
    if length and not length.isdecimal():
        raise Flaw(token.column, f"{quoted(text)} has a mask", f"write {wide}")
    if ip_address(address) != wide.network_address:
        raise Flaw(token.column, f"{quoted(text)} has bits behind its length", f"write {wide}, or {address}")
    if isinstance(wide, IPv6Network) and wide.subnet_of(_MAPPED):
        raise Flaw(
            token.column, f"{quoted(text)} is IPv4 in IPv6: nobody comes from there", "write it as IPv4"
        )
    return wide


def is_from(networks: Iterable[Network], peer: str) -> bool:
    """Tell whether a peer, an address as text or "" for a Unix socket, is in one of the networks."""
    addresses = _addresses(peer)
    return any(address in network for network in networks for address in addresses)


def _addresses(peer: str) -> Sequence[IPv4Address | IPv6Address]:
    if not peer:
        return _HERE
    try:
        address = ip_address(peer.partition("%")[0])  # fe80::1%eth0
    except ValueError:
        return ()
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    return (address,)

"""What kind of address a text is: the special ranges, by the standard library's IANA tables, and the tunnel ends of RDP."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.enrichment._witness import Addresses

_NAMED: Final = (
    *(("documentation", ip_network(n)) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),
    *(("documentation", ip_network(n)) for n in ("2001:db8::/32", "3fff::/20")),
    ("cgnat", ip_network("100.64.0.0/10")),
)
_PRIVATE: Final = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
_NAT64: Final = ip_network("64:ff9b::/96")
_SPECIAL_V4: Final = (
    "0.0.0.0/32 0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 "
    "192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/31 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 "
    "192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32"
)
"""The IPv4 networks at whose borders the kind may change: IANA's special-purpose registry."""


def kind_of(text: str) -> str:
    """Return public, private, loopback, link_local, cgnat, documentation, multicast, reserved, or invalid."""
    try:
        address = ip_address(text)
    except ValueError:
        return "invalid"
    for name, network in _NAMED:
        if address.version == network.version and address in network:
            return name
    for name in ("loopback", "link_local", "multicast", "unspecified"):
        if getattr(address, f"is_{name}"):
            return "reserved" if name == "unspecified" else name
    if embedded(address) is not None:
        return "public"
    if any(address.version == network.version and address in network for network in _PRIVATE):
        return "private"
    # The standard library calls private what IANA calls not globally reachable: 0/8, 198.18/15, 240/4 and the like.
    return "reserved" if address.is_private or address.is_reserved else "public"


def read(written: str) -> str | None:
    """Return the address in a text as somebody typed or logged it: without brackets and zone id, IPv4-mapped as IPv4."""
    text = written.strip()
    text = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)


@cache
def _borders() -> tuple[NDArray[np.uint32], NDArray[np.object_]]:
    """Return the IPv4 addresses at which a stretch of one kind begins, and the kind of each stretch."""
    networks = [IPv4Network(text) for text in _SPECIAL_V4.split()]
    first = {0, *(int(n.network_address) for n in networks), *(int(n.broadcast_address) + 1 for n in networks)}
    starts = np.array(sorted(start for start in first if start < 1 << 32), np.uint32)
    return starts, np.array([kind_of(str(IPv4Address(int(start)))) for start in starts], object)


def kinds_of(addresses: Addresses) -> NDArray[np.object_]:
    """Return `kind_of` of every address, many IPv4 addresses at once."""
    out = np.full(len(addresses.texts), "invalid", object)
    starts, kinds = _borders()
    out[addresses.rows_v4] = kinds[np.searchsorted(starts, addresses.v4, "right") - 1]
    plain = _plain_v6(addresses.high)
    out[addresses.rows_v6[plain]] = "public"
    for row in addresses.rows_v6[~plain].tolist():
        out[row] = kind_of(addresses.texts[row])
    return out


def _plain_v6(high: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Say of which IPv6 addresses, by their upper halves, the first 32 bits show that they are public and carry no other.

    Global unicast (2000::/3) without 2001::/23, the documentation ranges and 6to4 (RFC 4291, IANA's special-purpose registry).
    """
    first, two = high >> np.uint64(32), high >> np.uint64(48)
    plain: NDArray[np.bool_] = (two >> np.uint64(13) == 1) & (two != 0x2002) & (first >> np.uint64(12) != 0x3FFF0)
    plain &= (first >> np.uint64(9) != 0x20010000 >> 9) & (first != 0x20010DB8)
    return plain


def embedded(address: IPv4Address | IPv6Address) -> tuple[str, str] | None:
    """Return (transition technique, IPv4 address) of an IPv6 address that carries one: 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address.sixtofour is not None:
        return "6to4", str(address.sixtofour)
    if address.teredo is not None:
        return "teredo", str(address.teredo[1])
    if address in _NAT64:
        return "nat64", str(IPv4Address(int(address) & 0xFFFFFFFF))
    return None

"""What kind of address a text is: the special ranges, by the standard library's IANA tables, and the tunnel ends of RDP."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_CGNAT: Final = ip_network("100.64.0.0/10")
_DOCUMENTATION: Final = tuple(
    ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
_NAT64: Final = ip_network("64:ff9b::/96")


def kind_of(text: str) -> str:
    """Return public, private, loopback, link_local, cgnat, documentation, multicast, reserved, or invalid."""
    try:
        address = ip_address(text)
    except ValueError:
        return "invalid"
    if any(address.version == net.version and address in net for net in _DOCUMENTATION):
        return "documentation"
    if address.version == 4 and address in _CGNAT:
        return "cgnat"
    for name in ("loopback", "link_local", "multicast", "unspecified"):
        if getattr(address, f"is_{name}"):
            return "reserved" if name == "unspecified" else name
    if embedded(address) is not None:
        return "public"
    if address.is_private:
        return "private"
    return "reserved" if address.is_reserved else "public"


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

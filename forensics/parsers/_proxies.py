"""Who a proxy says its client is: X-Forwarded-For and its like, believed only of a peer in a network the analyst trusts.

A client can send any of these headers itself. A proxy appends its own word on the right, so the list is walked from the
right, over addresses of trusted networks, to the first that is not: that one a trusted proxy saw. What stands left of it
is anybody's word.
"""

from __future__ import annotations

from functools import cache, lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

from forensics.parsers._address import source_ip
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from forensics.parsers._valve import Field

    Networks = tuple[IPv4Network | IPv6Network, ...]

HEADERS: Final = frozenset({"x-forwarded-for", "xff", "forwarded", "x-real-ip"})
ATTRIBUTES: Final = frozenset({"org.apache.catalina.AccessLog.RemoteAddr"})
"""What RemoteIpValve leaves for the access log (its Javadoc)."""


def is_claim(field: Field) -> bool:
    """Say whether a field holds what somebody says of the client."""
    return (field.letter == "i" and field.key.lower() in HEADERS) or (field.letter == "r" and field.key in ATTRIBUTES)


def place(row: dict[str, Any], fields: Sequence[Field], values: Sequence[bytes], proxies: str) -> None:
    """Put the client that a trusted peer names in the place of the source, the peer into `rest`; else change nothing."""
    peer = row.get("source_ip")
    if not proxies or peer is None or not _trusted(peer, proxies):
        return
    by_peer = row["held"][0].key == "peer"
    found = {}
    for field, raw in zip(fields, values, strict=True):
        # Beside the peer, the remote address is what Tomcat itself was told.
        if is_claim(field) or (by_peer and field.letter in {"a", "h"} and field.key in {"", "remote"}):
            claimed = nearest(decode(raw), proxies)
            if claimed is not None:
                found[claimed[0]] = claimed
    if len(found) > 1:
        row["flags"].append("claims_differ")
    elif found:
        ((address, written),) = found.values()
        row |= {"source_ip": address, "source_address": written}
        row["rest"]["peer_ip"] = peer
        row["flags"].append("claimed_source")


def nearest(text: str, proxies: str) -> tuple[str, str] | None:
    """Return the nearest address that is no trusted proxy's, normalised and as written; None if none can be vouched for.

    A part that is no address (`unknown`, `_hidden`) ends the walk: who put what is left of it is not known.
    """
    for written in _from_right(text):
        address = source_ip(written)
        if address is None:
            return None
        if not _trusted(address, proxies):
            return address, written
    return None


def _from_right(text: str) -> Iterator[str]:
    """Yield the addresses of a list from the right, without port, quotes and RFC 7239's `for=`."""
    for part in reversed(text.replace('\\"', '"').split(",")):
        pairs = [pair.strip() for pair in part.split(";")]
        said = next((pair[4:] for pair in pairs if pair[:4].lower() == "for="), pairs[0])
        said = said.strip().strip('"')
        if said.startswith("["):
            yield said.partition("]")[0] + "]"
        else:
            yield said.partition(":")[0] if said.count(":") == 1 else said


@lru_cache(maxsize=1 << 16)
def _trusted(address: str, proxies: str) -> bool:
    place = ip_address(address)
    return any(place in network for network in _networks(proxies))


@cache
def _networks(proxies: str) -> Networks:
    return tuple(ip_network(text) for text in proxies.split())

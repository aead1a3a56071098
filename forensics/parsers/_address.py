"""Source addresses as logs write them, normalised: one text for one address, the zone id and the brackets left behind."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

_QUAD: Final = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_GROUP: Final = r"[1-9a-f][0-9a-f]{0,3}"
NORMAL: Final = rf"^(({_QUAD}\.){{3}}{_QUAD}|({_GROUP}:){{7}}{_GROUP})$"
"""Texts that are already what `source_ip` returns: dotted quads, and eight groups none of which is zero, without leading
zeros. One of them is not: UNSPECIFIED."""
UNSPECIFIED: Final = "0.0.0.0"  # noqa: S104  # an address that was logged, not one to bind to
_NORMAL: Final = re.compile(NORMAL.replace("$", r"\Z"), re.ASCII)


def is_normal(written: str) -> bool:
    """Say whether an address is written as `source_ip` would write it."""
    return _NORMAL.match(written) is not None and written != UNSPECIFIED


@lru_cache(maxsize=1 << 18)
def source_ip(written: str) -> str | None:
    """Return the address in `written` as RFC 5952 text, IPv4-mapped ones as IPv4; None if it is no address.

    `[10.0.2.16]`, `0:0:0:0:0:0:0:1`, `fe80::1%10` and `::ffff:192.0.2.1` are all read. A zone id is kept out, since it
    may hold any character and names an interface of the server, not a source.
    """
    if is_normal(written):
        return written
    text = written[1:-1] if written[:1] == "[" and written[-1:] == "]" else written
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if address.is_unspecified:
        # `::%16777216` is what Windows writes for RDP through a tunnel; 0.0.0.0 for a client that was gone.
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)

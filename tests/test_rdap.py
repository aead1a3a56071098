"""Registries are asked only when the analyst says so, about as little as possible, and their answers are kept as they came."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from typer.testing import CliRunner

import forensics
from forensics import enrichment, query, verifying
from forensics.cli import app
from forensics.enrichment import Online, Question, _rdap
from forensics.errors import UsageError
from forensics.packaged import sample_evidence

pytest.importorskip("ipwhois")
TODAY = date(2026, 11, 20)
# Synthetic registrations, in the form of RFC 9083; the ranges are wider or narrower than a /24.
RANGES = ("175.45.176.0/22", "51.254.0.0/16", "115.68.12.88/29", "115.68.12.0/25", "2a00:1450::/32")


class Registry(BaseHTTPRequestHandler):
    """A registry that answers RDAP on loopback, and counts what it was asked."""

    asked: list[str] = []  # noqa: RUF012
    busy: int = 0

    def do_GET(self) -> None:
        address = self.path.rsplit("/", 1)[-1]
        type(self).asked.append(address)
        if type(self).busy:
            type(self).busy -= 1
            self.send_error(429)
            return
        fitting = [n for text in RANGES if ip_address(address) in (n := ip_network(text))]
        if not fitting:
            self.send_error(404)
            return
        network = max(fitting, key=lambda one: one.prefixlen)
        body = json.dumps(
            {
                "objectClassName": "ip network",
                "handle": f"SYNTH-{network.prefixlen}",
                "ipVersion": f"v{network.version}",
                "startAddress": str(network[0]),
                "endAddress": str(network[-1]),
                "name": "SYNTHETIC-NET\u202e\x1b[31m",
                "type": "ALLOCATED PA",
                "country": "ZZ",
                "status": ["active"],
                "events": [
                    {"eventAction": "registration", "eventDate": "2009-12-21T00:00:00Z"},
                    {"eventAction": "last changed", "eventDate": "2020-05-05T00:00:00Z"},
                ],
                "entities": [
                    {
                        "handle": "ORG",
                        "roles": ["registrant"],
                        "vcardArray": ["vcard", [["fn", {}, "text", "=Synthetic Holder"]]],
                        "entities": [
                            {
                                "handle": "ABUSE",
                                "roles": ["abuse"],
                                "vcardArray": ["vcard", [["email", {}, "text", "abuse@example.org"]]],
                            }
                        ],
                    }
                ],
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/rdap+json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    Registry.asked, Registry.busy = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ip/{{}}"
    server.shutdown()
    server.server_close()
    thread.join()


def online(url: str, cache: Path | None = None, *, shown: list[Question] | None = None, agree: bool = True) -> Online:
    def consent(questions: Sequence[Question]) -> bool:
        if shown is not None:
            shown.extend(questions)
        return agree

    servers = dict.fromkeys(_rdap.SERVERS, url)
    return Online(consent, TODAY, roles=("operator",), servers=servers, pause=lambda _: None, cache=cache)


def test_one_question_serves_a_network_and_goes_to_its_registry() -> None:
    asked = _rdap.questions(["175.45.178.19", "175.45.178.141", "51.254.1.2", "10.0.0.1", "::1", "192.0.2.9", "no ip"])
    assert asked == [
        Question("apnic", "175.45.178.0", ("175.45.178.141", "175.45.178.19")),
        Question("ripencc", "51.254.1.0", ("51.254.1.2",)),
    ]


def test_addresses_inside_ipv6_tunnels_are_not_asked_about() -> None:
    assert not _rdap.questions(["2002:af2d:b213::1", "64:ff9b::af2d:b213"])


def test_what_would_be_sent_is_shown_before_anything_is(registry: str) -> None:
    shown: list[Question] = []
    assert not enrichment.ask(["175.45.178.19"], online(registry, shown=shown, agree=False))
    assert [question.address for question in shown] == ["175.45.178.0"]
    assert not Registry.asked


def test_an_address_outside_the_network_of_its_neighbour_is_asked_for_itself(registry: str) -> None:
    answers = enrichment.ask(["115.68.12.90"], online(registry))
    assert Registry.asked == ["115.68.12.0"]
    assert [a.concerns(["115.68.12.90"]) for a in answers] == [["115.68.12.90"]]
    answers = enrichment.ask(["115.68.12.200"], online(registry))
    assert Registry.asked[1:] == ["115.68.12.0", "115.68.12.200", "115.68.12.200", "115.68.12.200"]
    assert [answer.refused[:9] for answer in answers if answer.refused] == ["no answer"]


def test_an_answer_is_kept_and_serves_again_without_a_question(registry: str, tmp_path: Path) -> None:
    cache = tmp_path / "kept" / "rdap.jsonl"
    first = enrichment.ask(["175.45.178.19"], online(registry, cache))
    again = enrichment.ask(["175.45.179.1"], online(registry, cache))
    assert Registry.asked == ["175.45.178.0"]
    assert first == again


def test_a_damaged_cache_costs_its_damaged_lines_alone(registry: str, tmp_path: Path) -> None:
    cache = tmp_path / "rdap.jsonl"
    enrichment.ask(["175.45.178.19"], online(registry, cache))
    cache.write_bytes(b"\xff{]\n" + cache.read_bytes() + b'{"body": 3}\n')
    assert [answer.asked_for for answer in _rdap.kept(cache)] == ["175.45.178.0"]


def test_a_registry_that_is_asked_too_fast_is_asked_again_later(registry: str) -> None:
    Registry.busy = 2
    (answer,) = enrichment.ask(["175.45.178.19"], online(registry))
    assert not answer.refused
    Registry.busy = 9
    (answer,) = enrichment.ask(["51.254.1.2"], online(registry))
    assert "more than the registry answers" in answer.refused


def test_an_answer_says_holder_contact_and_dates() -> None:
    body = json.dumps(
        {"startAddress": "175.045.176.000", "endAddress": "175.045.179.255", "handle": "H", "ipVersion": "v4"}
    )
    answer = enrichment.Answer("175.45.178.0", "apnic", "u", "2026-11-20", body)
    assert [str(network) for network in answer.networks()] == ["175.45.176.0/22"]
    assert enrichment.facts(answer)["holder"] is None


@pytest.mark.parametrize(
    "body", ["", "[]", "null", '{"startAddress": 3}', '{"startAddress": "9.9.9.9", "endAddress": "1.1.1.1"}']
)
def test_an_answer_that_is_none_is_told(body: str) -> None:
    answer = enrichment.Answer("175.45.178.0", "apnic", "u", "2026-11-20", body)
    assert answer.networks() == ()
    assert "not understood" in enrichment.facts(answer)["refused"]


def test_a_case_holds_what_registries_said_and_verifies(registry: str, tmp_path: Path) -> None:
    case = forensics.analyze(*sample_evidence(), out=tmp_path / "case", online=online(registry))
    rows = {row["asked_for"]: row for row in query.rows(case, "registrations")}
    north = rows["175.45.178.0"]
    assert (north["network"], north["holder"], north["abuse_contact"]) == (
        "175.45.176.0/22", "=Synthetic Holder", "abuse@example.org",
    )  # fmt: skip
    assert north["source_ips"] == "175.45.178.141"
    assert north["changed_since"]
    assert north["asked_on"] == "2026-11-20"
    text = (case.folder / "registrations.csv").read_bytes()
    assert b"\x1b" not in text
    assert "\u202e".encode() not in text
    assert b"'=Synthetic" in text
    assert len((case.folder / "rdap.jsonl").read_bytes().splitlines()) == len(rows)
    assert not list(verifying.verify(case))


def test_offline_no_socket_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    case = forensics.analyze(*sample_evidence(), out=tmp_path / "case", workers=1)
    assert not list(query.rows(case, "registrations"))
    assert list(enrichment.load().lookup("175.45.178.19"))


def test_nothing_is_sent_where_nobody_can_say_yes() -> None:
    done = CliRunner().invoke(app, ["lookup", "175.45.178.19", "--online"])
    assert done.exit_code == UsageError.exit_code
    assert "apnic: 175.45.178.0" in done.output
    assert "--yes" in done.output


def test_a_role_that_is_none_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(tmp_path), "--online", "--ask-about", "nobody"])
    assert done.exit_code == UsageError.exit_code
    assert "roles are" in done.output

"""Hops: through a Remote Desktop Gateway, and from the seized server to others by RDP."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from evtx_event import Event, Shape, Type
from evtx_writer import write_evtx

import forensics
from forensics import query
from forensics.analysis.hops import _address, _number
from forensics.case import Case
from forensics.parsers._rdp import CLIENT, GATEWAY, LSM

NOON = datetime(2017, 1, 18, 12, 0, tzinfo=UTC)
FIRST, SECOND = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"
# SHA-256 and SHA-1 of `administrator` in UTF-16LE, as the maps of EvtxECmd have them.
SHA256 = "WAlZ81aqzLQmoWEfQivmPQwJxIm/XQcDjplQdjznr5E="
SHA1 = "/6UN2Oco6V2sEKuooAIuzrrOUrk="


def event(
    provider: str, code: int, seconds: int, shape: Shape = "event_data", activity: str | None = None, **fields: Any
) -> Event:
    typed = [(name, Type.STRING, str(value)) for name, value in fields.items()]
    more = {"activity_id": activity} if activity else {}
    return Event(
        provider=provider, event_id=code, time=NOON + timedelta(seconds=seconds), computer="WIN-C2",
        channel=f"{provider}/Operational", fields=typed, shape=shape, **more,
    )  # fmt: skip


def case_of(tmp_path: Path, *events: Event) -> Case:
    (tmp_path / "x.evtx").write_bytes(write_evtx(events))
    return forensics.analyze(tmp_path / "x.evtx", out=tmp_path / "case", workers=1)


def session() -> list[Event]:
    fields = {"User": "WIN-C2\\Administrator", "SessionID": "2", "Address": "192.0.2.7"}
    return [
        event(LSM, 21, 0, "event_xml", **fields),
        event(LSM, 23, 3600, "event_xml", User="WIN-C2\\Administrator", SessionID="2"),
    ]


@pytest.mark.parametrize("digest", [SHA256, SHA1])
def test_a_hashed_user_name_is_told_when_the_case_knows_a_name_with_that_hash(tmp_path: Path, digest: str) -> None:
    case = case_of(
        tmp_path,
        *session(),
        event(CLIENT, 1024, 600, activity=FIRST, Name="Server Name", Value="10.0.0.9", CustomLevel="Info"),
        event(CLIENT, 1029, 601, activity=FIRST, TraceMessage=f"{digest}-"),
        event(CLIENT, 1102, 602, activity=FIRST, Value="10.0.0.9"),
        event(CLIENT, 1026, 900, activity=FIRST, Value="1"),
    )
    (hop,) = query.rows(case, "hops")
    assert (hop["kind"], hop["target"], hop["target_ip"], hop["duration_s"]) == (
        "outbound",
        "10.0.0.9",
        "10.0.0.9",
        300,
    )
    assert (hop["user_name"], hop["user_basis"], hop["session_uid"]) == ("administrator", "hash of 1029", "S0001")


def test_a_hash_of_no_known_name_names_nobody(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        *session(),
        event(CLIENT, 1024, 600, activity=FIRST, Name="Server Name", Value="files.example", CustomLevel="Info"),
        event(CLIENT, 1029, 601, activity=FIRST, TraceMessage="AAAA-"),
    )
    (hop,) = query.rows(case, "hops")
    assert (hop["user_name"], hop["user_basis"], hop["target_ip"], hop["end"]) == (None, None, None, None)
    assert "no name of this case has it" in hop["because"]


def test_two_connections_at_once_are_two_hops(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        event(CLIENT, 1024, 0, activity=FIRST, Value="a.example"),
        event(CLIENT, 1024, 1, activity=SECOND, Value="b.example"),
        event(CLIENT, 1026, 5, activity=FIRST, Value="1"),
        event(CLIENT, 1026, 9, activity=SECOND, Value="1"),
    )
    assert [(h["target"], h["duration_s"]) for h in query.rows(case, "hops")] == [("a.example", 5), ("b.example", 8)]


def test_a_gateway_connection_has_its_bytes_and_duration(tmp_path: Path) -> None:
    who = {
        "Username": "DOM\\eve",
        "IpAddress": "198.51.100.4",
        "AuthType": "",
        "Resource": "10.0.0.5",
        "ConnectionProtocol": "HTTP",
    }
    case = case_of(
        tmp_path,
        event(GATEWAY, 200, 0, "event_xml", **who),
        event(GATEWAY, 302, 1, "event_xml", **who),
        event(GATEWAY, 303, 61, "event_xml", **who, BytesReceived="2048", BytesTransfered="4096", SessionDuration="60"),
    )
    (hop,) = query.rows(case, "hops")
    assert (hop["kind"], hop["source_ip"], hop["user_name"], hop["target"]) == (
        "gateway",
        "198.51.100.4",
        "eve",
        "10.0.0.5",
    )
    assert (hop["bytes_in"], hop["bytes_out"], hop["duration_s"]) == (2048, 4096, 60)
    assert hop["locators"].count(";") == 1


def test_a_gateway_connection_whose_start_was_overwritten_is_still_told(tmp_path: Path) -> None:
    who = {"Username": "DOM\\eve", "IpAddress": "198.51.100.4", "Resource": "10.0.0.5"}
    case = case_of(tmp_path, event(GATEWAY, 303, 61, "event_xml", **who, BytesReceived="x", SessionDuration="60"))
    (hop,) = query.rows(case, "hops")
    assert (hop["confidence"], hop["bytes_in"], hop["duration_s"]) == ("likely", None, 60)


def test_what_is_no_number_or_address_is_nothing() -> None:
    assert [_number(text) for text in ("12", "-1", "", None, "9" * 30, "١")] == [12, None, None, None, None, None]
    assert [_address(text) for text in ("10.0.0.1", "server", "", None)] == ["10.0.0.1", None, None, None]


def test_a_hash_passes_neither_to_another_server_nor_to_a_connection_that_has_ended(tmp_path: Path) -> None:
    other = replace(event(CLIENT, 1029, 605, TraceMessage=f"{SHA256}-"), computer="WIN-OTHER")
    case = case_of(
        tmp_path,
        *session(),
        event(CLIENT, 1024, 600, Name="Server Name", Value="10.0.0.9", CustomLevel="Info"),
        other,
        event(CLIENT, 1026, 900, Value="1"),
        event(CLIENT, 1029, 901, TraceMessage=f"{SHA256}-"),
    )
    told = [(hop["host_name"], hop["target"], hop["user_name"]) for hop in query.rows(case, "hops")]
    assert told == [
        ("WIN-C2", "10.0.0.9", None),
        ("WIN-OTHER", None, "administrator"),
        ("WIN-C2", None, "administrator"),
    ]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (201, "does not meet the connection policy"),
        (301, "does not meet the resource policy"),
        (304, "could not reach"),
    ],
)
def test_a_refused_gateway_connection_is_told_as_refused(tmp_path: Path, code: int, told: str) -> None:
    who = {"Username": "DOM\\eve", "IpAddress": "198.51.100.4", "Resource": "10.0.0.5", "ErrorCode": "23002"}
    case = case_of(tmp_path, event(GATEWAY, code, 0, "event_xml", **who))
    (hop,) = query.rows(case, "hops")
    assert (hop["kind"], hop["source_ip"], hop["user_name"], hop["target"]) == (
        "gateway_refused", "198.51.100.4", "eve", "10.0.0.5",
    )  # fmt: skip
    assert told in hop["because"]
    assert "23002" in hop["because"]
    assert "reached" not in hop["because"]


def test_a_refusal_between_reaching_and_leaving_takes_neither(tmp_path: Path) -> None:
    who = {"Username": "DOM\\eve", "IpAddress": "198.51.100.4", "Resource": "10.0.0.5"}
    left = {"BytesReceived": "1", "BytesTransfered": "2", "SessionDuration": "9"}
    case = case_of(
        tmp_path,
        event(GATEWAY, 302, 0, "event_xml", **who),
        event(GATEWAY, 301, 5, "event_xml", **who),
        event(GATEWAY, 303, 9, "event_xml", **who, **left),
    )
    told = [(hop["kind"], hop["duration_s"]) for hop in query.rows(case, "hops")]
    assert told == [("gateway", 9), ("gateway_refused", None)]


def test_a_hash_long_after_a_connection_that_nothing_ended_is_not_its_own(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        *session(),
        event(CLIENT, 1024, 600, Name="Server Name", Value="10.0.0.9", CustomLevel="Info"),
        event(CLIENT, 1029, 600 + 301, TraceMessage=f"{SHA256}-"),
    )
    told = [(hop["target"], hop["user_name"]) for hop in query.rows(case, "hops")]
    assert told == [("10.0.0.9", None), (None, "administrator")]


def test_the_end_of_a_connection_without_an_activity_is_its_own_however_late(tmp_path: Path) -> None:
    case = case_of(
        tmp_path,
        event(CLIENT, 1024, 600, Name="Server Name", Value="10.0.0.9", CustomLevel="Info"),
        event(CLIENT, 1029, 601, TraceMessage=f"{SHA256}-"),
        event(CLIENT, 1026, 600 + 7200, Value="1"),
    )
    (hop,) = query.rows(case, "hops")
    assert (hop["target"], hop["duration_s"]) == ("10.0.0.9", 7200)

"""What single events mean: written with the project's EVTX writer, read back as rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from evtx_event import Event, Shape, Type
from evtx_reading import Reading, read
from evtx_writer import write_evtx

from forensics.model import EVENT_ACTIONS, EVENT_OUTCOMES
from forensics.parsers._evtx_meaning import READERS, address, client_zone, hexadecimal, integer
from forensics.parsers._rdp import (
    CLIENT,
    CORE,
    DESKTOP,
    EVENTLOG,
    GATEWAY,
    KERNEL,
    LSM,
    MEANINGS,
    MSI,
    RCM,
    SCM,
    SECURITY,
    meaning_of,
)
from forensics.schemas import EVENTS

NOON = datetime(2017, 1, 18, 12, 0, 0, 123456, tzinfo=UTC)
ACTIVITY = "F4206D5D-1C1A-4740-A8C3-4CC91A5F3B14"
CHANNELS = {
    LSM: "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
    SECURITY: "Security",
    EVENTLOG: "System",
}


def event(provider: str, code: int, fields: dict[str, Any], shape: Shape = "event_data", **more: Any) -> Event:
    typed = [(name, Type.STRING if isinstance(value, str) else Type.UINT32, value) for name, value in fields.items()]
    defaults: dict[str, Any] = {"time": NOON, "computer": "WIN-C2", "channel": CHANNELS.get(provider, provider)}
    return Event(provider=provider, event_id=code, fields=typed, shape=shape, **(defaults | more))


def rows(*events: Event) -> Reading:
    return read(write_evtx(events))


def row(provider: str, code: int, fields: dict[str, Any], shape: Shape = "event_data", **more: Any) -> dict[str, Any]:
    (only,) = rows(event(provider, code, fields, shape, **more)).events
    return only


def logon(code: int = 4624, kind: int = 10, **fields: Any) -> Event:
    base = {"TargetUserName": "admin", "TargetDomainName": "WIN-C2", "TargetLogonId": "0x0000000000A1B2C3"}
    return event(SECURITY, code, base | {"LogonType": kind, "IpAddress": "192.0.2.7", "IpPort": "0"} | fields)


@pytest.mark.parametrize("meaning", MEANINGS.values(), ids=[f"{p.split('-')[-1]}-{i}" for p, i in MEANINGS])
def test_a_meaning_uses_the_words_of_the_model_and_columns_of_the_schema(meaning: Any) -> None:
    assert meaning.action in EVENT_ACTIONS
    assert meaning.outcome in EVENT_OUTCOMES
    for column in meaning.columns:
        assert set(READERS[column][0]) <= set(EVENTS.names)


@pytest.mark.parametrize(
    ("provider", "codes"),
    [
        (LSM, (21, 22, 23, 24, 25, 32, 33, 34, 36, 38, 39, 40, 41, 42, 54, 59, 60)),
        (
            RCM,
            (
                *(258, 259, 260, 261, 1136, 1146, 1147, 1148, 1149, 1150, 1155, 1156, 1158),
                *(20503, 20504, 20506, 20507, *range(20508, 20522)),
            ),
        ),
        (
            CORE,
            (
                65,
                66,
                68,
                70,
                71,
                72,
                98,
                102,
                103,
                104,
                *range(129, 134),
                135,
                137,
                *range(139, 147),
                148,
                153,
                162,
                163,
                168,
                169,
            ),
        ),
        (CORE, (226, 227, 228, 229)),
        (SECURITY, (4624, 4625, 4634, 4647, 4648, 4672, 4776, 4778, 4779, 4800, 4801, 4825, 4616, 4697)),
        (EVENTLOG, (1102, 104)),
        (SCM, (7045, 7036, 7040)),
        (KERNEL, (1, 12, 13)),
        ("EventLog", (6005, 6006, 6008)),
        (GATEWAY, (200, 201, 202, 203, 300, 301, 302, 303, 304, 307, 312, 313)),
        (CLIENT, (1024, 1025, 1026, 1027, 1029, 1102, 1103, 1105)),
        (MSI, (1033, 11707)),
        (DESKTOP, (9009,)),
    ],
)
def test_every_event_that_an_investigator_asks_for_is_in_the_table(provider: str, codes: tuple[int, ...]) -> None:
    assert [code for code in codes if (provider, code) not in MEANINGS] == []


def test_the_account_of_a_session_event_is_split_into_domain_and_name() -> None:
    got = row(LSM, 21, {"User": "WIN-C2\\operator", "SessionID": 2, "Address": "192.0.2.7"}, "event_xml")
    assert (got["user_domain"], got["user_name"], got["session_id"]) == ("WIN-C2", "operator", 2)
    assert (got["event_action"], got["event_outcome"], got["source_ip"]) == ("logon", "success", "192.0.2.7")


@pytest.mark.parametrize("word", ["LOCAL", "YEREL", "ЛОКАЛЬНЫЕ"])
def test_the_word_for_a_console_session_is_no_address_in_any_language(word: str) -> None:
    got = row(LSM, 21, {"User": "A\\b", "SessionID": 1, "Address": word}, "event_xml")
    assert (got["source_address"], got["source_ip"]) == (word, None)


@pytest.mark.parametrize(
    ("written", "ip", "port"),
    [
        ("10.0.2.16:52202", "10.0.2.16", 52202),
        ("[10.0.2.16]:59407", "10.0.2.16", 59407),
        ("[fe80::80ac:4126:fa58:1b81%10]:3389", "fe80::80ac:4126:fa58:1b81", 3389),
        ("fe80::80ac:4126:fa58:1b81%10", "fe80::80ac:4126:fa58:1b81", None),
        ("::ffff:192.0.2.1", "192.0.2.1", None),
        ("::1", "::1", None),
        ("::%16777216", None, None),
        ("0.0.0.0", None, None),
        ("10.0.2.16:99999", None, None),
        ("LOCAL", None, None),
    ],
)
def test_an_address_is_read_with_or_without_its_port_and_zone(written: str, ip: str | None, port: int | None) -> None:
    assert address(written) == (written, ip, port)
    got = row(CORE, 131, {"ConnType": "TCP", "ClientIP": written})
    assert (got["source_address"], got["source_ip"], got["source_port"]) == (written, ip, port)


def test_a_dash_is_no_address_no_port_and_no_name() -> None:
    (got,) = rows(logon(IpAddress="-", IpPort="-", TargetDomainName="-")).events
    assert (got["source_address"], got["source_ip"], got["source_port"], got["user_domain"]) == (None, None, None, None)


@pytest.mark.parametrize(
    ("written", "zone"), [("[9]", "+09:00"), ("[-7]", "-07:00"), ("[0]", "+00:00"), ("[x]", "[x]"), ("[99]", "[99]")]
)
def test_the_client_zone_is_an_offset_from_utc_in_whole_hours(written: str, zone: str) -> None:
    assert client_zone(written) == zone
    assert row(CORE, 104, {"TimezoneBiasHour": written})["client_zone"] == zone


def test_the_channel_that_was_cleared_and_the_channel_that_says_so_never_collide() -> None:
    fields = {"SubjectUserName": "admin", "SubjectDomainName": "WIN-C2", "Channel": "Security", "BackupPath": ""}
    got = row(EVENTLOG, 104, fields, "log_file_cleared")
    assert json.loads(got["unmapped"]) == {"channel": "System", "cleared_channel": "Security"}
    assert (got["event_action"], got["user_name"]) == ("log_cleared", "admin")


def test_the_provider_and_not_the_number_says_what_1102_means() -> None:
    outbound = row(CLIENT, 1102, {"Name": "Server address", "Value": "198.51.100.9"})
    cleared = row(EVENTLOG, 1102, {"SubjectUserName": "admin", "SubjectLogonId": "0x3e7"}, "log_file_cleared")
    assert (outbound["event_action"], cleared["event_action"]) == ("outbound_rdp", "log_cleared")
    assert outbound["source_ip"] is None, "the address is where this server went to, not where somebody came from"
    assert json.loads(outbound["unmapped"])["Value"] == "198.51.100.9"


def test_an_event_of_a_wanted_number_but_another_provider_is_not_wanted() -> None:
    got = rows(event("EventSystem", 4625, {"x": "y"}), logon(4625, 3))
    assert got.records == {"evtx": 1, "unwanted_event": 1}


def test_the_workstation_of_a_network_logon_is_the_client_and_of_any_other_the_server() -> None:
    network, remote = rows(logon(kind=3, WorkstationName="OP-LAPTOP"), logon(kind=10, WorkstationName="WIN-C2")).events
    assert (network["client_name"], remote["client_name"]) == ("OP-LAPTOP", None)
    assert "WorkstationName" not in json.loads(network["unmapped"])
    assert json.loads(remote["unmapped"])["WorkstationName"] == "WIN-C2"


@pytest.mark.parametrize("code", [4624, 4625, 4634])
def test_logons_that_no_person_made_are_skipped_by_their_type_alone(code: int) -> None:
    kinds = (0, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13)
    got = rows(*[logon(code, kind) for kind in kinds])
    assert [r["logon_type"] for r in got.events] == [2, 3, 7, 8, 9, 10, 11, 12, 13]
    assert got.records == {"evtx": 9, "unwanted_logon_type": 3}


def test_adjoining_unwanted_records_are_one_skip_that_says_how_many() -> None:
    dull = [event(SECURITY, 4688, {"NewProcessName": f"p{n}"}) for n in range(5)]
    got = rows(*dull, logon(), *dull[:2])
    assert [s["records"] for s in got.skips if s["reason"] == "unwanted_event"] == [5, 2]


def test_logon_ids_are_hexadecimal_without_leading_zeros() -> None:
    (got,) = rows(logon()).events
    assert got["logon_id"] == "0xa1b2c3"
    assert [hexadecimal(text) for text in ("0x00000000000003e7", "999", "0x0", "-", "abc")] == [
        "0x3e7",
        "0x3e7",
        None,
        None,
        "abc",
    ]


@pytest.mark.parametrize("text", ["1_000", "١٢", "-1", "0x", "1 ", "", "0xg", "9" * 21, "²"])
def test_only_plain_digits_are_a_number(text: str) -> None:
    assert integer(text, 1 << 63) is None


@pytest.mark.parametrize(("status", "outcome"), [("0x0", "success"), ("0xc000006a", "failure")])
def test_an_ntlm_check_says_by_its_status_whether_it_succeeded(status: str, outcome: str) -> None:
    got = row(SECURITY, 4776, {"TargetUserName": "admin", "Workstation": "OP-LAPTOP", "Status": status})
    assert (got["event_outcome"], got["client_name"]) == (outcome, "OP-LAPTOP")


@pytest.mark.parametrize(("code", "action"), [(4778, "reconnect"), (4779, "disconnect")])
def test_a_session_event_of_security_names_the_client_machine(code: int, action: str) -> None:
    fields = {"AccountName": "admin", "AccountDomain": "D", "LogonID": "0x1f", "SessionName": "RDP-Tcp#3"}
    got = row(SECURITY, code, fields | {"ClientName": "OP-LAPTOP", "ClientAddress": "192.0.2.7"})
    assert (got["event_action"], got["client_name"], got["source_ip"]) == (action, "OP-LAPTOP", "192.0.2.7")
    assert json.loads(got["unmapped"]) == {"SessionName": "RDP-Tcp#3", "channel": "Security"}


def test_every_other_field_is_kept_under_sorted_keys() -> None:
    fields = {"zeta": "1", "ServiceName": "Tomcat8", "ImagePath": '"C:\\x" //RS//Tomcat8', "alpha": "é\u202e"}
    got = row(SCM, 7045, fields)
    kept = json.loads(got["unmapped"])
    assert kept == fields | {"channel": SCM}
    assert list(kept) == sorted(kept)


def test_a_field_that_is_called_channel_does_not_take_the_place_of_the_channel() -> None:
    assert json.loads(row(SCM, 7045, {"channel": "forged"})["unmapped"]) == {"channel": SCM, "event_channel": "forged"}


def test_the_padding_of_the_logon_process_name_is_left_out() -> None:
    (got,) = rows(logon(LogonProcessName="User32 ")).events
    assert json.loads(got["unmapped"])["LogonProcessName"] == "User32"


def test_a_text_where_a_number_should_be_stays_with_the_other_fields() -> None:
    got = row(LSM, 21, {"User": "A\\b", "SessionID": "two", "Address": "192.0.2.7"}, "event_xml")
    assert got["session_id"] is None
    assert json.loads(got["unmapped"])["SessionID"] == "two"
    (other,) = rows(logon(IpPort="none")).events
    assert (other["source_port"], json.loads(other["unmapped"])["IpPort"]) == (None, "none")


def test_times_keep_their_hundred_nanoseconds_in_the_original() -> None:
    ticks = 131_292_145_891_234_567
    got = row(LSM, 23, {"User": "A\\b", "SessionID": 1}, "event_xml", time=ticks)
    assert got["time_original"] == "2017-01-18T12:03:09.1234567Z"
    assert got["time"] == datetime(2017, 1, 18, 12, 3, 9, 123456, tzinfo=UTC)
    assert got["time_basis"] == "filetime_utc"


@pytest.mark.parametrize("ticks", [0, 1, 116_444_736_000_000_000, (1 << 63) - 1, 1 << 63])
def test_an_impossible_time_is_a_reject(ticks: int) -> None:
    got = rows(event(LSM, 23, {"User": "A\\b", "SessionID": 1}, "event_xml", time=ticks), logon())
    assert [(r["reason"], r["records"]) for r in got.rejects] == [("bad_time", 1)]
    assert len(got.events) == 1


def test_both_record_numbers_are_kept() -> None:
    raw = bytearray(write_evtx([logon(), logon()]))
    raw[4096 + 512 + 8 : 4096 + 512 + 16] = (77_000).to_bytes(8, "little")
    first = read(bytes(raw)).events[0]
    assert (first["log_ordinal"], first["event_sequence"]) == (77_000, 1)


def test_the_activity_id_is_lower_case_without_braces() -> None:
    got = row(CORE, 65, {"ConnectionName": "RDP-Tcp#7"}, activity_id=ACTIVITY)
    assert got["activity_id"] == ACTIVITY.lower()


def test_an_event_without_any_field_is_an_event() -> None:
    got = row(CORE, 98, {})
    assert (got["event_action"], got["unmapped"]) == ("rdp_connect", json.dumps({"channel": CORE}))


def test_the_strings_of_a_classic_event_are_numbered() -> None:
    got = row(MSI, 11707, {"a": "Product: Java 8 -- Installation completed successfully.", "b": "(NULL)"}, "classic")
    kept = json.loads(got["unmapped"])
    assert kept["Data1"].startswith("Product: Java 8")
    assert kept["Data2"] == "(NULL)"


def test_the_end_of_a_desktop_is_no_end_of_a_connection() -> None:
    got = row(DESKTOP, 9009, {"a": "0x40010004"}, "classic", channel="System")
    assert (got["event_action"], got["event_outcome"], got["user_name"]) == ("rdp_service", "unknown", None)
    assert "0x40010004" in got["unmapped"]


def test_a_gateway_event_fills_account_and_address() -> None:
    fields = {"Username": "D\\op", "IpAddress": "192.0.2.7:4711", "Resource": "10.1.1.1", "BytesTransfered": "12"}
    got = row(GATEWAY, 303, fields, "event_info")
    assert (got["user_name"], got["source_ip"], got["source_port"]) == ("op", "192.0.2.7", 4711)
    assert got["event_action"] == "gateway_disconnect"


def test_only_the_network_type_adds_the_client_name() -> None:
    assert "client_name" in meaning_of(SECURITY, 4624, 3).columns  # type: ignore[union-attr]
    assert "client_name" not in meaning_of(SECURITY, 4624, 10).columns  # type: ignore[union-attr]
    assert "client_name" not in meaning_of(SECURITY, 4634, 3).columns  # type: ignore[union-attr]
    assert meaning_of("nobody", 4624) is None

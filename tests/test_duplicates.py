"""An event in two files is one event with two places: counted once, never lost."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import evtx
from evtx_writer import write_evtx
from export_writers import WINEVENT, evtxecmd_csv, powershell_csv, told
from test_analysis import FIRST, SECOND, lsm

import forensics

EVENTS = [lsm(21, 0, FIRST), lsm(24, 10, FIRST), lsm(25, 12, SECOND), lsm(23, 60)]


def export(path: Path) -> str:
    texts = [re.sub(r"<\?xml[^>]*\?>", "", record["data"]) for record in evtx.PyEvtxParser(str(path)).records()]
    return f"<Events>{''.join(texts)}</Events>"


def test_a_log_its_export_and_its_shadow_copy_give_the_case_of_the_log_alone(tmp_path: Path) -> None:
    for name in ("alone", "copied"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "live.evtx").write_bytes(write_evtx(EVENTS))
    (tmp_path / "copied" / "vss.evtx").write_bytes(write_evtx(EVENTS[:3]))
    (tmp_path / "copied" / "an-export.xml").write_text(export(tmp_path / "copied" / "live.evtx"))
    alone = forensics.analyze(tmp_path / "alone", out=tmp_path / "a", workers=1)
    copied = forensics.analyze(tmp_path / "copied", out=tmp_path / "b", workers=1)
    assert len(copied.table("events")) == len(alone.table("events")) == 4
    assert copied.manifest["ledger"]["events"]["records"] == 11
    assert copied.manifest["duplicates"] == 7
    with copied.database() as db:
        assert db.sql("SELECT count(*) AS n FROM all_events").to_arrow_table().to_pylist() == [{"n": 11}]
    labels = {row["evidence_id"]: row["label"] for row in copied.table("evidence").to_pylist()}
    kept = {labels[one] for one in copied.table("duplicates").column("of_evidence_id").to_pylist()}
    assert kept == {"copied/live.evtx"}
    for name in ("sessions", "timeline"):
        plain = [
            {k: v for k, v in row.items() if k not in ("because", "stays", "locator")}
            for row in copied.table(name).to_pylist()
        ]
        assert len(plain) == len(alone.table(name))
    assert list(copied.sessions["session_uid"]) == ["S0001"]


def test_events_of_two_servers_or_two_moments_are_no_copies(tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.evtx").write_bytes(write_evtx(EVENTS))
    (tmp_path / "s" / "b.evtx").write_bytes(write_evtx([replace(one, computer="OTHER") for one in EVENTS]))
    (tmp_path / "s" / "c.evtx").write_bytes(write_evtx([lsm(21, 500), lsm(23, 560)]))
    case = forensics.analyze(tmp_path / "s", out=tmp_path / "case", workers=1)
    assert len(case.table("duplicates")) == 0
    assert len(case.table("events")) == 10


def test_an_export_of_whole_seconds_in_an_unknown_zone_is_the_same_event(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "live.evtx").write_bytes(write_evtx(EVENTS))
    logged = told(tmp_path / "s" / "live.evtx")
    (tmp_path / "s" / "ez.csv").write_text(evtxecmd_csv(logged))
    for name, hours in (("local.csv", 9), ("far.csv", 15)):
        rows = [
            {
                "Id": one.event_id,
                "RecordId": one.record,
                "ProviderName": one.provider,
                "LogName": one.channel,
                "MachineName": one.computer.lower(),
                "Message": "x",
                "TimeCreated": f"{datetime.fromisoformat(one.time) + timedelta(hours=hours):%d.%m.%Y %H:%M:%S}",
            }
            for one in logged
        ]
        (tmp_path / "s" / name).write_text(powershell_csv(WINEVENT, rows))
    case = forensics.analyze(tmp_path / "s", out=tmp_path / "case", workers=1)
    labels = {row["evidence_id"]: row["label"] for row in case.table("evidence").to_pylist()}
    pairs = Counter(
        (labels[row["evidence_id"]], labels[row["of_evidence_id"]]) for row in case.table("duplicates").to_pylist()
    )
    assert pairs == {("s/ez.csv", "s/live.evtx"): 4, ("s/local.csv", "s/live.evtx"): 4}
    assert len(case.table("events")) == 8

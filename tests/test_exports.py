"""Exports: what other tools load, the same bytes for the same case, nothing of the evidence acting in any of them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow.parquet as pq
import pytest
import stix2
from output_scan import forbidden, formulas, json_lines

from forensics import exports
from forensics.case import Case
from forensics.errors import OutputError, UsageError
from forensics.exports import xlsx as xlsx_module
from forensics.exports._techniques import TECHNIQUES
from forensics.exports.ecs import KINDS, NAMES
from forensics.model import EVENT_ACTIONS, Locator

FORMATS = sorted(exports.exports())
TEXTS = ("timesketch", "ecs", "l2tcsv", "stix", "navigator")


@pytest.fixture(scope="module")
def sample(demo_case: Case) -> dict[str, bytes]:
    return {form: b"".join(exports.pieces(demo_case, form)) for form in FORMATS}


@pytest.fixture(scope="module")
def odd(hostile: Case) -> dict[str, bytes]:
    return {form: b"".join(exports.pieces(hostile, form)) for form in FORMATS}


def sheets(raw: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(raw))


def test_the_formats_are_those_that_responders_load() -> None:
    assert FORMATS == ["ecs", "l2tcsv", "navigator", "parquet", "stix", "timesketch", "xlsx"]


@pytest.mark.parametrize("form", TEXTS)
def test_no_control_or_format_character_reaches_an_export(odd: dict[str, bytes], form: str) -> None:
    assert odd[form]
    assert not forbidden(odd[form].decode("utf-8"))


def test_no_cell_of_an_export_is_a_formula_and_none_is_a_link(odd: dict[str, bytes]) -> None:
    assert formulas(odd["l2tcsv"].decode()) == []
    with zipfile.ZipFile(io.BytesIO(odd["xlsx"])) as book:
        for name in book.namelist():
            part = book.read(name).decode()
            assert "<f>" not in part, name
            assert "<hyperlink" not in part, name
            assert not forbidden(part.replace("\r", "")), name
    cells = [cell for sheet in sheets(odd["xlsx"]) for row in sheet.iter_rows() for cell in row]
    assert len(cells) > 1000
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert not [c.value for c in cells if isinstance(c.value, str) and c.value[:1] in {"=", "+", "-", "@"}]


@pytest.mark.parametrize("form", ["timesketch", "ecs"])
def test_json_lines_are_json_to_a_strict_reader(odd: dict[str, bytes], form: str) -> None:
    assert json_lines(odd[form].decode("ascii"))


@pytest.mark.parametrize("which", ["sample", "odd"])
def test_the_bundle_is_stix_and_refers_to_nothing_outside_it(which: str, request: pytest.FixtureRequest) -> None:
    raw = request.getfixturevalue(which)["stix"].decode("ascii")
    bundle = stix2.parse(raw, allow_custom=False)
    ids = [made.id for made in bundle.objects]
    assert len(ids) == len(set(ids))
    told = set(re.findall(r'"([a-z0-9-]+--[0-9a-f-]{36})"', raw)) - {bundle.id}
    assert told == set(ids)


def test_the_north_korean_contact_is_in_the_bundle_with_its_witness(sample: dict[str, bytes]) -> None:
    bundle = json.loads(sample["stix"])["objects"]
    address = next(o for o in bundle if o["type"] == "infrastructure" and o["name"] == "175.45.178.141")
    assert "rare origin A" in address["description"]
    tie = next(o for o in bundle if o.get("source_ref") == address["id"] and o["relationship_type"] == "located-at")
    place = next(o for o in bundle if o["id"] == tie["target_ref"])
    assert (place["country"], place["name"]) == ("KP", "KP, by GeoLite2 of 2017-01-04")
    assert "IT: DB-IP Lite" in tie["description"]
    assert [o for o in bundle if o["type"] == "sighting" and o["sighting_of_ref"] == address["id"]]


def test_scanners_and_visitors_are_counted_in_the_bundle_and_not_listed(
    sample: dict[str, bytes], demo_case: Case
) -> None:
    sources = demo_case.frame("sources")
    noise = set(sources[sources.role.isin(["scanner", "visitor"])].source_ip)
    values = {o.get("value") for o in json.loads(sample["stix"])["objects"]}
    assert noise
    assert not values & noise


def test_every_ecs_name_is_a_field_of_ecs_and_every_event_is_there(sample: dict[str, bytes], demo_case: Case) -> None:
    known = set((Path(__file__).parent / "ecs_fields.txt").read_text().split("\n")[1:])
    documents = json_lines(sample["ecs"].decode())
    assert len(documents) == demo_case.manifest["ledger"]["events"]["records"] - demo_case.manifest["duplicates"]
    used = {name for one in documents for name in one}
    assert {name for name in used if not name.startswith("c2trail.")} <= known
    assert set(NAMES.values()) <= known
    assert {one["event.id"] for one in documents if one.get("source.ip") == "175.45.178.141"}
    assert all(Locator.parse(str(one["event.id"])) for one in documents)


def test_every_action_has_its_ecs_category() -> None:
    assert set(KINDS) == set(EVENT_ACTIONS)


def test_an_ecs_document_says_no_more_than_the_event(sample: dict[str, bytes]) -> None:
    first = next(d for d in json_lines(sample["ecs"].decode()) if d["event.action"] == "http_request")
    assert first["event.category"] == ["web"]
    assert str(first["@timestamp"]).endswith("Z")
    assert first["url.original"]
    assert None not in first.values()


def test_l2tcsv_has_its_seventeen_columns_and_a_row_an_act(sample: dict[str, bytes], demo_case: Case) -> None:
    rows = list(csv.DictReader(io.StringIO(sample["l2tcsv"].decode())))
    names = (
        "date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra"
    )
    assert sample["l2tcsv"].decode().splitlines()[0].replace('"', "") == names
    assert len(rows) == demo_case.table("timeline").num_rows
    contact = next(row for row in rows if "175.45.178.141" in row["desc"])
    assert (contact["date"], contact["time"], contact["timezone"]) == ("01/16/2017", "00:03:11", "UTC")
    assert contact["extra"].startswith("locator: E00")


def test_timesketch_gets_the_timeline_as_the_case_has_it(sample: dict[str, bytes], demo_case: Case) -> None:
    assert sample["timesketch"] == (demo_case.folder / "timeline.jsonl").read_bytes()
    for row in json_lines(sample["timesketch"].decode()):
        assert {"datetime", "timestamp", "timestamp_desc", "message"} <= set(row)
        assert str(row["datetime"]).endswith("Z")


def test_a_workbook_has_a_sheet_a_table_typed_and_frozen(sample: dict[str, bytes], demo_case: Case) -> None:
    book = sheets(sample["xlsx"])
    assert book.sheetnames == ["contents", *xlsx_module.SHEETS]
    sheet = book["timeline"]
    assert sheet.freeze_panes == "A2"
    assert sheet.max_row == demo_case.table("timeline").num_rows + 1
    header = [cell.value for cell in sheet[1]]
    row = dict(zip(header, sheet[2], strict=True))
    assert isinstance(row["time"].value, datetime)
    assert row["count"].data_type == "n"
    assert row["locator"].value.startswith("E0018:")


def test_a_sheet_that_is_full_says_what_it_leaves_out(demo_case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_module, "MAX_ROWS", 20)
    book = sheets(b"".join(exports.pieces(demo_case, "xlsx")))
    total = demo_case.table("sources").num_rows
    assert book["sources"].max_row == 20
    assert book["sources"]["A20"].value.startswith(f"{total - 18:,} more rows")
    told = {row[0].value: row[2].value for row in book["contents"].iter_rows(min_row=2)}
    assert told["sources"] == total - 18


def test_parquet_has_every_event_with_its_locator(sample: dict[str, bytes], demo_case: Case) -> None:
    rows = pq.read_table(io.BytesIO(sample["parquet"]))
    assert rows.num_rows == demo_case.manifest["ledger"]["events"]["records"] - demo_case.manifest["duplicates"]
    assert "locator" in rows.column_names
    found = duckdb.sql(
        "SELECT DISTINCT session_uid, role, country_iso_code FROM rows WHERE source_ip = '175.45.178.141'"
    )
    assert ("S0003", "operator", "KP") in found.fetchall()


def test_the_layer_has_only_techniques_that_records_prove(sample: dict[str, bytes]) -> None:
    layer = json.loads(sample["navigator"])
    assert layer["versions"]["layer"] == "4.5"
    found = {one["techniqueID"]: one for one in layer["techniques"]}
    assert set(found) == {
        *("T1021.001", "T1133", "T1078", "T1110", "T1505.003", "T1071.001", "T1090", "T1070.001", "T1543.003")
    }
    for one in found.values():
        locators = [item["value"] for item in one["metadata"] if item["name"] == "locator"]
        assert locators
        assert all(Locator.parse(locator) for locator in locators)
        assert one["comment"]
        assert one["score"] in {50, 75, 100}
    assert "by strangers" in found["T1110"]["comment"]
    assert "Application log was cleared" in found["T1070.001"]["comment"]


def test_what_did_not_happen_is_no_technique(tmp_path: Path) -> None:
    import forensics

    line = b'51.254.1.2 - - [18/Jan/2017:10:03:09 +0100] "GET /a.jsp HTTP/1.1" 200 5\n'
    (tmp_path / "access_log").write_bytes(line * 3)
    case = forensics.analyze(tmp_path / "access_log", out=tmp_path / "case", workers=1)
    assert json.loads(b"".join(exports.pieces(case, "navigator")))["techniques"] == []
    for form in FORMATS:
        assert b"".join(exports.pieces(case, form))


def test_each_technique_is_told_with_its_rule_in_the_documentation(repository: Path) -> None:
    text = (repository / "docs" / "outputs.md").read_text()
    for one in TECHNIQUES:
        assert f"| {one.id} | {one.name} | {one.rule} |" in text


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_case_gives_the_same_bytes_in_another_process_zone_and_locale(
    demo_case: Case, sample: dict[str, bytes], form: str
) -> None:
    odd = {"PYTHONHASHSEED": "77", "TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "PYTHONSAFEPATH": "1"}
    made = subprocess.run(
        [sys.executable, "-m", "forensics", "export", str(demo_case.folder), "--format", form, "-o", "-"],
        env={**os.environ, **odd},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert made.stdout == sample[form]


def test_an_export_never_overwrites_and_never_lies_in_the_case(demo_case: Case, tmp_path: Path) -> None:
    target = exports.export(demo_case, "l2tcsv", tmp_path / "out.csv")
    before = target.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        exports.export(demo_case, "l2tcsv", target)
    assert exports.export(demo_case, "l2tcsv", target, force=True).read_bytes() == before
    with pytest.raises(OutputError, match="inside the case"):
        exports.export(demo_case, "l2tcsv", demo_case.folder / "out.csv")
    with pytest.raises(OutputError, match="is a folder"):
        exports.export(demo_case, "l2tcsv", tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        exports.export(demo_case, "l2tcsv", tmp_path / "nowhere" / "out.csv")
    with pytest.raises(UsageError, match="no export is called"):
        exports.export(demo_case, "word", tmp_path / "out.doc")
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_an_export_that_fails_leaves_what_was_there(
    demo_case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.csv"
    target.write_bytes(b"older")

    def half(*_: object) -> Any:
        yield b"half"
        raise KeyboardInterrupt

    monkeypatch.setattr(exports, "pieces", half)
    with pytest.raises(KeyboardInterrupt):
        exports.export(demo_case, "l2tcsv", target, force=True)
    assert target.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_without_a_name_the_file_is_named_after_the_case(
    demo_case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exports.export(demo_case, "navigator").name == f"{demo_case.folder.name}.navigator.json"

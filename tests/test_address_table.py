"""The table of addresses that matter, as a look-up gives it for the day of the case and for June 2026.

What each database says was read in the database itself; `-` is an address that it does not know.
"""

from __future__ import annotations

import json
import runpy
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forensics import enrichment
from forensics.cli import app
from forensics.enrichment import Witnesses

THEN, NOW = "2017-01-18", "2026-06-30"
TODAY = ("DB-IP Lite", "geo-whois-asn", "IPtoASN", "RIR delegations", "IPFire")
TABLE = """
175.45.176.10  KP KP KP KP KP KP 131279
175.45.178.19  KP IT KP KP KP KP 131279
175.45.178.222 KP IT KP KP KP KP 131279
210.52.109.22  KP CN CN CN CN CN 9929
77.94.35.10    LT LB LT LT RU LT 51259
57.73.224.5    KP BE BE US IE BE 51964
188.43.136.10  RU RU RU RU RU RU 20485
83.234.227.10  RU RU RU RU RU RU 20485
80.237.84.5    RU RU RU RU RU RU 20485
45.42.151.10   KP US US US US US 26077
46.36.203.81   KP DE DE -  DE DE -
5.62.56.161    GB US DE -  IE KP 198605
8.8.8.8        US US US US US US 15169
1.1.1.1        AU AU AU US AU AU 13335
51.254.0.1     FR FR FR FR FR FR 16276
90.0.0.1       FR FR FR FR FR FR 3215
121.128.0.1    KR KR KR KR KR KR 4766
1.226.0.1      KR KR KR KR KR KR 9318
185.220.101.1  -  DE DE DE DE DE 60729
171.25.193.77  SE SE SE SE SE SE 198093
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.fixture(scope="module")
def witnesses() -> Witnesses:
    return enrichment.load()


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_database_says_of_an_address_what_it_said_when_it_was_opened(
    witnesses: Witnesses, row: list[str]
) -> None:
    ip, then, *today, system = row
    for day, databases, said in ((THEN, ("GeoLite2",), [then]), (NOW, TODAY, today)):
        told = list(witnesses.lookup(ip, date.fromisoformat(day)))
        found = {f["witness"]: f["value"] for f in told if f["fact"] == "country" and f["distance_days"] >= 0}
        assert [found.get(name, "unknown").replace("unknown", "-") for name in databases] == said
    numbers = [f["value"] for f in told if f["fact"] == "as_number"]
    assert numbers == ([] if system == "-" else [system])


@pytest.mark.parametrize("day", [THEN, NOW])
def test_the_command_says_the_same_as_json_and_as_a_table(day: str) -> None:
    run = CliRunner().invoke(app, ["lookup", "175.45.178.19", "--at", day, "--format", "jsonl"])
    told = [json.loads(line) for line in run.stdout.splitlines()]
    assert {"fact": "rare_grade", "value": "A"}.items() <= next(f for f in told if f["fact"] == "rare_grade").items()
    assert {f["value"] for f in told if f["fact"] == "country"} == {"KP", "IT"}
    drawn = CliRunner().invoke(app, ["lookup", "175.45.178.19", "--at", day])
    assert "131279" in drawn.stdout
    assert "https://db-ip.com" in drawn.stderr


def test_the_page_on_drift_is_what_its_script_makes() -> None:
    root = Path(__file__).parents[1]
    made = runpy.run_path(str(root / "geo" / "drift.py"))["page"]()
    assert made == (root / "docs" / "drift.md").read_text(encoding="utf-8")

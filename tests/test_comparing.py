"""compare: what seized servers share, and what is new between two runs over one server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import forensics
from forensics.case import Case
from forensics.comparing import COLUMNS, compare
from forensics.errors import UsageError


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Case:
    """The same server, seen by its web logs alone."""
    return forensics.analyze(samples / "Tomcat", out=tmp_path_factory.mktemp("web") / "web-only", workers=1)


def found(rows: list[dict[str, Any]], relation: str, kind: str) -> dict[str, dict[str, Any]]:
    return {row["value"]: row for row in rows if (row["relation"], row["kind"]) == (relation, kind)}


def test_two_servers_of_one_operator_share_the_operator_and_by_what(demo_case: Case, hostile: Case) -> None:
    rows = compare(demo_case, hostile)
    assert all(tuple(row) == COLUMNS for row in rows)
    addresses = found(rows, "shared", "address")
    assert {"51.254.37.118", "115.68.12.90", "175.45.178.141"} <= set(addresses)
    assert "operator" in addresses["175.45.178.141"]["detail"]
    assert addresses["175.45.178.141"]["locators"].startswith("case#1/E")
    operators = found(rows, "shared", "operator")
    assert any("address 175.45.178.141" in row["detail"] for row in operators.values())
    assert "/support/main.jsp" in found(rows, "shared", "path")
    assert found(rows, "shared", "implant")
    assert not [row for row in rows if row["relation"] != "shared"]


def test_noise_that_two_servers_share_is_not_told(demo_case: Case, hostile: Case) -> None:
    sources = demo_case.frame("sources")
    noise = set(sources[sources.role.isin(["scanner", "visitor", "unknown", "local"])].source_ip)
    told = found(compare(demo_case, hostile), "shared", "address")
    assert noise
    for ip in noise & set(told):
        assert {"operator", "relay", "researcher"} & set(re.findall("[a-z]+", told[ip]["detail"]))


def test_two_runs_of_one_server_tell_what_is_new_and_what_is_gone(web: Case, demo_case: Case) -> None:
    rows = compare(web, demo_case)
    assert found(rows, "same_evidence", "evidence")
    new = found(rows, "new", "session")
    assert len(new) == demo_case.table("sessions").num_rows
    assert any("175.45.178.141" in value for value in new)
    assert any(value.startswith("first_logon 2017-01-11") for value in found(rows, "new", "milestone"))
    assert "first_logon: not in evidence" in found(rows, "gone", "milestone")
    turned = {
        (r["relation"], r["kind"], r["value"]) for r in compare(demo_case, web) if r["relation"] in {"new", "gone"}
    }
    swap = {"new": "gone", "gone": "new"}
    assert turned == {(swap[r["relation"]], r["kind"], r["value"]) for r in rows if r["relation"] in swap}


def test_there_must_be_two_cases(demo_case: Case) -> None:
    with pytest.raises(UsageError, match="two cases"):
        compare(demo_case)
    with pytest.raises(UsageError, match="named twice"):
        compare(demo_case, demo_case)


def test_the_command_gives_the_same_bytes_whatever_the_hash_seed(demo_case: Case, web: Case) -> None:
    outs = []
    for seed in ("1", "2"):
        arguments = [sys.executable, "-m", "forensics", "compare", demo_case.folder, web.folder, "--format", "jsonl"]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        outs.append(subprocess.run(arguments, env=env, capture_output=True, check=True, timeout=120).stdout)
    assert outs[0] == outs[1]
    assert len(outs[0].splitlines()) == len(compare(demo_case, web))
    assert json.loads(outs[0].splitlines()[0])

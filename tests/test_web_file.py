"""File times of WARs, JSPs and compiled JSPs are weak events: they name a path, and reach no session and no end of evidence."""

from __future__ import annotations

import io
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

import forensics
from forensics.model import Head
from forensics.parsers import parsers
from forensics.parsers.web_file import kind_of

WHEN = datetime(2017, 1, 12, 2, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("label", "kind", "path"),
    [
        ("c/tomcat/webapps/support.war", "war", "/support"),
        ("webapps/ROOT.war", "war", "/"),
        ("webapps/a#b.war", "war", "/a/b"),
        ("c/webapps/support/x/main.jsp", "jsp", "/support/x/main.jsp"),
        ("webapps\\ROOT\\up.JSP", "jsp", "/up.JSP"),
        ("loose/shell.jspx", "jsp", None),
        ("t/work/Catalina/localhost/support/org/apache/jsp/main_jsp.java", "jsp_java", "/support/main.jsp"),
        ("t/work/Catalina/localhost/ROOT/org/apache/jsp/a/b_jsp.class", "jsp_class", "/a/b.jsp"),
    ],
)
def test_a_name_tells_what_a_file_is_and_where_it_answers(label: str, kind: str, path: str | None) -> None:
    assert kind_of(label) == (kind, path)


@pytest.mark.parametrize("label", ["x/Main.java", "a.class", "readme.jsp.txt", "x.war.bak", "access_log"])
def test_other_names_are_not_claimed(label: str) -> None:
    assert parsers()["web_file"].claims(Head(label, b"PK\x03\x04", complete=True), ()).score == 0


def line(minute: int, status: int = 200, client: int = 7) -> str:
    stamp = f"12/Jan/2017:02:{minute:02d}:{client:02d} +0000"
    return f'192.0.2.{client} - - [{stamp}] "POST /app/c.jsp HTTP/1.1" {status} 5\n'


def test_a_script_dropped_in_silently_is_dated_by_its_file(tmp_path: Path) -> None:
    script = tmp_path / "seized" / "webapps" / "app" / "c.jsp"
    script.parent.mkdir(parents=True)
    script.write_text("<% synthetic %>")
    os.utime(script, (WHEN.timestamp(), WHEN.timestamp()))
    (tmp_path / "seized" / "access_log").write_text(
        "".join(line(41 + n, client=c) for n in range(9) for c in (7, 8, 9))
    )
    case = forensics.analyze(tmp_path / "seized", out=tmp_path / "case", workers=1)
    (row,) = [r for r in case.table("events").to_pylist() if r["event_action"] == "file_time"]
    assert (row["time"], row["time_basis"], row["url_path"]) == (WHEN, "file_time", "/app/c.jsp")
    stone = {r["milestone"]: r for r in case.table("milestones").to_pylist()}["c2_deployed"]
    assert "2017-01-12T02:40:00Z by its own time" in stone["detail"]
    assert stone["confidence"] == "possible"
    assert len(stone["locators"].split(";")) == 2


def test_the_time_in_an_archive_is_the_archive_s(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("webapps/app/c.jsp", (2017, 1, 12, 2, 40, 0)), "x")
        archive.writestr("access_log", line(41) * 9)
    (tmp_path / "t.zip").write_bytes(packed.getvalue())
    case = forensics.analyze(tmp_path / "t.zip", out=tmp_path / "case", workers=1)
    (row,) = [r for r in case.table("events").to_pylist() if r["event_action"] == "file_time"]
    assert row["time"] == WHEN
    assert "dos_local" in row["unmapped"]

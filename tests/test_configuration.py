"""Configuration files are facts of the case, and no secret of theirs reaches any output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import forensics
from forensics.case import Case
from forensics.cli import app
from forensics.model import Head
from forensics.parsers import parsers
from forensics.parsers._configuration import MASKED, mask

SECRET = "HunterTwoSecret"
FILES = {
    "conf/server.xml": f"""<Server port="8005" shutdown="SHUTDOWN"><Service name="Catalina">
<!-- <Connector port="9" keystorePass="{SECRET}"/> -->
<Connector port="8443" keystoreFile="k" keystorePass="{SECRET}" keyPass = '{SECRET}'/>
<Connector port="8009" protocol="AJP/1.3" requiredSecret="{SECRET}"/>
<Engine name="Catalina"><Realm className="org.apache.catalina.realm.JDBCRealm" connectionName="c2" connectionPassword="{SECRET}"/>
</Engine></Service></Server>""",
    "conf/tomcat-users.xml": f"""<tomcat-users><role rolename="manager-gui"/>
<user username="c2admin" password="{SECRET}" roles="manager-gui"/><user name="old" password='{SECRET}'
 roles="manager"/></tomcat-users>""",
    "conf/Catalina/localhost/app.xml": f"""<Context docBase="/srv/x">
<Resource name="jdbc/x" url="jdbc:mysql://u:{SECRET}@db/x?user=a&amp;password={SECRET}" password="{SECRET}"/></Context>""",
    "conf/logging.properties": f"handlers = org.apache.juli.FileHandler\nmy.password = {SECRET}\norg.apache.juli.FileHandler.level = FINE\n",
}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    for name, text in FILES.items():
        path = tmp_path / "seized" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return forensics.analyze(tmp_path / "seized", out=tmp_path / "case", workers=1)


def test_each_file_is_claimed_and_is_one_event_without_a_time(case: Case) -> None:
    rows = {row["log_format"]: row for row in case.table("events").to_pylist()}
    assert sorted(rows) == ["context_xml", "logging_properties", "server_xml", "tomcat_users_xml"]
    assert {row["time"] for row in rows.values()} == {None}
    users = json.loads(rows["tomcat_users_xml"]["unmapped"])["user"]
    assert [(user["username"], user["roles"], user["password"]) for user in users] == [
        ("c2admin", "manager-gui", MASKED),
        ("old", "manager", MASKED),
    ]
    ports = [one["port"] for one in json.loads(rows["server_xml"]["unmapped"])["Connector"]]
    assert ports == ["8443", "8009"]


def test_no_secret_stands_in_any_file_of_the_case(case: Case) -> None:
    import pyarrow.parquet as pq

    for path in case.folder.rglob("*"):
        if path.suffix == ".parquet":
            assert SECRET not in str(pq.read_table(path).to_pylist()), path
        elif path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_no_secret_is_shown_whatever_part_of_a_file_is_asked_for(case: Case) -> None:
    for row in case.table("events").to_pylist():
        for offset in range(0, row["log_length"], 7):
            locator = f"{row['evidence_id']}:{offset}+{row['log_length']}"
            done = CliRunner().invoke(app, ["show", str(case.folder), locator])
            assert done.exit_code == 0, done.output
            assert SECRET[-8:] not in done.output


@given(st.binary(max_size=300))
def test_masking_never_changes_where_anything_lies(raw: bytes) -> None:
    assert len(mask(raw + b' password="x y" secret=z')) == len(raw) + 24


def test_a_dtd_is_refused_in_every_xml_file() -> None:
    for name, root in (("tomcat_users_xml", "tomcat-users"), ("context_xml", "Context")):
        evil = f'<!DOCTYPE {root} [<!ENTITY a "aaaa">]><{root}>&a;</{root}>'.encode()
        assert parsers()[name].claims(Head("x.xml", evil, complete=True), ()).score == 95


@pytest.mark.parametrize("text", ["a=b\nc=d\n", "<Context", "key: value\n", "Context=1\n"])
def test_other_settings_are_nobody_s(text: str) -> None:
    for name in ("logging_properties", "context_xml", "tomcat_users_xml"):
        claim = parsers()[name].claims(Head("x", text.encode(), complete=True), ())
        assert claim.score == (95 if text == "<Context" and name == "context_xml" else 0) or text == "<Context"

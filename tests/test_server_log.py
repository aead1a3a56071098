"""Milestones and timeline rows that Tomcat's own logs prove, alone and beside others."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import forensics
from forensics.case import Case

HOME = r"C:\Tomcat 8.5\webapps"
HOST = "org.apache.catalina.startup.HostConfig"


def juli(clock: str, method: str, message: str, level: str = "INFO", thread: str = "main") -> str:
    return f"18-Jan-2017 {clock} {level} [{thread}] org.apache.catalina.{method} {message}\r\n"


def deployment(clock: str, name: str, kind: str = "deployDirectory", took: str = "31") -> str:
    what = "archive" if kind == "deployWAR" else "directory"
    return juli(
        f"{clock}.000", f"startup.HostConfig.{kind}", f"Deploying web application {what} {HOME}\\{name}"
    ) + juli(
        f"{clock}.500",
        f"startup.HostConfig.{kind}",
        f"Deployment of web application {what} {HOME}\\{name} has finished in {took} ms",
    )


def start(clock: str, *apps: str) -> str:
    """A start at hh:mm of the clock, done seven seconds later."""
    return (
        juli(f"{clock}:01.000", "startup.VersionLoggerListener.log", "Server version:        Apache Tomcat/8.5.6")
        + juli(f"{clock}:01.000", "startup.VersionLoggerListener.log", "OS Name:               Windows Server 2012 R2")
        + juli(f"{clock}:02.000", "core.StandardService.startInternal", "Starting service Catalina")
        + "".join(deployment(f"{clock}:03", app) for app in apps)
        + juli(f"{clock}:08.000", "startup.Catalina.start", "Server startup in 6841 ms")
    )


def requests() -> str:
    """Four strangers who post to one script, which makes it a command path."""
    return "".join(
        f'198.51.100.{1 + n % 4} - - [18/Jan/2017:13:{n:02}:00 +0100] "POST /support/main.jsp HTTP/1.1" 200 36\r\n'
        for n in range(40)
    )


def analysed(folder: Path, **logs: str) -> Case:
    (folder / "seized").mkdir()
    for name, text in {"access": requests(), **logs}.items():
        (folder / "seized" / f"{name}.log").write_bytes(text.encode())
    return forensics.analyze(folder / "seized", out=folder / "case", workers=1)


def stone(case: Case, name: str) -> dict[str, Any]:
    found = [row for row in case.table("milestones").to_pylist() if row["milestone"] == name]
    return found[0]


def told(case: Case, act: str) -> list[dict[str, Any]]:
    return [row for row in case.table("timeline").to_pylist() if row["act"] == act]


def test_a_start_is_one_row_with_its_applications_whatever_number_of_files_tell_of_it(tmp_path: Path) -> None:
    log = start("10:00", "docs", "manager", "ROOT")
    case = analysed(tmp_path, catalina=log, catalina_out=log)
    (row,) = told(case, "tomcat_start")
    assert row["message"] == "Tomcat 8.5.6 started in 6.841 s, with /docs, /manager, ROOT"
    assert row["milestone"] == "tomcat_started"
    assert row["time"] == datetime.fromisoformat("2017-01-18T09:00:08Z")
    assert row["time_basis"] == "zone_from_evidence"
    assert told(case, "deploy") == []


def test_an_application_that_is_not_tomcats_own_is_told_even_if_a_start_deploys_it(tmp_path: Path) -> None:
    case = analysed(tmp_path, catalina=start("10:00", "docs", "support"))
    (row,) = told(case, "deploy")
    assert row["message"] == "Tomcat deployed /support in 0.031 s"
    assert row["milestone"] == "c2_deployed"


def test_the_deployment_of_the_command_paths_application_is_the_milestone_where_no_upload_is(tmp_path: Path) -> None:
    log = start("10:00", "docs", "manager") + deployment("11:00:00", "other.war", "deployWAR")
    case = analysed(tmp_path, catalina=log + deployment("12:00:00", "support.war", "deployWAR", "1,311"))
    row = stone(case, "c2_deployed")
    assert row["time"] == datetime.fromisoformat("2017-01-18T11:00:00.500Z")
    assert "support.war deployed in 1,311 ms" in row["detail"]
    assert len(row["locators"].split(";")) == 2


def test_an_upload_that_the_deployment_follows_is_almost_certain(tmp_path: Path) -> None:
    upload = '198.51.100.9 - admin [18/Jan/2017:12:00:01 +0100] "POST /manager/html/upload HTTP/1.1" 200 900\r\n'
    acts = juli(
        "12:00:00.100", "core.ApplicationContext.log", f"HTMLManager: Uploading WAR file to {HOME}\\support.war"
    )
    case = analysed(
        tmp_path, access=upload + requests(), manager=acts, catalina=deployment("12:00:00", "support.war", "deployWAR")
    )
    row = stone(case, "c2_deployed")
    assert (row["confidence"], row["source_ip"]) == ("almost certain", "198.51.100.9")
    assert len(row["locators"].split(";")) == 4


def test_an_upload_whose_deployment_failed_is_not_made_surer(tmp_path: Path) -> None:
    upload = '198.51.100.9 - admin [18/Jan/2017:12:00:01 +0100] "POST /manager/html/upload HTTP/1.1" 200 900\r\n'
    failed = juli(
        "12:00:00.000",
        "startup.HostConfig.deployWAR",
        f"Error deploying web application archive {HOME}\\support.war",
        "SEVERE",
    )
    case = analysed(tmp_path, access=upload + requests(), catalina=failed)
    assert stone(case, "c2_deployed")["confidence"] == "likely"
    assert told(case, "deploy")[0]["message"] == "Tomcat failed to deploy /support"


@pytest.mark.parametrize("app", ["docs", "ROOT", "supp", "support2.war"])
def test_another_application_is_not_taken_for_the_command_paths(app: str, tmp_path: Path) -> None:
    case = analysed(tmp_path, catalina=deployment("12:00:00", app, "deployWAR"))
    assert "how it came there is not in evidence" in stone(case, "c2_deployed")["detail"]


def test_the_wrapper_alone_proves_installation_and_start(tmp_path: Path) -> None:
    wrapper = (
        "[2017-01-18 09:59:00] [info]  [ 1] Service 'Tomcat8' installed\r\n"
        "[2017-01-18 09:59:30] [info]  [ 2] Starting service...\r\n"
        "[2017-01-18 09:59:34] [info]  [ 2] Service started in 3609 ms.\r\n"
    )
    command = '"C:\\Tomcat 8.5\\bin\\Tomcat8.exe" //IS//Tomcat8 --DisplayName "Apache Tomcat 8.5 Tomcat8"\r\n'
    case = analysed(tmp_path, wrapper=wrapper, install=command)
    installed, started = stone(case, "tomcat_installed"), stone(case, "tomcat_started")
    assert installed["time"] == datetime.fromisoformat("2017-01-18T08:59:00Z")
    assert len(installed["locators"].split(";")) == 2
    assert (started["detail"], started["confidence"]) == ("the service wrapper says that it started Tomcat", "likely")
    assert [row["message"] for row in told(case, "tomcat_start")] == ["the service wrapper started Tomcat"]


def test_a_start_that_came_to_nothing_is_told_and_is_no_milestone(tmp_path: Path) -> None:
    failed = juli("10:00:02.000", "startup.Catalina.start", "The required Server component failed to start", "SEVERE")
    case = analysed(tmp_path, catalina=failed + start("11:00"))
    assert [row["message"] for row in told(case, "tomcat_start")] == [
        "Tomcat failed to start",
        "Tomcat 8.5.6 started in 6.841 s",
    ]
    assert stone(case, "tomcat_started")["time"] == datetime.fromisoformat("2017-01-18T10:00:08Z")


def test_refused_log_ins_of_a_locked_account_are_one_row_with_their_count(tmp_path: Path) -> None:
    line = "An attempt was made to authenticate the locked user [tomcat]"
    log = "".join(
        juli(f"10:{n:02}:00.000", "realm.LockOutRealm.filterLockedAccounts", line, "WARNING") for n in range(30)
    )
    (row,) = told(analysed(tmp_path, catalina=log), "realm_lockout")
    assert (row["count"], row["user_name"], row["outcome"]) == (30, "tomcat", "failure")
    assert (row["time_end"] - row["time"]).total_seconds() == 29 * 60


def test_stops_and_unreadable_requests_and_removed_applications_are_told(tmp_path: Path) -> None:
    error = (
        "Error parsing HTTP request header\r\n Note: further occurrences will be logged at DEBUG level.\r\n"
        " java.lang.IllegalArgumentException: Invalid character found in method name [\x16\x03]. HTTP method names must be tokens"
    )
    log = (
        juli(
            "10:00:00.000", "core.StandardServer.await", "A valid shutdown command was received via the shutdown port."
        )
        + juli("10:30:00.000", "startup.HostConfig.undeploy", "Undeploying context [/support]")
        + juli("10:40:00.000", "x", error).replace("catalina.x", "coyote.http11.Http11Processor.service")
    )
    case = analysed(tmp_path, catalina=log)
    assert told(case, "tomcat_stop")[0]["message"] == "Tomcat stopped: the shutdown port was given its word"
    assert told(case, "undeploy")[0]["message"] == "Tomcat removed /support"
    (unread,) = told(case, "request_parse_error")
    assert unread["message"].endswith("must be tokens; later ones are not logged")
    assert "\x16" not in (case.folder / "timeline.csv").read_text()


def test_the_sample_case_holds_to_the_instant_and_leaves_no_log_unread(demo_case: Case, samples: Path) -> None:
    truth = {m["milestone"]: m for m in json.loads((samples / "expected.json").read_text())["milestones"]}
    for name in ("tomcat_installed", "tomcat_started", "c2_deployed"):
        row = stone(demo_case, name)
        assert row["time"] == datetime.fromisoformat(truth[name]["time"])
        assert row["source_ip"] == truth[name]["source_ip"]
        assert row["confidence"] == "almost certain"
        assert len(row["locators"].split(";")) > 1
    assert "unclaimed" not in (demo_case.folder / "ledger.csv").read_text()

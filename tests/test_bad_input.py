"""Cases in which there is next to nothing, or all alike: every command gives a sound answer or says that it is not enough."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from evtx_writer import Event, write_evtx
from report_reading import read
from seized import by_time, seize
from test_analysis import FIRST, at, core, lsm, refused, request, security
from test_words import slips
from typer.testing import CliRunner, Result

import forensics
from forensics.case import Case
from forensics.cli import app
from forensics.schemas import TABLES

EXIT = "203.0.113.9"
"""One shared exit: a scanner's, and the operator's."""


def _shared() -> tuple[list[Event], list[str]]:
    guesses = [refused(n / 10, EXIT) for n in range(60)]
    work = [lsm(21, 1500, EXIT), lsm(24, 1530, EXIT), lsm(23, 1531)]
    probes = [request(n / 10, EXIT, f"/{n}.php", status=404) for n in range(60)]
    own = [request(1505, EXIT, "/a.jsp"), request(1506, EXIT, "/a.jsp", "POST")]
    others = [request(2000 + 10 * n, f"198.51.100.{c}", "/a.jsp", "POST") for n in range(40) for c in range(4)]
    return [*guesses, *work], [*probes, *own, *others]


CASES: dict[str, Callable[[], tuple[list[Event], list[str]]]] = {
    "rdp alone": lambda: ([lsm(21, 0), lsm(22, 0), lsm(23, 30)], []),
    "http alone": lambda: ([], [request(n, "198.51.100.7") for n in range(9)]),
    "one event": lambda: ([lsm(21, 0)], []),
    "one request": lambda: ([], [request(0, "198.51.100.7")]),
    "no address": lambda: (
        [lsm(21, 0, "LOCAL"), security(4634, 5, TargetUserName="a", TargetLogonId="0x1", LogonType=2)],
        ['- - - [18/Jan/2017:09:00:00 +0000] "GET / HTTP/1.1" 200 5'],
    ),
    "one shared exit": _shared,
    "all times equal": lambda: (
        [lsm(21, 0), lsm(24, 0), lsm(23, 0), core(131, 0, "{F4200000-0000-0000-0000-000000000001}", ConnType="TCP", ClientIP=f"{FIRST}:1")],
        [request(0, f"198.51.100.{n}", "/a.jsp", "POST") for n in range(40)],
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("seized")
    events, lines = CASES[request.param]()
    seize(folder, by_time(events), {"access_log": lines} if lines else {})
    return forensics.analyze(folder, out=tmp_path_factory.mktemp("cases") / "case", workers=1)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", ["sources", "sessions", "milestones", "findings", "timeline", "gaps", "coverage"])
def test_every_command_answers_in_every_format(case: Case, command: str) -> None:
    for show in ("table", "csv", "jsonl"):
        done = run(command, str(case.folder), "--format", show, "--from", "2017-01-01", "--to", "2018-01-01")
        assert done.exit_code == 0, done.output
        assert done.exception is None
        if show == "jsonl":
            assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())
        if show == "csv":
            assert next(csv.reader(io.StringIO(done.stdout)))


def test_a_session_that_no_log_sees_end_is_in_every_later_time(tmp_path: Path) -> None:
    (tmp_path / "log.evtx").write_bytes(write_evtx([lsm(21, 0)]))
    folder = forensics.analyze(tmp_path / "log.evtx", out=tmp_path / "case", workers=1).folder
    for since, count in (("2017-01-18", 1), ("2017-02-01", 1)):
        assert len(run("sessions", str(folder), "--from", since, "--format", "jsonl").stdout.splitlines()) == count
    assert not run("sessions", str(folder), "--to", "2017-01-18", "--format", "jsonl").stdout


@pytest.mark.parametrize("command", ["timeline", "sources", "sessions", "findings", "milestones"])
def test_every_command_takes_every_filter(demo_case: Case, command: str) -> None:
    chosen = ["--from", "2017-01-16", "--to", "2017-01-17", "--source", "175.45.178.141", "--role", "operator"]
    done = run(command, str(demo_case.folder), *chosen, "--format", "jsonl")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()
    assert not run(command, str(demo_case.folder), *chosen[:-1], "researcher", "--format", "jsonl").stdout


def test_sql_answers(case: Case) -> None:
    done = run("sql", str(case.folder), "SELECT count(*) AS n FROM findings", "--format", "jsonl")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["n"] > 0


def test_the_report_is_made_and_says_what_it_cannot(case: Case) -> None:
    page = read((case.folder / "report.html").read_bytes())
    assert "table" in {tag for tag, _ in page.tags}
    assert set(case.findings["kind"]) >= {"limit"}


def test_every_table_is_a_data_frame_and_every_judgement_says_how_sure_it_is(case: Case) -> None:
    for name in TABLES:
        frame = getattr(case, name)
        for column in frame.columns.intersection(["confidence", "role_confidence"]):
            told = frame[column].dropna()
            assert set(told) <= {"almost certain", "likely", "possible"}, name
    assert case.findings["confidence"].notna().all()


def test_no_sentence_counts_one_of_several(case: Case) -> None:
    assert not slips(case)


def test_no_hours_are_read_into_next_to_nothing(case: Case) -> None:
    assert not case.zones["candidate"].any()
    assert "hours" not in set(case.findings["kind"])


def test_one_shared_exit_is_no_scanner_throughout(tmp_path: Path) -> None:
    folder = tmp_path / "seized"
    folder.mkdir()
    events, lines = _shared()
    (folder / "s.evtx").write_bytes(write_evtx([e for e in events if e.channel == "Security"]))
    (folder / "l.evtx").write_bytes(write_evtx([e for e in events if e.channel != "Security"]))
    (folder / "access_log").write_text("".join(f"{line}\n" for line in lines))
    made = forensics.analyze(folder, out=tmp_path / "case", workers=1)
    windows = made.source_windows[made.source_windows["source_ip"] == EXIT]
    assert {"scanner", "operator"} <= set(windows["role"])
    assert at(0) <= windows["since"].min()

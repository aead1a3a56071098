"""What a responder would screenshot: sources by role, sessions as trees, findings with where they stand, in any width."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from output_scan import forbidden

from forensics.case import Case
from forensics.parsers import parsers

COMMANDS = ("timeline", "sources", "sessions", "findings")


def said(case: Case, *arguments: str, width: int = 120, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "forensics", arguments[0], str(case.folder), *arguments[1:]],
        env={**os.environ, "COLUMNS": str(width), **(env or {})},
        capture_output=True,
        check=True,
        timeout=120,
    )
    return done.stdout.decode()


def test_sources_stand_by_role_and_the_rare_origin_first_of_its_role(demo_case: Case) -> None:
    text = said(demo_case, "sources")
    heads = [line for line in text.splitlines() if line.startswith("── ")]
    assert [head.split()[1] for head in heads][:2] == ["operator:", "implant:"]
    below = text.split("── operator:")[1].splitlines()
    first = next(line for line in below if line[:1].isdigit())
    assert first.startswith("175.45.178.141")
    assert "!! A" in first


def test_of_noise_the_busiest_are_shown_and_the_rest_counted(demo_case: Case) -> None:
    scanners = int((demo_case.frame("sources").role == "scanner").sum())
    assert f"and {scanners - 10} more: --role scanner shows all" in said(demo_case, "sources")
    assert "more: --role" not in said(demo_case, "sources", "--role", "scanner")


def test_a_session_is_a_tree_of_its_stays_each_with_its_locator(demo_case: Case) -> None:
    text = said(demo_case, "sessions", width=160)
    tree = text[text.index("S0003 ") : text.index("S0004 ")]
    assert tree.count("── 2017-01-1") == 4
    assert "KP 175.45.178.141 !! rare origin A !!" in tree
    assert "E0015:25712+568#77" in tree


def test_findings_say_where_they_stand(demo_case: Case) -> None:
    assert "E0014:634992+496#2178 and " in said(demo_case, "findings")


def test_reasons_stand_as_sentences_and_logs_by_their_short_names(demo_case: Case) -> None:
    rarities, coverage = said(demo_case, "rarities", width=160), said(demo_case, "coverage", width=160)
    assert "announces no more than" in rarities
    assert '"sentence"' not in rarities
    assert "\nTerminalServices-Local" in coverage
    assert "cannot know" in coverage


def test_every_format_is_listed_with_a_packaged_sample() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "forensics", "formats"],
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in parsers():
        (line,) = (line for line in listed.splitlines() if line.startswith(f"{name} "))
        assert any(place in line for place in ("Formats/", "Tomcat/", "Windows/")), line


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_of_the_adversary_acts_on_the_screen(hostile: Case, command: str) -> None:
    text = said(hostile, command)
    assert text
    assert not forbidden(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_in_a_pipe_there_is_no_colour_and_no_pager(demo_case: Case, command: str) -> None:
    assert "\x1b" not in said(demo_case, command, env={"PAGER": "false"})


@pytest.mark.parametrize(("options", "expected"), [((), True), (("--no-pager",), False)])
def test_on_a_terminal_long_output_goes_through_the_pager_unless_told_not_to(
    demo_case: Case, tmp_path: Path, options: tuple[str, ...], expected: bool
) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path}/paged\n")
    pager.chmod(0o755)
    child, handle = pty.fork()
    if child == 0:
        os.environ |= {"PAGER": str(pager), "TERM": "xterm-256color"}
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, "-m", "forensics", "findings", str(demo_case.folder), *options])  # noqa: S606
    seen = b""
    try:
        while block := os.read(handle, 65536):
            seen += block
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    paged = tmp_path / "paged"
    assert paged.exists() == expected, seen
    assert "North Korea" in (paged.read_text() if expected else seen.decode())
    assert "\x1b[" in (paged.read_text() if expected else seen.decode())

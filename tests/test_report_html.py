"""report.html without a browser: what it holds, that nothing of the evidence becomes markup, that it is bounded and fetches nothing."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hostile_tables import BENIGN, PAYLOADS, tables
from report_making import many_acts, page_of
from report_reading import digest, policy, read, shape

from forensics.case import Case
from forensics.packaged import report_data
from forensics.reports._html import listing
from forensics.reports._html import page as page_module
from forensics.reports._html.page import LIBRARIES
from forensics.reports.report_html import REPORT
from forensics.schemas import TABLES
from forensics.text import visible


def acts_of(page: bytes) -> dict[str, object]:
    block = re.search(rb'<script type="application/json" id="act-data">(.*?)</script>', page, re.DOTALL)
    assert block
    return dict(json.loads(block[1]))


@pytest.fixture(scope="module")
def sample(demo_case: Case) -> bytes:
    return (demo_case.folder / "report.html").read_bytes()


def test_the_first_screen_names_the_north_korean_contact_before_anything_else(sample: bytes) -> None:
    text = " ".join(re.sub(rb"<[^>]*>", b" ", sample.split(b"<main>")[1]).decode().split())
    assert text.startswith("Contact from North Korea grade A: held by that country in the registry 175.45.178.141")
    assert text.index("On 2017-01-16 00:03:14Z the operator&#39;s session S0003 was used from 175.45.178.141") < 1200


def test_the_ten_sentences_the_numbers_and_the_ledger_line_open_the_page(demo_case: Case, sample: bytes) -> None:
    opening = sample.split(b'id="timeline"')[0].decode()
    findings = demo_case.frame("findings")
    for sentence in findings[findings.kind != "limit"].sentence:
        assert sentence.replace('"', "&#34;").replace("'", "&#39;") in opening
    assert "18 files, 2,583,194 bytes, all accounted for" in opening
    assert opening.count('class="figure"') == 5


def test_every_table_of_the_case_that_a_reader_needs_has_its_section(sample: bytes) -> None:
    found = set(re.findall(rb'id="table-([a-z_]+)"', sample))
    wanted = "sessions people chain rarities links sources milestones endpoints victims beacons coverage gaps evidence skips rejects witnesses run zones acts places"
    assert found == {name.encode() for name in wanted.split()}


def test_every_script_and_the_style_stand_in_the_policy_by_hash_and_nothing_else_may_load(sample: bytes) -> None:
    said = dict(part.strip().partition(" ")[::2] for part in policy(sample).split(";"))
    scripts = re.findall(rb"<script>(.*?)</script>", sample, re.DOTALL)
    styles = re.findall(rb"<style>(.*?)</style>", sample, re.DOTALL)
    assert said["default-src"] == "'none'"
    assert said["script-src"].split() == [digest(text.decode()) for text in scripts]
    assert said["style-src"].split() == [digest(text.decode()) for text in styles]
    assert set(said) == {
        *("default-src", "script-src", "style-src", "base-uri", "form-action"),
        *("trusted-types", "require-trusted-types-for"),
    }


def test_no_tag_and_no_attribute_could_fetch_or_run_anything(sample: bytes) -> None:
    for tag, attributes in read(sample).tags:
        assert tag not in {
            "img",
            "link",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "audio",
            "video",
            "image",
            "use",
            "a:a",
        }
        for name, value in attributes:
            assert name not in {"src", "srcset", "style", "action", "xlink:href"}
            assert not name.startswith("on")
            if name == "href":
                assert value == "https://db-ip.com" or str(value).startswith("#")


def test_our_scripts_write_text_and_never_markup(repository: Path) -> None:
    for path in (repository / "forensics/reports/_html/assets").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "fetch(",
            "XMLHttp",
            "http:",
            "https:",
            'setAttribute("style"',
        ):
            assert word not in text, f"{path.name}: {word}"


def test_embedded_modules_are_those_of_the_sources_page_and_evaluate_nothing() -> None:
    page = (report_data() / "SOURCES.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", page, re.MULTILINE))
    files = {p.relative_to(report_data()).as_posix(): p.read_bytes() for p in (report_data() / "vendor").glob("*.js")}
    files["world.json"] = (report_data() / "world.json").read_bytes()
    assert {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()} == listed
    assert {f"vendor/{name}.min.js" for name in LIBRARIES} == {name for name in files if name.endswith(".js")}
    for name, raw in files.items():
        assert b"eval(" not in raw, name
        assert b"Function(" not in raw, name
        assert b"</script" not in raw.lower(), name
    licences = (report_data() / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
    assert all(name in licences for name in LIBRARIES)


def test_the_page_carries_the_timeline_whole_and_in_order(demo_case: Case, sample: bytes) -> None:
    acts = acts_of(sample)
    timeline = demo_case.table("timeline").sort_by("time")
    times, at = [], 0
    for step in acts["time"]:  # type: ignore[attr-defined]
        at += step
        times.append(at)
    assert times == timeline["time"].cast(pa.int64()).to_pylist()
    messages = [acts["messages"][n] for n in acts["message"]]  # type: ignore[index,attr-defined]
    assert sorted(messages) == sorted(visible(text) for text in timeline["message"].to_pylist())


def test_the_same_tables_make_the_same_bytes(demo_case: Case, sample: bytes) -> None:
    with demo_case.database() as db:
        assert b"".join(REPORT.write(db)) == sample


def test_a_session_without_an_end_in_evidence_is_not_drawn_to_the_end_of_time() -> None:
    rows = tables("x")
    sessions = rows["sessions"].set_column(
        rows["sessions"].schema.get_field_index("end"), "end", pa.array([None], TABLES["sessions"].field("end").type)
    )
    still = re.search(rb'<svg.*?id="still-title".*?</svg>', page_of({**rows, "sessions": sessions}), re.DOTALL)
    assert still
    assert b'class="open"' in still[0]
    widths = [float(width) for width in re.findall(rb'<rect class="span"[^>]* width="([0-9.]+)"', still[0])]
    assert len(widths) == 1
    assert widths[0] < 5


def test_a_case_without_any_row_makes_a_page() -> None:
    page = page_of({})
    assert b"These logs show no operator." in page
    assert b"No event in these logs has a time." in page


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: ascii(text)[:40])
def test_no_text_of_any_table_changes_the_markup(payload: str) -> None:
    hostile, benign = page_of(tables(payload)), page_of(tables(BENIGN(payload)))
    assert shape(hostile) == shape(benign)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda text: ascii(text)[:40])
def test_no_control_or_format_character_of_any_table_reaches_the_page(payload: str) -> None:
    text = page_of(tables(payload)).decode()
    own = set("\n")
    assert {c for c in text if not c.isprintable()} <= own
    assert not set(text) & set("\u115f\u1160\u3164\uffa0\u2800")


def test_json_of_the_page_cannot_end_its_element() -> None:
    page = page_of(tables("</script><script>alert(1)</script><!--\u2028&amp;"))
    block = re.search(rb'id="act-data">(.*?)</script>', page, re.DOTALL)
    assert block
    assert not set(block[1]) & set(b"<>&")
    assert block[1].isascii()


def test_two_hundred_thousand_different_acts_fit_below_twenty_megabytes_with_the_rare_origin_among_them() -> None:
    page = page_of(many_acts(200_000, "GET /support/page-{}.jsp?id=0000 answered with 200 to a browser"))
    assert len(page) < 20_000_000
    acts = acts_of(page)
    assert acts["total"] == 200_000
    kept = len(acts["time"])  # type: ignore[arg-type]
    assert kept > 100_000
    assert kept == 200_000 or b"all stand in <code>timeline.csv</code>" in page
    grades = [acts["kind_columns"].index("rare_grade")]  # type: ignore[attr-defined]
    assert sum(acts["words"][acts["kinds"][k][grades[0]]] == "A" for k in acts["kind"]) == 3  # type: ignore[index,attr-defined]


@pytest.mark.parametrize("payload", ["&<>\"'" * 100, "\u202e\u200b" * 256])
def test_a_case_full_of_the_longest_hostile_texts_stays_below_twenty_megabytes(payload: str) -> None:
    full = {name: pa.concat_tables([table] * 2_500) for name, table in tables(payload).items() if name != "run"}
    page = page_of({**full, "timeline": many_acts(20_000, payload + "{}")["timeline"]})
    assert 10_000_000 < len(page) < 20_000_000


def test_rows_of_the_longest_texts_are_left_to_the_csv_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MAX_PAGE_BYTES", page_module._FRAME + 100_000)
    page = page_of(many_acts(5_000, "<&\u202e" * 150 + "{}"))
    kept = len(acts_of(page)["time"])  # type: ignore[arg-type]
    assert kept < 500
    assert f"{kept:,} of 5,000 rows stand here".encode() in page


def test_a_table_beyond_its_room_says_how_many_rows_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ROWS", 1)
    page = page_of({**tables("x"), "sources": pa.concat_tables([tables("x")["sources"]] * 4)})
    assert b"1 of 4 rows stand here; all stand in <code>sources.csv</code>" in page


def test_a_megabyte_field_takes_a_line_of_the_page() -> None:
    assert len(page_of(tables("A" * 1_000_000))) < len(page_of(tables("A"))) + 400_000


def test_help_does_not_wait_for_templates() -> None:
    code = "import sys\nimport forensics.cli\nsys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

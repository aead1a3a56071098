"""report.html in a real browser: evidence never runs, nothing is asked for, and what the page offers works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser, browsing
from hostile_tables import PAYLOADS, tables
from report_making import many_acts, page_of

from forensics.case import Case


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as one:
        yield one


def settle(browser: Browser, what: str, wanted: object) -> None:
    """Wait until an expression of the page has a value; the page waits a moment after typing."""
    until = time.monotonic() + 10
    while browser.run(f"return {what}") != wanted and time.monotonic() < until:
        time.sleep(0.05)
    assert browser.run(f"return {what}") == wanted


def use_everything(browser: Browser) -> None:
    """Press what can be pressed: zoom, page, sort, search, open, hover, filter."""
    browser.run(
        """
        document.querySelectorAll("details").forEach((one) => one.setAttribute("open", ""));
        document.querySelectorAll(".sort").forEach((one) => { one.click(); one.click(); });
        document.querySelectorAll("#lanes button, .pager button").forEach((one) => one.click());
        const canvas = document.querySelector("canvas");
        if (canvas) {
          const frame = canvas.getBoundingClientRect();
          for (let y = 4; y < frame.height; y += 11) for (let x = 128; x < frame.width; x += 50)
            canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: frame.left + x, clientY: frame.top + y }));
          for (let y = 4; y < frame.height; y += 20) for (let x = 128; x < frame.width; x += 120)
            canvas.dispatchEvent(new MouseEvent("click", { clientX: frame.left + x, clientY: frame.top + y }));
        }
        document.querySelectorAll("select").forEach((one) => {
          for (const option of [...one.options].slice(0, 40)) { one.value = option.value; one.dispatchEvent(new Event("change")); }
        });
        """
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_sample_report_runs_without_a_complaint_and_asks_for_nothing(
    browser: Browser, demo_case: Case, *, dark: bool
) -> None:
    browser.open(demo_case.folder / "report.html", dark=dark)
    use_everything(browser)
    assert browser.harmed() == []


def test_the_hostile_case_runs_nothing_and_asks_for_nothing(browser: Browser, hostile: Case) -> None:
    browser.open(hostile.folder / "report.html")
    title = browser.run("return document.title")
    use_everything(browser)
    assert browser.harmed() == []
    assert browser.run("return document.title") == title
    assert "pwned" in browser.run("return document.body.innerText"), "the payloads are shown, as text"


def test_a_page_of_which_every_text_is_hostile_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    for number, payload in enumerate(PAYLOADS):
        page = tmp_path / f"{number}.html"
        page.write_bytes(page_of(tables(payload)))
        browser.open(page)
        use_everything(browser)
        assert browser.harmed() == [], payload


def test_no_control_or_format_character_is_shown_of_the_hostile_case(browser: Browser, hostile: Case) -> None:
    browser.open(hostile.folder / "report.html")
    text = browser.run("return document.documentElement.textContent") + browser.run("return document.body.innerText")
    assert {c for c in text if not c.isprintable()} <= {"\n", "\t"}


def test_the_canary_of_this_test_sings_when_a_page_is_open_to_scripts(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "open.html"
    page.write_text("<!DOCTYPE html><p>x<script>window.pwned=1</script><img src='canary.png'>")
    browser.open(page)
    harm = browser.harmed()
    assert "a canary ran" in harm
    assert any("canary.png" in str(one) for one in harm)


def test_tables_sort_by_number_and_by_time(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    column = "[...document.querySelectorAll('#table-victims tbody tr')].map((row) => row.cells[6].innerText)"
    browser.run("document.querySelectorAll('#table-victims .sort')[6].click()")
    numbers = [int(text.replace(",", "")) for text in browser.run(f"return {column}")]
    assert numbers == sorted(numbers)
    browser.run("document.querySelectorAll('#table-victims .sort')[6].click()")
    assert [int(t.replace(",", "")) for t in browser.run(f"return {column}")] == sorted(numbers, reverse=True)
    assert (
        browser.run("return document.querySelectorAll('#table-victims th')[6].getAttribute('aria-sort')")
        == "descending"
    )


def test_tables_search_and_say_how_many_rows_match(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    browser.run(
        "const field = document.querySelector('#sources input'); field.value = '175.45.178.141';"
        "field.dispatchEvent(new Event('input'))"
    )
    shown = "[...document.querySelectorAll('#table-sources tbody tr')].filter((row) => !row.hidden && row.offsetParent).length"
    settle(browser, shown, 1)
    assert browser.run("return document.querySelector('#sources .count').textContent") == "1 of 106 rows"


def test_copied_cells_are_no_formulas_and_stay_in_their_place(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    copied = browser.run("return ['=1+1', '+1', '-1', '@x', \"'x\", 'a\\tb\\nc', '10.0.0.1'].map(c2.cell)")
    assert copied == ["'=1+1", "'+1", "'-1", "'@x", "''x", "a b c", "10.0.0.1"]


def test_the_timeline_asks_by_session_and_keeps_only_its_rows(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    browser.run("acts.ask({ session: 'S0003' })")
    wanted = int((demo_case.timeline.session_uid == "S0003").sum())
    assert browser.run("return acts.matching().length") == wanted
    browser.run("acts.ask({ session: '', rare: true })")
    assert browser.run("return acts.matching().length") == int(demo_case.timeline.rare_grade.notna().sum())


def test_the_places_that_proofs_name_lead_to_their_rows(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    browser.run(
        "acts.ask({ text: 'nothing has this' }); const proof = document.querySelector('.findings li.rare details');"
        "proof.setAttribute('open', ''); proof.querySelector('button.place').click()"
    )
    row = browser.run("return document.querySelector('#acts tr.chosen').innerText")
    assert "175.45.178.141" in row
    assert browser.run("return document.querySelector('#acts input').value") == ""


def test_a_rare_act_is_drawn_in_the_one_strong_colour_at_every_zoom(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    count = """
        const canvas = document.querySelector("canvas");
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let found = 0;
        for (let i = 0; i < pixels.length; i += 4) if (pixels[i] > 170 && pixels[i + 1] < 40 && pixels[i + 2] < 60) found += 1;
        return found;"""
    browser.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert browser.run(count) > 1_000
    browser.run("document.querySelector('#lanes button[aria-label=\"Show all rows\"]').click()")
    browser.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert browser.run(count) > 1_000


def test_the_keyboard_moves_the_timeline(browser: Browser, demo_case: Case) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(demo_case.folder / "report.html")
    canvas = browser.driver.find_element("css selector", "canvas")
    before = browser.run("return timeline.window()")
    canvas.send_keys("+")
    settle(browser, f"timeline.window()[1] - timeline.window()[0] < {(before[1] - before[0]) * 0.6}", True)
    start = browser.run("return timeline.window()[0]")
    canvas.send_keys(Keys.ARROW_RIGHT)
    settle(browser, f"timeline.window()[0] > {start}", True)
    canvas.send_keys("0")
    settle(browser, f"Math.abs(timeline.window()[0] - {before[0]}) < 1000", True)


def test_without_script_the_tables_and_the_still_timeline_stay(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html", script=False)
    tables_shown = browser.driver.find_elements("css selector", "table")
    assert len(tables_shown) > 15
    assert all(one.is_displayed() for one in tables_shown)
    assert browser.driver.find_element("css selector", ".still svg").is_displayed()
    assert not browser.driver.find_element("id", "lanes").is_displayed()
    assert browser.requests() == []


def test_paper_gets_every_row_and_the_still_timeline_and_no_controls(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = "return [...document.querySelectorAll('{}')].filter((one) => one.getClientRects().length).length"
    assert browser.run(shown.format("#table-sources tbody tr")) == len(demo_case.sources)
    assert browser.run(shown.format(".still svg")) == 1
    assert browser.run(shown.format("canvas, input, select, nav, .pager button")) == 0
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_every_control_has_a_name_and_every_table_a_caption(browser: Browser, demo_case: Case) -> None:
    browser.open(demo_case.folder / "report.html")
    nameless = browser.run(
        "return [...document.querySelectorAll('button,input,select,canvas')].filter((one) => !(one.textContent.trim() ||"
        " one.getAttribute('aria-label') || (one.labels && one.labels.length))).map((one) => one.outerHTML)"
    )
    assert nameless == []
    assert browser.run("return [...document.querySelectorAll('table')].filter((one) => !one.caption).length") == 0
    assert browser.run(
        "return ['header', 'nav', 'main', 'footer'].map((tag) => document.querySelectorAll(`body > ${tag}`).length)"
    ) == [1, 1, 1, 1]
    doubled = browser.run(
        "const seen = {}; document.querySelectorAll('[id]').forEach((one) => seen[one.id] = (seen[one.id] || 0) + 1);"
        "return Object.keys(seen).filter((id) => seen[id] > 1)"
    )
    assert doubled == []


def test_two_hundred_thousand_rows_stay_in_columns_and_never_in_the_page(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "many.html"
    page.write_bytes(page_of(many_acts(200_000, "GET /support/main.jsp answered 200")))
    browser.open(page)
    assert browser.run("return acts.size") == 200_000
    use_everything(browser)
    browser.run("acts.ask({ session: '', role: '', text: '', address: '175.45.178.141' })")
    assert browser.run("return acts.matching().length") == 3
    assert browser.run("return document.querySelectorAll('tr').length") < 2_000
    assert browser.harmed() == []

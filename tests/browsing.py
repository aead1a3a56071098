"""A headless browser for the report: what it asked for, what it refused, and what ran. Debian's chromium and its driver."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.violatedDirective + " " + event.blockedURI));
window.failed = [];
window.addEventListener("error", (event) => window.failed.push(event.message));
window.alert = window.confirm = window.prompt = () => { window.pwned = 1; };
"""
"""Set before any script of the page: a dialog counts as a canary, as does `window.pwned`."""

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Browser:
    """One tab on one page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.page = ""
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def open(self, path: Path, *, script: bool = True, dark: bool = False) -> None:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.page = path.resolve().as_uri()
        self.driver.get(self.page)
        # A driver that is short of time has been seen to return before the page was read to its end.
        until = time.monotonic() + 60
        while self.run("return location.href + document.readyState") != f"{self.page}complete":
            assert time.monotonic() < until, "the page never ends"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def requests(self) -> list[str]:
        """Return every address that the page asked for since it was opened, itself and the browser's own first tab apart."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        of_page = [one["request"]["url"] for one in asked if not one["documentURL"].startswith(("chrome:", "about:"))]
        return [url for url in of_page if url.partition("#")[0] != self.page]

    def complaints(self) -> list[str]:
        """Return what stands in the console: refusals of the policy, errors, warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def harmed(self) -> list[object]:
        """Return every sign that evidence ran or that something was refused or failed; empty when all is well."""
        canary = self.run("return window.pwned === undefined ? [] : ['a canary ran']")
        refused = self.run("return [...window.refused, ...window.failed]")
        foreign = self.run(
            "return [...document.querySelectorAll('img,iframe,object,embed,form,base,link,[onclick],[onerror],[onload],[style*=url]')]"
            ".map((one) => one.outerHTML.slice(0, 200))"
        )
        return [*canary, *refused, *foreign, *self.requests(), *self.complaints()]


@contextmanager
def browsing() -> Iterator[Browser]:
    """Give a browser with an empty profile; skip where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and its driver are not here")
    selenium = pytest.importorskip("selenium.webdriver")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    with tempfile.TemporaryDirectory(prefix="c2trail-browser-", ignore_cleanup_errors=True) as profile:
        options = selenium.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        running = selenium.Chrome(options=options, service=service.Service(driver))
        try:
            yield Browser(running)
        finally:
            running.quit()

"""Everybody who comes without being asked: scanners, crawlers, guessers, visitors, researchers; and the victims."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from scenarios.draw import Chance
from scenarios.truth import Request

BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 6.1; Win64; x64; rv:50.0) Gecko/20100101 Firefox/50.0",
    "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/55.0.2883.87 Safari/537.36",
    "Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko",
)
_CRAWLERS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
)
_TOOLS: Final = ("masscan/1.0", "Mozilla/5.0 zgrab/0.x", "python-requests/2.12.4", "curl/7.47.0", "-")
_FETCHERS: Final = ("curl/7.47.0", "Wget/1.17.1 (linux-gnu)", "python-requests/2.12.4", *BROWSERS)
_PROBED: Final = (
    "/phpmyadmin/index.php", "/wp-login.php", "/admin/", "/cgi-bin/test.cgi", "/robots.txt", "/index.php", "/shell.jsp",
    "/cmd.jsp", "/jmx-console/", "/struts2-showcase/", "/invoker/JMXInvokerServlet", "/.env", "/HNAP1/", "/solr/",
)  # fmt: skip
STOCK: Final = ("/tomcat.css", "/tomcat.png", "/bg-nav.png", "/bg-upper.png", "/asf-logo-wide.svg", "/favicon.ico")
SHOP: Final = ("/shop/css/site.css", "/shop/js/app.js", "/shop/img/logo.png")


def page(time: datetime, source: str, chance: Chance, agent: str, home: str, assets: tuple[str, ...]) -> list[Request]:
    """A browser opens a page and what it is made of."""
    out = [Request(time, source, "GET", home, 200, 11_230 + len(home) * 97, agent)]
    for asset in assets:
        time += chance.span(0.05, 0.5)
        out.append(Request(time, source, "GET", asset, 200, 1_000 + len(asset) * 211, agent))
    return out


def scanner(time: datetime, source: str, chance: Chance) -> Iterator[Request]:
    """One of many habits; none of them knows a path that only insiders know."""
    habit = chance.one(("glance", "wide", "wide", "manager", "broken", "crawler", "proxy", "glance"))
    agent = chance.one(_TOOLS)
    if habit == "glance":
        yield Request(time, source, chance.one(("GET", "HEAD", "GET")), "/", 200, 11_327, agent)
    elif habit == "wide":
        for path in chance.some(_PROBED, 2, 12):
            yield Request(time, source, "GET", path, 404, 1_080 + len(path), agent)
            time += chance.span(0.3, 9)
        if chance.odds(0.5):
            yield Request(time, source, "GET", "/", 200, 11_327, agent)
        if chance.odds(0.3):
            yield Request(time, source, "POST", chance.one(("/index.jsp", "/", "/login.do")), 404, 1_044, agent)
    elif habit == "manager":
        for _ in range(chance.whole(3, 60)):
            user = chance.one(("-", "-", "admin", "tomcat"))
            yield Request(time, source, "GET", "/manager/html", 401, 2_536, agent, user)
            time += chance.span(0.2, 4)
    elif habit == "broken":
        for _ in range(chance.whole(1, 4)):
            yield Request(time, source, "-", "-", 400, 0)
            time += chance.span(0.5, 4000)
    elif habit == "crawler":
        agent = chance.one(_CRAWLERS)
        yield Request(time, source, "GET", "/robots.txt", 404, 1_091, agent)
        yield Request(time + chance.span(1, 30), source, "GET", "/", 200, 11_327, agent)
    else:
        yield Request(time, source, "GET", "http://www.example.com/", 404, 990, agent)
        yield Request(time + chance.span(0.5, 3), source, "CONNECT", "example.com:443", 400, 0, agent)


def researcher(time: datetime, source: str, chance: Chance, path: str) -> Iterator[Request]:
    """Fetches the exact path a few times, by hand or by a sandbox, and keeps no timer."""
    agent = chance.one(_FETCHERS)
    for _ in range(chance.whole(1, 3)):
        method = chance.one(("GET", "GET", "GET", "HEAD", "POST", "OPTIONS"))
        yield Request(time, source, method, path, 200, chance.one((0, 0, 36, 122)), agent)
        time += chance.span(1.5, 900)
    if agent in BROWSERS and chance.odds(0.5):
        yield Request(time, source, "GET", "/favicon.ico", 200, 21_630, agent)


def visitor(time: datetime, source: str, chance: Chance, *, shop: bool) -> Iterator[Request]:
    """A person with a browser, on the stock page or on the owner's application, whose forms are posted."""
    agent = chance.one(BROWSERS)
    home, assets = ("/shop/", SHOP) if shop else ("/", STOCK)
    for _ in range(chance.whole(1, 4) if shop else 1):
        yield from page(time, source, chance, agent, home, assets)
        time += chance.span(10, 240)
        if shop:
            for _ in range(chance.whole(0, 4)):
                method, target = chance.one(
                    (("GET", "/shop/item.jsp?id=7"), ("POST", "/shop/cart.jsp"), ("POST", "/shop/login.do"))
                )
                status = 302 if method == "POST" else 200
                yield Request(time, source, method, target, status, chance.whole(300, 9_000), agent)
                time += chance.span(4, 200)
            time += chance.span(3_600, 5 * 86_400)


class Beacon:
    """How the implants of one server call: all of one family, each with its own jitter, life and desk hours."""

    def __init__(self, chance: Chance, path: str) -> None:
        self.path = path
        self.method = chance.one(("POST", "POST", "GET"))
        self.period = chance.one((30, 60, 120, 300, 600, 900, 1800, 3600, 3600, 7200, 14_400, 43_200))
        self.jitter = chance.one((0.0, 0.05, 0.1, 0.2, 0.3, 0.6))
        self.query = (
            chance.one(("", "", "?id={}")) if self.method == "POST" else chance.one(("?id={}", "", "?s={}&t=2"))
        )
        self.size = chance.one((0, 4, 16, 36, 128))
        self.agent = chance.one(("-", "-", BROWSERS[2], "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)"))

    def life(
        self, begin: datetime, end: datetime, source: str, chance: Chance, most: int, *, desk: int | None
    ) -> Iterator[Request]:
        """Calls of one implant; `desk` is the hour (UTC) its machine is switched on, for nine hours from Monday to Friday."""
        identity, time, made = chance.whole(1000, 9999), begin, 0
        while time < end and made < most:
            at_desk = desk is None or (time.weekday() < 5 and (time.hour - desk) % 24 < 9)
            if at_desk:
                task = chance.odds(0.02)
                size = chance.whole(400, 60_000) if task else self.size
                target = self.path + self.query.format(identity)
                yield Request(time, source, self.method, target, 200, size, self.agent)
                made += 1
                time += timedelta(seconds=self.period * chance.real(1 - self.jitter, 1 + self.jitter))
            else:
                time = time.replace(minute=chance.whole(0, 59)) + timedelta(minutes=60)

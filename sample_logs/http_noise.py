"""What every web server on the internet sees, and nothing else does: probes, guesses, junk and hostile lines."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from addresses import BOTH, HTTP_NOISE
from http_story import START_PAGE_SIZE, Request, missing
from story import BUFFER_FLUSHED, SECOND_START, Dice, utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_PROBES: Final = (
    "/phpMyAdmin/scripts/setup.php",
    "/phpmyadmin/index.php",
    "/pma/scripts/setup.php",
    "/myadmin/scripts/setup.php",
    "/MyAdmin/scripts/setup.php",
    "/mysql/admin/",
    "/jmx-console/HtmlAdaptor",
    "/invoker/JMXInvokerServlet",
    "/web-console/ServerInfo.jsp",
    "/axis2/axis2-admin/",
    "/struts2-showcase/index.action",
    "/wp-login.php",
    "/robots.txt",
    "/HNAP1/",
    "/cgi-bin/test-cgi",
    "/w00tw00t.at.blackhats.romanian.anti-sec:)",
    "/muieblackcat",
    "/jenkins/login",
)
_DENIED_SIZE: Final = 2473


def _sweep(time: datetime, source_ip: str, dice: Dice) -> Iterator[Request]:
    """A list of well-known paths, quickly, from one address."""
    for _ in range(dice.whole(3, 16)):
        path = dice.choice(_PROBES)
        version = "1.0" if dice.real(0, 1) < 0.2 else "1.1"
        yield Request(time, source_ip, f"GET {path} HTTP/{version}", 404, missing(path))
        time += timedelta(seconds=dice.whole(0, 3))


def _single(time: datetime, source_ip: str, dice: Dice) -> Request:
    """One look: the start page, an unreadable hello, a proxy check or a method nobody asked for."""
    kind = dice.whole(0, 10)
    if kind < 4:
        return Request(time, source_ip, f"GET / HTTP/1.{kind % 2}", 200, START_PAGE_SIZE)
    if kind < 7:
        return Request(time, source_ip, "-", 400, None)
    if kind == 7:
        path = "http://proxy-check.example/echo"
        return Request(time, source_ip, f"GET {path} HTTP/1.1", 404, missing("/echo"))
    if kind == 8:
        return Request(time, source_ip, "HEAD / HTTP/1.0", 200, None)
    return Request(time, source_ip, "OPTIONS / HTTP/1.1", 200, None)


def _manager_guessing(dice: Dice) -> Iterator[Request]:
    """Password lists against the manager: 401 every time."""
    for when, source, tries in (("13 20:14:09", 0, 96), ("15 03:50:31", 4, 148), ("17 22:05:12", 6, 61)):
        time = utc(f"2017-01-{when}")
        for _ in range(tries):
            line = "HEAD /manager/html HTTP/1.1" if dice.real(0, 1) < 0.1 else "GET /manager/html HTTP/1.1"
            yield Request(time, HTTP_NOISE[source].source_ip, line, 401, _DENIED_SIZE if line[0] == "G" else None)
            time += timedelta(seconds=dice.whole(0, 3))


def _hostile() -> Iterator[Request]:
    """Lines made to mislead: Tomcat 8.5.6 neither checks nor escapes the request line."""
    first, second, third = (HTTP_NOISE[at].source_ip for at in (1, 7, 12))
    forged = '/search.jsp?q=x" 200 5 "GET /support/main.jsp'
    yield Request(utc("2017-01-14 11:02:37"), first, f"GET {forged} HTTP/1.1", 404, missing("/search.jsp"))
    quoted = '/cgi-bin/a?"><script>alert(1)</script>'
    yield Request(utc("2017-01-16 15:40:58"), second, f"GET {quoted} HTTP/1.1", 404, missing("/cgi-bin/a"))
    yield Request(utc("2017-01-17 19:26:03"), third, "GET /caf\xe9/\x1b[2J HTTP/1.1", 404, missing("/caf?/?[2J"))


def noise_requests() -> Iterator[Request]:
    """All noise, in no particular order."""
    dice = Dice("web noise")
    addresses = (*HTTP_NOISE, *HTTP_NOISE, BOTH)
    start = SECOND_START + timedelta(minutes=20)
    for _ in range(58):
        time = dice.moment(start, BUFFER_FLUSHED - timedelta(hours=1)).replace(microsecond=0)
        yield from _sweep(time, dice.choice(addresses).source_ip, dice)
    for _ in range(420):
        time = dice.moment(start, BUFFER_FLUSHED - timedelta(hours=1)).replace(microsecond=0)
        yield _single(time, dice.choice(addresses).source_ip, dice)
    yield from _manager_guessing(dice)
    yield from _hostile()

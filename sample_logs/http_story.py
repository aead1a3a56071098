"""The web side of the story, request by request: set-up, tests, panel, beacons, noise.

A request's time is the end of the request, as ``%t`` of the Tomcat of that time has it, in whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from addresses import FR1, FR2, GB1, IMPLANTS, JP1, KP1, KR1, KR2, LOOPBACK, RELAY, RESEARCHERS, VISITORS
from story import BUFFER_FLUSHED, C2_PATH, FIRST_IMPLANT, MANAGER_PATH, PANEL_PATH, Dice, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from addresses import Address

BROWSER_ASSETS: Final = (
    ("/tomcat.css", 5581),
    ("/tomcat.png", 5103),
    ("/bg-nav.png", 1401),
    ("/asf-logo-wide.svg", 26447),
    ("/bg-upper.png", 3103),
    ("/bg-button.png", 713),
    ("/bg-middle.png", 1918),
    ("/favicon.ico", 21630),
)
START_PAGE_SIZE: Final = 11230
_SESSION: Final = "5E1F0A7C4D2B93866A0F4C71D9B8E203"
_NONCE: Final = "9B3C6D1E7F204A58B1C0D2E3F4A59687"


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the access log; ``line`` is the request line, ``-`` when nothing could be read."""

    time: datetime
    source_ip: str
    line: str
    status: int
    size: int | None
    user: str = "-"


def missing(path: str) -> int:
    """Size of Tomcat's own 404 page: it names the path twice."""
    return 969 + 2 * len(path)


def _get(when: str, source_ip: str, path: str, status: int, size: int, *, user: str = "-") -> Request:
    return Request(utc(f"2017-01-{when}"), source_ip, f"GET {path} HTTP/1.1", status, size, user)


def _post(when: str, source_ip: str, path: str, size: int, *, user: str = "-") -> Request:
    return Request(utc(f"2017-01-{when}"), source_ip, f"POST {path} HTTP/1.1", 200, size, user)


def browser_visit(time: datetime, source_ip: str) -> Iterator[Request]:
    """The start page with everything a browser fetches after it."""
    yield Request(time, source_ip, "GET / HTTP/1.1", 200, START_PAGE_SIZE)
    for at, (path, size) in enumerate(BROWSER_ASSETS):
        yield Request(time + timedelta(seconds=at // 5 + (at > 0)), source_ip, f"GET {path} HTTP/1.1", 200, size)


def _installation() -> Iterator[Request]:
    """The server's own browser looks at what was installed: start page, then the manager."""
    yield from browser_visit(utc("2017-01-12 01:19:40"), LOOPBACK)
    yield _get("12 01:20:31", LOOPBACK, MANAGER_PATH, 401, 2536)
    yield _get("12 01:20:44", LOOPBACK, MANAGER_PATH, 401, 2536)
    yield _get("12 01:28:02", LOOPBACK, MANAGER_PATH, 401, 2536)
    yield _get("12 01:28:11", LOOPBACK, MANAGER_PATH, 200, 16043, user="admin")
    yield _get("12 01:28:12", LOOPBACK, "/manager/images/tomcat.gif", 200, 2066, user="admin")
    yield _get("12 01:28:12", LOOPBACK, "/manager/images/asf-logo.gif", 200, 7279, user="admin")
    yield _get("12 02:36:05", LOOPBACK, MANAGER_PATH, 200, 16043, user="admin")
    query = f"org.apache.catalina.filters.CSRF_NONCE={_NONCE}"
    yield _post("12 02:36:51", LOOPBACK, f"/manager/html/upload;jsessionid={_SESSION}?{query}", 17588, user="admin")


def _browser_tests() -> Iterator[Request]:
    """404 before the script is there, 500 while it does not compile, then 200; then the same through the VPN."""
    yield _get("12 02:37:20", LOOPBACK, C2_PATH, 404, missing(C2_PATH))
    yield _get("12 02:44:02", LOOPBACK, C2_PATH, 500, 3427)
    yield _get("12 02:46:37", LOOPBACK, C2_PATH, 500, 2981)
    yield _get("12 02:49:08", LOOPBACK, C2_PATH, 200, 118)
    yield _get("12 02:49:08", LOOPBACK, "/favicon.ico", 200, 21630)
    yield _get("12 02:52:40", GB1.source_ip, C2_PATH, 200, 118)
    yield _get("12 02:52:41", GB1.source_ip, "/favicon.ico", 200, 21630)
    yield _get("12 02:55:13", LOOPBACK, PANEL_PATH, 200, 2874)
    yield _get("12 02:58:29", GB1.source_ip, PANEL_PATH, 200, 2874)
    yield _post("12 02:58:51", GB1.source_ip, PANEL_PATH, 4119)
    yield _get("12 03:22:07", GB1.source_ip, f"{PANEL_PATH}?p=1", 200, 4119)


def _backdoor_tests() -> Iterator[Request]:
    """Requests as the implant makes them, but from the operator's own addresses, and soon over."""
    yield _post("12 06:02:13", KR1.source_ip, C2_PATH, 52)
    for at in range(12):
        time = utc("2017-01-12 06:02:44") + timedelta(seconds=60 * at + (at * at) % 3)
        yield Request(time, KR1.source_ip, f"POST {C2_PATH} HTTP/1.1", 200, 36)
    yield _post("12 06:20:05", JP1.source_ip, C2_PATH, 52)
    yield _post("12 06:21:06", JP1.source_ip, C2_PATH, 36)
    yield _post("12 06:22:06", JP1.source_ip, C2_PATH, 36)
    yield _post("12 06:31:40", LOOPBACK, C2_PATH, 36)


# (first look, source, further looks): the panel, which only the operator calls, at the operator's hours.
_PANEL_VISITS: Final[tuple[tuple[str, Address, int], ...]] = (
    ("12 06:40:11", KR1, 4),
    ("13 00:31:26", KR2, 9),
    ("13 05:12:48", KR1, 6),
    ("14 02:24:19", FR2, 7),
    ("16 00:15:02", KR1, 8),
    ("16 06:47:33", KR2, 5),
    ("17 05:18:57", JP1, 7),
    ("17 08:30:40", FR1, 3),
    ("18 01:15:21", KR1, 8),
    ("18 05:50:06", GB1, 6),
    ("19 01:09:53", KR1, 6),
    ("19 06:36:17", JP1, 3),
)


def _panel(dice: Dice) -> Iterator[Request]:
    for when, source, looks in _PANEL_VISITS:
        yield _get(when, source.source_ip, PANEL_PATH, 200, 2874)
        time = utc(f"2017-01-{when}")
        for _ in range(looks):
            time = (time + dice.span(14, 190)).replace(microsecond=0)
            method = "POST" if dice.real(0, 1) < 0.6 else "GET"
            yield Request(time, source.source_ip, f"{method} {PANEL_PATH} HTTP/1.1", 200, dice.whole(2874, 9000))
    # The direct contact: a look at the panel within the one short connection, before the proxy is switched on.
    yield _get("16 00:03:48", KP1.source_ip, PANEL_PATH, 200, 4312)
    yield _post("16 00:04:05", KP1.source_ip, PANEL_PATH, 4426)


def _beacons(dice: Dice) -> Iterator[Request]:
    """Victims: one path, POST, constant sizes, a period with jitter; some machines are off at night."""
    for at, implant in enumerate(IMPLANTS):
        start = FIRST_IMPLANT if at == 0 else dice.moment(FIRST_IMPLANT, FIRST_IMPLANT + timedelta(days=3 + at % 2))
        period, jitter = dice.choice((900, 1200, 1800, 1800, 2700, 3600)), dice.real(0.02, 0.15)
        office, opens = at % 3 == 1, dice.whole(0, 14)
        line, time = f"POST {C2_PATH} HTTP/1.1", start
        yield Request(time.replace(microsecond=0), implant.source_ip, line, 200, 52)
        while (time := time + dice.span(period * (1 - jitter), period * (1 + jitter))) < BUFFER_FLUSHED:
            if office and (not opens <= time.hour < opens + 10 or time.weekday() > 4):
                continue
            tasked = dice.real(0, 1) < 0.012
            yield Request(time.replace(microsecond=0), implant.source_ip, line, 200, 1204 if tasked else 36)
            if tasked:
                result = (time + dice.span(2, 40)).replace(microsecond=0)
                yield Request(result, implant.source_ip, line, 200, 2)


def _relay(dice: Dice) -> Iterator[Request]:
    """The next layer passes on what many machines behind it say: steady, heavy, sizes differ."""
    time = utc("2017-01-14 04:10:30")
    while time < BUFFER_FLUSHED:
        yield Request(
            time.replace(microsecond=0), RELAY.source_ip, f"POST {C2_PATH} HTTP/1.1", 200, dice.whole(900, 64000)
        )
        time += dice.span(200, 640)


def _late_guests() -> Iterator[Request]:
    """People who look: two visitors on the start page, three researchers who know the path and little else."""
    yield from browser_visit(utc("2017-01-13 09:41:17"), VISITORS[0].source_ip)
    yield from browser_visit(utc("2017-01-15 18:22:50"), VISITORS[1].source_ip)
    first, second, third = (researcher.source_ip for researcher in RESEARCHERS)
    yield Request(utc("2017-01-18 13:07:44"), first, f"HEAD {C2_PATH} HTTP/1.1", 200, None)
    yield _get("18 13:07:45", first, C2_PATH, 200, 118)
    yield _get("18 14:52:10", second, C2_PATH, 200, 118)
    yield _get("18 14:52:31", second, "/support/", 404, missing("/support/"))
    yield Request(utc("2017-01-18 21:19:02"), third, f"OPTIONS {C2_PATH} HTTP/1.1", 200, None)
    yield _post("18 21:19:03", third, C2_PATH, 2)


def story_requests() -> Iterator[Request]:
    """Everything but the noise, in no particular order."""
    dice = Dice("web")
    yield from _installation()
    yield from _browser_tests()
    yield from _backdoor_tests()
    yield from _panel(dice)
    yield from _beacons(dice)
    yield from _relay(dice)
    yield from _late_guests()

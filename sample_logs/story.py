"""The invented story itself: who connects when, and the moments the answer is checked against.

All times are UTC.  The server stands in a zone one hour east of UTC (winter), which its text logs show.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from addresses import FR1, FR2, GB1, JP1, KP1, KR1, KR2, Address

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

HOST: Final = "WIN-SYNTHETIC"
ACCOUNT: Final = "Administrator"
ACCOUNT_SID: Final = "S-1-5-21-2017011207-1193046001-3405691582-500"
CLIENT_NAME: Final = "WS-SYNTH-04"
CLIENT_ZONE: Final = "[8]"  # RdpCoreTS 104 knows whole hours only: UTC+8 and UTC+8:30 look alike
SERVER_ZONE: Final = timezone(timedelta(hours=1))

C2_PATH: Final = "/support/main.jsp"
PANEL_PATH: Final = "/support/console.jsp"
MANAGER_PATH: Final = "/manager/html"
TOMCAT_HOME: Final = r"C:\Program Files\Apache Software Foundation\Tomcat 8.5"


def utc(text: str) -> datetime:
    """``2017-01-12 01:18:26.123456`` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Dice:
    """Repeatable chance: only ``Random.random`` is used, whose sequence Python promises to keep for a seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"c2trail sample {seed}").random

    def real(self, low: float, high: float) -> float:
        """A real number in [low, high)."""
        return low + (high - low) * self._random()

    def whole(self, low: int, high: int) -> int:
        """A whole number in [low, high)."""
        return low + int((high - low) * self._random())

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.whole(0, len(items))]

    def span(self, low: float, high: float) -> timedelta:
        """A duration of that many seconds, to the microsecond."""
        return timedelta(microseconds=int(self.real(low, high) * 1_000_000))

    def moment(self, start: datetime, end: datetime) -> datetime:
        """A moment between the two, to the microsecond."""
        return start + self.span(0, (end - start).total_seconds())


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection of the operator's remote desktop client."""

    source: Address
    start: datetime
    end: datetime
    end_basis: Literal["disconnect", "logoff", "crash"]


@dataclass(frozen=True, slots=True)
class Session:
    """A Windows session: it may outlive several connections, from several addresses."""

    session_id: int
    logon_id: int
    connections: tuple[Connection, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Source addresses in the order they first appear."""
        return tuple(dict.fromkeys(connection.source.source_ip for connection in self.connections))


def _connection(source: Address, start: str, end: str, basis: Literal["disconnect", "logoff", "crash"]) -> Connection:
    return Connection(source, utc(f"2017-01-{start}"), utc(f"2017-01-{end}"), basis)


CRASH: Final = utc("2017-01-19 06:52:41")
LAST_ALIVE: Final = utc("2017-01-19 06:52:11")  # the mark that 6008 later quotes
REBOOT: Final = utc("2017-01-19 07:35:12.500000")

SESSIONS: Final = (
    Session(2, 0x5A3F1C, (_connection(FR1, "11 01:12:07.318244", "11 02:04:41.902117", "logoff"),)),
    Session(
        3,
        0x7719E2,
        (
            _connection(KR1, "12 00:39:18.207731", "12 02:20:52.640019", "disconnect"),
            _connection(GB1, "12 02:24:36.115908", "12 04:01:13.552340", "disconnect"),
            _connection(KR1, "12 05:31:44.871126", "12 08:46:02.019655", "disconnect"),
            _connection(KR2, "13 00:22:10.433871", "13 01:58:33.287402", "logoff"),
        ),
    ),
    Session(
        4,
        0x9C04B7,
        (
            _connection(FR2, "14 02:10:25.778213", "14 03:31:57.120586", "disconnect"),
            _connection(KP1, "16 00:03:11.694027", "16 00:04:22.380915", "disconnect"),
            _connection(KR1, "16 00:11:38.052649", "16 02:39:50.746138", "logoff"),
        ),
    ),
    Session(5, 0xB8E650, (_connection(JP1, "17 05:10:02.961384", "17 06:21:30.405827", "logoff"),)),
    Session(
        6,
        0xD5127A,
        (
            _connection(KR1, "19 01:02:44.590172", "19 02:05:19.833460", "disconnect"),
            _connection(JP1, "19 06:31:09.248593", "19 06:52:41.000000", "crash"),
        ),
    ),
)

SERVICE_INSTALLED: Final = utc("2017-01-12 01:18:26.417093")
FIRST_START: Final = utc("2017-01-12 01:19:02.184650")  # service reported running; Tomcat is up some seconds later
STOPPED: Final = utc("2017-01-12 01:27:15.730418")
SECOND_START: Final = utc("2017-01-12 01:27:31.264907")
LOG_CLEARED: Final = utc("2017-01-12 01:31:48.906225")  # the Application log, where the Java installer left its traces
C2_DEPLOYED: Final = utc("2017-01-12 02:36:51.000000")
FIRST_BROWSER_TEST: Final = utc("2017-01-12 02:37:20.000000")
FIRST_BROWSER_SUCCESS: Final = utc("2017-01-12 02:49:08.000000")
FIRST_BACKDOOR_TEST: Final = utc("2017-01-12 06:02:13.000000")
FIRST_IMPLANT: Final = utc("2017-01-13 03:12:37.000000")
MINER_INSTALLED: Final = utc("2017-01-19 01:41:20.558314")
BUFFER_FLUSHED: Final = utc("2017-01-19 06:52:31.000000")  # last access-log lines that reached the disk
SERVER_BUILT: Final = utc("2017-01-02 09:14:55.120344")
SEIZED: Final = utc("2017-01-20 09:40:00.000000")
CONSOLE_LOGON: Final = utc("2017-01-20 09:12:05.337410")  # the responder at the console: address LOCAL

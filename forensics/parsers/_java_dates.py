"""Dates and levels as Java's formatters write them in the languages Tomcat speaks, in the bytes of their code pages.

java.util.logging.SimpleFormatter writes `%1$tb %1$td, %1$tY %1$tl:%1$tM:%1$tS %1$Tp` from Java 7 on and the locale's
medium date and time before; org.apache.juli.OneLineFormatter writes `dd-MMM-yyyy HH:mm:ss.SSS`. Month names and day halves
are those of the JRE's own locale data (to Java 8) and of CLDR (from Java 9), level names those of the JDK's logging bundles.
A log is in the platform's encoding unless it was set, which on Windows is the code page of the language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CODE_PAGES: Final = {
    "en": (),
    "cs": ("cp1250", "cp852"),
    "de": ("cp1252", "cp850"),
    "es": ("cp1252", "cp850"),
    "fr": ("cp1252", "cp850"),
    "ja": ("cp932", "euc_jp"),
    "ko": ("cp949",),
    "pt": ("cp1252", "cp850"),
    "ru": ("cp1251", "cp866", "koi8_r"),
    "zh": ("gb18030", "big5"),
}
"""Encodings of each language beside UTF-8: Windows, the console of Windows, older Unix."""

_MONTHS: Final = {
    "en": ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec"),
    "cs": ("Led Úno Bře Dub Kvě Čer Čvc Srp Zář Říj Lis Pro", "led úno bře dub kvě čvn čvc srp zář říj lis pro"),
    "de": (
        "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
        "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    ),
    "es": ("ene feb mar abr may jun jul ago sep oct nov dic", "ene feb mar abr may jun jul ago sept oct nov dic"),
    "fr": ("janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",),
    "ja": ("1 2 3 4 5 6 7 8 9 10 11 12", "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月"),
    "ko": ("1월 2월 3월 4월 5월 6월 7월 8월 9월 10월 11월 12월",),
    "pt": (
        "jan fev mar abr mai jun jul ago set out nov dez",
        "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
    ),
    "ru": (
        "янв фев мар апр мая июн июл авг сен окт ноя дек",
        "янв. февр. мар. апр. мая июн. июл. авг. сент. окт. нояб. дек.",
        "янв. февр. марта апр. мая июня июля авг. сент. окт. нояб. дек.",
    ),
    "zh": (
        "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
        "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
    ),
}

_HALVES: Final = {
    "en": ("AM", "PM"),
    "cs": ("dop.", "odp."),
    "es": ("a. m.", "p. m."),
    "ja": ("午前", "午後"),
    "ko": ("오전", "오후"),
    "zh": ("上午", "下午"),
}

LEVELS: Final = ("SEVERE", "WARNING", "INFO", "CONFIG", "FINE", "FINER", "FINEST")

_LEVELS: Final = {
    "en": ("SEVERE", "WARNING", "INFO", "CONFIG", "FINE", "FINER", "FINEST"),
    "de": ("SCHWERWIEGEND", "WARNUNG", "INFORMATION", "KONFIGURATION", "FEIN", "FEINER", "AM FEINSTEN"),
    "es": ("GRAVE", "ADVERTENCIA", "INFORMACIÓN", "CONFIGURAR", "DETALLADO", "MUY DETALLADO", "MÁS DETALLADO"),
    "fr": ("GRAVE", "AVERTISSEMENT", "INFOS", "CONFIG", "PRÉCIS", "PLUS PRÉCIS", "LE PLUS PRÉCIS"),
    "ja": ("重大", "警告", "情報", "構成", "普通", "詳細", "最も詳細"),
    "ko": ("심각", "경고", "정보", "구성", "미세", "보다 미세", "가장 미세"),
    "pt": ("GRAVE", "ADVERTÊNCIA", "INFORMAÇÕES", "CONFIGURAÇÃO", "DETALHADO", "MAIS DETALHADO", "O MAIS DETALHADO"),
    "zh": ("严重", "警告", "信息", "配置", "详细", "较详细", "非常详细"),
}
"""Czech and Russian have no bundle in the JDK: their levels are English."""


def _spelt(text: str, language: str) -> Iterator[bytes]:
    """Yield a word as a log can hold it: in each encoding, with and without its dot, in each case."""
    cases = {text, text.rstrip("."), text.lower(), text.upper(), text.capitalize()}
    for form in cases | {case.replace(" ", "\u00a0") for case in cases}:
        for encoding in ("utf-8", *_CODE_PAGES[language]):
            try:
                yield form.encode(encoding)
            except UnicodeEncodeError:
                continue


def _table(words: Iterable[tuple[str, str, int]]) -> dict[bytes, int]:
    """Return {bytes: number}; bytes that are two different numbers in two encodings are neither."""
    found: dict[bytes, set[int]] = {}
    for language, word, number in words:
        for raw in _spelt(word, language):
            found.setdefault(raw, set()).add(number)
    return {raw: numbers.pop() for raw, numbers in found.items() if len(numbers) == 1}


MONTH_OF: Final = _table(
    (language, word, number)
    for language, lists in _MONTHS.items()
    for words in lists
    for number, word in enumerate(words.split(), 1)
)
"""Month number by the bytes of its short name."""

HALF_OF: Final = _table(
    (language, word, number) for language, pair in _HALVES.items() for number, word in enumerate(pair)
)
"""0 for before noon, 1 for after, by the bytes of the word."""

LEVEL_OF: Final = _table(
    (language, word, number) for language, words in _LEVELS.items() for number, word in enumerate(words)
)
"""Index into LEVELS by the bytes of a level's name."""

_CLOCK: Final = rb"([0-9]{1,2}):([0-9]{2}):([0-9]{2})"
_NAME: Final = rb"[^\s\x00,:]{1,16}"

ONE_LINE_DATE: Final = rb"[0-9]{1,2}-[^\s\x00-]{1,16}-[0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{3})? "
"""OneLineFormatter's, and the medium date of Spain and Britain, which have no milliseconds."""

SIMPLE_DATE: Final = rb"[^\s\x00,:]{1,16} [0-9]{1,2}, [0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2} "
"""SimpleFormatter's from Java 7 on, and the medium date of the United States; a word for the half of the day may follow."""

MEDIUM_DATE: Final = (
    rb"(?:[0-9]{1,4}[./-] ?[0-9]{1,2}[./-] ?[0-9]{1,4}|[0-9]{1,2} [^\s\x00,:]{1,16} [0-9]{4})"
    rb" (?:[^\s\x00:0-9]{1,16} )?[0-9]{1,2}:[0-9]{2}:[0-9]{2} "
)
"""Medium dates of other languages to Java 6: `18.01.2017 10:03:09`, `2017/01/18 10:03:09`, `18 janv. 2017 10:03:09`,
`2017. 1. 18 오전 10:03:09`."""

# Every repetition below is bounded and no two that adjoin can take the same byte: they cannot backtrack badly.
_ONE_LINE: Final = re.compile(rb"([0-9]{1,2})-([^\s\x00-]{1,16})-([0-9]{4}) " + _CLOCK + rb"(?:[.,]([0-9]{3}))? ")
_SIMPLE: Final = re.compile(rb"(" + _NAME + rb") ([0-9]{1,2}), ([0-9]{4}) " + _CLOCK + rb" ")
_NUMERIC: Final = re.compile(
    rb"([0-9]{1,4})([./-]) ?([0-9]{1,2})[./-] ?([0-9]{1,4}) (?:([^\s\x00:0-9]{1,16}) )?" + _CLOCK + rb" "
)
_WORDED: Final = re.compile(rb"([0-9]{1,2}) (" + _NAME + rb") ([0-9]{4}) (?:([^\s\x00:0-9]{1,16}) )?" + _CLOCK + rb" ")
_HALF: Final = re.compile(rb"([^\s\x00]{1,12}(?: [mM]\.)?) ")


@dataclass(frozen=True, slots=True)
class Dated:
    """A date at the start of a line: where it ends (behind its blank), and its local time, None if there is no such."""

    end: int
    local: datetime | None


def dated(line: bytes) -> Dated | None:
    """Read the date that a line starts with; None if it starts with none of the forms above."""
    if found := _ONE_LINE.match(line):
        day, month, year, hour, minute, second, milli = found.groups()
        return Dated(found.end(), _local(int(year), MONTH_OF.get(month), int(day), hour, minute, second, milli))
    if found := _SIMPLE.match(line):
        month, day, year, hour, minute, second = found.groups()
        half, end = _half(line, found.end())
        return Dated(end, _local(int(year), MONTH_OF.get(month), int(day), hour, minute, second, half=half))
    if found := _NUMERIC.match(line):
        first, mark, middle, last, word, hour, minute, second = found.groups()
        year, day = (first, last) if len(first) == 4 else (last, first)
        when = _local(int(year), int(middle), int(day), hour, minute, second, half=HALF_OF.get(word or b""))
        return Dated(found.end(), when if len(first) == 4 or mark != b"-" else None)
    if found := _WORDED.match(line):
        day, month, year, word, hour, minute, second = found.groups()
        when = _local(int(year), MONTH_OF.get(month), int(day), hour, minute, second, half=HALF_OF.get(word or b""))
        return Dated(found.end(), when)
    return None


def _half(line: bytes, at: int) -> tuple[int | None, int]:
    """Return the half of the day that the word at `at` names and where it ends; (None, at) if it names none."""
    found = _HALF.match(line, at)
    if found is None:
        return None, at
    half = HALF_OF.get(found[1])
    return (None, at) if half is None else (half, found.end())


def _local(
    year: int,
    month: int | None,
    day: int,
    hour: bytes,
    minute: bytes,
    second: bytes,
    milli: bytes | None = None,
    half: int | None = None,
) -> datetime | None:
    hours = int(hour)
    if month is None or (half is not None and not 1 <= hours <= 12):
        return None
    hours = hours if half is None else hours % 12 + 12 * half
    try:
        return datetime(year, month, day, hours, int(minute), int(second), int(milli or 0) * 1000)  # noqa: DTZ001  # local
    except ValueError:
        return None


def level_of(raw: bytes) -> str | None:
    """Return the level that a word of any language names, None if it names none."""
    number = LEVEL_OF.get(raw)
    return None if number is None else LEVELS[number]

"""Windows events exported as CSV: PowerShell's Export-Csv of Get-WinEvent and Get-EventLog, Event Viewer, and EvtxECmd.

A record is cut where a line starts as records do; a line that starts so inside a quoted text belongs to the record that its
quotes close, so text of a client forges no event. Where quotes stand only where they must (Event Viewer, `-UseQuotes AsNeeded`
of PowerShell 7) any line may start one. PowerShell and Event Viewer write local times in the language of Windows and no fields
but the message (`_export_times`, `_rendered_message`); EvtxECmd writes UTC and the fields as JSON.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._csv_columns import (
    CHANNELS,
    LINES,
    NUMBERED,
    QUOTED,
    cells_of,
    channel_of_type,
    columns_of,
    columns_of_row,
    first_header,
    is_viewer_header,
    packed,
    row_of,
    unpacked,
)
from forensics.parsers._csv_tokens import closed, tokens_of
from forensics.parsers._evtx_render import Rendered
from forensics.parsers._export_columns import Columnar, Learned, Shapes
from forensics.parsers._export_fields import fields_of, number_of
from forensics.parsers._export_pieces import MOST, Heads, encoding_of, narrow
from forensics.parsers._export_reader import Proven, Reader
from forensics.parsers._export_shapes import PAD
from forensics.parsers._export_times import local_moment, order_of
from forensics.parsers._exported import Moment, canonical, moment_of
from forensics.parsers._json_tokens import payload_shape, payload_tokens
from forensics.parsers._local_time import local_time
from forensics.parsers._message_tokens import shape_of as message_shape
from forensics.parsers._message_tokens import tokens_of as message_tokens
from forensics.parsers._rdp import IDS, meaning_of
from forensics.parsers._rendered_message import fields_of as message_fields
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.parsers._csv_columns import Columns
    from forensics.parsers._export_pieces import Cut, Mark
    from forensics.parsers._export_shapes import Slot
    from forensics.stream import Recount, Stream

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

NAME: Final = "evtx_csv"
_LONGEST_TYPE: Final = 1024
_BLANK: Final = "\ufeff\0 \t\r\n"
_PARTS: Final = {"id": "number", "time": "written", "message": "payload"}
"""The names that all exports share, for parts that have another one here; messages are read like payloads."""
_SIMPLE: Final = re.compile(rb"[0-9]+([,;\t|])[0-9]+\1[^,;\t|\"]*\1([0-9]{1,5})\1")


def _start(head: Head) -> tuple[str, str]:
    encoding = encoding_of(head.start)
    return encoding, narrow(head.start, encoding).decode("utf-8", "replace")


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    encoding, text = _start(head)
    found = first_header(text)
    if found is None:
        return NO_CLAIM
    return Claim(95, f"its header is that of Windows events as CSV ({found[0].form}, {encoding})")


def _settle(head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    encoding, text = _start(head)
    found = first_header(text)
    if found is None:
        return {"encoding": encoding}
    columns, channel, end = found
    settled = {"encoding": encoding, "columns": packed(columns), "channel": channel}
    settled["heads"] = "quoted" if '"' in text[:end] else "numbered" if columns.form == "EvtxECmd" else "lines"
    if columns.form != "EvtxECmd":
        quoted = settled["heads"] == "quoted"
        settled["date_order"] = order_of(text[end:] if quoted else cells_of(text[end:], columns, "time"))
        settled["zone_basis"] = (
            "given by --zone" if options.zone else "not known: the export does not say, UTC was assumed"
        )
    return settled | ({"zone": options.zone} if options.zone else {})


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    return _Reader(span).batches(stream, _mark(span))


def _mark(span: Span) -> Mark:
    return {"numbered": NUMBERED, "lines": LINES}.get(span.setting("heads"), QUOTED)


class _Reader(Reader):
    """Reads records one by one; a record whose quotes are open waits for the next pieces."""

    marks = (b'"', b"\n")

    def __init__(self, span: Span) -> None:
        super().__init__(span, NAME)
        self._channel = span.setting("channel")
        self._columns: Columns | None = unpacked(text) if (text := span.setting("columns")) else None
        self._order = span.setting("date_order")
        self._clock = local_time(span)
        self._waiting: list[bytes] = []
        """Pieces not yet told: the quotes of the first one are not closed."""
        self._open, self._size = 0, 0
        """Whether quotes are open behind them, and their bytes."""
        self._renamed = False
        self._first = self._columns, self._channel
        """What the records of a block look like where it begins."""
        self._fast: tuple[Columnar, Learned] | None = None

    def record(self, piece: bytes) -> None:
        """Take the next piece that starts with a head."""
        if not self._waiting and (self._unwanted(piece) or self._no_record(piece)):
            return
        self._waiting.append(piece)
        self._open ^= piece.count(b'"') & 1
        self._size += len(piece)
        if self._open and self._size <= MOST:
            return
        if self._open or not self._record(b"".join(self._waiting), len(self._waiting)):
            self._give_up()
        else:
            self._forget()

    def close(self) -> None:
        """Tell what is left."""
        while self._waiting:
            self._give_up()

    def _give_up(self) -> None:
        """Tell that the first waiting piece is no record; those behind it may be."""
        first, *others = self._waiting
        self._forget()
        self._broken(first)
        for piece in others:
            self.record(piece)

    def _forget(self) -> None:
        self._waiting, self._open, self._size = [], 0, 0

    def busy(self) -> bool:
        """Say whether a record's quotes are open."""
        return bool(self._waiting)

    def changed(self) -> bool:
        """Say whether a header named other columns, or another log."""
        renamed, self._renamed = self._renamed, False
        if renamed:
            self._fast = None
        return renamed

    def proven(self, cut: Cut, numbers: Ints) -> Proven | None:
        """Return the records whose quotes are closed and whose cells are as many as the header's."""
        columns = self._columns
        if columns is None or columns.count < 2:
            return None
        if self._fast is None:
            payload = columns.form == "EvtxECmd"
            cells, shape = (payload_tokens, payload_shape) if payload else (message_tokens, message_shape)
            moment = None if payload else self._when
            self._fast = Columnar(Shapes(shape), cells, moment), self._learned(columns)
        self._first = columns, self._channel
        text = cut.text + bytes(PAD)
        # A record whose quotes are open goes on in the next piece.
        first, last = closed(text, cut.bounds, numbers, self._open)
        wanted = sorted(set(columns.at.values()))
        begin, behind = cut.bounds[first], cut.bounds[last + 1]
        short = (last == first) | (behind - begin < MOST)
        first, last, begin, behind = first[short], last[short], begin[short], behind[short]
        tokens, good = tokens_of(text, (begin, behind), columns.delimiter, columns.count, wanted)
        first, last = first[good], last[good]
        # Lines that only look like heads are counted at the record's own line end.
        ends = np.where(last > first, tokens.stop, cut.bounds[last + 1])
        shapes = np.zeros(len(first), np.int64), [self._fast[1]]
        return Proven(self._fast[0], tokens, shapes, first, last, ends) if len(first) else None

    def behind(self, raw: bytes) -> str:  # noqa: ARG002  # nothing else stands there
        """Pass over the end of a record in which lines looked like heads."""
        return "line_inside_quotes"

    def _learned(self, columns: Columns) -> Learned:
        wanted = sorted(set(columns.at.values()))
        system: dict[str, Slot] = {_PARTS.get(part, part): wanted.index(place) for part, place in columns.at.items()}
        payload = columns.form == "EvtxECmd"
        return Learned(system, lambda _provider, _id: {}, utc=payload, rendered=not payload, log=partial(self._log, ""))

    def quick(self, cut: Cut, proven: Proven, simple: Bools, before: Ints) -> None:
        """Read the simple pieces as the block began, whatever waits at its end and whatever header stands in it."""
        later = self._columns, self._channel, self._waiting, self._open, self._size
        self._columns, self._channel = self._first
        self._forget()
        super().quick(cut, proven, simple, before)
        self._columns, self._channel, self._waiting, self._open, self._size = later

    def _rename(self, columns: Columns | None, channel: str) -> None:
        if (columns, channel) != (self._columns, self._channel):
            self._columns, self._channel, self._renamed = columns, channel, True

    def _unwanted(self, piece: bytes) -> bool:
        """Skip a record of one line whose number is not wanted, without reading more of it."""
        found = _SIMPLE.match(piece)
        if found is None or int(found[2]) in IDS or piece.count(b"\n") != 1 or piece.count(b'"') % 2:
            return False
        if self._columns is None or self._columns.form != "EvtxECmd" or self._columns.at["id"] != 3:
            return False
        self.ordinal += 1
        self.skip(piece, "unwanted_event", 1)
        return True

    def _no_record(self, piece: bytes) -> bool:
        """Account for a line that holds no record, where any line may be one."""
        if self.span.setting("heads") != "lines" or len(piece) > _LONGEST_TYPE:
            return False
        text = piece.decode("utf-8", "replace")
        channel = channel_of_type(text)
        if channel is None and text.strip(_BLANK):
            return False
        self.ordinal += 1
        self.skip(piece, "blank" if channel is None else "header", 1)
        if channel is not None:
            self._rename(self._columns, channel)
        return True

    def _record(self, raw: bytes, heads: int) -> bool:
        """Read a record, with what follows it up to the next; False if it is none."""
        columns = self._columns
        if columns is None:
            return False
        end = self._end(raw)
        row, flags = self._row(raw[:end], columns)
        if row is None:
            return False
        header = columns_of_row(row, columns.delimiter)
        if header is None and columns.form == "EventViewer" and is_viewer_header(row):
            header = columns
        if len(row) != columns.count and header is None:
            return False
        self.ordinal += heads
        whole, line_end = raw[:end], b""
        if heads > 1:
            # The lines that only look like heads are counted at the record's own line end.
            cut = len(whole.rstrip(b"\r\n"))
            whole, line_end = (whole[:cut], whole[cut:]) if cut < end else (whole[:-1], whole[-1:])
        if header is not None:
            self._rename(header, self._channel)
            self.skip(whole, "header", 1)
        else:
            self._event(whole, row, flags)
        if heads > 1:
            self.skip(line_end, "line_inside_quotes", heads - 1)
        self.gap(raw[end:])
        return True

    @staticmethod
    def _row(raw: bytes, columns: Columns) -> tuple[list[str] | None, str | None]:
        try:
            text, flags = raw.decode("utf-8"), None
        except UnicodeDecodeError:
            text, flags = decode(raw), "broken_text"
        return row_of(text.removeprefix("\ufeff").rstrip("\r\n"), columns.delimiter), flags

    @staticmethod
    def _end(raw: bytes) -> int:
        """Return where the record ends: behind the first line end outside quotes."""
        at, quotes = 0, 0
        while (found := raw.find(b"\n", at)) >= 0:
            quotes += raw.count(b'"', at, found)
            at = found + 1
            if quotes % 2 == 0:
                return at
        return len(raw)

    def _event(self, whole: bytes, row: list[str], flags: str | None) -> None:
        columns = self._columns
        assert columns is not None  # noqa: S101  # the caller read the row by them
        place = self.place(whole)
        event_id = number_of(columns.cell(row, "id"), 1 << 16)
        provider = columns.cell(row, "provider").strip()
        if event_id is None:
            self.out.reject(place, "malformed_event", f"{columns.cell(row, 'id')!r} is no event number")
            return
        if meaning_of(provider, event_id) is None:
            self.out.skip(*place[:2], "unwanted_event", 1)
            return
        message = columns.cell(row, "message")
        said = set(flags.split(";")) if flags else set()
        if columns.form == "EvtxECmd":
            try:
                payload = columns.cell(row, "payload")
                named = fields_of(orjson.loads(payload)) if payload else {}
            except ValueError as error:
                self.out.reject(place, "malformed_payload", str(error))
                return
        else:
            named = {name: canonical(text) for name, text in message_fields(provider, event_id, message).items()}
            said.add("from_message" if named else "message_only")
        if not named and message.strip():
            named = {"message": canonical(message)}
        record = Rendered(
            provider=provider,
            event_id=event_id,
            us=None,
            record_id=number_of(columns.cell(row, "record"), 1 << 63),
            computer=columns.cell(row, "computer").strip(),
            channel=self._log(columns.cell(row, "channel").strip(), provider),
            activity=canonical(columns.cell(row, "activity").strip()),
            named=named,
        )
        written = columns.cell(row, "time")
        when, more = self._when(written)
        said |= set(more.split(";")) if more else set()
        self.out.event(place, record, written, ";".join(sorted(said)) or None, when)

    def _log(self, channel: str, provider: str) -> str:
        if channel:
            return channel
        return self._channel.title() if self._channel else CHANNELS.get(provider, "")

    def _when(self, written: str) -> tuple[Moment, str | None]:
        if self._columns is not None and self._columns.form == "EvtxECmd":
            when = moment_of(written, "")
            return (Moment(when.us, "utc_by_format") if when.basis == "zone_assumed" else when), None
        if written.lstrip()[:4].isdigit():
            # What is written with its offset, or with the year first as ISO does, needs no order of day and month.
            plain = moment_of(written, "")
            if plain.us is not None and plain.basis in {"filetime_utc", "offset_in_log"}:
                return plain, None
        return local_moment(written.replace("T", " "), self._order, self._clock)

    def _broken(self, raw: bytes) -> None:
        """Give up the record at the start of a piece; lines of another kind behind it are told apart still."""
        self.ordinal += 1
        self.reject(raw, "malformed_event", "its quotes or its number of columns are not those of the header", 1)

    def gap(self, raw: bytes) -> None:
        """Account for lines between records: headers, blank lines, and what does not belong there."""
        at = 0
        while at < len(raw):
            end = raw.find(b"\n", at) + 1 or len(raw)
            line = raw[at:end]
            at = end
            text = line.decode("utf-8", "replace")
            channel = channel_of_type(text)
            if not text.strip(_BLANK):
                self.skip(line, "blank", 0)
            elif channel is not None:
                self._rename(self._columns, channel)
                self.skip(line, "header", 0)
            elif (header := columns_of(text)) is not None:
                self._rename(header, self._channel)
                self.skip(line, "header", 0)
            else:
                self.reject(line, "not_an_event", text.strip(), 0)


def _recount(span: Span) -> Recount:
    return Heads(_mark(span), span.setting("encoding", "utf-8"))


def _whole(_stream: Stream, whole: Span) -> Iterator[Span]:
    yield whole


PARSER = Parser(
    name=NAME,
    title="Windows events exported as CSV (Get-WinEvent, Get-EventLog, Event Viewer, EvtxECmd)",
    suffixes=(".csv",),
    claims=_claims,
    split=_whole,
    read=_read,
    recount=_recount,
    settle=_settle,
    cannot_know=(
        "PowerShell and Event Viewer write times local to the machine that exported, to the second, and of the event's fields only "
        "the message; Event Viewer names neither computer nor record nor log; "
        "where no time of the file proves the order of day and month an event is a reject."
    ),
)

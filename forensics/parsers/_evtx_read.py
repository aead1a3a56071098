"""One run of chunks, from found records to a batch: columnar where proven, rendered where odd, accounted for either way."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pyarrow as pa

from forensics.model import Batch
from forensics.parsers import _evtx_exact as exact
from forensics.parsers._evtx_chunks import CHUNK, FILE_HEADER, is_sound, scan
from forensics.parsers._evtx_columns import Sorted, sort_out
from forensics.parsers._evtx_cover import LARGEST_ORDINAL, Cover
from forensics.parsers._evtx_render import LOST, Renderer
from forensics.parsers._evtx_rows import CHANNEL, Frame, events, possible
from forensics.parsers._evtx_values import Words
from forensics.parsers._rdp import LOGON_TYPE_OF, SKIPPED_LOGON_TYPES, meaning_of
from forensics.schemas import EVENTS, empty, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks
    from forensics.parsers._evtx_columns import Group
    from forensics.parsers._evtx_definitions import Definitions
    from forensics.parsers._evtx_render import Rendered

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_FLAGS: Final = ("bad_checksum", "beyond_header", "recovered")
_HOSTILE: Final = (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error, pa.ArrowException)
_BAD_TIME: Final = "the record's time lies outside 1990 to 2100"


@dataclass(slots=True)
class Reader:
    """Reads the chunks of one span, a run at a time.

    `told` is how many chunks the file's header counts, None where that header is damaged. With `recover`, records in
    slack and in chunks without their magic are read too; second copies are known by what the span has shown before.
    """

    evidence_id: str
    told: int | None
    recover: bool
    definitions: Definitions
    renderer: Renderer = field(default_factory=Renderer)
    _seen: set[tuple[object, ...]] = field(default_factory=set)

    def batch(self, buffer: bytearray, used: int, offset: int) -> Batch:
        """Read the chunks in `buffer`, of which `used` bytes are evidence, and which starts at `offset` of the stream."""
        chunks = scan(buffer, used)
        before = set(self._seen)
        try:
            return self._batch(chunks, offset, sort_out)
        except _HOSTILE:
            # Bytes made to break the columnar code: the renderer reads every record of the run.
            self._seen = before
            return self._batch(chunks, offset, _all_odd)

    def _batch(self, chunks: Chunks, offset: int, sort: Callable[[Chunks, Ints, Definitions], Sorted]) -> Batch:
        run = _Run(self, chunks, offset, sort)
        trusted = chunks.live & ~chunks.bad_magic[chunks.owner]
        made = run.events(np.flatnonzero(trusted))
        if self.recover:
            for one in made:
                self._seen.update(_identities(one))
            made += [run.without_copies(one, self._seen) for one in run.events(np.flatnonzero(~trusted))]
        else:
            run.cover.skip(np.flatnonzero(~chunks.live), "slack")
            hidden = np.flatnonzero(chunks.live & ~trusted)
            run.cover.reject(hidden, "bad_chunk_magic", "a record in a chunk without its magic; --recover reads it")
        rejects, skips = run.cover.tables()
        return Batch(_together(made), rejects, skips)


def _all_odd(_chunks: Chunks, rows: Ints, _definitions: Definitions) -> Sorted:
    return Sorted(odd=[rows])


def _together(made: list[pa.RecordBatch]) -> pa.RecordBatch | pa.Table:
    """Return the rows of all batches in order of their places."""
    made = [one for one in made if one.num_rows]
    if len(made) < 2:
        return made[0] if made else empty(EVENTS)
    joined = pa.Table.from_batches(made, EVENTS).unify_dictionaries()
    return joined.take(pa.array(np.argsort(joined.column("log_offset").to_numpy(), kind="stable")))


def _identities(made: pa.RecordBatch) -> Iterator[tuple[object, ...]]:
    """Yield what tells one record from another, wherever its copy lies: computer, channel, number and time."""
    channels = [orjson.loads(text).get(CHANNEL) for text in made.column("unmapped").to_pylist()]
    columns = [made.column(name).to_pylist() for name in ("host_name", "event_sequence", "time")]
    return zip(channels, *columns, strict=True)


class _Run:
    """The chunks of one buffer while their records are told apart."""

    def __init__(
        self, reader: Reader, chunks: Chunks, offset: int, sort: Callable[[Chunks, Ints, Definitions], Sorted]
    ) -> None:
        self._sort = sort
        self.chunks = chunks
        self.cover = Cover(chunks, offset, reader.evidence_id)
        self._reader = reader
        self._offset = offset

    def events(self, rows: Ints) -> list[pa.RecordBatch]:
        """Return the wanted ones among some records; the others go to the cover."""
        if not len(rows):
            return []
        found = self._sort(self.chunks, rows, self._reader.definitions)
        self.cover.skip(_joined(found.unwanted), "unwanted_event")
        self.cover.skip(_joined(found.unwanted_logons), "unwanted_logon_type")
        made = self._columnar(found)
        odd = _joined(found.odd)
        return made + self._rendered(odd) if len(odd) else made

    def without_copies(self, made: pa.RecordBatch, seen: set[tuple[object, ...]]) -> pa.RecordBatch:
        """Leave out recovered records that the span has shown before; they become skips."""
        new = np.ones(made.num_rows, bool)
        for number, identity in enumerate(_identities(made)):
            new[number] = identity not in seen
            seen.add(identity)
        copies = made.column("log_offset").to_numpy()[~new] - self._offset
        self.cover.skip(np.searchsorted(self.chunks.place, copies), "slack_copy")
        return made.filter(pa.array(new))

    def _columnar(self, found: Sorted) -> list[pa.RecordBatch]:
        """Make events of the groups; records that turn out to need the renderer join the odd ones."""
        frame = Frame(self.chunks, found.groups)
        good = frame.has_time & possible(frame.ticks)
        if not good.all():
            self.cover.reject(frame.rows[frame.has_time & ~good], "bad_time", _BAD_TIME)
            found.odd.append(frame.rows[~frame.has_time])
            frame = self._without(found.groups, frame.rows[~good])
        if not len(frame):
            return []
        made, unread = events(frame, self.chunks, self._offset, self._reader.evidence_id, self._flags(frame.rows))
        if not unread.any():
            return [made]
        found.odd.append(frame.rows[unread])
        return [made.filter(pa.array(~unread))]

    def _without(self, groups: list[Group], rows: Ints) -> Frame:
        keep = np.ones(len(self.chunks.place), bool)
        keep[rows] = False
        return Frame(self.chunks, [group.take(keep[group.rows]) for group in groups])

    def _flags(self, rows: Ints) -> Words:
        """Return the flags of records: their chunk's checksum, the file header's count, slack."""
        chunks = self.chunks
        bad = np.zeros(len(chunks.starts), bool)
        for number in np.unique(chunks.owner[rows]).tolist():
            bad[number] = not is_sound(chunks, number)
        owner = chunks.owner[rows]
        number = (chunks.starts + self._offset - FILE_HEADER) // CHUNK
        told = self._reader.told
        beyond = number >= told if told is not None else np.zeros(len(number), bool)
        recovered = ~chunks.live[rows] | chunks.bad_magic[owner]
        codes = (bad[owner] + 2 * beyond[owner] + 4 * recovered).astype(np.int32)
        words = [";".join(w for bit, w in enumerate(_FLAGS) if code >> bit & 1) for code in range(8)]
        return Words(codes, words).map(str)

    def _rendered(self, rows: Ints) -> list[pa.RecordBatch]:
        """Render odd records, chunk by chunk."""
        kept: list[tuple[int, Rendered]] = []
        fates: dict[str, list[int]] = {"unwanted_event": [], "unwanted_logon_type": []}
        lost: dict[str, list[int]] = {reason: [] for reason in LOST}
        late: list[int] = []
        for row, record in self._renderings(rows):
            if isinstance(record, str):
                lost[record].append(row)
            elif meaning_of(record.provider, record.event_id) is None:
                fates["unwanted_event"].append(row)
            elif self._is_unwanted_logon(record):
                fates["unwanted_logon_type"].append(row)
            elif not exact.time_is_possible(record):
                late.append(row)
            else:
                kept.append((row, record))
        for reason, skipped in fates.items():
            self.cover.skip(np.array(skipped, np.int64), reason)
        for reason, detail in LOST.items():
            self.cover.reject(np.array(lost[reason], np.int64), reason, detail)
        self.cover.reject(np.array(late, np.int64), "bad_time", _BAD_TIME)
        return self._exact_rows(kept) if kept else []

    def _renderings(self, rows: Ints) -> Iterator[tuple[int, Rendered | str]]:
        chunks = self.chunks
        owner = chunks.owner[rows]
        for number in np.unique(owner).tolist():
            start = int(chunks.starts[number])
            mine = rows[owner == number].tolist()
            records = [(int(chunks.place[row]) - start, int(chunks.size[row])) for row in mine]
            yield from zip(
                mine, self._reader.renderer.render(chunks.bytes[start : start + CHUNK].tobytes(), records), strict=True
            )

    @staticmethod
    def _is_unwanted_logon(record: Rendered) -> bool:
        event = record.provider, record.event_id
        return event in LOGON_TYPE_OF and exact.logon_type(record) in SKIPPED_LOGON_TYPES

    def _exact_rows(self, kept: list[tuple[int, Rendered]]) -> list[pa.RecordBatch]:
        rows = np.array([row for row, _ in kept], np.int64)
        flags = self._flags(rows)
        made: list[dict[str, Any]] = []
        for (row, record), code in zip(kept, flags.codes.tolist(), strict=True):
            place = int(self.chunks.place[row])
            number = self.chunks.number(place + 8, 8)
            where = {
                "evidence_id": self._reader.evidence_id,
                "log_offset": place + self._offset,
                "log_length": int(self.chunks.size[row]),
                "log_ordinal": number if number < LARGEST_ORDINAL else None,
                "flags": flags.words[code] if code >= 0 else None,
            }
            made.append(exact.event(record) | where)
        return list(table(made, EVENTS).combine_chunks().to_batches())


def _joined(parts: list[Ints]) -> Ints:
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)

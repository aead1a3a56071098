"""The screen: rich lives here (and in the views of the timeline and the tables), and only here. Data to stdout, talk to stderr.

No text from evidence reaches rich but as a Text made of `visible` characters: rich itself lets escapes, bidi overrides and
tag characters through. `NO_COLOR`, `TERM=dumb` and pipes are honoured.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from forensics import _tables_view, _timeline_view
from forensics.errors import UsageError
from forensics.reports._cells import csv_lines, json_line, plain
from forensics.schemas import TABLES
from forensics.text import counted, shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from forensics.enrichment import Question
    from forensics.identify import Identified
    from forensics.model import Parser
    from forensics.query import Shown

_PIPE_WIDTH: Final = 140
_WAIT: Final = 1.0


class _Screen(Console):
    """A console whose reader may leave: that is the command line's to handle, and no failure."""

    def on_broken_pipe(self) -> None:
        """Let the command line end in peace."""
        raise BrokenPipeError


_PAGED: Final[list[Console]] = []
"""The console whose output waits for a pager, if one does."""


def _console(*, error: bool = False) -> Console:
    if _PAGED and not error:
        return _PAGED[-1]
    stream = sys.stderr if error else sys.stdout
    typed = os.environ.get("COLUMNS", "")
    width = (
        None if stream.isatty() else int(typed) if typed.isascii() and typed.isdigit() and int(typed) else _PIPE_WIDTH
    )
    return _Screen(stderr=error, highlight=False, markup=False, emoji=False, width=width, soft_wrap=False)


def say(message: str) -> None:
    """Tell the analyst something, on stderr."""
    _line("", message, "")


def warn(message: str) -> None:
    """Tell the analyst what needs attention."""
    _line("warning: ", message, "yellow")


def fail(message: str) -> None:
    """Tell the analyst what went wrong and what to do."""
    _line("error: ", message, "bold red")


def _line(mark: str, message: str, style: str) -> None:
    console = _console(error=True)
    text = Text(mark, style=style)
    text.append("\n".join(visible(line) for line in message.split("\n")))
    console.print(text, soft_wrap=True)


def draw_timeline(rows: Iterable[Mapping[str, Any]], sessions: Iterable[Mapping[str, Any]]) -> None:
    """Draw the operator timeline."""
    console = _console()
    for line in _timeline_view.lines((dict(row) for row in rows), [dict(s) for s in sessions], console.width):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def draw_findings(rows: Iterable[Mapping[str, Any]]) -> None:
    """Draw the findings as numbered sentences with how sure they are; what the logs cannot show stands last."""
    _draw(_tables_view.findings(rows))


def draw_sources(rows: Iterable[dict[str, Any]], *, whole: bool) -> None:
    """Draw the sources by role; of noise the busiest unless `whole`."""
    listed = list(rows)
    if not listed:
        say("no source address is in these logs, or none that was asked for")
    _draw(_tables_view.sources(listed, _console().width, whole=whole))


def draw_sessions(rows: Iterable[dict[str, Any]], chain: Iterable[dict[str, Any]]) -> None:
    """Draw each session as a tree with its stays at addresses."""
    listed = list(rows)
    if not listed:
        say("no RDP session is in these logs, or none that was asked for")
    _draw(_tables_view.sessions(listed, chain))


def _draw(parts: Iterable[RenderableType]) -> None:
    console = _console()
    for part in parts:
        if isinstance(part, _tables_view.Note):
            say(part)
        else:
            console.print(part)


def _draw_rows(rows: Iterable[dict[str, Any]], name: str) -> None:
    listed = list(rows)
    if not listed:
        say(f"no {name}")
        return
    names = [n for n in _tables_view.COLUMNS.get(name, tuple(listed[0])) if n in listed[0]]
    _draw(_tables_view.columns(names, listed, _console().width))


def _table(names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    _draw(_tables_view.grid(names, cells, _console().width))


@contextmanager
def paged(*, wanted: bool) -> Iterator[None]:
    """Show what is drawn in the block through a pager, on a terminal that can move about; elsewhere as it is drawn.

    less keeps colours and nothing else (-R), shows short output at once (-F) and leaves it on the screen (-X).
    """
    console = _console()
    if not wanted or not console.is_terminal or console.is_dumb_terminal or not sys.stdin.isatty():
        yield
        return
    os.environ.setdefault("LESS", "-RFX")
    _PAGED.append(console)
    try:
        with console.pager(styles=not console.no_color):
            yield
    finally:
        _PAGED.pop()


_QUESTIONS_SHOWN: Final = 40


def draw_questions(questions: Sequence[Question]) -> None:
    """Say, before anything is sent, what would be sent to whom and what they learn by it."""
    say(f"--online would send {len(questions)} questions by HTTPS (RDAP), each to the registry of its network:")
    for question in questions[:_QUESTIONS_SHOWN]:
        say(f"  to {question.registry}: {question.address}, for {', '.join(question.covers[:8])}")
    if len(questions) > _QUESTIONS_SHOWN:
        say(f"  and {len(questions) - _QUESTIONS_SHOWN} more")
    say(
        "Each registry, any it passes the question on to, and whoever watches the line learns that you look at these networks "
        "now. Where a registry names another network, the address itself is asked for once more. Nothing else is sent."
    )


def write_rows(rows: Iterable[dict[str, Any]], form: str, name: str) -> None:
    """Write rows to stdout as a table for reading, as CSV or as JSON lines."""
    if form == "table":
        _draw_rows(rows, name)
        return
    out = sys.stdout.buffer
    if form == "jsonl":
        for row in rows:
            out.write(json_line(row))
    else:
        for piece in csv_lines_of(rows, TABLES[name].names if name in TABLES else ()):
            out.write(piece)
    out.flush()


def write_bytes(pieces: Iterable[bytes]) -> None:
    """Write a file's bytes to stdout; UsageError where that is a terminal, which would act on them."""
    if sys.stdout.isatty():
        raise UsageError("a terminal is no place for a whole file: name one with -o, or pipe this")
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def csv_lines_of(rows: Iterable[dict[str, Any]], names: Sequence[str]) -> Iterator[bytes]:
    """Yield rows as CSV under the names of the first; where there is none, `names` alone."""
    waiting = iter(rows)
    first = next(waiting, None)
    if first is None:
        yield from csv_lines(list(names), ()) if names else ()
        return

    def again() -> Iterator[dict[str, Any]]:
        yield first
        yield from waiting

    yield from csv_lines(list(first), again())


def draw_case(folder: Path | str, manifest: Mapping[str, Any]) -> None:
    """Tell, on stderr, what was made and the ledger's totals."""
    ledger = manifest["ledger"]
    total = sum(part["bytes"] for part in ledger.values()) or 1
    said = ", ".join(
        f"{counted(ledger[name]['records'], name.removesuffix('s'))} ({100 * ledger[name]['bytes'] / total:.1f} % of bytes)"
        for name in ("events", "rejects", "skips")
    )
    say("")
    say(f"case     {folder}")
    say(f"ledger   {counted(len(manifest['evidence']), 'file')}, {total:,} bytes, all accounted for: {said}")
    if manifest["duplicates"]:
        say(
            f"copies   {manifest['duplicates']:,} events stand in another file too; each is counted once (table duplicates)"
        )
    for reason, count in manifest["rejects_by_reason"].items():
        say(f"         rejected as {reason}: {count:,} (see rejects.csv)")
    credit()


def credit() -> None:
    """Name, on stderr, whose data the places are made of: their licences ask for it wherever results are shown."""
    say(
        "credits  GeoLite2 data created by MaxMind, https://www.maxmind.com; IP geolocation by DB-IP, https://db-ip.com; IPFire; RouteViews; NRO"
    )


def draw_identified(plan: Sequence[Identified]) -> None:
    """Draw which parser claims which file, and why."""
    rows = []
    for item in plan:
        settings = "; ".join(f"{name} {value}" for name, value in item.settings)
        why = item.claim.why + (f" ({settings})" if settings else "")
        rows.append(
            [
                shown(item.evidence.label),
                item.parser.name if item.parser else "container" if item.evidence.container else "nobody",
                str(item.claim.score),
                shown(why),
            ]
        )
    _table(("file", "parser", "sure", "why"), rows)


def draw_formats(parsers: Sequence[Parser], samples: Mapping[str, str]) -> None:
    """Draw the log formats, the packaged sample of each, and what each cannot know."""
    _table(
        ("format", "title", "sample", "cannot know"),
        [[p.name, p.title, shown(samples.get(p.name, "")), p.cannot_know] for p in parsers],
    )


def draw_shown(found: Shown, locator: str) -> None:
    """Draw the bytes behind a locator, made visible, and the row that they became."""
    console = _console()
    head = Text(f"{locator}  {shown(found.evidence['label'])}  SHA-256 {found.evidence['sha256']}\n", style="bold")
    console.print(head, soft_wrap=True)
    if found.evidence["parser"] == "evtx" or b"\0" in found.raw[:64]:
        for line in _dump(found.raw):
            console.print(Text(line), soft_wrap=True)
    else:
        console.print(Text(visible(found.raw.decode("utf-8", "surrogateescape"))), soft_wrap=True)
    if found.cut:
        say("(the record is longer than what is shown)")
    how = "".join(f"; {name} {value}" for name, value in sorted(found.evidence["settings"].items()) if value)
    reader = f"\nread by {found.evidence['parser'] or 'nobody'} as {found.outcome}{shown(how)}"
    console.print(Text(reader, style="bold"), soft_wrap=True)
    for name, value in found.row.items():
        if value is not None:
            console.print(Text(f"  {name:<28}{shown(str(plain(value)))}"), soft_wrap=True)


def _dump(raw: bytes) -> Iterator[str]:
    for at in range(0, len(raw), 16):
        part = raw[at : at + 16]
        letters = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in part)
        yield f"{at:08x}  {part.hex(' '):<47}  {letters}"


class Meter:
    """A progress display that appears only when the work takes longer than a second, and only on a terminal."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None
        self._start = time.monotonic()
        self._running = False
        self._done = 0

    def advance(self, stage: str, done: int) -> None:
        """Tell how the work goes on: the stage, and how many bytes or steps it did since the last call."""
        if self._progress is None or self._task is None:
            return
        if not self._running and time.monotonic() - self._start > _WAIT:
            self._progress.start()
            self._running = True
        self._done = self._done + done if stage == "reading" else self._done
        self._progress.update(self._task, description=f"{stage}  {self._done / 1e6:,.0f} MB read")

    def stop(self) -> None:
        """Take the display away."""
        if self._progress is not None and self._running:
            self._progress.stop()


@contextmanager
def progress(label: str) -> Iterator[Meter]:
    """Give a meter for as long as the block runs."""
    console = _console(error=True)
    shown_on = (
        Progress(
            SpinnerColumn(),
            TextColumn(label),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        if console.is_terminal and not console.is_dumb_terminal
        else None
    )
    meter = Meter(shown_on)
    try:
        yield meter
    finally:
        meter.stop()

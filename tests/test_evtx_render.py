"""The renderer in its own process: what hangs it or kills it costs the record that did it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from evtx_event import Event, Type
from evtx_reading import NOON, log, read, session
from evtx_writer import write_evtx

from forensics.parsers import _evtx_read, _evtx_render
from forensics.parsers._rdp import SECURITY

ODD = Event(
    provider=SECURITY,
    event_id=4624,
    fields=[("LogonType", Type.STRING, "10"), ("TargetUserName", Type.STRING, "admin")],
    time=NOON,
    computer="W",
    channel="Security",
)
"""Odd to the columnar reader, since its LogonType is a text; the package renders it."""


Child = Callable[..., None]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Child]:
    """Put another program in the place of the renderer's own."""
    process = _evtx_render._Child()

    def put(script: str, *, seconds: float = 20) -> None:
        path = tmp_path / "child.py"
        path.write_text(script)
        monkeypatch.setattr(_evtx_render, "_SCRIPT", str(path))
        monkeypatch.setattr(_evtx_render, "DECODER_SECONDS", seconds)
        monkeypatch.setattr(_evtx_render, "_CHILD", process)

    yield put
    process.close()


def test_an_odd_record_is_rendered_among_plain_ones() -> None:
    got = read(write_evtx([session(1), ODD, session(2)]))
    assert [(row["event_code"], row["user_name"]) for row in got.events][1] == ("4624", "admin")
    assert not got.rejects


@pytest.mark.parametrize(
    ("script", "seconds"),
    [
        ("raise SystemExit(1)", 20),
        ("import os; os.abort()", 20),
        ("import sys, time; sys.stdin.buffer.read(8); time.sleep(600)", 0.5),
        ("while True: pass", 0.5),
        ("import sys; sys.stdout.buffer.write(b'\\x10\\0\\0\\0half'); sys.stdout.flush()", 20),
    ],
)
def test_a_renderer_that_dies_or_hangs_costs_its_records_and_nothing_else(
    script: str, seconds: float, child: Child
) -> None:
    child(script, seconds=seconds)
    got = read(write_evtx([session(1), ODD, session(2)]))
    assert [row["event_code"] for row in got.events] == ["21", "21"]
    assert [(r["reason"], r["records"]) for r in got.rejects] == [("decoder_died", 1)]


def test_records_behind_the_one_that_kills_the_renderer_are_rendered(child: Child) -> None:
    """The child renders as ever, but dies of every record that holds the word DEATH."""
    script = f"""
import runpy, sys
child = runpy.run_path({_evtx_render._SCRIPT!r})
told = sys.stdout.buffer
class Deadly:
    def write(self, piece):
        if b"DEATH" in piece:
            told.flush()
            sys.exit(1)
        told.write(piece)
    def flush(self):
        told.flush()
child["main"](sys.stdin.buffer, Deadly())
"""
    child(script)
    users = ["first", "DEATH", "third", "fourth", "DEATH", "last"]
    fields = [[("LogonType", Type.STRING, "10"), ("TargetUserName", Type.STRING, user)] for user in users]
    raw = write_evtx(
        [
            Event(provider=SECURITY, event_id=4624, fields=own, time=NOON, computer="W", channel="Security")
            for own in fields
        ]
    )
    got = read(raw)
    assert [row["user_name"] for row in got.events] == ["first", "third", "fourth", "last"]
    assert [(r["reason"], r["log_ordinal"]) for r in got.rejects] == [("decoder_died", 2), ("decoder_died", 5)]


def test_a_renderer_that_dies_again_and_again_is_no_longer_asked(child: Child, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    child(f"open({str(asked)!r}, 'a').write('x'); raise SystemExit(1)")
    got = read(write_evtx([ODD] * 40))
    assert got.records == {"decoder_died": 40}
    assert len(asked.read_text()) == _evtx_render.DECODER_DEATHS


def test_a_package_that_gives_up_costs_the_records_it_cannot_render(child: Child) -> None:
    script = f"""
import sys, types
sys.modules["evtx"] = types.ModuleType("evtx")
import runpy
child = runpy.run_path({_evtx_render._SCRIPT!r})
child["main"](sys.stdin.buffer, sys.stdout.buffer)
"""
    child(script)
    got = read(write_evtx([session(1), ODD, ODD]))
    assert got.records == {"evtx": 1, "undecodable_record": 2}


def test_an_interrupt_while_rendering_is_no_broken_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(_evtx_render._Child, "_exchange", interrupted)
    monkeypatch.setattr(_evtx_read, "sort_out", _evtx_read._all_odd)
    with pytest.raises(KeyboardInterrupt):
        read(log(3))

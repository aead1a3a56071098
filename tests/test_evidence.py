"""Finding and opening evidence: in order, read-only, links not followed, damage told apart from data."""

from __future__ import annotations

import gzip
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import EvidenceError
from forensics.evidence._raw import open_raw
from forensics.evidence.find import find
from forensics.evidence.open import drain, head, open_span, open_stream
from forensics.evidence.spans import line_spans
from forensics.model import Evidence, Span


def read_all(evidence: Evidence) -> tuple[bytes, tuple[str, str] | None]:
    out = bytearray()
    stream = open_stream(evidence, out.extend)
    drain(stream)
    damage = stream.damage
    stream.close()
    return bytes(out), damage


def one(path: Path) -> Evidence:
    (found,) = find([path]).evidence
    return found


def test_files_are_found_in_the_order_of_their_labels_whatever_was_typed_first(tmp_path: Path) -> None:
    for name in ("b/2.log", "b/1.log", "a.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    forwards = find([tmp_path / "b", tmp_path / "a.log"])
    backwards = find([tmp_path / "a.log", tmp_path / "b", tmp_path / "b" / "2.log"])
    assert [(e.id, e.label) for e in forwards.evidence] == [
        ("E0001", "a.log"),
        ("E0002", "b/1.log"),
        ("E0003", "b/2.log"),
    ]
    assert forwards.evidence == backwards.evidence


@pytest.mark.skipif(sys.platform != "linux", reason="names on disk are text here")
def test_a_name_that_is_no_text_is_spelt_out_and_its_file_read(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.log")).write_bytes(b"x")
    (folder / os.fsdecode(b"\xfe.link")).symlink_to(folder)
    found = find([folder])
    assert [(item.label, read_all(item)[0]) for item in found.evidence] == [("caf\\xe9/\\xff.log", b"x")]
    assert [passed.label for passed in found.passed_over] == ["caf\\xe9/\\xfe.link"]


def test_two_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Security.evtx").write_bytes(folder.encode())
    found = find([tmp_path / "y" / "Security.evtx", tmp_path / "x" / "Security.evtx"])
    assert [e.label for e in found.evidence] == ["Security.evtx", "Security.evtx~2"]
    assert [e.path.parent.name for e in found.evidence] == ["x", "y"]


def test_links_and_devices_are_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "real.log").write_bytes(b"x")
    (tmp_path / "link.log").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    found = find([tmp_path])
    assert [e.label.split("/")[1] for e in found.evidence] == ["real.log"]
    assert sorted(p.label.split("/")[1] for p in found.passed_over) == ["link.log", "loop", "pipe"]
    assert not any(p.failed for p in found.passed_over)


def test_a_missing_path_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    found = find([tmp_path / "nowhere"])
    assert not found.evidence
    assert found.passed_over[0].failed
    assert "check the path" in found.passed_over[0].why


def test_a_pipe_typed_by_name_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert find([tmp_path / "pipe"]).passed_over[0].failed
    with pytest.raises(EvidenceError):
        open_raw(tmp_path / "pipe")


def test_reading_changes_no_time_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 1000)
    os.utime(path, ns=(10**18, 10**18))
    path.chmod(stat.S_IRUSR)
    before = path.stat()
    read_all(one(path))
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    if hasattr(os, "O_NOATIME"):
        assert before.st_atime_ns == after.st_atime_ns


def test_gzip_is_known_by_its_bytes_and_inflated_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "access_log.2017-01-18"
    path.write_bytes(gzip.compress(b"first\n") + gzip.compress(b"second\n"))
    assert one(path).wrapping == "gzip"
    assert read_all(one(path)) == (b"first\nsecond\n", None)
    assert head(one(path)).start == b"first\nsecond\n"


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_gzip_cut_anywhere_gives_what_came_before_and_says_so(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(b"".join(b"line %d\n" % i for i in range(20)), mtime=0)
    path = tmp_path / "a.gz"
    path.write_bytes(whole[: max(4, len(whole) - cut)])
    data, damage = read_all(one(path))
    assert b"".join(b"line %d\n" % i for i in range(20)).startswith(data)
    assert damage is not None
    assert damage[0] == "gzip_truncated"


def test_a_gzip_damaged_inside_gives_what_came_before(tmp_path: Path) -> None:
    import random

    noise = random.Random(1).randbytes(600_000)
    raw = bytearray(gzip.compress(noise, mtime=0))
    raw[400_000:400_040] = b"\xff" * 40
    path = tmp_path / "a.gz"
    path.write_bytes(raw)
    data, damage = read_all(one(path))
    assert damage is not None
    assert damage[0] == "gzip_corrupt"
    assert data[:390_000] == noise[:390_000]


def test_bytes_behind_a_gzip_are_told_and_zero_padding_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"x\n") + b"junk")
    assert read_all(one(path)) == (b"x\n", ("gzip_trailing_bytes", read_all(one(path))[1][1]))
    path.write_bytes(gzip.compress(b"x\n") + bytes(512))
    assert read_all(one(path)) == (b"x\n", None)


def test_a_gzip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import forensics.evidence.inflate as inflate

    monkeypatch.setattr(inflate, "RATIO_FREE", 100_000)
    monkeypatch.setattr(inflate, "MAX_RATIO", 100)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    data, damage = read_all(one(path))
    assert damage is not None
    assert damage[0] == "bomb"
    assert len(data) < 50_000_000


@given(
    st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=60),
    st.booleans(),
    st.integers(1, 200),
)
def test_line_spans_adjoin_end_at_a_line_feed_and_know_their_first_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], closed: bool, size: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if closed and lines else b"")
    path = tmp_path_factory.mktemp("spans") / "a.log"
    path.write_bytes(data)
    evidence = one(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forensics.evidence.spans.SPAN_BYTES", size)
        stream = open_stream(evidence)
        spans = list(line_spans(stream, Span(evidence, "p", 0, len(data), 1)))
        stream.close()
    at = 0
    for span in spans:
        assert span.start == at
        assert span.first_ordinal == data[: span.start].count(b"\n") + 1
        assert span.stop is not None
        assert span.stop == len(data) or data[span.stop - 1 : span.stop] == b"\n"
        part = open_span(span)
        buffer = bytearray(len(data) + 1)
        assert bytes(buffer[: part.readinto(memoryview(buffer))]) == data[span.start : span.stop]
        part.close()
        at = span.stop
    assert at == len(data)
    assert len(spans) >= 1

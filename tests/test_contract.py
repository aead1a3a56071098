"""What every parser, rule and report owes, asked of each member of the registries."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.analysis import rules
from forensics.case import Case, bind, connect
from forensics.evidence.find import find
from forensics.evidence.ledger import Tally, Watch
from forensics.evidence.open import drain, head, open_span, open_stream
from forensics.identify import identify
from forensics.model import Batch, Evidence, Options, Parser, Report, Rule, Span
from forensics.packaged import sample_evidence, sample_formats
from forensics.parsers import parsers
from forensics.reports import reports
from forensics.schemas import EVENTS, REJECTS, SKIPS, TABLES

MUTANTS = 40


def sample_of(parser: Parser) -> Evidence:
    """Return the smallest sample file that the parser claims."""
    mine = [i.evidence for i in identify(find([*sample_evidence(), sample_formats()]).evidence) if i.parser is parser]
    assert mine, f"no sample for {parser.name}"
    return min(mine, key=lambda evidence: evidence.size)


def spans_of(parser: Parser, evidence: Evidence) -> Iterator[Span]:
    settings = tuple(sorted(parser.settle(head(evidence), (), Options()).items()))
    whole = Span(evidence, parser.name, 0, None if evidence.wrapping == "gzip" else evidence.size, 1, settings)
    if evidence.wrapping == "gzip":
        yield whole
        return
    stream = open_stream(evidence)
    yield from parser.split(stream, whole)
    drain(stream)
    stream.close()


def read(parser: Parser, evidence: Evidence) -> tuple[list[Batch], Tally]:
    """Read a whole file with the ledger on."""
    batches, tally = [], Tally()
    for span in spans_of(parser, evidence):
        recount, watch = parser.recount(span), Watch(span)
        stream = open_span(span, recount.feed)
        for batch in parser.read(span, stream):
            watch.check(batch)
            batches.append(batch)
        drain(stream)
        watch.close(stream.position, recount.total())
        stream.close()
        tally.merge(watch.tally)
    return batches, tally


PARSERS = pytest.mark.parametrize("parser", parsers().values(), ids=lambda p: p.name)


@PARSERS
def test_a_parser_is_named_after_its_module_and_documented(parser: Parser) -> None:
    module = inspect.getmodule(parser.read)
    assert parser.name in parsers()
    assert parsers()[parser.name] is parser
    assert parser.title
    assert parser.cannot_know, "say what the format does not record"
    assert module is not None
    assert module.__doc__


@PARSERS
def test_a_sample_is_claimed_by_its_parser_and_no_other(parser: Parser) -> None:
    seen = head(sample_of(parser))
    scores = {name: other.claims(seen, ()).score for name, other in parsers().items()}
    assert max(scores, key=lambda name: scores[name]) == parser.name
    assert sum(score == scores[parser.name] for score in scores.values()) == 1
    assert parser.claims(seen, ()).why


@PARSERS
def test_batches_have_exactly_the_published_schemas(parser: Parser) -> None:
    batches, _ = read(parser, sample_of(parser))
    for batch in batches:
        assert batch.events.schema.equals(EVENTS)
        assert batch.rejects.schema.equals(REJECTS)
        assert batch.skips.schema.equals(SKIPS)


@PARSERS
def test_every_byte_of_the_sample_is_accounted_for(parser: Parser) -> None:
    evidence = sample_of(parser)
    _, tally = read(parser, evidence)
    if evidence.wrapping == "none":
        assert sum(tally.bytes.values()) == evidence.size


@PARSERS
def test_reading_twice_gives_the_same_rows(parser: Parser) -> None:
    evidence = sample_of(parser)
    first, second = ([b.events.to_pylist() for b in read(parser, evidence)[0]] for _ in range(2))
    assert first == second


@PARSERS
def test_every_byte_of_a_mutated_sample_is_accounted_for(parser: Parser, tmp_path: Path) -> None:
    evidence = sample_of(parser)
    original = evidence.path.read_bytes()[: 4096 + 2 * 65536]
    if evidence.wrapping == "gzip":
        pytest.skip("mutating a compressed sample tests the inflater, not the parser")
    rng = random.Random(20170118)
    for number in range(MUTANTS):
        raw = bytearray(original)
        for _ in range(rng.choice([1, 3, 30])):
            at = rng.randrange(len(raw))
            match rng.randrange(4):
                case 0:
                    raw[at] = rng.randrange(256)
                case 1:
                    del raw[at : at + rng.choice([1, 7, 5000])]
                case 2:
                    raw[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 8, 100])))
                case _:
                    raw[at : at + 64] = raw[:64]
            raw = raw or bytearray(b"x")
        path = tmp_path / f"mutant{number}"
        path.write_bytes(raw)
        mutant = Evidence("E0001", evidence.label, path, len(raw))
        _, tally = read(parser, mutant)
        assert sum(tally.bytes.values()) == len(raw)


@pytest.mark.parametrize("rule", rules().values(), ids=lambda r: r.name)
def test_a_rule_makes_the_table_of_its_name(rule: Rule) -> None:
    assert TABLES[rule.name] is rule.schema
    assert rule.title
    assert set(rule.needs) <= set(TABLES)


@pytest.mark.parametrize("rule", rules().values(), ids=lambda r: r.name)
def test_a_rule_answers_a_case_without_any_event(rule: Rule, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    with connect(tmp_path) as db:
        for other in rules().values():
            made = other.run(db)
            assert made.schema.equals(other.schema)
            db.register(f"_made_{other.name}", made)
            db.execute(f"CREATE OR REPLACE VIEW {other.name} AS SELECT * FROM _made_{other.name}")
            if other is rule:
                break
        bind(db, tmp_path, "events", EVENTS)


@pytest.mark.parametrize("rule", rules().values(), ids=lambda r: r.name)
def test_a_rule_reads_no_table_but_those_it_needs(demo_case: Case, rule: Rule) -> None:
    with connect(demo_case.folder) as db:
        for name in sorted(set(TABLES) - set(rule.needs)):
            db.execute(f"DROP VIEW {name}")
        rule.run(db)


@pytest.mark.parametrize("report", reports().values(), ids=lambda r: r.name)
def test_a_report_reads_no_table_but_those_it_needs(demo_case: Case, report: Report) -> None:
    with connect(demo_case.folder) as db:
        for name in sorted(set(TABLES) - set(report.needs)):
            db.execute(f"DROP VIEW {name}")
        assert any(report.write(db))


@pytest.mark.parametrize("report", reports().values(), ids=lambda r: r.name)
def test_a_report_names_its_file_and_its_needs(report: Report) -> None:
    assert report.filename
    assert "/" not in report.filename
    assert report.title
    assert set(report.needs) <= set(TABLES)

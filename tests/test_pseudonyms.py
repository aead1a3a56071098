"""--pseudonymise victims: a copy in which no address of a victim is left in any byte, however it was written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forensics
from forensics import exports
from forensics._addresses_in_text import replacing
from forensics.case import Case
from forensics.errors import OutputError, UsageError
from forensics.pseudonyms import pseudonymise
from forensics.verifying import verify

FOUR, SIX = "195.230.113.124", "2a02:2788:1a4:91c::1f"
OPERATOR = "51.254.37.118"


def spellings(ip: str) -> list[str]:
    """Return ways to write an address that lead a reader back to it."""
    found = ip_address(ip)
    if isinstance(found, IPv6Address):
        return [ip, found.exploded, ip.upper(), found.exploded.upper(), ip.replace(":", "%3A"), ip.replace(":", "%3a")]
    octets = ip.split(".")
    mapped = IPv6Address(f"::ffff:{ip}")
    return [
        ip,
        ".".join(o.zfill(3) for o in octets),
        "-".join(octets),
        ".".join(reversed(octets)) + ".in-addr.arpa",
        str(int(found)),
        hex(int(found)),
        f"::ffff:{ip}",
        f"::FFFF:{ip}",
        mapped.exploded,
        str(mapped),
    ]


def line(ip: str, when: datetime, request: str, agent: str = "-") -> str:
    return f'{ip} - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "{request} HTTP/1.1" 200 36 "-" "{agent}"\n'


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Case:
    """Implants of both families behind the sample's command path, and requests that name them in every spelling."""
    folder = tmp_path_factory.mktemp("victims")
    start = datetime(2017, 1, 13, tzinfo=UTC)
    lines = []
    for at in range(200):
        for ip, as_written in ((SIX, IPv6Address(SIX).exploded), (FOUR, f"0:0:0:0:0:ffff:{FOUR}")):
            lines.append(line(as_written, start + timedelta(seconds=600 * at + len(ip)), "POST /support/main.jsp"))
    for number, text in enumerate((*spellings(FOUR), *spellings(SIX))):
        when = start + timedelta(days=1, seconds=number)
        lines.append(line("203.0.113.9", when, f"GET /look?ip={text}&again=[{text}]:80", f"curl {text}"))
        lines.append(line(OPERATOR, when, f"GET /support/console.jsp?kill={text}"))
    (folder / "more").mkdir()
    (folder / "more" / f"access_log.of {FOUR}").write_text("".join(lines))
    return forensics.analyze(folder / "more", samples / "Tomcat", samples / "Windows", out=folder / "case", workers=1)


@pytest.fixture(scope="module")
def copy(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("shared")
    return pseudonymise(case, folder / "copy", folder / "key")


def victims(case: Case) -> list[str]:
    with case.database() as db:
        return [ip for (ip,) in db.sql("SELECT source_ip FROM sources WHERE role = 'implant'").fetchall()]


def every_byte(case: Case) -> list[tuple[str, str]]:
    """Return (name, text) of everything in a case and all that can be exported: files as they lie, Parquet unpacked too."""
    found = [
        (str(p.relative_to(case.folder)), p.read_bytes().decode("latin-1"))
        for p in sorted(case.folder.rglob("*"))
        if p.is_file()
    ]
    tables = sorted(case.folder.rglob("*.parquet"))
    texts = [form for form in exports.exports() if form not in {"xlsx", "parquet"}]
    found += [(f"{path.name}, unpacked", str(pq.read_table(path).to_pylist())) for path in tables]
    return found + [(form, b"".join(exports.pieces(case, form)).decode()) for form in texts]


def test_the_addresses_are_victims_to_begin_with(case: Case) -> None:
    assert {FOUR, SIX} <= set(victims(case))
    joined = "".join(text for _, text in every_byte(case))
    for ip in (FOUR, SIX):
        assert ip in joined


def test_no_spelling_of_a_victim_is_left_in_any_byte(case: Case, copy: Case) -> None:
    everything = [(name, text.lower()) for name, text in every_byte(copy)]
    for ip in victims(case):
        for spelt in map(str.lower, spellings(ip) if ip in {FOUR, SIX} else [ip]):
            pattern = re.compile(r"(?<![0-9A-Za-z.])" + re.escape(spelt) + r"(?![0-9A-Za-z])")
            for name, text in everything:
                assert spelt not in text or not pattern.search(text), (spelt, name)


def test_operators_stay_in_clear_and_locators_stay(case: Case, copy: Case) -> None:
    before, after = case.frame("sources"), copy.frame("sources")
    operators = set(before[before.role == "operator"].source_ip)
    assert operators == set(after[after.role == "operator"].source_ip)
    assert sorted(before.role) == sorted(after.role)
    told = [re.findall(r"E\d{4}:\d+\+\d+", str(one.table("timeline").to_pylist())) for one in (case, copy)]
    assert told[0] == told[1]
    assert told[0]
    assert len(set(victims(copy))) == len(victims(case))


def test_a_copy_is_a_whole_case_that_says_what_it_is(case: Case, copy: Case) -> None:
    assert list(verify(copy)) == []
    assert copy.manifest["pseudonymised"]["addresses"] == len(victims(case))
    run = copy.frame("run")
    assert run[run.name == "pseudonymised"].value.tolist() == ["victims"]
    assert [e["sha256"] for e in copy.manifest["evidence"]] == [e["sha256"] for e in case.manifest["evidence"]]


def test_no_network_or_holder_of_a_victim_is_left(copy: Case) -> None:
    hidden = set(victims(copy))
    for name in ("addresses", "sources", "victims"):
        for row in copy.table(name).to_pylist():
            if row["source_ip"] in hidden:
                assert row["as_organization_name"] is None
                assert row["as_number"] is None
                assert row.get("network") is None


def test_the_rows_of_a_copy_do_not_stand_in_the_order_of_the_addresses(copy: Case) -> None:
    assert copy.table("sources")["source_ip"].to_pylist() == sorted(copy.table("sources")["source_ip"].to_pylist())


def test_the_same_key_gives_the_same_copy_and_another_key_others(case: Case, copy: Case, tmp_path: Path) -> None:
    key = copy.folder.parent / "key"
    again = pseudonymise(case, tmp_path / "again", key)
    assert again.manifest == copy.manifest
    other = pseudonymise(case, tmp_path / "other", tmp_path / "other.key")
    assert not set(victims(other)) & set(victims(copy))
    assert key.stat().st_mode & 0o077 == 0
    assert key.read_text().strip() not in "".join(text for _, text in every_byte(copy))


def test_the_key_is_never_in_the_copy_and_no_other_file_is_taken_for_one(case: Case, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="kept apart"):
        pseudonymise(case, tmp_path / "copy", tmp_path / "copy" / "key")
    (tmp_path / "key").write_text("not a key")
    with pytest.raises(UsageError, match="holds no key"):
        pseudonymise(case, tmp_path / "copy", tmp_path / "key")
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


@given(
    st.ip_addresses(v=4),
    st.sampled_from(["", " ", "/", "[", "x=", '"', "10:03:09 ", "ip:"]),
    st.sampled_from(["", "]:80", " ", "/", ":443", '"']),
)
def test_any_address_is_found_in_any_spelling(ip: IPv4Address, before: str, after: str) -> None:
    replace = replacing({str(ip): "PSEUDONYM"})
    for spelt in spellings(str(ip)):
        if spelt.isdigit() and len(spelt) < 8:
            continue
        if spelt.startswith("0x") and len(spelt) < 10:
            continue
        assert "PSEUDONYM" in replace(f"{before}{spelt}{after}"), spelt


@given(st.ip_addresses(v=6))
def test_any_address_of_the_new_kind_is_found_in_any_spelling(ip: IPv6Address) -> None:
    normal = str(ip.ipv4_mapped or ip)
    replace = replacing({normal: "PSEUDONYM"})
    for spelt in (str(ip), ip.exploded, str(ip).upper(), str(ip).replace(":", "%3A")):
        for text in (spelt, f"[{spelt}]:443", f"from {spelt}, then", f"?ip={spelt}&x"):
            assert "PSEUDONYM" in replace(text), text


@given(st.text(alphabet="0123456789abcdef:.%3A-x []/", max_size=80))
def test_a_text_without_the_address_is_left_as_it_is(text: str) -> None:
    assert replacing({"192.0.2.77": "PSEUDONYM"})(text) == text or "2.77" in text or "77" in text


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    replace = replacing({FOUR: "PSEUDONYM"})
    for hostile in (":" * 99_000, "1." * 99_000, "a:" * 99_000, "1-" * 99_000, "%3A" * 50_000, "9" * 99_000):
        assert replace(hostile) == hostile

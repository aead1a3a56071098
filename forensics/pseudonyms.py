"""A copy of a case that can be shared: the addresses of victims are keyed pseudonyms, everything about the operators stays.

A pseudonym is an address of 2001:db8::/32, the range that is set aside for documentation (RFC 3849): HMAC-SHA256 of the
address under a key that lies in a file of its own. Who has the key can find a victim again; who has the copy alone cannot.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forensics._addresses_in_text import replacing
from forensics.case import MANIFEST, Case, Draft, bind, digest, draft, open_case
from forensics.errors import OutputError, UsageError
from forensics.reports import reports
from forensics.schemas import RUN, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_KEY_BYTES: Final = 32
_PREFIX: Final = 0x20010DB8 << 96
_OF_VICTIMS: Final = ("network", "as_number", "as_organization_name", "as_as_of")
"""Columns that would name a victim by the network it lives in; its country stays."""

_ORDERS: Final[Mapping[str, str]] = {
    "addresses": "source_ip, day",
    "sources": "source_ip",
    "victims": "first_seen, source_ip",
    "beacons": "score DESC, source_ip, path",
}
"""Tables whose rows stood in the order of the addresses, which would tell where a pseudonym's address lies."""


def pseudonymise(case: Case, out: Path, key_file: Path, *, force: bool = False) -> Case:
    """Publish a copy of `case` as `out` in which no address of a victim is left, however it was written; return the copy.

    The key is read from `key_file`, or made and written there; the same key gives the same pseudonyms. It must lie outside
    the copy. Locators stay: they lead to the evidence, which is not in the case. Registrations of victims' networks are
    left out, and so are the answers of registries as they came.

    Raises:
        OutputError: the copy or the key cannot be written, or the key would lie in the copy or the case.
        UsageError: the key file holds no key.
    """
    for folder in (out, case.folder):
        if (key_file.absolute().parent.resolve() / key_file.name).is_relative_to(folder.absolute().resolve()):
            raise OutputError(
                f"{key_file} would lie in {folder}; the key is kept apart: choose another place with --key"
            )
    with case.database() as db:
        found = db.sql(
            "SELECT source_ip FROM victims UNION SELECT source_ip FROM sources WHERE role = 'implant' ORDER BY 1"
        ).fetchall()
    key = _key(key_file)
    instead = {ip: _pseudonym(key, ip) for (ip,) in found}
    replace = replacing(instead)
    with draft(out, force=force, evidence=[case.folder]) as building:
        building.audit("pseudonymise", what="victims", addresses=len(instead))
        _tables(case, building, instead, replace)
        with building.database() as db:
            for name, schema in TABLES.items():
                bind(db, building.folder, name, schema)
            for name, order in _ORDERS.items():
                building.write_table(name, db.sql(f"SELECT * FROM {name} ORDER BY {order}").to_arrow_table())  # noqa: S608
                bind(db, building.folder, name, TABLES[name])
            for report in reports().values():
                building.write(report.filename, report.write(db))
        facts = {name: value for name, value in case.manifest.items() if name != "files"}
        facts = json.loads(_in_json(facts, replace))
        facts["pseudonymised"] = {
            "what": "victims",
            "addresses": len(instead),
            "key": hmac.new(key, b"c2trail key", hashlib.sha256).hexdigest()[:16],
            "manifest_of_original": digest(case.folder / MANIFEST),
        }
        building.audit("finish")
        building.write_manifest(facts)
    return open_case(out)


def _in_json(value: object, replace: Callable[[str], str]) -> str:
    return replace(json.dumps(value, ensure_ascii=False))


def _key(file: Path) -> bytes:
    """Return the key in a file, made anew where there is none; nobody else may read a new one."""
    try:
        try:
            with file.open("xb") as made:
                with suppress(OSError):
                    file.chmod(0o600)
                made.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        except FileExistsError:
            pass
        text = file.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise OutputError(f"the key {file} cannot be read or written ({error.strerror})") from error
    except ValueError as error:
        raise UsageError(f"{file} holds no key of c2trail; name another with --key, or none to make one") from error
    if len(key) != _KEY_BYTES:
        raise UsageError(f"{file} holds no key of c2trail; name another with --key, or none to make one")
    return key


def _pseudonym(key: bytes, ip: str) -> str:
    made = hmac.new(key, ip_address(ip).packed, hashlib.sha256).digest()
    return str(IPv6Address(_PREFIX | int.from_bytes(made[:12], "big")))


def _tables(case: Case, building: Draft, instead: Mapping[str, str], replace: Callable[[str], str]) -> None:
    """Write every file of tables again, its texts without victims."""
    root = case.folder / "tables"
    for path in sorted(root.rglob("*.parquet")):
        relative = path.relative_to(root)
        target = building.parts / relative
        target.parent.mkdir(exist_ok=True)
        name = relative.parts[0].removesuffix(".parquet")
        with pq.ParquetFile(path) as source:
            schema = source.schema_arrow
            with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
                for batch in source.iter_batches(65_536):
                    rows = _hidden(name, pa.Table.from_batches([batch]), instead)
                    columns = [_column(rows.column(field.name), field.type, replace) for field in schema]
                    writer.write_table(pa.table(columns, schema=schema))
                if name == "run":
                    told = pa.table({"kind": ["option"], "name": ["pseudonymised"], "value": ["victims"]}, schema=RUN)
                    writer.write_table(told.cast(schema))


def _hidden(name: str, rows: pa.Table, instead: Mapping[str, str]) -> pa.Table:
    """Take away what would name a victim without its address."""
    if name == "registrations":
        keep = [not set((ips or "").split(";")) & set(instead) for ips in rows.column("source_ips").to_pylist()]
        return rows.filter(pa.array(keep, pa.bool_()))
    if "source_ip" not in rows.column_names:
        return rows
    victim = pc.is_in(rows.column("source_ip").cast(pa.string()), pa.array(list(instead), pa.string()))
    for column in _OF_VICTIMS:
        if column in rows.column_names:
            place = rows.column_names.index(column)
            kind = rows.schema.field(column)
            rows = rows.set_column(place, kind, pc.if_else(victim, pa.scalar(None, kind.type), rows.column(column)))
    return rows


def _column(column: Any, kind: pa.DataType, replace: Callable[[str], str]) -> Any:  # noqa: ANN401  # of pyarrow
    """Return a column with its texts replaced, each distinct text once."""
    if not (pa.types.is_string(kind) or pa.types.is_dictionary(kind)):
        return column
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    texts = [None if text is None else replace(text) for text in encoded.dictionary.to_pylist()]
    made = pa.array(texts, pa.string()).take(encoded.indices)
    return made if pa.types.is_string(kind) else made.dictionary_encode().cast(kind)

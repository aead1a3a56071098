"""The case folder: built in a hidden sibling, published by one rename, opened again later. Only this module writes files.

A folder with a manifest is whole. Everything in it but `audit.jsonl` is a function of the evidence, the databases, the
options and the versions.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from forensics.errors import EvidenceChangedError, OutputError, UsageError
from forensics.limits import DATABASE_BYTES
from forensics.publishing import folder_draft, sweep
from forensics.schemas import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pandas as pd

MANIFEST: Final = "manifest.json"
AUDIT: Final = "audit.jsonl"
_TABLES: Final = "tables"
_SPILL: Final = ".spill"
_HASH_BLOCK: Final = 1 << 20
_ROWS_A_GROUP: Final = 1 << 16
"""Rows of a large table that are held at once, some hundred bytes each."""


@dataclass(frozen=True, slots=True)
class Case:
    """A published case. Tables are read where they lie: `frame` gives pandas, `database` gives DuckDB views over them."""

    folder: Path

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the case was made from and with, and the hash of every file in it."""
        try:
            manifest: Mapping[str, Any] = json.loads((self.folder / MANIFEST).read_bytes())
        except ValueError as error:
            raise EvidenceChangedError(
                f"{self.folder / MANIFEST} is not what was written ({error}); the case cannot be trusted: analyse again"
            ) from error
        return manifest

    def database(self) -> duckdb.DuckDBPyConnection:
        """Return a connection in which every table of the case is a view; its zone is UTC."""
        return connect(self.folder)

    def table(self, name: str) -> pa.Table:
        """Return one whole table as Arrow, in its published order; UsageError if there is none of that name."""
        if name not in TABLES:
            raise UsageError(f"a case has no table '{name}'; it has {', '.join(TABLES)}")
        with self.database() as db:
            order = " ORDER BY time, evidence_id, log_offset" if name == "events" else ""
            return db.sql(f"SELECT * FROM {name}{order}").to_arrow_table()  # noqa: S608  # the name is one of TABLES

    def frame(self, name: str) -> pd.DataFrame:
        """Return one whole table as a pandas DataFrame."""
        frame: pd.DataFrame = self.table(name).to_pandas()
        return frame

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Return a table under its own name: `case.timeline`, `case.findings`, `case.sessions` and all others."""
        if name in TABLES:
            return self.frame(name)
        raise AttributeError(f"a case has no table '{name}'; it has {', '.join(TABLES)}")


def open_case(folder: Path) -> Case:
    """Return the case in `folder`; UsageError if it is none."""
    if not (folder / MANIFEST).is_file():
        aside = sorted(folder.absolute().parent.glob(f".{glob.escape(folder.absolute().name)}.????????.replaced"))
        if aside:
            raise UsageError(
                f"{folder} is not there: a run that was to replace it was killed, and the case lies in {aside[0]}; rename it"
            )
        raise UsageError(
            f"{folder} is no case folder (it has no {MANIFEST}); make one with: c2trail analyze EVIDENCE -o CASE"
        )
    return Case(folder)


def connect(folder: Path, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return a database in memory with a view for each table that lies in `folder`.

    What does not fit in its memory goes to `spill`, without one to the system's folder for temporary files.
    """
    db = duckdb.connect(":memory:")
    db.execute("SET temp_directory = ?", [str(spill or Path(tempfile.gettempdir()) / f"c2trail-{os.getpid()}")])
    db.execute(f"SET memory_limit = '{DATABASE_BYTES}B'")
    in_utc(db)
    db.execute("SET enable_progress_bar = false")
    # DuckDB would fetch extensions by itself: nothing here ever opens a socket.
    for name in ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions"):
        db.execute(f"SET {name} = false")
    for name, schema in TABLES.items():
        bind(db, folder, name, schema)
    return db


def in_utc(db: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Let a connection, or a cursor that works beside it, spell times in UTC, whatever the machine's zone is."""
    db.execute("SET TimeZone = 'UTC'")
    return db


R = TypeVar("R")


def roomy(db: duckdb.DuckDBPyConnection, ask: Callable[[], R]) -> R:
    """Return what `ask` returns; a question that does not fit the database's memory is asked again with all there is."""
    try:
        return ask()
    except duckdb.OutOfMemoryException:
        db.execute("RESET memory_limit")
        return ask()


def confine(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Let a connection read the case's tables and nothing else: no other file, no network, no writing, for good."""
    tables = str((folder / _TABLES).resolve()) + "/"
    db.execute("SET allowed_directories = [?]", [tables])
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def bind(db: duckdb.DuckDBPyConnection, folder: Path, name: str, schema: pa.Schema) -> None:
    """Make `name` a view over its Parquet parts; a table without parts is an empty one.

    `events` leaves out what `duplicates` names as copies; `all_events` has every one.
    """
    single = folder / _TABLES / f"{name}.parquet"
    parts = sorted((folder / _TABLES / name).glob("*.parquet"))
    files = [single] if single.is_file() else parts
    view = "all_events" if name == "events" else name
    if files:
        listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
        # A path such as year=2017/case would else give its rows a column.
        plain = f"read_parquet([{listed}], hive_partitioning = false)"
        db.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {plain}")  # noqa: S608
    else:
        # A table, since what is registered is unknown to other cursors.
        db.register("_nothing", schema.empty_table())
        db.execute(f"CREATE OR REPLACE TABLE _no_{name} AS SELECT * FROM _nothing")  # noqa: S608
        db.unregister("_nothing")
        db.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM _no_{name}")  # noqa: S608
    if name == "events":
        db.execute("CREATE OR REPLACE VIEW events AS SELECT * FROM all_events")
    elif name == "duplicates" and db.sql("SELECT 1 FROM duplicates LIMIT 1").to_arrow_table().num_rows:
        # Only where there are copies: an anti-join over millions of web requests is not free.
        db.execute(
            "CREATE OR REPLACE VIEW events AS SELECT * FROM all_events a WHERE NOT EXISTS "
            "(SELECT 1 FROM duplicates d WHERE d.evidence_id = a.evidence_id AND d.log_offset = a.log_offset)"
        )


class Draft:
    """A case that is being built; nothing of it is visible under its name before `publish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._audit_hash = "0" * 64
        (folder / _TABLES).mkdir()
        self._audit_path = folder / AUDIT

    @property
    def parts(self) -> Path:
        """Where engines put the parts of the events, rejects and skips tables."""
        return self.folder / _TABLES

    @contextmanager
    def database(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a database over the tables; what it spills lies in the draft and goes with the block."""
        spill = self.folder / _SPILL
        try:
            with connect(self.folder, spill) as db:
                yield db
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    def write_table(self, name: str, rows: pa.Table) -> None:
        """Write one small table as Parquet."""
        pq.write_table(rows, self.folder / _TABLES / f"{name}.parquet", compression="zstd", compression_level=1)

    def write_pieces(self, name: str, schema: pa.Schema, pieces: Iterable[pa.Table]) -> None:
        """Write a table that may be larger than memory as Parquet; its bytes do not depend on where the pieces end."""
        file = self.folder / _TABLES / f"{name}.parquet"
        with pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
            held = schema.empty_table()
            for piece in pieces:
                held = pa.concat_tables([held, piece])
                while len(held) > _ROWS_A_GROUP:
                    writer.write_table(held.slice(0, _ROWS_A_GROUP).combine_chunks())
                    held = held.slice(_ROWS_A_GROUP)
            writer.write_table(held.combine_chunks())

    def write(self, filename: str, pieces: Iterable[bytes]) -> None:
        """Write one output file."""
        with (self.folder / filename).open("xb") as file:
            for piece in pieces:
                file.write(piece)

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Write the manifest last: the facts, and size and SHA-256 of every file of the case but the audit log.

        The last line of the audit log holds the manifest's own hash: whoever changes one must change the other.
        """
        files = {
            path.relative_to(self.folder).as_posix(): {"sha256": digest(path), "size": path.stat().st_size}
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != AUDIT
        }
        text = json.dumps({**facts, "files": files}, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
        self.write(MANIFEST, [text.encode() + b"\n"])
        self.audit("manifest_written", sha256=digest(self.folder / MANIFEST))

    def audit(self, action: str, **what: object) -> None:
        """Append one line to the audit log, the only place where the clock is read; each line holds the hash of the last."""
        line = {"time": datetime.now(UTC).isoformat(), "action": action, "previous": self._audit_hash, **what}
        raw = json.dumps(line, sort_keys=True, ensure_ascii=True, default=str).encode()
        self._audit_hash = hashlib.sha256(raw).hexdigest()
        with self._audit_path.open("ab") as file:
            file.write(raw + b"\n")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def draft(target: Path, *, force: bool, evidence: Iterable[Path]) -> Iterator[Draft]:
    """Give a draft to build; publish it as `target` when the block ends well, remove it when it does not.

    OutputError if `target` exists (unless `force`, and then only over a case), lies inside evidence, or cannot be written.
    """
    target = target.absolute()
    swept = sweep(target)
    _check_target(target, force=force, evidence=evidence)
    try:
        with folder_draft(target) as hidden:
            building = Draft(hidden)
            for done in swept:
                building.audit("swept", said=done)
            yield building
    except duckdb.IOException as error:
        raise OutputError(
            f"cannot write the case ({str(error).splitlines()[0]}); choose another place with -o"
        ) from error
    except OSError as error:
        where = error.filename or target
        raise OutputError(
            f"cannot write the case ({error.strerror or error}: {where}); choose another place with -o"
        ) from error


def _check_target(target: Path, *, force: bool, evidence: Iterable[Path]) -> None:
    real = target.parent.resolve() / target.name
    for path in evidence:
        inside = path.resolve()
        if inside.is_dir() and real.is_relative_to(inside):
            raise OutputError(
                f"{target} lies inside the evidence {path}; nothing is ever written there: choose another place with -o"
            )
    if not target.exists():
        return
    if not force:
        raise OutputError(f"{target} exists; choose another name with -o, or --force to replace a case")
    if not (target / MANIFEST).is_file():
        raise OutputError(f"{target} exists and is no case of c2trail; --force replaces cases only")


def seal(case: Case) -> str:
    """Return the SHA-256 of the audit log's last line: it covers the log, by it the manifest, by that every file of the case."""
    lines = (case.folder / AUDIT).read_bytes().splitlines()
    return hashlib.sha256(lines[-1] if lines else b"").hexdigest()


def evidence_path(case: Case, evidence_id: str) -> str | None:
    """Return where the audit log says that evidence lay when it was read, a path or a URL; None if it says nothing."""
    try:
        lines = (case.folder / AUDIT).read_bytes().splitlines()
    except OSError:
        return None
    for line in lines:
        entry = json.loads(line)
        if entry.get("action") == "evidence_read" and entry.get("evidence_id") == evidence_id:
            return str(entry["path"])
    return None

"""Reading databases: the one place of this stage that opens files. What is wrong with one is a DatabaseError."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import struct
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import maxminddb
import numpy as np

from forensics.errors import DatabaseError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

_DAMAGED = (
    maxminddb.InvalidDatabaseError,
    RecursionError,
    struct.error,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    UnicodeDecodeError,
    OverflowError,
    MemoryError,
    OSError,
    zipfile.BadZipFile,
)
"""What readers raise on a file that was damaged or made to break them."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a database file; DatabaseError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatabaseError(f"{path.name}: cannot be read ({error.strerror}); check --geo") from error


def arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of an .npz table, read without pickle."""
    try:
        with np.load(path, allow_pickle=False) as table:
            return {name: table[name] for name in table.files}
    except _DAMAGED as error:
        raise DatabaseError(f"{path.name}: is no table of c2trail ({error})") from error


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV with a header."""
    try:
        return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    except _DAMAGED as error:
        raise DatabaseError(f"{path.name}: is no CSV list ({error})") from error


def listing(path: Path) -> list[dict[str, str]]:
    """Return the list of the embedded witnesses."""
    try:
        found: list[dict[str, str]] = json.loads(path.read_bytes())
    except _DAMAGED as error:
        raise DatabaseError(f"{path}: the embedded databases are missing or damaged; install c2trail again") from error
    return found


class Mmdb:
    """A MaxMind-format database behind a gate: whatever breaks in it is a DatabaseError that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._reader = maxminddb.open_database(str(path), maxminddb.MODE_MEMORY)
            found = self._reader.metadata()
            self.kind = str(found.database_type)
            self.epoch = int(found.build_epoch)
            self.has_v6 = found.ip_version == 6
            # A damaged tree shows at the first look-ups; better now than in the middle of a case.
            for probe in ("1.1.1.1", "8.8.8.8", "175.45.176.1", "51.254.0.1", "223.255.255.254"):
                self._reader.get_with_prefix_len(probe)
        except _DAMAGED as error:
            raise DatabaseError(
                f"{path.name}: is no usable MaxMind-format database ({error or type(error).__name__})"
            ) from error

    def built(self) -> date:
        """Return the day of the build; one beyond the calendar is cut to it."""
        return datetime.fromtimestamp(max(0, min(self.epoch, 4_102_444_800)), UTC).date()

    def get(self, ip: str) -> tuple[dict[str, Any], int | None]:
        """Return the record of an address and its prefix length; an empty record if the database has none."""
        if ":" in ip and not self.has_v6:
            return {}, None
        try:
            record, length = self._reader.get_with_prefix_len(ip)
        except _DAMAGED as error:
            raise DatabaseError(
                f"{self.path.name}: is damaged ({error or type(error).__name__}); leave it out"
            ) from error
        return (record if isinstance(record, dict) else {}), length

"""The three kinds of columns that every table of a case is made of, numbers apart."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")
WORD: Final = pa.dictionary(pa.int32(), pa.string())
"""Text that repeats: stored once a batch, referred to by number."""
TEXT: Final = pa.string()

"""Every bound on hostile input, by name and with its reason. Reaching one is a reject or a skip in the ledger, never silence."""

from __future__ import annotations

from typing import Final

MIB: Final = 1 << 20

HEAD_BYTES: Final = 64 * 1024
"""What a parser may look at to claim a file: one EVTX chunk, several hundred log lines."""

SPAN_BYTES: Final = 32 * MIB
"""Size of a range of lines that is read apart; fixed, so that parts are the same whatever the number of workers."""

EVENT_SPAN_BYTES: Final = 64 * MIB
"""The same for event logs, of which a span is held at once: what is the same in all its records is then done once."""

PART_BYTES: Final = 32 * MIB
"""Small files are grouped until a part has read about this much."""

BLOCK_BYTES: Final = 4 * MIB
"""What a line parser holds at once; its temporaries stay in cache."""

MAX_LINE: Final = 1 * MIB
"""Tomcat's request line and headers fit in 8 KiB by default; 1 MiB leaves room for any setting. Longer is `line_too_long`."""

RECORD_HEAD: Final = 512
"""Bytes of a line that decide whether a record of several lines starts there; real ones need at most 200."""

RECORD_HELD: Final = 16 * 1024
"""Bytes of such a record that are looked at for its meaning; the rest of it is counted, not held."""

MAX_FIELD_SHOWN: Final = 512
"""Characters of one field on a screen or in a CSV cell; the Parquet tables and the locator have it all."""

STORE_BLOCK_BYTES: Final = 4 * MIB
"""What one request to an object store brings; a request costs what a megabyte does."""

STORE_AHEAD: Final = 2
"""Such blocks that are on their way while one is read onwards."""

STORE_BLOCKS: Final = 6
"""Such blocks that an open object keeps."""

STORE_IMAGE_BLOCK_BYTES: Final = MIB
"""The same for a disk image, which is read here and there."""

STORE_IMAGE_BLOCKS: Final = 64
"""Such blocks that all segments of an image keep together."""

MAX_CONFIGURATION: Final = 8 * MIB
"""Stock server.xml has 7 KB."""

MAX_XML_DEPTH: Final = 64
"""server.xml is 6 deep; a deeper document is not one."""

MAX_BXML_DEPTH: Final = 64
"""Nesting of binary XML in one EVTX record; real records have 2."""

MAX_PATH_DEPTH: Final = 64
"""Folders below a folder given as evidence."""

MAX_INFLATED: Final = 64 * 1024 * MIB
"""Bytes out of one compressed stream."""

MAX_RATIO: Final = 1000
"""Inflated bytes for one stored byte, once past RATIO_FREE; zeros reach 1,028 in gzip, logs 10 to 40."""

RATIO_FREE: Final = 16 * MIB
"""Below this much output no ratio is looked at."""

MAX_MEMBERS: Final = 100_000
"""Members read of one file on disk, nested archives included; a triage collection of a whole server has tens of thousands."""

MAX_WALKED: Final = 5_000_000
"""Files of a disk image whose names are looked at; a busy file server has two million."""

MAX_NESTING: Final = 3
"""Archives inside archives: a collector's zip in a tar.gz of the case is two deep; deeper than three is a trap."""

MAX_LIST: Final = 256 * MIB
"""A list of networks that an analyst adds; every Tor exit of six years by day takes 4 MiB."""

MAX_HELD: Final = 256 * MIB
"""A zip or 7z inside another archive must be sought in, so it is held in memory; a larger one is passed over."""

MAX_ARCHIVE_INFLATED: Final = 1024 * 1024 * MIB
"""Bytes out of one archive file, all members together: no server's logs are more, and reading it takes hours."""

ARCHIVE_RATIO_FREE: Final = 1024 * MIB
"""Below this much output of one archive its ratio is not looked at; above it MAX_RATIO holds for all members together."""

MAX_WINDOW: Final = 512 * MIB
"""Dictionary of an xz, zstd or 7z decoder: 7-Zip's largest preset takes 256 MiB; a header can ask for 4 GiB."""

MAX_DIRECTORY: Final = 64 * MIB
"""The directory of a 7z archive, held at once: 100,000 long names take 30 MiB."""

MAX_TAR_HEADER: Final = 1 * MIB
"""A pax or GNU header of one tar member; real ones have some hundred bytes."""

MAX_NAME: Final = 4096
"""Bytes of a member's name that its label keeps; Windows ends at 32,767 characters, nothing real has 4,096 bytes."""

MAX_KEY_ROUNDS: Final = 24
"""Power of two of the hash rounds that make a 7z key; 7-Zip writes 19, 24 takes seconds."""

SOLID_PART_BYTES: Final = 512 * MIB
"""What a part takes of a solid archive: whoever reads it first inflates all that lies before, so few take many each."""

HEADS_HELD: Final = 4096
"""Heads kept between the two looks at them; those of further files are read twice."""

TIME_MIN_US: Final = 631_152_000_000_000
"""1990-01-01T00:00:00Z in microseconds: before Windows NT and Tomcat. Earlier is `bad_time`."""

TIME_MAX_US: Final = 4_102_444_800_000_000
"""2100-01-01T00:00:00Z in microseconds. Later is `bad_time`."""

DECODER_SECONDS: Final = 20
"""What the exact EVTX renderer may take for the odd records of one chunk: a thousandth of it does for real ones. Crafted
bytes hold the native decoder for ever; the record that does so is `decoder_died`."""

DECODER_DEATHS: Final = 8
"""How often that may happen in one span before its other odd records are no longer tried, and are `decoder_died` too."""

DATABASE_BYTES: Final = 640 * MIB
"""What the database holds while it analyses; the rest of a larger question is sorted on disk."""

LARGE_SERVER: Final = 256 * MIB
"""Stored bytes from which on a server of a fleet is worth all processes; smaller ones are analysed side by side."""

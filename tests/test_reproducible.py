"""Same evidence, same bytes: whatever the hash seed, the zone, the locale, the number of workers and the order of the evidence."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, itertools, json, sys
from pathlib import Path
import forensics, forensics.reading
from forensics import exports, pseudonyms
forensics.reading.PART_BYTES = 1  # each span is a part of its own, so that two workers have something to share
out, key, *evidence = map(Path, sys.argv[1:])
made = {}
for workers, order in itertools.product((1, 2), (1, -1)):
    case = forensics.analyze(*evidence[::order], out=out / f"{workers}{order}", workers=workers)
    found = {
        p.relative_to(case.folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in case.folder.rglob("*") if p.is_file() and p.name != "audit.jsonl"
    }
    if not made:  # cases of the same bytes give the same exports: one a process is enough
        for form in exports.exports():
            found["export " + form] = hashlib.sha256(b"".join(exports.pieces(case, form))).hexdigest()
        copy = pseudonyms.pseudonymise(case, out / f"copy{workers}{order}", key)
        found["copy"] = hashlib.sha256((copy.folder / "manifest.json").read_bytes()).hexdigest()
    made[f"{workers} workers, order {order}"] = found
print(json.dumps(made))
"""
WORLDS = list(itertools.product(("0", "4242"), ("UTC", "Asia/Kathmandu"), ("C", "tr_TR.UTF-8")))


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> list[Path]:
    """A small part of the sample's logs: sessions, client names, beacons, noise, starts of Tomcat."""
    folder = tmp_path_factory.mktemp("small")
    logs = samples / "Windows" / "System32" / "winevt" / "Logs"
    found = [path for path in sorted(logs.iterdir()) if "LocalSession" in path.name or path.name == "System.evtx"]
    access = folder / "localhost_access_log.2017-01-13.txt"
    access.write_bytes((samples / "Tomcat" / "logs" / access.name).read_bytes()[:120_000])
    return [*found, access, samples / "Tomcat" / "logs" / "catalina.2017-01-12.log", samples / "Tomcat" / "conf"]


def test_one_digest_a_file_in_every_world(tmp_path: Path, evidence: list[Path]) -> None:
    digests: dict[str, dict[str, list[str]]] = {}
    for number, (seed, zone, locale) in enumerate(WORLDS):
        world = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "LANG": locale}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, tmp_path / str(number), tmp_path / "key", *evidence],
            env={**os.environ, **world},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for what, found in json.loads(done.stdout).items():
            for name, digest in found.items():
                digests.setdefault(name, {}).setdefault(digest, []).append(f"{world}, {what}")
    assert len(digests) > 50
    assert {name: worlds for name, worlds in digests.items() if len(worlds) > 1} == {}
    exported = {name for name in digests if name == "copy" or name.startswith("export ")}
    assert len(exported) == 8
    for name, worlds in digests.items():
        assert len(next(iter(worlds.values()))) == (8 if name in exported else 32)

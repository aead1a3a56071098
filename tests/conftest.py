"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from hypothesis import HealthCheck, settings
from object_store import Server

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("c2trail", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("c2trail")


# What the machine's user added by `geo add` must not reach a test.
os.environ["C2TRAIL_GEO"] = str(ROOT / "tests" / "no-added-databases")


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def evidence_dir() -> Path:
    """Real public log files; they lie beside the project, or where C2TRAIL_EVIDENCE says, and are read in place."""
    folder = Path(os.environ.get("C2TRAIL_EVIDENCE", ROOT.parent / "shared" / "evidence"))
    if not folder.is_dir():
        pytest.skip("the folder of real evidence files is not here")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "sample_logs"


@pytest.fixture(scope="session")
def demo_case(tmp_path_factory: pytest.TempPathFactory):
    """The packaged sample case, analysed once."""
    import forensics
    from forensics.packaged import sample_evidence

    return forensics.analyze(*sample_evidence(), out=tmp_path_factory.mktemp("demo") / "case", workers=1)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory):
    """A case in which every name is the adversary's, analysed once."""
    import hostile_case

    return hostile_case.case(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Dask cluster whose scheduler and workers the test starts."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An S3-compatible server; each file of tests has a bucket of its own in it."""
    made = Server(tmp_path_factory.mktemp("store"))
    yield made
    made.stop()

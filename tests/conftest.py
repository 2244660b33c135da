"""What many rooms' tests need."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import refmaker
from refmaker.codecs.native_libraries import load_hdf5_filters, load_proj_before_eccodes
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.testing.http import RangeServer

load_proj_before_eccodes()
load_hdf5_filters()
HERE = Path(__file__).parent

for profile, examples in (("quick", 30), ("thorough", 1000)):
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck)
    )


def pytest_configure(config):
    """Take few examples for each property, and many where `-m thorough` asks for it."""
    if not config.getoption("--hypothesis-profile", None):
        thorough = "thorough" in config.getoption("markexpr", "")
        settings.load_profile("thorough" if thorough else "quick")


def pytest_collection_modifyitems(items):
    """Mark the tests of properties, so that `-m thorough` finds them."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("thorough")
    # The longest module first, so that no process waits for it at the end.
    items.sort(key=lambda item: item.path.name != "test_corpus.py")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keep what scans remember away from the user's own cache, and from other tests."""
    monkeypatch.setenv("REFMAKER_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def toy(tmp_path_factory, monkeypatch):
    """Install the toy scanner as a package of somebody else, in worker processes too."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(HERE / "toy.py", site / "refmaker_toy.py")
    info = site / "refmaker_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: refmaker-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[refmaker.scanners]\ntoy = refmaker_toy:ToyScanner\nparts = refmaker_toy:PartsScanner\n"
    )
    monkeypatch.syspath_prepend(site)
    import refmaker_toy

    yield refmaker_toy
    sys.modules.pop("refmaker_toy", None)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the documentation, as strictly as mkdocs can; once for all processes of a run."""
    from tests.built_site import built_site

    return built_site(tmp_path_factory)


SUMMARY = pytest.StashKey[list]()


@pytest.fixture
def summary(request):
    """Give a list of lines that are printed when all tests have run."""
    return request.config.stash.setdefault(SUMMARY, [])


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(SUMMARY, []):
        terminalreporter.write_line(line)


@pytest.fixture
def server(tmp_path):
    """Serve the test's folder."""
    with RangeServer(tmp_path) as running:
        yield running


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a file of chunks, and gives a set for it and its values."""

    def make(count=100, nbytes=1000, *, url=None, name="data.bin", gap=0, known=None):
        step = nbytes + gap
        values = np.random.default_rng(count).integers(0, 256, (count, step), dtype="u1")
        path = tmp_path / name
        path.write_bytes(values.tobytes())
        where = url or str(path)
        table = ChunkTable.from_columns(
            (count,),
            (where,),
            offset=np.arange(count) * step,
            length=np.full(count, nbytes),
        )
        array = Array((count * nbytes,), (nbytes,), np.dtype("u1"), table, dimension_names=("x",))
        report = ScanReport("")
        report.sources[where] = known or Fingerprint(count * step)
        refs = refmaker.ReferenceSet(Group({"x": array, "g": Group({"y": array})}), report)
        return refs, values[:, :nbytes].reshape(-1)

    return make

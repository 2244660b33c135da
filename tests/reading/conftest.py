"""Sets of references to files of known content."""

from __future__ import annotations

import numpy as np
import pytest

import refmaker
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.testing.http import RangeServer


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

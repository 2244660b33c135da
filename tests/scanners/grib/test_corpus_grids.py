"""Grids of real files: latitudes and longitudes equal those of ecCodes."""

from __future__ import annotations

import eccodes as ec
import numpy as np
import pytest

from refmaker.codecs.grib_scanning import ALTERNATING_ROWS, J_CONSECUTIVE, arrange
from refmaker.errors import RefmakerError
from refmaker.scanners.grib.geometry import grid
from tests.codecs import grib_messages as grib
from tests.corpora import CORPUS
from tests.scanners.grib.messages import fields, get
from tests.scanners.grib.test_geometry import coordinates

FILES = sorted(path for path in (CORPUS / "grib").rglob("*") if path.is_file())
ENOUGH = 300_000
"""Points of all grids of a file, after which no others are looked at."""


def definitions(path):
    """Yield each distinct grid of a file once, with a message on it."""
    seen, points = set(), 0
    for handle in fields(path):
        data = ec.codes_get_message(handle)
        if data[7] == 1 and not data[15] & 0x80:
            continue
        found = grib.grid_section(data)
        if found in seen or points > ENOUGH:
            continue
        seen.add(found)
        points += get(handle, "numberOfDataPoints", int) or 0
        yield found, data


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason="the corpus is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_points(path):
    for (edition, section), data in definitions(path):
        try:
            found = grid(edition, section)
            own = None if found.note else coordinates(found)
            wanted = grib.points(data)
        except (RefmakerError, ec.CodesInternalError):
            continue
        # ecCodes does not turn these, whatever the pole.
        if found.kind == "rotated_gg" or found.warning:
            continue
        if own is None or wanted[0].size != own[0].size or found.scanning & ALTERNATING_ROWS:
            continue
        latitude, longitude = (
            arrange(part, found.shape, found.scanning & J_CONSECUTIVE) for part in wanted
        )
        on_earth = np.isfinite(own[0])
        np.testing.assert_allclose(own[0][on_earth], latitude[on_earth], atol=1e-6, rtol=0)
        around = (own[1] - longitude + 180) % 360 - 180
        around = around[on_earth & (np.abs(latitude) < 89.9999)]
        np.testing.assert_allclose(around, 0, atol=1e-6)

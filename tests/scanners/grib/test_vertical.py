"""Coefficients of hybrid levels are coordinates, as ecCodes tells them."""

from __future__ import annotations

import eccodes
import numpy as np
import pytest

from refmaker.io.source import Source
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanners.grib.vertical import coefficients
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import message

LEVELS = 10


def made(edition, level, count=LEVELS, name="t"):
    """Return a message of a hybrid level of a model of so many levels."""
    handle = eccodes.codes_new_from_message(message(edition, shortName=name))
    a = np.linspace(0, 30000, count + 1) * np.linspace(1, 0, count + 1)
    pv = np.concatenate([a, np.linspace(0, 1, count + 1) ** 2])
    eccodes.codes_set(handle, "typeOfLevel", "hybrid")
    eccodes.codes_set(handle, "level", level)
    eccodes.codes_set(handle, "PVPresent", 1)
    eccodes.codes_set_double_array(handle, "pv", pv)
    data = eccodes.codes_get_message(handle)
    true = eccodes.codes_get_double_array(handle, "pv")
    eccodes.codes_release(handle)
    return data, true


def own(array):
    return np.frombuffer(array.chunks.inlined[0], array.dtype).reshape(array.shape)


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("levels", [(1, 4, 10), (10, 9), (3,)])
def test_as_eccodes_tells_them(tmp_path, edition, levels):
    path = tmp_path / "file.grib"
    parts = [made(edition, level) for level in levels]
    path.write_bytes(b"".join(data for data, _ in parts))
    true = parts[0][1].reshape(2, LEVELS + 1)
    with Source(path) as source:
        group, _ = GRIBScanner().scan(source, ScanOptions())
        members = group["hybrid/instant"].members
        numbers = own(members["hybrid"]).reshape(-1).astype(int)
        ends = np.stack([true[:, numbers - 1], true[:, numbers]], axis=-1)
        for row, name in enumerate(("ap", "b")):
            shape = own(members[name]).shape
            np.testing.assert_array_equal(own(members[name]), ends[row].mean(-1).reshape(shape))
            bounds = own(members[f"{name}_bounds"])
            np.testing.assert_array_equal(bounds, ends[row].reshape(bounds.shape))
        assert {"ap", "b"} <= set(members["t"].attributes["coordinates"].split())
        with GRIBScanner().native(source) as native:
            for name in ("ap", "b", "ap_bounds", "b_bounds"):
                array = members[name]
                region = tuple(slice(0, extent) for extent in array.shape)
                found = native.read(f"hybrid/instant/{name}", array, region)
                np.testing.assert_array_equal(found, own(array))


def test_lists_that_are_none_of_levels():
    levels = np.array([1.0, 2.0])
    assert coefficients(2, bytes(4 * 7), levels) == {}  # an odd number of values
    assert coefficients(2, bytes(4 * 4), levels) == {}  # fewer levels than there are
    assert coefficients(2, bytes(8), levels) == {}
    assert coefficients(2, bytes(4 * 6), np.array([1.5])) == {}
    assert set(coefficients(2, bytes(4 * 6), levels)) == {"ap", "b"}


def test_models_of_several_heights_have_no_common_list(tmp_path):
    path = tmp_path / "file.grib2"
    path.write_bytes(made(2, 1)[0] + made(2, 2, count=12)[0])
    with Source(path) as source:
        group, _ = GRIBScanner().scan(source, ScanOptions())
    assert "ap" not in group["hybrid/instant"].members

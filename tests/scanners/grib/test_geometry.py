"""Grid definitions: latitudes and longitudes equal those of ecCodes."""

from __future__ import annotations

import eccodes as ec
import numpy as np
import pytest

from refmaker.codecs.grib_coordinates import GRIBCoordinates
from refmaker.codecs.grib_scanning import J_CONSECUTIVE, arrange
from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.grib.geometry import grid, predefined
from tests.codecs import grib_messages as grib

SAMPLES = [
    f"{kind}_sfc_grib{edition}"
    for edition in (1, 2)
    for kind in (
        "regular_ll",
        "rotated_ll",
        "regular_gg",
        "reduced_gg",
        "reduced_ll",
        "reduced_rotated_gg",
    )
]


def sample(name):
    handle = ec.codes_grib_new_from_samples(name)
    try:
        return ec.codes_get_message(handle)
    finally:
        ec.codes_release(handle)


def coordinates(found):
    """Return latitude and longitude of all points, as a reader of references gets them."""
    if "latitude" in found.coordinates:
        rows, columns = (found.coordinates[name].values for name in ("latitude", "longitude"))
        return np.meshgrid(rows, columns, indexing="ij")
    return [
        GRIBCoordinates(
            **{key: value for key, value in found.generated[name].codec.items() if key != "id"}
        ).decode(found.section)
        for name in ("latitude", "longitude")
    ]


def check(data, tolerance=1e-6):
    found = grid(*grib.grid_section(data))
    latitude, longitude = coordinates(found)
    wanted = [
        arrange(part, found.shape, found.scanning & J_CONSECUTIVE) for part in grib.points(data)
    ]
    assert np.abs(latitude - wanted[0]).max() <= tolerance * 1.001
    around = np.abs((longitude - wanted[1] + 180) % 360 - 180)
    assert around[np.abs(latitude) < 89.9999].max(initial=0) <= tolerance * 1.001
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name):
    found = check(sample(name))
    assert name.startswith(found.kind)
    assert found.mapping["grid_mapping_name"]
    assert len(found.key) == 12


@pytest.mark.parametrize("first", [0, 350, -10, 170])
@pytest.mark.parametrize("edition", [1, 2])
def test_longitudes_across_the_date_line(edition, first):
    keys = {
        "latitudeOfFirstGridPointInDegrees": 10,
        "latitudeOfLastGridPointInDegrees": 6,
        "longitudeOfFirstGridPointInDegrees": first,
        "longitudeOfLastGridPointInDegrees": (first + 20) % 360,
        "iDirectionIncrementInDegrees": 1,
        "jDirectionIncrementInDegrees": 1,
    }
    found = check(grib.message(np.zeros((5, 21)), edition=edition, keys=keys))
    steps = np.diff(found.coordinates["longitude"].values)
    np.testing.assert_allclose(steps, 1)


@pytest.mark.parametrize("scanning", [0, 1])
def test_polar_stereographic_grids(scanning):
    handle = ec.codes_new_from_message(sample("polar_stereographic_sfc_grib2"))
    for key in ("DxInMetres", "DyInMetres"):
        ec.codes_set(handle, key, 2000)
    ec.codes_set(handle, "jScansPositively", scanning)
    found = check(ec.codes_get_message(handle))
    ec.codes_release(handle)
    assert bool(found.warning) == (not scanning)


def test_grids_without_extent_have_no_coordinates():
    found = grid(*grib.grid_section(sample("polar_stereographic_sfc_grib2")))
    assert "steps of 0.0" in found.note
    assert not found.coordinates
    assert not found.generated


def test_consecutive_columns():
    keys = {"jPointsAreConsecutive": 1}
    found = check(grib.message(np.zeros((31, 16)), keys=keys))
    assert found.codec == {"shape": [31, 16], "scanning": J_CONSECUTIVE}


def test_sections_that_contradict_themselves():
    edition, section = grib.grid_section(sample("regular_ll_sfc_grib2"))
    for length in range(len(section)):
        with pytest.raises(FormatError):
            grid(edition, section[:length])
    counted = grid(edition, section[:6] + b"\0\0\0\1" + section[10:])
    assert "says that it has 1 points" in counted.warning
    assert counted.points == grid(edition, section).points


def by_number(number, *keys):
    """Return what ecCodes knows of a predefined grid of edition 1; None if it does not know it."""
    data = grib.message(np.zeros((2, 2)), edition=1)
    product = bytearray(data[8 : 8 + int.from_bytes(data[8:11], "big")])
    product[6], product[7] = number, 0
    body = bytes(product) + bytes([0, 0, 12, 8, *bytes(8)]) + b"7777"
    handle = ec.codes_new_from_message(b"GRIB" + (len(body) + 8).to_bytes(3, "big") + b"\1" + body)
    try:
        return [ec.codes_get(handle, key) for key in keys]
    except ec.KeyValueNotFoundError:
        return None
    finally:
        ec.codes_release(handle)


EXTENT = (
    "Ni", "Nj", "latitudeOfFirstGridPoint", "latitudeOfLastGridPoint",
    "longitudeOfFirstGridPoint", "longitudeOfLastGridPoint",
)  # fmt: skip


def test_predefined_grids():
    """Of table B those are known that ecCodes knows, and they are the same."""
    known = 0
    for number in range(1, 255):
        wanted = by_number(number, *EXTENT)
        if wanted is None:
            with pytest.raises(UnsupportedError):
                predefined(number, 7)
            continue
        known += 1
        found = grid(1, predefined(number, 7))
        rows, columns = (found.coordinates[name].values for name in ("latitude", "longitude"))
        assert [columns.size, rows.size] == wanted[:2]
        ends = [rows[0], rows[-1], columns[0], columns[-1]]
        assert [1000 * end for end in ends] == wanted[2:]
    assert known == 10

"""Every type of grid, in every scanning mode: points equal those of ecCodes."""

from __future__ import annotations

from itertools import product

import eccodes as ec
import numpy as np
import pyproj
import pytest

from refmaker.scanners.grib.geometry import grid
from tests.codecs import grib_messages as grib
from tests.scanners.grib.test_geometry import coordinates

NX, NY = 11, 7
MODES = list(product((0, 1), repeat=3))
SPHERE, WGS84, RADIUS = 6, 5, 1


def of_type(kind, keys, *, shape=(NX, NY), mode=(0, 1, 0), earth=SPHERE):
    """Return a message of edition 2 on a grid of a type."""
    handle = ec.codes_grib_new_from_samples("GRIB2")
    try:
        ec.codes_set(handle, "gridType", kind)
        ec.codes_set(handle, "shapeOfTheEarth", earth)
        if earth == RADIUS:
            ec.codes_set(handle, "scaleFactorOfRadiusOfSphericalEarth", 1)
            ec.codes_set(handle, "scaledValueOfRadiusOfSphericalEarth", 63_712_000)
        names = ("Nx", "Ny") if kind not in BY_DEGREES else ("Ni", "Nj")
        if len(shape) == 2:
            for name, size in zip(names, shape, strict=True):
                ec.codes_set(handle, name, size)
        scanning = ("iScansNegatively", "jScansPositively", "jPointsAreConsecutive")
        modes = zip(scanning, mode, strict=True) if len(shape) == 2 else ()
        for name, value in (*modes, *keys.items()):
            ec.codes_set(handle, name, value)
        ec.codes_set_values(handle, np.arange(float(np.prod(shape))))
        data = ec.codes_get_message(handle)
        assert grib.native(data, "gridType") == (kind,)
        return data
    finally:
        ec.codes_release(handle)


BY_DEGREES = {"regular_ll", "rotated_ll", "stretched_ll", "mercator", "transverse_mercator"}
CONIC = {"LaDInDegrees": 39, "LoVInDegrees": 264, "Latin1InDegrees": 33, "Latin2InDegrees": 45,
         "DxInMetres": 30_000, "DyInMetres": 20_000, "latitudeOfFirstGridPointInDegrees": 35.5,
         "longitudeOfFirstGridPointInDegrees": 262.25}  # fmt: skip
PROJECTED = {
    "lambert": CONIC,
    "lambert_azimuthal_equal_area": {
        "latitudeOfFirstGridPointInDegrees": 51.5, "longitudeOfFirstGridPointInDegrees": 4.25,
        "standardParallelInDegrees": 52, "centralLongitudeInDegrees": 10,
        "xDirectionGridLengthInMetres": 30_000, "yDirectionGridLengthInMetres": 20_000,
    },
    "polar_stereographic": {
        "LaDInDegrees": 60, "orientationOfTheGridInDegrees": 249, "DxInMetres": 30_000,
        "DyInMetres": 20_000, "latitudeOfFirstGridPointInDegrees": 55.5,
        "longitudeOfFirstGridPointInDegrees": 262.25,
    },
}  # fmt: skip


def check(kind, keys, *, mode=(0, 1, 0), tolerance=1e-6, **options):
    """Compare coordinates, which come in rows, with those of ecCodes for values in rows.

    ecCodes heeds consecutive columns in some types of grids only.
    """
    found = grid(*grib.grid_section(of_type(kind, keys, mode=mode, **options)))
    assert found.kind == kind
    assert not found.note
    latitude, longitude = coordinates(found)
    rows = of_type(kind, keys, mode=(*mode[:2], 0), **options)
    wanted = [part.reshape(found.shape) for part in grib.points(rows)]
    np.testing.assert_allclose(latitude, wanted[0], atol=tolerance, rtol=0)
    around = (longitude - wanted[1] + 180) % 360 - 180
    np.testing.assert_allclose(around[np.abs(latitude) < 89.9999], 0, atol=tolerance)
    return found


@pytest.mark.parametrize("earth", [SPHERE, WGS84, RADIUS])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", PROJECTED)
def test_projected_grids(kind, mode, earth):
    if (kind, earth) == ("polar_stereographic", WGS84):
        return  # see below: ecCodes does not know those
    found = check(kind, PROJECTED[kind], mode=mode, earth=earth)
    assert found.dimension_names == ("y", "x")
    assert ("scanning" in found.codec) == bool(mode[2])


@pytest.mark.parametrize("earth", [SPHERE, WGS84])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [*PROJECTED, "albers"])
def test_points_and_systems_of_proj(kind, mode, earth):
    """PROJ makes the same latitudes and longitudes of y and x, by the system that is named.

    ecCodes tells no points of Albers grids.
    """
    keys = PROJECTED.get(kind, CONIC)
    found = grid(*grib.grid_section(of_type(kind, keys, mode=mode, earth=earth)))
    assert not found.note
    same_as_proj(found)
    first = [part.flat[0] for part in coordinates(found)]
    wanted = [keys[f"{name}OfFirstGridPointInDegrees"] for name in ("latitude", "longitude")]
    np.testing.assert_allclose(np.array(first) % 360, wanted, atol=1e-6)


def same_as_proj(found):
    system = pyproj.CRS.from_wkt(found.mapping["crs_wkt"])
    turn = pyproj.Transformer.from_crs(system, system.geodetic_crs, always_xy=True)
    y, x = (found.coordinates[name].values for name in "yx")
    longitude, latitude = turn.transform(*np.meshgrid(x, y))
    own = coordinates(found)
    np.testing.assert_allclose(own[0], latitude, atol=1e-9)
    np.testing.assert_allclose((own[1] - longitude + 180) % 360 - 180, 0, atol=1e-9)


MERCATOR = {
    "LaDInDegrees": 20, "latitudeOfFirstGridPointInDegrees": 16.5,
    "longitudeOfFirstGridPointInDegrees": 255, "latitudeOfLastGridPointInDegrees": 22,
    "longitudeOfLastGridPointInDegrees": 262, "DiInMetres": 30_000, "DjInMetres": 20_000,
}  # fmt: skip


@pytest.mark.parametrize("earth", [SPHERE, WGS84])
@pytest.mark.parametrize("mode", MODES)
def test_mercator_grids(mode, earth):
    found = check("mercator", MERCATOR, mode=mode, earth=earth)
    same_as_proj(found)


TRANSVERSE = {
    "latitudeOfReferencePointInDegrees": 49, "longitudeOfReferencePointInDegrees": 358,
    "XRInMetres": 400_000, "YRInMetres": -100_000, "DiInMetres": 2000, "DjInMetres": 3000,
    "m": 0.9996, "X1": -23_800_000, "Y1": -22_000_000,
}  # fmt: skip


@pytest.mark.parametrize("earth", [SPHERE, WGS84])
@pytest.mark.parametrize("mode", MODES)
def test_transverse_mercator_grids(mode, earth):
    """ecCodes tells no points of these: PROJ does."""
    data = of_type("transverse_mercator", TRANSVERSE, mode=mode, earth=earth)
    found = grid(*grib.grid_section(data))
    assert not found.note
    same_as_proj(found)
    x, y = (found.coordinates[name].values for name in "xy")
    assert (x[0], y[0]) == (-238_000, -220_000)
    assert x[1] - x[0] == (-2000 if mode[0] else 2000)
    assert y[1] - y[0] == (3000 if mode[1] else -3000)


VIEW = {
    "latitudeOfSubSatellitePointInDegrees": 0, "longitudeOfSubSatellitePointInDegrees": 9.5,
    "dx": 3622, "dy": 3610, "XpInGridLengths": 5, "YpInGridLengths": 3, "Nr": 6_610_700,
    "orientationOfTheGridInDegrees": 0, "Xo": 0, "Yo": 0,
}  # fmt: skip


@pytest.mark.parametrize("earth", [SPHERE, WGS84])
def test_views_from_space(earth):
    check("space_view", VIEW, mode=(0, 0, 0), earth=earth)


@pytest.mark.parametrize("order", ["ring", "nested"])
@pytest.mark.parametrize("side", [1, 2, 8])
def test_healpix_grids(side, order):
    keys = {"Nside": side, "orderingConvention": order, "longitudeOfFirstGridPointInDegrees": 45}
    found = check("healpix", keys, mode=(0, 0, 0), shape=(12 * side**2,))
    assert found.dimension_names == ("values",)


NORTH_SEA = {
    "latitudeOfFirstGridPointInDegrees": 4, "latitudeOfLastGridPointInDegrees": 10,
    "longitudeOfFirstGridPointInDegrees": 30, "longitudeOfLastGridPointInDegrees": 50,
    "iDirectionIncrementInDegrees": 2, "jDirectionIncrementInDegrees": 1,
}  # fmt: skip
TURNED = {"latitudeOfSouthernPoleInDegrees": -39.25, "longitudeOfSouthernPoleInDegrees": 18}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["regular_ll", "rotated_ll"])
def test_latitudes_and_longitudes(mode, kind):
    west, south = ((30, 50) if mode[0] else (50, 30)), ((4, 10) if mode[1] else (10, 4))
    keys = {
        "latitudeOfFirstGridPointInDegrees": south[0],
        "latitudeOfLastGridPointInDegrees": south[1],
        "longitudeOfFirstGridPointInDegrees": west[1],
        "longitudeOfLastGridPointInDegrees": west[0],
        "iDirectionIncrementInDegrees": 2,
        "jDirectionIncrementInDegrees": 1,
    }
    check(kind, keys | (TURNED if kind == "rotated_ll" else {}), mode=mode)


@pytest.mark.parametrize("angle", [0, 12.5, -100])
def test_rotated_grids_and_systems_of_proj(angle):
    """ecCodes takes the angle for a turn about the earth's own axis: PROJ has it right."""
    data = of_type("rotated_ll", {**NORTH_SEA, **TURNED, "angleOfRotationInDegrees": angle})
    found = grid(*grib.grid_section(data))
    system = pyproj.CRS.from_wkt(found.mapping["crs_wkt"])
    turn = pyproj.Transformer.from_crs(system, system.source_crs, always_xy=True)
    y, x = (found.coordinates[name].values for name in "yx")
    longitude, latitude = turn.transform(*np.meshgrid(x, y))
    own = coordinates(found)
    # Rounded to single precision, as in ecCodes.
    np.testing.assert_allclose(own[0], latitude, atol=1e-5)
    np.testing.assert_allclose((own[1] - longitude + 180) % 360 - 180, 0, atol=1e-5)
    assert bool(found.warning) == bool(angle)


def test_stretched_grids_have_no_coordinates():
    """ecCodes gives the points of the grid before it was stretched: those are elsewhere."""
    keys = {"stretchingFactor": 2}
    found = grid(*grib.grid_section(of_type("stretched_ll", keys)))
    assert found.shape == (NY, NX)
    assert not {"latitude", "longitude"} & {*found.coordinates, *found.generated}


@pytest.mark.parametrize(
    ("edition", "rows", "last", "increment", "even"),
    [
        (1, 31, 0, 333, False),  # hardly off: ecCodes' own latitudes
        (1, 27, -90, 7000, False),  # far off: the writer's number all the same
        (2, 27, -90, 7_000_000, False),
        (1, 515, -90, 350, False),  # a row too many
        (1, 2161, -90, 83, True),  # a twelfth of a degree, rounded
        (1, 173, 75.667, 83, True),
        (1, 11, -90, 40_000, True),  # off the earth
    ],
)
def test_latitudes_by_the_increment(edition, rows, last, increment, even):
    first = 89.55 if rows == 515 else 10 if last == 0 else 90
    unit = 1000 if edition == 1 else 1_000_000
    handle = ec.codes_grib_new_from_samples(f"regular_ll_pl_grib{edition}")
    keys = {
        "Ni": 3, "Nj": rows, "latitudeOfFirstGridPoint": round(first * unit),
        "latitudeOfLastGridPoint": round(last * unit), "longitudeOfFirstGridPoint": 0,
        "longitudeOfLastGridPoint": 2 * unit, "iDirectionIncrement": unit,
        "jDirectionIncrement": increment,
    }  # fmt: skip
    for key, value in keys.items():
        ec.codes_set(handle, key, value)
    ec.codes_set_values(handle, np.zeros(3 * rows))
    data = ec.codes_get_message(handle)
    ec.codes_release(handle)
    latitude = grid(*grib.grid_section(data)).coordinates["latitude"].values
    true = np.linspace(first, last, rows) if even else grib.points(data)[0][::3]
    np.testing.assert_allclose(latitude, true, atol=1e-9)

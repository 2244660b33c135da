"""Map projections of GRIB grids equal those of PROJ, on the sphere and on the ellipsoid."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from refmaker.codecs.grib_projections import (
    AlbersEqualArea,
    Ellipsoid,
    LambertAzimuthal,
    LambertConformal,
    Mercator,
    PolarStereographic,
)
from refmaker.codecs.grib_transverse import Geostationary, TransverseMercator
from refmaker.errors import FormatError

EARTHS = {
    "sphere": Ellipsoid(6371229.0, 6371229.0),
    "ellipsoid": Ellipsoid(6378137.0, 6356752.314245179),
}


def cone(kind, *angles):
    return lambda earth: kind(earth, *np.deg2rad(angles))


def polar(true_scale, meridian, *, south):
    angles = np.deg2rad((true_scale, meridian))
    return lambda earth: PolarStereographic(earth, *angles, south=south)


def transverse(latitude, meridian, scale, offset):
    angles = np.deg2rad((latitude, meridian))
    return lambda earth: TransverseMercator(earth, *angles, scale, offset)


# Ours, PROJ's, and the area in which they are compared: south, north, west, east.
CASES = {
    "albers": (
        cone(AlbersEqualArea, 29.5, 45.5, -96, 23),
        "+proj=aea +lat_1=29.5 +lat_2=45.5 +lon_0=-96 +lat_0=23",
        (20, 60, -130, -60),
    ),
    "albers of one parallel": (
        cone(AlbersEqualArea, 40, 40, -96, 40),
        "+proj=aea +lat_1=40 +lat_2=40 +lon_0=-96 +lat_0=40",
        (20, 60, -130, -60),
    ),
    "albers in the south": (
        cone(AlbersEqualArea, -18, -36, 132, 0),
        "+proj=aea +lat_1=-18 +lat_2=-36 +lon_0=132 +lat_0=0",
        (-45, -8, 110, 155),
    ),
    "lambert": (
        cone(LambertConformal, 33, 45, -96, 39),
        "+proj=lcc +lat_1=33 +lat_2=45 +lon_0=-96 +lat_0=39",
        (10, 70, -150, -40),
    ),
    "lambert of one parallel": (
        cone(LambertConformal, 25, 25, -95, 25),
        "+proj=lcc +lat_1=25 +lat_2=25 +lon_0=-95 +lat_0=25",
        (10, 70, -150, -40),
    ),
    "lambert in the south": (
        cone(LambertConformal, -33, -45, 20, -39),
        "+proj=lcc +lat_1=-33 +lat_2=-45 +lon_0=20 +lat_0=-39",
        (-70, -10, -20, 60),
    ),
    "azimuthal": (
        cone(LambertAzimuthal, 52, 10),
        "+proj=laea +lat_0=52 +lon_0=10",
        (25, 75, -30, 50),
    ),
    "azimuthal about the pole": (
        cone(LambertAzimuthal, 90, 10),
        "+proj=laea +lat_0=90 +lon_0=10",
        (25, 89, -180, 180),
    ),
    "azimuthal about the equator": (
        cone(LambertAzimuthal, 0, 10),
        "+proj=laea +lat_0=0 +lon_0=10",
        (-60, 60, -60, 80),
    ),
    "stereographic": (
        polar(60, -105, south=False),
        "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-105",
        (20, 89, -180, 180),
    ),
    "stereographic in the south": (
        polar(-71, 0, south=True),
        "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0",
        (-89, -20, -180, 180),
    ),
    "stereographic, true at the pole": (
        polar(90, 0, south=False),
        "+proj=stere +lat_0=90 +lat_ts=90 +lon_0=0",
        (20, 89, -180, 180),
    ),
    "mercator": (
        cone(Mercator, 20, -100),
        "+proj=merc +lat_ts=20 +lon_0=-100",
        (-70, 70, -179, -20),
    ),
    "transverse mercator": (
        transverse(49, -2, 0.9996012717, (400000.0, -100000.0)),
        "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000",
        (40, 70, -20, 15),
    ),
    "transverse mercator in the south": (
        transverse(-30, 135, 0.9996, (5e5, 1e7)),
        "+proj=tmerc +lat_0=-30 +lon_0=135 +k=0.9996 +x_0=500000 +y_0=10000000",
        (-60, 10, 120, 150),
    ),
}


def proj(definition, earth):
    return pyproj.Proj(f"{definition} +a={earth.major!r} +b={earth.minor!r} +no_defs")


def places(area):
    seed = np.random.default_rng(0)
    south, north, west, east = area
    return seed.uniform(south, north, 500), seed.uniform(west, east, 500)


@pytest.mark.parametrize("earth", EARTHS.values(), ids=EARTHS)
@pytest.mark.parametrize(("make", "definition", "area"), CASES.values(), ids=CASES)
def test_equal_to_proj(make, definition, area, earth):
    own, other = make(earth), proj(definition, earth)
    latitude, longitude = places(area)
    x, y = other(longitude, latitude)
    found_x, found_y = own.forward(np.deg2rad(latitude), np.deg2rad(longitude))
    np.testing.assert_allclose(found_x, x, atol=1e-4)
    np.testing.assert_allclose(found_y, y, atol=1e-4)
    phi, theta = map(np.rad2deg, own.inverse(np.array(x), np.array(y)))
    np.testing.assert_allclose(phi, latitude, atol=1e-9)
    np.testing.assert_allclose((theta - longitude + 180) % 360 - 180, 0, atol=1e-9)


@pytest.mark.parametrize("earth", EARTHS.values(), ids=EARTHS)
def test_a_view_from_space(earth):
    height = 35785831.0
    own = Geostationary(earth, earth.major + height, np.deg2rad(9.5))
    latitude, longitude = places((-60, 60, -50, 69))
    x, y = proj(f"+proj=geos +h={height} +lon_0=9.5 +sweep=y", earth)(longitude, latitude)
    phi, theta = map(np.rad2deg, own.inverse(np.array(x) / height, np.array(y) / height))
    np.testing.assert_allclose(phi, latitude, atol=1e-9)
    np.testing.assert_allclose(theta, longitude, atol=1e-9)
    assert np.isnan(own.inverse(0.2, 0.0)[0])


def test_impossible_parameters():
    earth = EARTHS["sphere"]
    for kind in (LambertConformal, AlbersEqualArea):
        with pytest.raises(FormatError):
            cone(kind, 30, -30, 0, 0)(earth)
        with pytest.raises(FormatError):
            cone(kind, 90, 90, 0, 0)(earth)
    with pytest.raises(FormatError):
        cone(Mercator, 90, 0)(earth)
    with pytest.raises(FormatError):
        Geostationary(earth, 6_000_000.0, 0.0)
    with pytest.raises(FormatError):
        Ellipsoid(6_000_000.0, 7_000_000.0)

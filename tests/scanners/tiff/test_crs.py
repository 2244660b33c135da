"""Reference systems of GeoKeys: positions are those of GDAL, or a key is refused by name."""

import numpy as np
import pytest
import rasterio
import tifffile
from pyproj import CRS, Transformer

from refmaker.scanners.tiff.crs import grid_mapping

USER = 32767
IMAGINE = "IMAGINE GeoTIFF Support\nCopyright\nProjection Name = x\nUnits = {}\nGeoTIFF Units = y"
PLACES = {1: [(500000.0, 4000000.0), (100000.0, 200000.0)], 2: [(2.0, 45.0), (10.0, -20.0)]}
UTM = {1024: 1, 3072: 32633}
FEET = {1024: 1, 3072: 26967}
OWN = {1024: 1, 2048: 4267, 3072: USER, 3074: USER, 3076: 9001}
DEGREES = {1024: 2, 2048: USER}
METRES = {**OWN, 2048: 4326, 3075: 7, 3080: 0.0, 3081: 0.0, 3092: 1.0}
SHIFTED = {**OWN, 2048: USER, 2050: USER, 2056: 7022, 2062: (1.0, 20.0, 300.0), 3082: 5e5}
UNITS = ("meters", "feet", "us_survey_foot", "international_FeeT", "yards", "degrees", "furlongs")
EQUAL = {
    "google": {**METRES, 1026: "Google Maps Global Mercator"},
    "google_projected": {**METRES, 1026: "x", 3073: "google maps Global Mercator"},
    "web_mercator": {**METRES, 3073: "WGS_1984_Web_Mercator"},
    "web_mercator_sphere": {**METRES, 1026: "WGS_1984_Web_Mercator_Auxiliary_Sphere"},
    "mercator_of_another_name": {**METRES, 1026: "My own Mercator"},
    "web_mercator_base": {1024: 1, 3072: 3857, 2048: 4326},
    "shifted": {**SHIFTED, 3075: 1, 3080: 10.0, 3081: 40.0},
    "shifted_conversion": {**SHIFTED, 3074: 16125},
    "shifted_seven": {**SHIFTED, 3074: 16125, 2062: (1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 4.0)},
    "shifted_degrees": {**DEGREES, 2050: USER, 2056: 7022, 2062: (1.0, 20.0, 300.0)},
    "shift_of_a_code": {**DEGREES, 2050: 6230, 2062: (1.0, 20.0, 300.0)},
    "own_angle": {**DEGREES, 2050: 6326, 2054: USER, 2055: 0.017453292519943295},
    **{f"imagine_{unit}": {**FEET, 1026: IMAGINE.format(unit)} for unit in UNITS},
    **{
        f"imagine_own_{unit}": {**OWN, 3075: 1, 3080: 10.0, 3082: 1e5, 3073: IMAGINE.format(unit)}
        for unit in UNITS[:3]
    },
    "imagine_of_a_code": {**FEET, 1026: "x", 3073: IMAGINE.format("feet")},
    "utm": UTM,
    "utm_without_model": {3072: 32633},
    "utm_us_feet": {**UTM, 3076: 9003},
    "georgia_us_feet": {**FEET, 3076: 9003},
    "georgia_metre": {**FEET, 3076: 9001},
    "utm_feet": {**UTM, 3076: 9002},
    "utm_own_unit": {**UTM, 3076: USER, 3077: 0.5},
    "utm_other_base": {**UTM, 2048: 4258},
    "utm_parameters_beside": {**UTM, 3080: 33.0, 3082: 1000.0},
    "northing_first": {1024: 1, 3072: 2193},
    "lambert_feet": {1024: 1, 3072: 2263, 3076: 9001},
    "wgs84": {1024: 2, 2048: 4326},
    "wgs84_grads": {1024: 2, 2048: 4326, 2054: 9105},
    "nad27_grads": {1024: 2, 2048: 4267, 2054: 9105},
    "osgb_grads": {1024: 2, 2048: 4277, 2054: 9105},
    "paris": {1024: 2, 2048: 4807},
    "paris_degrees": {1024: 2, 2048: 4807, 2054: 9102},
    "nad27_paris": {1024: 2, 2048: 4267, 2051: 8903},
    "own_datum": {**DEGREES, 2050: 6277},
    "own_datum_grads": {**DEGREES, 2050: 6326, 2054: 9105},
    "own_datum_paris": {**DEGREES, 2050: 6326, 2051: 8903},
    "own_meridian": {**DEGREES, 2050: 6326, 2051: USER, 2061: 7.5},
    "own_ellipsoid": {**DEGREES, 2056: 7001},
    "own_radii": {**DEGREES, 2057: 6378137.0, 2059: 298.0},
    "own_radii_meridian": {**DEGREES, 2057: 6378137.0, 2058: 6356752.0, 2061: 7.5},
    "own_sphere": {**DEGREES, 2057: 6370000.0, 2058: 6370000.0},
    "polar_-90": {**OWN, 3075: 15, 3080: 0.0, 3081: -71.0, 3092: 1.0, 3095: -90.0},
    "polar_north": {**OWN, 3075: 15, 3081: 70.0, 3095: -45.0},
    "polar_scaled": {**OWN, 3075: 15, 3081: 90.0, 3095: 10.0, 3092: 0.994},
    "oblique": {**OWN, 3075: 3, 3088: -117.5, 3089: 33.7, 3093: 1.0, 3094: 50.0},
    "oblique_grid": {**OWN, 3075: 3, 3088: -117.5, 3089: 33.7, 3094: 50.0, 3096: 45.0},
    "oblique_centre": {**OWN, 3075: 9815, 3088: -117.5, 3089: 33.7, 3094: 50.0, 3092: 0.9998},
    "mercator_scale": {**OWN, 3075: 7, 3080: 10.0, 3092: 0.9996},
    "mercator_parallel": {**OWN, 3075: 7, 3080: 10.0, 3078: 30.0},
    "tmerc_feet": {**OWN, 3075: 1, 3080: 10.0, 3081: 40.0, 3082: 1000.0, 3076: 9002},
    "lambert_2": {**OWN, 3075: 8, 3084: 10.0, 3085: 40.0, 3078: 30.0, 3079: 50.0, 3086: 1000.0},
    "lambert_1": {**OWN, 3075: 9, 3080: 10.0, 3081: 40.0, 3092: 0.9996},
    "stereographic": {**OWN, 3075: 14, 3088: 10.0, 3089: 40.0, 3092: 0.9996, 3076: 9003},
    "conversion_code": {**OWN, 3074: 15303, 3076: 9003},
    "heights": {**UTM, 4096: 5773},
    "height_units": {**UTM, 4096: 5703, 4099: 9003},
}
REFUSED = {
    "GTModelTypeGeoKey": {2048: 4326},
    "GTModelTypeGeoKey 3": {1024: 3, 2048: 4326},
    "GeogAngularUnitsGeoKey": {**DEGREES, 2050: 6326, 2054: USER, 2055: 0.01},
    "GeodeticCRSGeoKey": DEGREES,
    "ProjLinearUnitsGeoKey 9999": {**UTM, 3076: 9999},
    "ProjLinearUnitsGeoKey is user-defined": {**UTM, 3076: USER},
    "ProjMethodGeoKey": {**OWN, 3075: 2},
    "ProjStdParallel1GeoKey": {**OWN, 3075: 8, 3084: 10.0, 3085: 40.0, 3078: 30.0},
    "EllipsoidSemiMajorAxisGeoKey": {1024: 2, 2048: 4277, 2057: 6370000.0, 2059: 300.0},
    "GeodeticCRSGeoKey 4267": {1024: 1, 3072: 5514, 2048: 4267},
    "ProjNatOriginLatGeoKey None": {**OWN, 3075: 15, 3080: 0.0, 3095: -90.0},
    "ProjNatOriginLatGeoKey 0.0": {**OWN, 3075: 15, 3081: 0.0, 3095: 10.0},
    "PrimeMeridianGeoKey": {**DEGREES, 2050: 6326, 2051: USER},
}


def geotiff(path, keys):
    """Write a file with these GeoKeys."""
    entries, doubles, texts = [1, 1, 0, len(keys)], [], ""
    for key, value in sorted(keys.items()):
        if isinstance(value, float | tuple):
            values = value if isinstance(value, tuple) else (value,)
            entries += [key, 34736, len(values), len(doubles)]
            doubles += values
        elif isinstance(value, str):
            entries += [key, 34737, len(value) + 1, len(texts)]
            texts += f"{value}|"
        else:
            entries += [key, 0, 1, value]

    extra = [
        (33550, 12, 3, (100.0, 100.0, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 4000000.0, 0.0), True),
        (34735, 3, len(entries), tuple(entries), True),
    ]
    if doubles:
        extra.append((34736, 12, len(doubles), tuple(doubles), True))
    if texts:
        extra.append((34737, 2, 0, texts, True))
    tifffile.imwrite(path, np.zeros((20, 20), "u1"), metadata=None, extratags=extra)


def positions(text, places):
    """Return longitudes and latitudes of places."""
    crs = CRS.from_wkt(text)
    crs = crs.sub_crs_list[0] if crs.is_compound else crs
    x, y = zip(*places, strict=True)
    return np.array(Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y))


@pytest.mark.parametrize("name", EQUAL)
@pytest.mark.filterwarnings("ignore")
def test_positions_are_those_of_gdal(name, tmp_path):
    keys = {1025: 1, **EQUAL[name]}
    geotiff(tmp_path / "a.tif", keys)
    with rasterio.open(tmp_path / "a.tif") as file:
        true = file.crs.to_wkt()
    found, problem = grid_mapping(keys)
    assert found, problem
    places = PLACES[keys.get(1024, 1)]
    difference = np.abs(positions(found["crs_wkt"], places) - positions(true, places))
    assert difference.max() < 1e-7


@pytest.mark.parametrize("key", REFUSED)
def test_keys_that_are_not_understood_are_named(key):
    found, problem = grid_mapping({1025: 1, **REFUSED[key]})
    assert found == {}
    assert key in problem


def test_units_of_heights_are_compared(tmp_path):
    assert "VerticalUnitsGeoKey" in grid_mapping(EQUAL["height_units"])[1]
    assert grid_mapping(EQUAL["heights"])[1] == ""


@pytest.mark.parametrize("keys", [{4097: "navd88", 4099: 9001}, {4096: USER, 4098: 1089}])
def test_heights_without_a_code_are_said_to_be_left_out(keys):
    found, problem = grid_mapping({1025: 1, **UTM, **keys})
    assert found
    assert problem.startswith("heights are not described (Vertical")

"""Reference systems of grid mappings: names, codes, and whether they are projected."""

from __future__ import annotations

import pyproj
import pytest

from refmaker.model.grid_mapping import mapping_name, reference_system


@pytest.mark.parametrize("code", [4326, 32633, 3857, 4978, 9518, 5556, "32633+5773"])
@pytest.mark.parametrize("version", ["WKT2_2019", "WKT1_GDAL"])
def test_what_is_projected_is_so_by_proj(code, version):
    system = pyproj.CRS(f"EPSG:{code}")
    found = reference_system({"crs_wkt": system.to_wkt(version)})
    assert found.projected == system.is_projected
    assert found.name == system.name


def test_the_system_that_is_bound_is_meant():
    for text, projected in (
        ("+proj=utm +zone=33 +ellps=bessel +towgs84=1,2,3 +type=crs", True),
        ("+proj=longlat +ellps=bessel +towgs84=1,2,3 +type=crs", False),
    ):
        wkt = pyproj.CRS(text).to_wkt()
        assert wkt.startswith("BOUNDCRS")
        assert reference_system({"spatial_ref": wkt}).projected is projected
    quoted = 'GEOGCRS["a ""PROJCRS[" PROJCRS"]'
    assert not reference_system({"crs_wkt": quoted}).projected


def test_names_are_of_the_text_then_of_other_attributes():
    unnamed = {"crs_wkt": 'PROJCRS["unknown"]', "grid_mapping_name": "transverse_mercator"}
    assert reference_system(unnamed).label == "transverse mercator"
    told = reference_system({**unnamed, "projected_crs_name": "Grid", "epsg_code": "epsg:27700"})
    assert (told.name, told.code, told.label) == ("Grid", "EPSG:27700", "Grid (EPSG:27700)")
    assert reference_system({"epsg_code": "EPSG:27700"}).label == "EPSG:27700"
    assert reference_system({"crs_wkt": ['PROJCRS["unnamed"]']}).label == "a system without a name"
    assert not reference_system({"grid_mapping_name": "latitude_longitude"}).projected
    assert reference_system({"grid_mapping_name": "mercator"}).projected
    assert reference_system({"crs_wkt": 7, "epsg_code": 3}).label == ""


@pytest.mark.parametrize("text", ["crs", "crs: x y", "crs : x y", "crs:x y b: lat lon", ["crs"]])
def test_of_several_mappings_the_first(text):
    assert mapping_name({"grid_mapping": text}) == "crs"

"""References that kerchunk and gribscan wrote are decoded, with their packages and without."""

from __future__ import annotations

import json
from importlib import import_module

import numcodecs.registry
import numpy as np
import pytest

import refmaker
from refmaker.codecs import FOREIGN
from refmaker.codecs.grib_foreign import GribscanGRIB, KerchunkGRIB
from refmaker.errors import CodecError, MetadataError
from tests.codecs import grib_messages as grib

FIELD = 280 + 5 * np.random.default_rng(3).normal(size=(37, 53)).cumsum(1)
GAPS = np.where(FIELD > 282, np.nan, FIELD)
PACKINGS = ["grid_simple", "grid_ccsds", "grid_complex", "grid_ieee"]


@pytest.fixture
def alone(monkeypatch):
    """Take the packages of others away from numcodecs."""
    for table in ("entries", "codec_registry"):
        known = {
            name: found
            for name, found in getattr(numcodecs.registry, table).items()
            if name not in FOREIGN
        }
        monkeypatch.setattr(numcodecs.registry, table, known)


def references(path, filters, dtype):
    """Write what those packages write of one message: an array of one chunk."""
    array = {
        "shape": list(FIELD.shape), "chunks": list(FIELD.shape), "dtype": dtype, "order": "C",
        "compressor": None, "filters": filters, "fill_value": None, "zarr_format": 2,
    }  # fmt: skip
    refs = {
        ".zgroup": json.dumps({"zarr_format": 2}),
        "t/.zarray": json.dumps(array),
        "t/.zattrs": json.dumps({"_ARRAY_DIMENSIONS": ["y", "x"]}),
        "t/0.0": [path.as_posix(), 0, path.stat().st_size],
    }
    out = path.with_suffix(".json")
    out.write_text(json.dumps({"version": 1, "refs": refs}))
    return out


CONFIGS = [
    ({"id": "grib", "var": "t", "dtype": "float64"}, "<f8"),
    ({"id": "grib", "var": "t", "dtype": "float32"}, "<f4"),
    ({"id": "gribscan.rawgrib"}, "<f8"),
]


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize(("config", "dtype"), CONFIGS, ids=["f8", "f4", "gribscan"])
def test_references_without_the_packages(alone, tmp_path, config, dtype, edition):
    path = tmp_path / "field.grib"
    path.write_bytes(grib.message(FIELD, bits=16, edition=edition))
    group = refmaker.open_group(str(references(path, [config], dtype)))
    assert numcodecs.registry.codec_registry[config["id"]] in (KerchunkGRIB, GribscanGRIB)
    wanted = grib.native(path.read_bytes()).reshape(FIELD.shape).astype(dtype)
    np.testing.assert_array_equal(group["t"][:], wanted)


@pytest.mark.parametrize(("config", "dtype"), CONFIGS, ids=["f8", "f4", "gribscan"])
def test_the_packages_decode_the_same(tmp_path, config, dtype):
    """Where they are installed they are left in place."""
    module = "kerchunk.codecs" if config["id"] == "grib" else "gribscan.rawgribcodec"
    import_module(module)
    path = tmp_path / "field.grib"
    path.write_bytes(grib.message(FIELD, bits=16))
    group = refmaker.open_group(str(references(path, [config], dtype)))
    theirs = numcodecs.registry.get_codec(dict(config))
    assert type(theirs).__module__ == module
    own = KerchunkGRIB("t", config["dtype"]) if "dtype" in config else GribscanGRIB()
    decoded = own.decode(path.read_bytes()).reshape(FIELD.shape)
    np.testing.assert_array_equal(group["t"][:], decoded.astype(dtype))
    for packing in PACKINGS:
        data = grib.message(FIELD, packing, 12)
        np.testing.assert_array_equal(own.decode(data), theirs.decode(data))


@pytest.mark.parametrize("name", ["latitude", "longitude"])
def test_coordinates(name):
    data = grib.message(np.zeros((31, 16)))
    wanted = dict(zip(("latitude", "longitude"), grib.points(data), strict=True))[name]
    np.testing.assert_allclose(KerchunkGRIB(name).decode(data), wanted, atol=1e-6)


def test_missing_values_are_told_by_the_bitmap():
    for own in (KerchunkGRIB("t", "float64"), GribscanGRIB()):
        decoded = own.decode(grib.message(GAPS, bits=16))
        np.testing.assert_array_equal(np.isnan(decoded), np.isnan(GAPS).ravel())
    high = np.full((3, 4), 9999.0)
    high[0] = 1
    assert (KerchunkGRIB("t", "float64").decode(grib.message(high, "grid_ieee")) >= 1).all()


def test_the_first_field_of_several():
    first, second = (grib.sections(grib.message(field, bits=16)) for field in (FIELD, -FIELD))
    data = grib.join([*first, *(part for part in second if part[4] >= 4)])
    wanted = grib.native(grib.join(first))
    np.testing.assert_array_equal(KerchunkGRIB("t", "float64").decode(data), wanted)
    np.testing.assert_array_equal(GribscanGRIB().decode(data), wanted)


def test_configurations():
    assert KerchunkGRIB("t").get_config() == {"id": "grib", "var": "t", "dtype": None}
    for dtype in ("nothing", "U3"):
        with pytest.raises(MetadataError):
            KerchunkGRIB("t", dtype)
    for own in (KerchunkGRIB("t"), KerchunkGRIB("latitude"), GribscanGRIB()):
        with pytest.raises(CodecError):
            own.decode(b"GRIB and what is no message")

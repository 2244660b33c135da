"""Stored values that stand for missing ones, as `info` tells and the page draws them."""

from __future__ import annotations

from dataclasses import replace

import netCDF4
import numpy as np
import pytest

import refmaker
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.packing import missing_values, valid_range
from refmaker.publish.pictures.scaling import physical
from refmaker.storage.reference_set import ReferenceSet


def array_of(values, fill=None, **attributes):
    values = np.asarray(values)
    chunks = ChunkTable.inline((1,), {0: values.tobytes()})
    made = Array(values.shape, values.shape, values.dtype, chunks, attributes=attributes)
    return replace(made, fill_value=fill)


def drawn(array, values):
    region = [np.arange(len(values))]
    return np.isnan(physical(np.asarray(values), array, region, lambda _: None)).tolist()


@pytest.mark.parametrize(
    ("dtype", "attributes", "missing"),
    [
        ("i2", {"_FillValue": -9}, [-9]),
        ("i2", {"missing_value": [-8, -9]}, [-8, -9]),
        ("i2", {"_FillValue": [-9], "missing_value": -8.0}, [-9, -8]),
        # Numbers that single precision has not are meant as it rounds them.
        ("f4", {"_FillValue": -9999.9}, [float(np.float32(-9999.9))]),
        ("f4", {"missing_value": 1e20}, [float(np.float32(1e20))]),
        ("f8", {"_FillValue": "Infinity"}, [np.inf]),
        ("f4", {"missing_value": 10**400}, []),
        ("i2", {"_FillValue": "what", "missing_value": [True, None, [1]]}, []),
    ],
)
def test_what_is_missing_is_told_and_drawn(dtype, attributes, missing):
    values = np.array([1, *missing], dtype)
    array = array_of(values, **attributes)
    assert missing_values(array, fill=False) == missing
    assert drawn(array, values) == [False, *[True] * len(missing)]
    (told,) = refmaker.describe(ReferenceSet(Group({"a": array})))["arrays"]
    assert [float(one) for one in told["missing_value"]] == missing


def test_large_integers_stay_exact():
    large = 2**63 - 1
    assert missing_values(array_of([1], _FillValue=large), fill=False) == [large]


def test_a_fill_value_is_missing_where_it_is_asked_for():
    array = array_of([0, 1], fill=0)
    assert missing_values(array, fill=True) == [0]
    assert missing_values(array, fill=False) == []
    assert missing_values(array_of([0.0], fill=np.nan), fill=True) == []
    # Of an image, zero is dark; of a raster it is a cell without data.
    assert drawn(array, [0, 1]) == [False, False]
    assert drawn(replace(array, attributes={"grid_mapping": "crs"}), [0, 1]) == [True, False]


def test_truth_values_are_never_missing():
    array = array_of([False, True], _FillValue=False)
    assert drawn(array, [False, True]) == [False, False]


@pytest.mark.parametrize("dtype", ["i1", "i2", "u1", "f4", "f8"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    "told",
    [
        {"valid_range": [5, 10]}, {"valid_min": 5}, {"valid_max": 10},
        {"valid_min": 5, "valid_max": 9}, {"valid_max": 10, "_FillValue": 3},
        {"valid_min": 5, "missing_value": [7, 8]},
    ],
)  # fmt: skip
def test_what_is_not_valid_is_not_drawn_as_by_netcdf4(tmp_path, dtype, scaled, told):
    stored = np.arange(20).astype(dtype)
    packing = {"scale_factor": 0.5, "add_offset": 10.0} if scaled else {}
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 20)
        variable = file.createVariable("v", dtype, ("x",), fill_value=told.get("_FillValue"))
        typed = {name: np.array(value, dtype) for name, value in told.items()}
        variable.setncatts({**packing, **{k: v for k, v in typed.items() if k != "_FillValue"}})
        variable.set_auto_maskandscale(False)
        variable[:] = stored
        variable.set_auto_maskandscale(True)
        expected = variable[:]
    array = refmaker.scan(tmp_path / "a.nc").group["v"]
    shown = physical(stored, array, [np.arange(20)], lambda _: None)
    np.testing.assert_array_equal(np.isnan(shown), np.ma.getmaskarray(expected))
    np.testing.assert_allclose(shown[~np.isnan(shown)], expected.compressed(), rtol=1e-6)


@pytest.mark.parametrize("told", [{"valid_range": [1, -3]}, {"valid_min": 1, "valid_max": 253}])
def test_valid_ranges_of_unsigned_values_may_be_written_signed(told):
    values = np.array([0, 1, 127, -128, -3, -2], "i1")
    array = array_of(values, _Unsigned="true", **told)
    assert drawn(array, values) == [True, False, False, False, False, True]


def test_a_range_of_floats_is_one_of_unpacked_values():
    values = np.array([0, 50, 100, 101], "i2")
    array = array_of(values, scale_factor=0.1, add_offset=270.0, valid_range=[275.0, 280.0])
    assert drawn(array, values) == [True, False, False, True]
    # Without packing there are no others than those stored.
    assert drawn(array_of(values, valid_min=50.0), values) == [True, False, False, False]


def test_ends_are_rounded_as_their_values_are():
    values = np.array([0.1, 0.2], "f4")
    assert drawn(array_of(values, valid_min=0.1, valid_max=0.2), values) == [False, False]


def test_numbers_in_lists_of_one():
    array = array_of(np.array([2, 4], "i2"), scale_factor=[0.5], add_offset=[1])
    array = replace(array, dimension_names=("x",))
    (span,) = refmaker.describe(ReferenceSet(Group({"x": array})))["spans"]
    assert (span["min"], span["max"]) == (2, 3)
    shown = physical(np.array([2, 4], "i2"), array, [np.arange(2)], lambda _: None)
    assert shown.tolist() == [2, 3]
    assert valid_range({"valid_min": [3], "valid_range": [1]}) == (3, None)

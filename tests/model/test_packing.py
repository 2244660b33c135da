"""Stored values that stand for missing ones, as `info` tells and the page draws them."""

from __future__ import annotations

from dataclasses import replace

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


def test_numbers_in_lists_of_one():
    array = array_of(np.array([2, 4], "i2"), scale_factor=[0.5], add_offset=[1])
    array = replace(array, dimension_names=("x",))
    (span,) = refmaker.describe(ReferenceSet(Group({"x": array})))["spans"]
    assert (span["min"], span["max"]) == (2, 3)
    shown = physical(np.array([2, 4], "i2"), array, [np.arange(2)], lambda _: None)
    assert shown.tolist() == [2, 3]
    assert valid_range({"valid_min": [3], "valid_range": [1]}) == (3, None)

"""Types of attributes survive JSON; missing values that mark nothing are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from refmaker.errors import MetadataError
from refmaker.model import Group
from refmaker.model.attribute_types import (
    TYPES,
    impossible_missing,
    merge_types,
    number_type,
    typed_attributes,
    with_types,
)
from refmaker.model.dtypes import json_number
from refmaker.model.record_dtypes import record_document, record_from_document
from refmaker.model.zarr_v2 import attributes_document
from refmaker.model.zarr_v3 import group_document_v3

CODES = ["i1", "u1", "i2", "u2", "i4", "u4", "u8", "f4", "f8"]


def plain(values):
    out = values.tolist()
    if isinstance(out, list):
        return [json_number(v) if isinstance(v, float) else v for v in out]
    return json_number(out) if isinstance(out, float) else out


@given(
    st.sampled_from(CODES).flatmap(
        lambda code: npst.arrays(code, st.sampled_from([(), (2,), (5,)]))
    )
)
def test_values_come_back_in_their_type(values):
    value = plain(values)
    code = number_type(values.dtype, value)
    known = with_types({"a": value, "text": "NaN"}, {} if code is None else {"a": code})
    found = typed_attributes(json.loads(json.dumps(known)))
    assert found["text"] == "NaN"
    assert TYPES not in found
    assert np.asarray(found["a"]).dtype == values.dtype or code is None
    assert np.array_equal(np.asarray(found["a"]), values, equal_nan=values.dtype.kind == "f")


def test_large_integers_beside_small_ones():
    values = [2**63 + 1, 0, 2**64 - 1]
    found = typed_attributes(with_types({"a": values}, {"a": "<u8"}))
    assert found["a"].dtype == "u8"
    assert found["a"].tolist() == values


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("text", "<f4"),
        (300, "|u1"),
        (0.1, "<f4"),
        ([1, "x"], "<i2"),
        (1, "<M8"),
        (1, 7),
        ({}, "<i4"),
    ],
)
def test_what_does_not_fit_any_more_stays(value, code):
    assert typed_attributes({"a": value, TYPES: {"types": {"a": code}}}) == {"a": value}


@pytest.mark.parametrize("record", [None, 3, {}, {"types": 3}, {"types": {"b": "<f4"}}])
def test_odd_records_do_no_harm(record):
    assert typed_attributes({"a": 1, TYPES: record}) == {"a": 1}


def test_one_element_is_a_scalar():
    found = typed_attributes({"a": [3], TYPES: {"types": {"a": "<i2"}}})
    assert found["a"] == 3
    assert np.shape(found["a"]) == ()


def test_types_that_differ_are_dropped():
    nodes = [
        with_types({"a": 1, "b": 2}, {"a": "<f4", "b": "<i2"}),
        with_types({"a": 1}, {"a": "<i2"}),
    ]
    assert merge_types(nodes, {"a": 1, "b": 2}) == {"b": "<i2"}


def test_version_3_does_not_show_them():
    group = Group({}, with_types({"a": 1}, {"a": "<i2"}))
    assert TYPES in attributes_document(group)
    assert group_document_v3(group)["attributes"] == {"a": 1}


@pytest.mark.parametrize(
    ("value", "dtype", "impossible"),
    [
        ("NaN", "i2", True), ("abc", "i2", True), (300, "u1", True), (-1, "u1", True),
        (255, "u1", False), (1.0, "i4", False), ("NaN", "f4", False), ("abc", "f4", True),
        (1e300, "f4", True), (1e300, "f8", False), ([1, 300], "u1", False), ([300], "u1", True),
        (True, "i2", True), (2**64, "u8", True), (2**64 - 1, "u8", False), ("x", "S1", False),
    ],
)  # fmt: skip
def test_impossible_missing_values(value, dtype, impossible):
    for name in ("_FillValue", "missing_value"):
        found = impossible_missing({name: value}, np.dtype(dtype))
        assert found == ({name: value} if impossible else {})


def test_the_other_sign_is_possible_where_bits_count():
    assert not impossible_missing({"_FillValue": -1, "_Unsigned": "false"}, np.dtype("u1"))
    assert not impossible_missing({"_FillValue": 255, "_Unsigned": "true"}, np.dtype("i1"))
    assert impossible_missing({"_FillValue": 256, "_Unsigned": "true"}, np.dtype("i1"))


NESTED = np.dtype(
    [("id", "i4"), ("at", [("x", "f8"), ("y", ">f8")]), ("v", "f4", (2, 3)), ("s", "S5")],
    align=True,
)


def test_records_come_back():
    document = json.loads(json.dumps(record_document(NESTED)))
    assert record_from_document(document, np.dtype(f"V{NESTED.itemsize}")) == NESTED


@pytest.mark.parametrize(
    "change",
    [
        {"itemsize": 8}, {"formats": []}, {"formats": ["|O"] * 4}, {"offsets": [0, 8, 24, 90]},
        {"formats": [["<i4", [2**40]]] * 4}, {"names": 3}, {"formats": ["f4,f4"] * 4},
        {"offsets": [-8, 8, 24, 48]},
    ],
)  # fmt: skip
def test_odd_record_documents_are_refused(change):
    with pytest.raises(MetadataError, match="_nc_record"):
        record_from_document({**record_document(NESTED), **change}, np.dtype("V56"))
    nest = record_document(NESTED)
    for _ in range(40):
        nest = {"names": ["a"], "formats": [nest], "offsets": [0], "itemsize": 56}
    with pytest.raises(MetadataError, match="_nc_record"):
        record_from_document(nest, np.dtype("V56"))

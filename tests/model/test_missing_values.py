"""Missing values: one spelling in documents, and the way back from any."""

import base64
import json
import struct

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from refmaker.model import Array, ChunkTable, zarr_v2
from refmaker.model.missing_values import missing_from_document, number_of, settled
from refmaker.testing.strategies import arrays

FLOAT32_DEFAULT = float(np.float32(9.96921e36))


def double(value):
    return base64.b64encode(struct.pack("<d", value)).decode()


def made(dtype, fill, missing=None, *, present=True):
    """Return an array of one chunk, which is there or not."""
    data = np.arange(3).astype(dtype).tobytes()
    table = ChunkTable.inline((1,), {0: data} if present else {})
    attributes = {} if missing is None else {"_FillValue": missing}
    return Array((3,), (3,), np.dtype(dtype), table, fill_value=fill, attributes=attributes)


def told(array):
    """Return fill value and attribute as documents hold them."""
    zarray = json.loads(zarr_v2.dumps(zarr_v2.array_document(array)))
    zattrs = json.loads(zarr_v2.dumps(zarr_v2.attributes_document(array)))
    return zarray["fill_value"], zattrs.get("_FillValue")


@pytest.mark.parametrize(
    ("dtype", "fill", "missing", "document"),
    [
        ("<f4", np.nan, None, ("NaN", None)),
        ("<f4", np.nan, "NaN", ("NaN", None)),
        ("<f4", None, "NaN", ("NaN", None)),
        ("<f4", -9999.0, None, (-9999.0, double(-9999.0))),
        ("<f4", -9999.0, -9999, (-9999.0, double(-9999.0))),
        ("<f4", None, [-9999.0], (-9999.0, double(-9999.0))),
        ("<f4", None, FLOAT32_DEFAULT, (FLOAT32_DEFAULT, double(FLOAT32_DEFAULT))),
        ("<f4", np.float32(9.96921e36), 9.96921e36, (FLOAT32_DEFAULT, double(FLOAT32_DEFAULT))),
        (">f8", np.inf, "Infinity", ("Infinity", double(np.inf))),
        ("<f4", None, None, (None, None)),
        ("<i2", -999, None, (-999, -999)),
        ("<i2", -999, -999.0, (-999, -999)),
        (">i2", None, -999, (-999, -999)),
        ("<u8", 2**64 - 1, 2**64 - 1, (2**64 - 1, 2**64 - 1)),
        # What is no element's value, or not one value, marks nothing that a fill value could say.
        ("<f4", None, 9.96921e36, (None, 9.96921e36)),
        ("<i2", None, 99999, (None, 99999)),
        ("<i2", None, [1, 2], (None, [1, 2])),
        ("<f4", None, "text", (None, "text")),
        # The mark and what absent chunks read as differ: both stay.
        ("<f4", 0.0, -9999.0, (0.0, -9999.0)),
        ("<i2", 0, -999, (0, -999)),
        # Of others no reader takes a mark.
        ("|b1", False, None, (False, None)),
        ("|S1", None, "x", (None, "x")),
    ],
)
def test_the_spelling(dtype, fill, missing, document):
    assert told(made(dtype, fill, missing)) == document


@pytest.mark.parametrize(("dtype", "missing"), [("<f4", -1.0), ("<i2", -1), ("<f4", "NaN")])
def test_what_absent_chunks_read_as_is_not_changed(dtype, missing):
    assert told(made(dtype, None, missing, present=False)) == (None, missing)


@pytest.mark.parametrize(
    ("fill", "missing"), [(np.nan, "NaN"), (-9999.0, -9999.0), (None, FLOAT32_DEFAULT), (0.5, None)]
)
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_xarray_masks_the_same(dtype, fill, missing):
    array = made(dtype, fill, missing)
    group = zarr.create_group(store={}, zarr_format=2)
    held = group.create_array(
        "v", shape=(3,), chunks=(3,), dtype=dtype, fill_value=told(array)[0], compressors=None,
        filters=None,
    )  # fmt: skip
    mark = array.fill_value if missing is None or fill is not None else missing
    values = np.array([1, np.nan if missing == "NaN" else mark, 2], dtype)
    held[...] = values
    held.attrs.update({"_ARRAY_DIMENSIONS": ["x"]} | dict(zarr_v2.attributes_document(array)))
    shown = xr.open_zarr(group.store, consolidated=False, zarr_format=2, chunks=None)["v"]
    assert np.isnan(shown.values).tolist() == [False, True, False]


@given(arrays())
def test_settling_again_changes_nothing(array):
    once = settled(array)
    assert settled(once) is once


@given(arrays())
def test_documents_come_back_and_are_written_the_same(array):
    document = told(array)
    zattrs = json.loads(zarr_v2.dumps(zarr_v2.attributes_document(array)))
    back = zarr_v2.array_from_documents(zarr_v2.array_document(array), zattrs, array.chunks)
    assert told(back) == document
    if array.dtype.kind == "f":
        assert not isinstance(back.attributes.get("_FillValue"), str) or not _is_double(
            back.attributes["_FillValue"]
        )


def _is_double(text):
    return isinstance(number_of(text), float) and len(text) == 12


@given(st.floats())
def test_doubles_come_back(value):
    found = missing_from_document(double(value), np.dtype("f4"))
    assert str(number_of(found)) == str(float(value))


@pytest.mark.parametrize(
    "hostile",
    [
        "", "AAAA", "AADAfw==", "AAAAAAAA+H8", "AAAAAAAA+H8=AAAA", "AAAAAAAA+H!=", "============",
        "ÄAAAAAAA+H8=", "AAAAAAAA+H8\n", "A" * 12, "AAAAAAAA+H8=" * 10**5, ["AAAAAAAA+H8="],
        {"AAAAAAAA+H8=": 1}, True, None,
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_what_is_no_double_stays_what_it_is(hostile):
    assert missing_from_document(hostile, np.dtype("f8")) == hostile


@pytest.mark.parametrize("raw", ["010000000000f87f", "000000000000f8ff", "010000000000f07f"])
def test_every_nan_is_nan(raw):
    text = base64.b64encode(bytes.fromhex(raw)).decode()
    assert missing_from_document(text, np.dtype("f8")) == "NaN"


def test_of_integers_the_attribute_is_never_encoded():
    assert missing_from_document(double(1.0), np.dtype("i4")) == double(1.0)

"""The codec ``refmaker.grib`` on damaged messages: an error of its own, and no wild allocation."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from refmaker.codecs.grib import GRIB
from refmaker.errors import CodecError, MetadataError, RefmakerError
from tests.codecs import grib_messages as grib

FIELD = 280 + np.random.default_rng(4).normal(size=(6, 7)).cumsum(1)
PACKINGS = [
    (1, "grid_simple"),
    (2, "grid_simple"),
    (2, "grid_ieee"),
    (2, "grid_complex"),
    (2, "grid_complex_spatial_differencing"),
    (2, "grid_ccsds"),
    (2, "grid_jpeg"),
]


@pytest.mark.parametrize(("edition", "packing"), PACKINGS)
def test_truncation(edition, packing):
    data = grib.message(FIELD, packing, 16, edition=edition)
    codec = GRIB("<f8", FIELD.shape)
    for length in range(len(data)):
        with pytest.raises(RefmakerError):
            codec.decode(data[:length])


@pytest.mark.parametrize("packing", ["grid_simple", "grid_complex", "grid_ccsds"])
def test_more_values_than_the_chunk_has(packing):
    data = bytearray(grib.message(FIELD, packing, 12))
    at = data.index(grib.sections(data)[3]) + 5
    data[at : at + 4] = struct.pack(">I", 940_000_000)
    for codec in (GRIB("<f8", FIELD.shape), GRIB("<f8", [2**29 - 1]), GRIB()):
        with pytest.raises(CodecError):
            codec.decode(bytes(data))


def test_shapes_beyond_all_bounds():
    with pytest.raises(MetadataError):
        GRIB("<f8", [31_000, 31_000])


def test_parts_of_messages():
    parts = grib.sections(grib.message(FIELD, bits=16))
    expected = grib.native(grib.join(parts)).reshape(FIELD.shape)
    codec = GRIB("<f8", FIELD.shape)
    for first in (1, 2, 3):
        np.testing.assert_array_equal(codec.decode(b"".join(parts[first:])), expected)
    again = grib.section(6, b"\xfe")
    gaps = np.where(FIELD > 280, np.nan, FIELD)
    parts = grib.sections(grib.message(gaps, bits=16))
    run = b"".join([*parts[3:], parts[2], parts[3], again, parts[5]])
    np.testing.assert_array_equal(np.isnan(codec.decode(run)), np.isnan(gaps))
    with pytest.raises(CodecError, match="bitmap of an earlier field"):
        codec.decode(b"".join([parts[3], again, parts[5]]))

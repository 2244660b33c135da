"""B3D through the HDF5 scanner: filter 32016 becomes the codec, and the codec's chunks arrays."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from refmaker.scanning.one_file import scan
from refmaker.testing import open_stock
from tests.codecs.b3d_vectors import SAMPLE, SHIPPED, WHY, named, vector

B3D_FILTER = 32016
TYPES = {0: "u1", 1: "u2", 4: "i1", 5: "i2"}


def write(path, encoded, values):
    """Write a dataset of one B3D chunk, as the vendor's filter would have."""
    x, y, z, kind = values[7:11]
    shape = (y, x) if z == 1 else (z, y, x)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(shape)
    # HDF5 only creates datasets of filters that it has; optional ones are taken on trust.
    plist.set_filter(B3D_FILTER, h5py.h5z.FLAG_OPTIONAL, tuple(values))
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.py_create(np.dtype(TYPES[kind]))
        space = h5py.h5s.create_simple(shape)
        dataset = h5py.h5d.create(file.id, b"image", kind, space, plist)
        dataset.write_direct_chunk((0,) * len(shape), encoded.tobytes())


@pytest.mark.parametrize("path", named(SHIPPED))
def test_chunks_of_the_vendor_read_through_references(path, tmp_path):
    encoded, values, decoded = vector(path)
    file = tmp_path / "b3d.h5"
    write(file, encoded, values)
    group, report = scan(file)
    assert report.lossless
    array = group["image"]
    assert array.filters == ({"id": "refmaker.b3d", "cd_values": values},)
    found = open_stock(group)["image"][...]
    assert found.tobytes() == decoded.tobytes()


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [(1, 9, "mode"), (1, 100, "mode"), (6, 2, "version"), (10, 3, "type")],
)
def test_what_the_decoder_excludes_is_refused_by_name(place, value, word, tmp_path):
    encoded, values, _ = vector(SHIPPED[0])
    path = tmp_path / "b3d.h5"
    changed = [*values]
    changed[place] = value
    write_values = [*changed]
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((values[8], values[7]))
        plist.set_filter(B3D_FILTER, h5py.h5z.FLAG_OPTIONAL, tuple(write_values))
        space = h5py.h5s.create_simple((values[8], values[7]))
        dataset = h5py.h5d.create(file.id, b"image", h5py.h5t.STD_U16LE, space, plist)
        dataset.write_direct_chunk((0, 0), encoded.tobytes())
    group, report = scan(path)
    assert "image" not in group.members
    [row] = report.skipped
    assert word in row.reason
    assert row.path == "/image"


def test_a_chunk_of_another_size_than_the_filter_says_is_refused(tmp_path):
    encoded, values, _ = vector(SHIPPED[0])
    path = tmp_path / "b3d.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((values[8], values[7]))
        plist.set_filter(B3D_FILTER, h5py.h5z.FLAG_OPTIONAL, tuple(values))
        space = h5py.h5s.create_simple((values[8], values[7]))
        # The vendor's plugin calls floats 8-bit integers.
        dataset = h5py.h5d.create(file.id, b"image", h5py.h5t.IEEE_F64LE, space, plist)
        dataset.write_direct_chunk((0, 0), encoded.tobytes())
    _, report = scan(path)
    assert [row.path for row in report.skipped] == ["/image"]


@pytest.mark.skipif(not SAMPLE.exists(), reason=WHY)
def test_the_sample_file_equals_what_was_expected():
    group, report = scan(SAMPLE)
    assert report.lossless
    found = open_stock(group)
    for name, array in group["b3d"].members.items():
        expected = found[f"expected/{name}"][...]
        assert array.filters[0]["id"] == "refmaker.b3d"
        assert found[f"b3d/{name}"][...].tobytes() == expected.tobytes(), name

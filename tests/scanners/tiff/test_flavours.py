"""Every way of storing an image, read through stock references, against the native libraries."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from refmaker.verification.verify import verify
from tests.scanners.tiff import flavours


def image_of(group):
    """Return the path of the only image of a file."""
    found = [path for path, _ in group.arrays() if path.split("/")[-1] == "image"]
    assert len(found) == 1
    return found[0]


def read(path):
    """Return an array of the model and its values through stock fsspec and zarr."""
    group, report = scan(path)
    assert not report.skipped
    name = image_of(group)
    return group[name], np.asarray(open_stock(group)[name][...])


@pytest.mark.parametrize("name", flavours.ALL)
def test_equal_bit_for_bit(name, tmp_path):
    true = np.asarray(flavours.ALL[name](tmp_path / "a.tif"))
    array, found = read(tmp_path / "a.tif")
    assert found.shape == true.shape
    assert found.dtype.newbyteorder("=") == true.dtype.newbyteorder("=")
    assert array.fill_value is None or "nodata" in name
    assert found.astype(true.dtype).tobytes() == true.tobytes()


@pytest.mark.parametrize("name", flavours.JPEG)
def test_lossy_within_one(name, tmp_path):
    true = np.asarray(flavours.JPEG[name](tmp_path / "a.tif"))
    _, found = read(tmp_path / "a.tif")
    assert found.dtype == true.dtype
    assert np.abs(found.astype(int) - true.astype(int)).max() <= 1


@pytest.mark.parametrize("name", [*flavours.ALL, *flavours.JPEG])
def test_verify_agrees(name, tmp_path):
    {**flavours.ALL, **flavours.JPEG}[name](tmp_path / "a.tif")
    checks = verify(ReferenceSet(*scan(tmp_path / "a.tif")), sample=4, isolate="never")
    if name == "gdal_jpeg_band":
        # libjpeg gives other decoders leave to differ by one.
        assert all(check.compared for check in checks)
    else:
        assert [check for check in checks if not check.ok] == []


@pytest.mark.parametrize("name", flavours.STORED)
def test_uncompressed_data_need_no_codec(name, tmp_path):
    flavours.STORED[name](tmp_path / "a.tif")
    array, _ = read(tmp_path / "a.tif")
    assert array.codecs == ()


@pytest.mark.parametrize("name", flavours.NUMCODECS)
def test_common_compressions_need_numcodecs_only(name, tmp_path):
    flavours.NUMCODECS[name](tmp_path / "a.tif")
    array, _ = read(tmp_path / "a.tif")
    assert {codec["id"] for codec in array.codecs} <= {"zlib", "lzma", "zstd"}


@pytest.mark.parametrize("name", [*flavours.IMAGECODECS, *flavours.PACKED])
def test_codecs_of_ours_only_where_nothing_else_decodes(name, tmp_path):
    {**flavours.IMAGECODECS, **flavours.PACKED}[name](tmp_path / "a.tif")
    array, _ = read(tmp_path / "a.tif")
    ours = {codec["id"] for codec in array.codecs if codec["id"].startswith("refmaker.")}
    needed = {"refmaker.tiff_complexint"} if "complex_int" in name else set()
    needed |= {"refmaker.tiff_pad"} if name == "strip_uneven_png" else set()
    # Values of floats depend on LERC's mask, which other codecs leave out.
    needed |= {"refmaker.tiff_lerc"} if name.startswith("gdal_lerc") else set()
    assert ours == needed


def test_every_chunk_size_gives_the_same(tmp_path):
    true = flavours.STORED["strip_uneven_raw"](tmp_path / "a.tif")
    shapes = set()
    for target in (None, 1, 180, 4000, 1 << 20):
        group, _ = scan(tmp_path / "a.tif", options=ScanOptions(chunk_bytes=target))
        shapes.add(group["image"].chunk_shape)
        assert np.array_equal(open_stock(group)["image"][...], true)
    assert len(shapes) > 2


@pytest.mark.parametrize("layout", ["auto", "ngff", "native"])
def test_verify_knows_every_layout(layout, tmp_path):
    data = flavours.smooth(2, 3, 32, 32)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, photometric="minisblack", ome=True,
                     metadata={"axes": "ZCYX"}, compression="zlib")  # fmt: skip
    options = ScanOptions(settings={"tiff-axes": layout})
    refs = ReferenceSet(*scan(tmp_path / "a.ome.tif", options=options))
    checks = verify(refs, sample=None, isolate="never")
    assert checks
    assert all(check.ok for check in checks), checks

"""What other tools read wrongly without a word: right here, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import tifffile
import xarray as xr

from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from tests.scanners.tiff import flavours


def refused(path):
    """Return what becomes of the image of a file that is refused."""
    group, report = scan(path)
    assert not [name for name, _ in group.arrays() if name.endswith("image")]
    assert len(report.skipped) == 1
    return report.skipped[0]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i2", "i4"])
@pytest.mark.parametrize("rows", [16, 20])
def test_big_endian_predictor(dtype, rows, tmp_path):
    data = flavours.rng.integers(0, 100, (96, 90)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", data, byteorder=">", predictor=2, compression="zlib",
                     rowsperstrip=rows)  # fmt: skip
    group, _ = scan(tmp_path / "a.tif")
    assert np.array_equal(open_stock(group)["image"][...], data)


def test_fill_order_2(tmp_path):
    true = flavours.fill_order_2(tmp_path / "a.tif")
    group, _ = scan(tmp_path / "a.tif")
    assert np.array_equal(open_stock(group)["image"][...], true)


def test_zeros_are_not_masked(tmp_path):
    data = flavours.GRAY.copy()
    data[:40] = 0
    tifffile.imwrite(tmp_path / "a.tif", data, tile=(32, 32), compression="zlib")
    ReferenceSet(*scan(tmp_path / "a.tif")).write(tmp_path / "a.json")
    with xr.open_dataset(
        "reference://", engine="zarr", chunks=None,
        backend_kwargs={"consolidated": True, "storage_options": {"fo": str(tmp_path / "a.json")}},
    ) as dataset:  # fmt: skip
        assert dataset["image"].dtype == data.dtype
        assert np.array_equal(dataset["image"].values, data)


@pytest.mark.filterwarnings("ignore")
def test_sparse_tiles_are_absent_and_read_as_nodata(tmp_path):
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=128, height=128, count=1, dtype="uint8",
        nodata=7, tiled=True, blockxsize=32, blockysize=32, sparse_ok=True, compress="deflate",
    ) as file:  # fmt: skip
        file.write(np.full((32, 32), 9, "u1"), 1, window=rasterio.windows.Window(32, 64, 32, 32))
    group, _ = scan(tmp_path / "a.tif")
    (name,) = [name for name, _ in group.arrays() if name.endswith("image")]
    assert group[name].chunks.absent == 15
    assert group[name].fill_value == 7
    with rasterio.open(tmp_path / "a.tif") as file:
        assert np.array_equal(open_stock(group)[name][...], file.read(1))


def test_sparse_strips_without_nodata_read_as_zero(tmp_path):
    data = np.zeros((64, 64), "u2")
    tifffile.imwrite(tmp_path / "a.tif", data, rowsperstrip=16, compression="zlib", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for code in (273, 279):
            tag = file.pages[0].tags[code]
            tag.overwrite([0 if i == 1 else v for i, v in enumerate(tag.value)])
    group, _ = scan(tmp_path / "a.tif")
    assert group["image"].chunks.absent == 1
    assert group["image"].fill_value is None
    assert not open_stock(group)["image"][...].any()


def test_palette_keeps_indices_and_colours(tmp_path):
    colours = flavours.rng.integers(0, 65535, (3, 256)).astype("u2")
    tifffile.imwrite(tmp_path / "a.tif", flavours.BYTES, photometric="palette", colormap=colours)
    group, _ = scan(tmp_path / "a.tif")
    stock = open_stock(group)
    assert np.array_equal(stock["image"][...], flavours.BYTES)
    assert np.array_equal(np.asarray(stock["tiff/ColorMap"][...]).reshape(3, 256), colours)


def test_orientation_is_told_and_pixels_stay(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", flavours.GRAY, extratags=[(274, "H", 1, 6, True)])
    group, _ = scan(tmp_path / "a.tif")
    assert np.array_equal(open_stock(group)["image"][...], flavours.GRAY)
    told = {**group["tiff"].attributes, **group["image"].attributes}
    assert 6 in told.values() or any("right" in str(value) for value in told.values())


def test_mixed_compressions_and_shapes_all_appear(tmp_path):
    series = [
        (flavours.GRAY, {}),
        (flavours.GRAY + 1, {"compression": "zlib"}),
        (flavours.GRAY[:50], {"compression": "zlib"}),
        (flavours.GRAY + 2, {"compression": "lzw", "predictor": True}),
    ]
    flavours.pages(*series)(tmp_path / "a.tif")
    group, report = scan(tmp_path / "a.tif")
    stock = open_stock(group)
    found = [stock[name][...] for name, _ in group.arrays() if name.endswith("image")]
    assert not report.skipped
    assert len(found) == len(series)
    assert all(any(np.array_equal(data, one) for one in found) for data, _ in series)


def test_jpeg_tables_that_differ_between_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for level in (50, 90):
            file.write(flavours.BYTES, tile=(32, 32), compression="jpeg", metadata=None,
                       compressionargs={"level": level})  # fmt: skip
    group, _ = scan(tmp_path / "a.tif")
    true = tifffile.imread(tmp_path / "a.tif", key=range(2))
    (name,) = [name for name, _ in group.arrays() if name.endswith("image")]
    assert np.array_equal(open_stock(group)[name][...], true)


@pytest.mark.filterwarnings("ignore")
def test_shared_jpeg_tables_in_many_pages(tmp_path):
    path = tmp_path / "a.tif"
    for i in range(2):
        with rasterio.open(
            path, "w", driver="GTiff", width=90, height=96, count=1, dtype="uint8", tiled=True,
            blockxsize=32, blockysize=32, compress="jpeg", append_subdataset=i > 0,
        ) as file:  # fmt: skip
            file.write(flavours.BYTES + i, 1)
    group, report = scan(path)
    stock = open_stock(group)
    assert not report.skipped
    found = [np.asarray(stock[name][...]) for name, _ in group.arrays() if name.endswith("image")]
    found = np.concatenate([one.reshape(-1, 96, 90) for one in found])
    for i, one in enumerate(found):
        with rasterio.open(f"GTIFF_DIR:{i + 1}:{path}") as file:
            assert np.abs(one.astype(int) - file.read(1)).max() <= 1


def test_samples_of_different_sizes_are_refused(tmp_path):
    flavours.raw_tiff(tmp_path / "a.tif", bytes(2 * 96 * 90), 96, 90, 5, 3,
                      tags={258: (3, [5, 6, 5])})  # fmt: skip
    row = refused(tmp_path / "a.tif")
    assert row.code == "samples-differ"
    assert "BitsPerSample" in row.reason


@pytest.mark.parametrize(
    ("tags", "code", "word"),
    [
        ({259: (3, [34676])}, "compression", "34676"),
        ({259: (3, [4242])}, "compression", "4242"),
        ({317: (3, [7]), 259: (3, [8])}, "predictor", "Predictor 7"),
        ({339: (3, [5])}, "bits", "SampleFormat 5"),
        ({32997: (3, [4])}, "depth", "ImageDepth"),
        ({262: (3, [6]), 277: (3, [3]), 258: (3, [8, 8, 8])}, "subsampling", "YCbCrSubSampling"),
        ({273: (4, [8, 4328]), 279: (4, [100, 4320]), 278: (4, [48])}, "byte-counts", "too small"),
        ({273: (4, [8, 4328]), 279: (4, [4320, 0]), 278: (4, [48])}, "byte-counts", "count of 0"),
        ({257: (4, [0])}, "empty", "0 pixels"),
    ],
)
def test_refusals_name_page_and_tag(tags, code, word, tmp_path):
    flavours.raw_tiff(tmp_path / "a.tif", bytes(4 * 96 * 90), 96, 90, 8, tags=tags)
    row = refused(tmp_path / "a.tif")
    assert row.outcome is Outcome.SKIPPED
    assert row.code == code
    assert word in row.reason


def test_an_unreadable_tag_is_not_taken_for_its_default(tmp_path):
    # BitsPerSample as floats: no default of one bit is made of it.
    flavours.raw_tiff(tmp_path / "a.tif", bytes(96 * 90), 96, 90, 8, tags={258: (11, [8.0])})
    assert refused(tmp_path / "a.tif").code in ("bits", "samples-differ")


def test_a_damaged_strip_is_not_filled_up(tmp_path):
    # Filling up is for the last strip alone.
    data = flavours.rng.integers(0, 255, (100, 64)).astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", np.stack([data] * 70), rowsperstrip=16,
                     compression="png", metadata=None)  # fmt: skip
    group, _ = scan(tmp_path / "a.tif")
    ids = [codec["id"] for codec in group["image"].codecs]
    assert ids == ["refmaker.tiff_pad", "imagecodecs_png"]
    import numcodecs

    from refmaker.errors import CodecError

    pad = numcodecs.get_codec(dict(group["image"].codecs[0]))
    assert len(bytes(pad.decode(bytes(16 * 64)))) == 16 * 64
    assert len(bytes(pad.decode(bytes(4 * 64)))) == 16 * 64
    with pytest.raises(CodecError):
        pad.decode(bytes(9 * 64))

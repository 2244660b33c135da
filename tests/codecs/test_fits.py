"""Codecs of FITS."""

import base64

import numcodecs
import numpy as np
import pytest
from astropy.io import fits

import refmaker
from refmaker.codecs.fits_tiles import FITSTiles
from refmaker.codecs.fits_unsigned import FITSUnsigned
from refmaker.codecs.table_column import TableColumn
from refmaker.errors import CodecError, MetadataError


@pytest.mark.parametrize("kind", [">u2", ">u4", ">u8", "<u8"])
def test_unsigned(kind):
    true = np.array([0, 1, np.iinfo(kind).max, np.iinfo(kind).max // 2, 7], kind)
    half = 1 << (8 * true.itemsize - 1)
    stored = np.array([int(x) - half for x in true], kind.replace("u", "i"))
    found = FITSUnsigned(kind).decode(stored.tobytes())
    np.testing.assert_array_equal(np.asarray(found).view(kind), true)


def test_what_is_no_unsigned_chunk():
    with pytest.raises(MetadataError):
        FITSUnsigned(">i8")
    with pytest.raises(CodecError):
        FITSUnsigned(">u8").decode(bytes(9))


def test_column():
    rows = np.arange(60, dtype=np.uint8).reshape(6, 10)
    found = np.asarray(TableColumn(10, 3, 4).decode(rows.tobytes()))
    np.testing.assert_array_equal(found.reshape(6, 4), rows[:, 3:7])
    with pytest.raises(CodecError):
        TableColumn(10, 3, 4).decode(bytes(59))
    for bad in ((0, 0, 1), (10, 8, 3), (10, -1, 3), (10, 3, 0)):
        with pytest.raises(MetadataError):
            TableColumn(*bad)


@pytest.mark.parametrize("version", [2, 3])
def test_sets_that_hold_the_former_name_of_columns(tmp_path, version):
    table = np.rec.fromarrays([np.arange(500, dtype=">i4"), np.arange(500) / 7], names="a,b")
    fits.BinTableHDU(table).writeto(tmp_path / "t.fits")
    refs = refmaker.scan(tmp_path / "t.fits", inline_threshold=0)
    refs.write(tmp_path / "t.json", zarr_format=version)
    text = (tmp_path / "t.json").read_text()
    assert "refmaker.table_column" in text
    (tmp_path / "old.json").write_text(text.replace("table_column", "fits_column"))
    old = refmaker.read(tmp_path / "old.json")
    assert {path: array.codecs for path, array in old.arrays.items()} == {
        path: array.codecs for path, array in refs.arrays.items()
    }
    opened = refmaker.open_group(tmp_path / "old.json")
    np.testing.assert_array_equal(opened[next(iter(refs.arrays))][:], table["a"])
    config = {"id": "refmaker.fits_column", "row": 4, "start": 1, "width": 2}
    assert bytes(numcodecs.get_codec(config).decode(b"abcdefgh")) == b"bcfg"


def packed(values, dtype):
    return base64.b64encode(np.asarray(values, dtype).tobytes()).decode()


def tiles(**changed):
    """Return the configuration of an image of 3 x 5 in tiles of 2 x 3, two to a chunk."""
    config = {
        "shape": [3, 5],
        "tile": [2, 3],
        "chunk": [2, 5],
        "dtype": "|u1",
        "compression": "NOCOMPRESS",
        "lengths": packed([10, 5], "<u8"),
        "offsets": packed([0, 6, 0, 3], "<u4"),
        "sizes": packed([6, 4, 3, 2], "<u4"),
        "kinds": packed([0, 0, 0, 0], "u1"),
    }
    return config | changed


def test_tiles_at_the_edge():
    codec = FITSTiles(**tiles())
    first = np.asarray(codec.decode(bytes([0, 1, 2, 5, 6, 7, 3, 4, 8, 9]))).reshape(2, 5)
    np.testing.assert_array_equal(first, np.arange(10).reshape(2, 5))
    second = np.asarray(codec.decode(bytes(range(1, 6)))).reshape(2, 5)
    np.testing.assert_array_equal(second, [[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]])
    assert FITSTiles(**{k: v for k, v in codec.get_config().items() if k != "id"}) == codec


@pytest.mark.parametrize(
    "changed",
    [
        {"lengths": packed([10, 10], "<u8")},
        {"lengths": packed([10], "<u8")},
        {"lengths": "?"},
        {"sizes": packed([6, 4, 3], "<u4")},
        {"scales": packed([1, 1, 1, 1], "<f8")},
        {"shape": [3]},
        {"shape": [3, 0]},
        {"chunk": [2**31, 2**31]},
        {"chunk": [2, 4]},
        {"dtype": "|S1"},
        {"compression": "ZIP"},
        {"dither": 3},
    ],
)
def test_tiles_that_contradict_themselves(changed):
    with pytest.raises(MetadataError):
        FITSTiles(**tiles(**changed))


@pytest.mark.parametrize("name", ["NOCOMPRESS", "RICE_1", "GZIP_1", "GZIP_2"])
def test_chunks_that_are_not_theirs(name):
    codec = FITSTiles(**tiles(compression=name, width=1))
    for length in (0, 4, 11, 1000):
        with pytest.raises(CodecError):
            codec.decode(bytes(length))
    codec = FITSTiles(**tiles(sizes=packed([6, 2**32 - 1, 3, 2], "<u4")))
    with pytest.raises(CodecError):
        codec.decode(bytes(10))

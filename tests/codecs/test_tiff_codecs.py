"""The codecs of TIFF segments that no other package has."""

from __future__ import annotations

import io
import warnings

import numcodecs
import numpy as np
import pytest
import tifffile

from refmaker.codecs.tiff_fax import is_whole_group4
from refmaker.errors import CodecError, MetadataError, UnsupportedError

RNG = np.random.default_rng(3)


def codec(name, **config):
    """Return a codec made from its configuration, and from the configuration that it gives."""
    made = numcodecs.get_codec({"id": f"refmaker.{name}", **config})
    again = numcodecs.get_codec(made.get_config())
    assert again.get_config() == made.get_config() == {"id": f"refmaker.{name}", **config}
    with pytest.raises(UnsupportedError):
        again.encode(b"")
    return again


def test_pad():
    pad = codec("tiff_pad", nbytes=10, tail=4, over=0)
    assert bytes(pad.decode(b"0123456789")) == b"0123456789"
    assert bytes(pad.decode(b"0123456789abc")) == b"0123456789"
    assert bytes(pad.decode(b"0123")) == b"0123" + bytes(6)
    for damaged in (b"", b"012", b"01234", b"012345678"):
        with pytest.raises(CodecError):
            pad.decode(damaged)
    out = np.empty(10, "u1")
    pad.decode(b"0123", out)
    assert bytes(out) == b"0123" + bytes(6)
    with pytest.raises(MetadataError):
        codec("tiff_pad", nbytes=4, tail=5, over=0)


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<f8"])
def test_samples_first(dtype):
    data = RNG.integers(0, 200, (6, 5, 3)).astype(dtype)
    decode = codec("tiff_samples_first", samples=3, itemsize=data.itemsize).decode
    found = np.frombuffer(decode(data.tobytes()), dtype).reshape(3, 6, 5)
    assert np.array_equal(found, np.moveaxis(data, -1, 0))
    with pytest.raises(CodecError):
        decode(data.tobytes()[:-1])


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_complex_integers_are_exact(bits, order):
    extremes = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, -1])
    pairs = np.stack(np.meshgrid(extremes, extremes), -1).astype(f"{order}i{bits // 8}")
    decode = codec("tiff_complexint", bits=bits, byteorder=order).decode
    found = np.asarray(decode(pairs.tobytes())).reshape(4, 4)
    assert found.dtype == ("<c16" if bits == 32 else "<c8")
    assert np.array_equal(found.real, pairs[..., 0])
    assert np.array_equal(found.imag, pairs[..., 1])
    with pytest.raises(CodecError):
        decode(pairs.tobytes()[:-1])
    for wrong in ({"bits": 24, "byteorder": "<"}, {"bits": 16, "byteorder": "x"}):
        with pytest.raises(MetadataError):
            codec("tiff_complexint", **wrong)


@pytest.mark.parametrize("bits", [2, 4, 7, 8, 10, 12, 14, 16, 24, 32])
@pytest.mark.parametrize("shape", [[5, 9], [5, 9, 3]])
def test_predictor_of_any_number_of_bits(bits, shape):
    kind = "<u1" if bits <= 8 else "<u2" if bits <= 16 else "<u4"
    true = RNG.integers(0, 2**bits, shape)
    differences = np.diff(true, axis=1, prepend=np.zeros_like(true[:, :1])) % 2**bits
    decode = codec("tiff_predictor", shape=shape, bits=bits).decode
    found = np.asarray(decode(differences.astype(kind).tobytes())).reshape(shape)
    assert np.array_equal(found, true)
    with pytest.raises(CodecError):
        decode(bytes(3))


def test_pad_of_a_last_strip_with_more_than_its_rows():
    pad = codec("tiff_pad", nbytes=10, tail=4, over=3)
    for extra in (b"", b"x", b"xyz"):
        assert bytes(pad.decode(b"0123" + extra)) == b"0123" + bytes(6)
    with pytest.raises(CodecError):
        pad.decode(b"01234567")


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_lerc_puts_nan_where_its_mask_says(dtype):
    import imagecodecs

    data = RNG.random((6, 5)).astype(dtype)
    valid = np.ones((6, 5), bool)
    valid[2, 1:4] = False
    encoded = imagecodecs.lerc_encode(data, masks=valid)
    decode = codec("tiff_lerc", width=5, samples=1, dtype=dtype, alpha=False).decode
    found = np.asarray(decode(encoded)).reshape(6, 5)
    assert np.array_equal(np.isnan(found), ~valid)
    assert np.array_equal(found[valid], data[valid])
    with pytest.raises(CodecError):
        codec("tiff_lerc", width=4, samples=1, dtype=dtype, alpha=False).decode(encoded)
    with pytest.raises(CodecError):
        codec("tiff_lerc", width=5, samples=1, dtype="<i2", alpha=False).decode(encoded)
    with pytest.raises(CodecError):
        decode(encoded[:20])


def test_lerc_alpha_is_its_mask():
    import imagecodecs

    data = RNG.integers(1, 200, (6, 5, 3)).astype("u1")
    valid = np.ones((6, 5), bool)
    valid[:3] = False
    encoded = imagecodecs.lerc_encode(data, masks=valid)
    decode = codec("tiff_lerc", width=5, samples=4, dtype="|u1", alpha=True).decode
    found = np.asarray(decode(encoded)).reshape(6, 5, 4)
    assert np.array_equal(found[..., 3], valid * np.uint8(255))
    assert np.array_equal(found[3:, :, :3], data[3:])


def test_fax_refuses_what_is_neither_full_nor_last():
    decode = codec("tiff_fax", compression=4, height=8, width=16, tail=3, t4_options=0).decode
    with pytest.raises(CodecError):
        decode(bytes(6))
    for wrong in ({"compression": 5}, {"tail": 9}, {"height": 0}):
        with pytest.raises(MetadataError):
            codec("tiff_fax", **{"compression": 3, "height": 8, "width": 16, "tail": 3} | wrong)


def group4(pixels):
    """Return pixels as libtiff encodes them, in one strip."""
    from rasterio.io import MemoryFile

    rows, columns = pixels.shape
    profile = {"driver": "GTiff", "height": rows, "width": columns, "count": 1, "dtype": "u1",
               "nbits": 1, "compress": "CCITTFAX4", "blockysize": rows}  # fmt: skip
    with warnings.catch_warnings(), MemoryFile() as file:
        warnings.simplefilter("ignore")
        with file.open(**profile) as made:
            made.write(pixels.astype("u1"), 1)
        with tifffile.TiffFile(io.BytesIO(file.read())) as tiff:
            offset, count = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
        file.seek(offset)
        return file.read(count)


@pytest.mark.parametrize("width", [5, 8, 33, 100])
def test_group4_is_whole_or_said_to_be_damaged(width):
    pixels = np.repeat(RNG.random((40, width)) < 0.4, 2, axis=0)
    pixels[-3:] = False
    data = group4(pixels)
    decode = codec("tiff_fax", compression=4, height=80, width=width, tail=80, t4_options=0).decode
    assert np.array_equal(np.asarray(decode(data)).reshape(80, width), pixels)
    ends = "000000000001"
    text = f"{int.from_bytes(b'1' + data):b}"[6:].rstrip("0").removesuffix(2 * ends)
    for end in ("", ends, 6 * ends, "0" * 30 + "1", 2 * ends + "0" * 40):
        bits = text + end
        bits += "0" * (-len(bits) % 8)
        other = int("1" + bits, 2).to_bytes(len(bits) // 8 + 1)[1:]
        assert is_whole_group4(other, 80, width), end
        assert not is_whole_group4(other, 90, width), end
    for most in (len(data) // 4, len(data) // 2, len(data) - 12):
        assert not is_whole_group4(data[:most], 80, width)
        with pytest.raises(CodecError, match="80 rows"):
            decode(data[:most])


def test_group4_that_is_damaged_is_found_most_often():
    data = group4(np.repeat(RNG.random((60, 64)) < 0.4, 2, axis=0))
    found = 0
    for at in range(10, len(data) - 10, 3):
        other = bytearray(data)
        other[at] ^= 0x10
        found += not is_whole_group4(bytes(other), 120, 64)
    assert found > 0.7 * len(range(10, len(data) - 10, 3))

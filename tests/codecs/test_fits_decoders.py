"""HCOMPRESS_1, PLIO_1 and columns of text: against astropy, and against damage."""

import warnings
from functools import partial
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from refmaker.codecs.fits_ascii import FITSASCIIColumn
from refmaker.codecs.fits_hcompress import decode_hcompress
from refmaker.codecs.fits_plio import decode_plio
from refmaker.errors import CodecError, MetadataError


def compressed(values, name, **how):
    """Return the bytes of an image that is one tile, and what astropy reads of them."""
    unit = fits.CompImageHDU(values, compression_type=name, tile_shape=values.shape, **how)
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(file)
        with fits.open(BytesIO(file.getvalue()), disable_image_compression=True) as opened:
            raw = np.asarray(opened[1].data["COMPRESSED_DATA"][0])
        with fits.open(BytesIO(file.getvalue())) as opened:
            true = np.asarray(opened[1].data)
    return np.ascontiguousarray(raw.astype(raw.dtype.newbyteorder(">"))).view(np.uint8), true


SHAPES = st.tuples(st.integers(4, 40), st.integers(4, 70))
LIMITS = st.sampled_from([1, 3, 100, 2**15, 2**24])


@st.composite
def images(draw, *, lowest):
    """Return images of few and of many different values, with runs and with steps."""
    shape, limit = draw(SHAPES), draw(LIMITS)
    values = st.integers(-limit if lowest is None else lowest, limit)
    sparse = arrays.arrays("i4", shape, elements=values, fill=values)
    return draw(sparse) + draw(st.sampled_from([0, 1])) * np.arange(shape[1], dtype="i4")


@settings(max_examples=60, deadline=None)
@given(images(lowest=None), st.sampled_from([0, 2, 9, 100]), st.booleans())
def test_hcompress_is_what_astropy_reads(values, scale, smooth):
    raw, true = compressed(values, "HCOMPRESS_1", hcomp_scale=scale, hcomp_smooth=smooth)
    found = decode_hcompress(raw, values.size, smooth=smooth)
    np.testing.assert_array_equal(found.reshape(values.shape), true)


@settings(max_examples=60, deadline=None)
@given(images(lowest=0))
def test_plio_is_what_astropy_reads(values):
    # Astropy writes behind the end of its buffer where most elements differ by much.
    values = values % (4000 if len(np.unique(values)) > values.size / 4 else 2**24)
    raw, true = compressed(values, "PLIO_1")
    found = decode_plio(raw, values.size).reshape(values.shape)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(found, true)


def test_the_instructions_of_plio():
    words = [0, 7, -100, 17, 0, 0, 0]
    # zeros 2, level 3 (1 + 2), run 2, zeros 1 and one, up 4 and one, down 1 and one,
    # level 5 * 4096 + 6, run 1, down 2, run 1
    words += [2, 0x2002, 0x4002, 0x5002, 0x6004, 0x7001, 0x1006, 5, 0x4001, 0x3002, 0x4001]
    words[3] = len(words)
    raw = np.array(words, ">i2").view(np.uint8)
    true = [0, 0, 3, 3, 0, 3, 7, 6, 20486, 20484]
    np.testing.assert_array_equal(decode_plio(raw, 12), [*true, 0, 0])
    np.testing.assert_array_equal(decode_plio(raw, 4), true[:4])
    old = np.array([0, 0, len(words) - 4, *words[7:]], ">i2").view(np.uint8)
    np.testing.assert_array_equal(decode_plio(old, 10), true)


def test_a_line_cut_within_an_instruction():
    raw = np.array([0, 7, -100, 8, 0, 0, 0, 0x5004], ">i2").view(np.uint8)
    np.testing.assert_array_equal(decode_plio(raw, 4), [0, 0, 0, 1])
    np.testing.assert_array_equal(decode_plio(raw, 3), [0, 0, 0])


@pytest.mark.parametrize(
    "words",
    [
        [],
        [0, 7],
        [0, 7, -100, 9],
        [0, 7, -100, 9, 0, 0, 0, 1],  # ends before its length does
        [0, 1, -100, 8, 0, 0, 0, 1],  # begins within its own header
        [0, 7, -100, 8, 0, 0, 0, 0x1001],  # ends within an instruction
        [0, 7, -100, 8, 0, 0, 0, -5],
    ],
)
def test_lists_that_are_none(words):
    with pytest.raises(CodecError, match="PLIO_1"):
        decode_plio(np.array(words, ">i2").view(np.uint8), 10)


HCOMPRESS, IMAGE = compressed(
    (np.add.outer(np.arange(20), np.arange(30)) * 7 % 50).astype("i4"), "HCOMPRESS_1"
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_tiles_are_refused_or_have_the_right_size(data):
    raw = bytearray(HCOMPRESS.tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    buffer = np.frombuffer(bytes(raw), np.uint8)
    for decode in (partial(decode_hcompress, smooth=True), decode_plio):
        try:
            found = decode(buffer, 600)
        except CodecError:
            continue
        assert found.shape == (600,)


@pytest.mark.parametrize("end", [0, 1, 24, 25, 40, -1])
def test_tiles_that_end_early(end):
    with pytest.raises(CodecError):
        decode_hcompress(HCOMPRESS[:end], 600, smooth=False)


def test_tiles_of_other_images():
    with pytest.raises(CodecError):
        decode_hcompress(HCOMPRESS, 601, smooth=False)
    header = HCOMPRESS.copy()
    header[22] = 200  # bit planes
    with pytest.raises(CodecError, match="bit planes"):
        decode_hcompress(header, 600, smooth=False)


FIELDS = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.16E}"),
    st.floats(-1e6, 1e6).map(lambda x: f"{x:.3f}"),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=20), st.integers(0, 5), st.integers(0, 3))
def test_numbers_as_python_reads_them(fields, before, behind):
    width = max(map(len, fields)) + 2
    rows = [" " * before + field.rjust(width) + "x" * behind for field in fields]
    codec = FITSASCIIColumn(before + width + behind, before, width, "<f8")
    found = np.asarray(codec.decode("".join(rows).encode())).view("<f8")
    np.testing.assert_array_equal(found, [float(field) for field in fields])


@pytest.mark.parametrize(
    "changed", [{"dtype": ">i4"}, {"width": 0}, {"start": 8, "width": 3}, {"decimals": -1}]
)
def test_columns_of_text_that_contradict_themselves(changed):
    config = {"row": 10, "start": 2, "width": 5, "dtype": "<i8"} | changed
    with pytest.raises(MetadataError):
        FITSASCIIColumn(**config)
    with pytest.raises(CodecError):
        FITSASCIIColumn(10, 2, 5, "<i8").decode(bytes(9))

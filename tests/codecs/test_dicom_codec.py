"""The codec of DICOM frames: settings, checks, and bytes that are not what they should be."""

from __future__ import annotations

import json
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import get_codec

from refmaker.codecs import CODECS, requirements
from refmaker.codecs.dicom import DICOM
from refmaker.codecs.dicom_pixels import (
    expand_422,
    join_fragments,
    significant,
    swap_pairs,
    unpack_cells,
)
from refmaker.errors import CodecError, MetadataError, UnsupportedError

SHAPE = [1, 2, 4, 1]
FRAME = np.arange(8, dtype="<u2") * 4099


def item(data):
    return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data


END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_it_is_registered_and_travels_as_json():
    codec = DICOM(SHAPE, "<i2", "jpeg", fragments=True, bits=12)
    again = get_codec(json.loads(json.dumps(codec.get_config())))
    assert again == codec
    assert again.get_config() == codec.get_config()
    assert CODECS["refmaker.dicom"] == "refmaker.codecs.dicom:DICOM"
    assert requirements([codec.get_config()]) == ("imagecodecs", "refmaker")


def test_it_only_decodes():
    with pytest.raises(UnsupportedError):
        DICOM(SHAPE, "<u2").encode(FRAME)


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": [1, 2]},
        {"shape": [1, 2, 0, 1]},
        {"shape": [1, 2, "4", 1]},
        {"shape": [2**30, 2**30, 2**30, 1]},
        {"shape": 8},
        {"dtype": "<U4"},
        {"dtype": "nothing"},
        {"dtype": "O"},
        {"encoding": "png"},
        {"packed": 3},
        {"bits": 0},
        {"bits": 65},
        {"skip": -1},
        {"last": -1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(fields):
    with pytest.raises(MetadataError):
        DICOM(**{"shape": SHAPE, "dtype": "<u2", **fields})


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", "ui")
def test_bits_above_the_stored_ones(order, kind):
    dtype = f"{order}{kind}2"
    codec = DICOM(SHAPE, dtype, bits=12)
    decoded = codec.decode(FRAME.view(f"<{kind}2").astype(dtype).tobytes())
    true = (FRAME & 0xFFF).astype(int)
    true = np.where((kind == "i") & (true >= 2048), true - 4096, true)
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded.reshape(-1), true)
    out = np.empty(8, dtype)
    codec.decode(FRAME.view(f"<{kind}2").astype(dtype).tobytes(), out)
    np.testing.assert_array_equal(out, true)


@pytest.mark.parametrize("bad", [b"", bytes(15), bytes(18), bytes(100)])
def test_chunks_of_another_size_are_refused(bad):
    with pytest.raises(CodecError):
        DICOM(SHAPE, "<u2", bits=12).decode(bad)


def test_a_byte_of_padding_is_no_error():
    decoded = DICOM([1, 1, 3, 1], "|u1", bits=7).decode(b"\x81\x02\x03\x00")
    np.testing.assert_array_equal(decoded.reshape(-1), [1, 2, 3])


@pytest.mark.parametrize("encoding", ["rle", "jpeg", "jpegls", "jpeg2k", "jpegxl", "deflate"])
@pytest.mark.parametrize("bad", [b"", b"\0" * 100, b"\xff\xd8\xff\xd9", b"\xff" * 500])
def test_streams_that_are_none_are_refused(encoding, bad):
    with pytest.raises(CodecError):
        DICOM(SHAPE, "<u2", encoding).decode(bad)


@pytest.mark.parametrize("shape", [(2, 5), (4, 2), (2, 4, 3)])
def test_images_of_another_shape_are_refused(shape):
    data = imagecodecs.jpegls_encode(np.zeros(shape, np.uint16))
    with pytest.raises(CodecError, match="expected"):
        DICOM(SHAPE, "<u2", "jpegls").decode(data)


def test_images_of_a_wider_type_are_refused():
    data = imagecodecs.jpegls_encode(FRAME.reshape(2, 4))
    with pytest.raises(CodecError, match="uint16"):
        DICOM(SHAPE, "|u1", "jpegls").decode(data)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.booleans())
def test_fragments_are_joined(parts, end):
    raw = b"".join(map(item, parts)) + (END if end else b"")
    joined = join_fragments(np.frombuffer(raw, np.uint8))
    assert joined.tobytes() == b"".join(parts)


@given(st.binary(max_size=60))
def test_fragments_that_are_none_are_refused_or_lie_inside(raw):
    try:
        joined = join_fragments(np.frombuffer(raw, np.uint8))
    except CodecError:
        return
    assert joined.size <= len(raw) - 8


@pytest.mark.parametrize("cut", range(1, 26))
def test_fragments_cut_anywhere_are_refused_or_too_short(cut):
    raw = item(FRAME.tobytes()[:6]) + item(FRAME.tobytes()[6:])
    with pytest.raises(CodecError):
        DICOM(SHAPE, "<u2", fragments=True).decode(raw[:-cut])


@given(st.integers(0, 200), st.data())
def test_cells_of_twelve_bits(count, data):
    cells = np.array(data.draw(st.lists(st.integers(0, 4095), min_size=count, max_size=count)), int)
    bits = (cells[:, None] >> np.arange(12)) & 1
    raw = np.packbits(bits.reshape(-1).astype(np.uint8), bitorder="little")
    np.testing.assert_array_equal(unpack_cells(raw, 12, count), cells)


@given(st.binary(max_size=50), st.integers(0, 7))
def test_cells_of_one_bit(raw, short):
    count = max(0, 8 * len(raw) - short)
    found = unpack_cells(np.frombuffer(raw, np.uint8), 1, count)
    assert found.tolist() == [raw[i // 8] >> i % 8 & 1 for i in range(count)]


@given(st.binary(max_size=50))
def test_swapping_twice_is_nothing(raw):
    data = np.frombuffer(raw, np.uint8)
    np.testing.assert_array_equal(swap_pairs(swap_pairs(data)), data)
    assert swap_pairs(np.frombuffer(b"\1\2\3", np.uint8)).tobytes() == b"\2\1\3"


def test_chrominance():
    wide = expand_422(np.array([1, 2, 8, 9, 3, 4, 6, 7], np.uint8))
    assert wide.reshape(-1, 3).tolist() == [[1, 8, 9], [2, 8, 9], [3, 6, 7], [4, 6, 7]]
    with pytest.raises(CodecError):
        expand_422(np.zeros(6, np.uint8))


def test_significant_bits_of_a_whole_cell_are_all():
    assert significant(FRAME, 16) is FRAME


def test_a_deflated_data_set():
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = squeeze.compress(b"header" + FRAME.tobytes() + b"behind") + squeeze.flush()
    codec = DICOM(SHAPE, "<u2", skip=6)
    np.testing.assert_array_equal(codec.decode(data).reshape(-1), FRAME)
    for cut in range(1, len(data)):
        try:
            found = codec.decode(data[:cut])
        except CodecError:
            continue
        np.testing.assert_array_equal(found.reshape(-1), FRAME)


def test_a_bomb_is_not_inflated():
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = squeeze.compress(bytes(10**8)) + squeeze.flush()
    decoded = DICOM(SHAPE, "<u2", skip=4).decode(data)
    assert not decoded.any()


def test_a_last_chunk_may_hold_fewer_frames():
    codec = DICOM([4, 3, 3, 1], "|u1", packed=1, last=2)
    assert codec.decode(b"\xff\xff").reshape(-1).tolist() == [1] * 16 + [0] * 20
    assert codec.decode(b"\xff" * 5).reshape(-1).tolist() == [1] * 36
    for size in (0, 1, 3, 4, 7):
        with pytest.raises(CodecError):
            codec.decode(b"\xff" * size)


@pytest.mark.parametrize("skip", [0, 7, 400])
@pytest.mark.parametrize("behind", [b"", b"trailing secret"])
def test_chunks_to_share_hold_pixels_alone(skip, behind):
    pixels = np.arange(60, dtype="<u2")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    front = (b"secret" * 100)[:skip]
    chunk = squeeze.compress(front + pixels.tobytes() + behind) + squeeze.flush()
    codec = DICOM([1, 6, 10, 1], "<u2", skip=skip)
    assert codec.rewrites
    shared = codec.shareable(chunk)
    assert zlib.decompress(shared, -15) == bytes(skip) + pixels.tobytes()
    assert np.array_equal(codec.decode(shared), codec.decode(chunk))


def test_other_chunks_are_shared_as_they_are():
    codec = DICOM([1, 2, 2, 1], "<u2", bits=12)
    assert not codec.rewrites
    assert codec.shareable(b"\1\2") == b"\1\2"


@pytest.mark.parametrize("fields", [{"bits": 16}, {"packed": 12}])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_all_bits_of_floats_count(fields, dtype):
    with pytest.raises(MetadataError, match="bits"):
        DICOM([1, 2, 2, 1], dtype, **fields)

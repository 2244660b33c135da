"""Pixels: references decode to what pydicom decodes, in every layout and compression."""

from __future__ import annotations

import warnings
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array

from refmaker.errors import FormatError, MetadataError, TruncatedError, UnsupportedError
from refmaker.io.source import Source
from refmaker.model import Group
from refmaker.scanners.dicom.frames import instance_array, layout_key, stack
from refmaker.scanners.dicom.header import read_header, read_headers
from refmaker.scanners.dicom.pixel_bytes import PixelBytes
from refmaker.scanners.dicom.pydicom_frames import PydicomFrames
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from refmaker.testing.reading import decode_array
from tests.scanners.dicom.dicom_files import (
    NATIVE,
    encapsulated,
    image,
    random_pixels,
    refusal,
    write,
)

BIG, IMPLICIT, DEFLATED = (
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
)
J = "1.2.840.10008.1.2.4."
OURS = "refmaker.dicom"


def frames_of(path, **fields):
    with Source(path) as source:
        header = read_header(source)
        keys = ("per_frame", "trust_bits")
        options = ScanOptions(**{k: v for k, v in fields.items() if k not in keys})
        chosen = {k: v for k, v in fields.items() if k in keys}
        return instance_array(header, options, source, **chosen)


def values_of(array):
    """Return an array as stock readers give it, and as numcodecs alone do."""
    stock = np.asarray(open_stock(Group({"image": array}))["image"][...])
    np.testing.assert_array_equal(stock, decode_array(array))
    return stock


def assert_native(path, **fields):
    """Assert that every frame is pydicom's, and return the frames."""
    found = frames_of(path, **fields)
    ours = values_of(found.array)
    native = PydicomFrames(str(path))
    assert len(ours) == (pydicom.dcmread(path).get("NumberOfFrames") or 1)
    for i, frame in enumerate(ours):
        true = native.frame(i, found.photometric, found.array.dtype)
        np.testing.assert_array_equal(frame, true)
    return found


CHOICES = [
    {},
    {"chunk_bytes": None},
    {"chunk_bytes": 64},
    {"chunk_bytes": 700},
    {"per_frame": True},
]


@pytest.mark.parametrize("fields", CHOICES, ids=str)
@pytest.mark.parametrize("syntax", [NATIVE, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("planar", [None, 0, 1])
def test_native_frames(tmp_path, syntax, dtype, planar, fields):
    shape = (3, 6, 10) if planar is None else (3, 6, 10, 3)
    pixels = random_pixels(shape, dtype)
    raw = None
    if planar == 1:
        order = ">" if syntax == BIG else "<"
        raw = np.moveaxis(pixels, 3, 1).astype(order + dtype).tobytes()
    elements = {} if planar is None else {"PlanarConfiguration": planar}
    path = write(image(pixels, syntax, raw=raw, **elements), tmp_path / "a.dcm")
    found = assert_native(path, **fields)
    np.testing.assert_array_equal(values_of(found.array), pixels)
    if syntax != DEFLATED:
        # Nothing but stock codecs, or none, is needed; and no chunk holds two frames if asked.
        assert found.array.compressor is None
        if "per_frame" in fields:
            assert found.array.chunk_shape[0] == 1


def test_native_frames_are_joined_to_the_target(tmp_path):
    path = write(image(random_pixels((64, 8, 8), np.uint16)), tmp_path / "a.dcm")
    assert frames_of(path).array.chunks.size == 1
    assert frames_of(path, chunk_bytes=1024).array.chunk_shape == (8, 8, 8)
    assert frames_of(path, chunk_bytes=64).array.chunk_shape == (1, 4, 8)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 10, 10), (4, 10, 10), (5, 7, 3), (8, 3, 3)])
@pytest.mark.parametrize("fields", CHOICES, ids=str)
@pytest.mark.parametrize("syntax", [NATIVE, DEFLATED])
def test_frames_of_one_bit(tmp_path, shape, syntax, fields):
    pixels = random_pixels(shape, np.uint8, high=2)
    raw = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    made = image(pixels, syntax, raw=raw, BitsAllocated=1, BitsStored=1, HighBit=0)
    path = write(made, tmp_path / "a.dcm")
    found = assert_native(path, **fields)
    np.testing.assert_array_equal(values_of(found.array), pixels)


def test_frames_of_one_bit_on_bytes_need_stock_codecs_only(tmp_path):
    pixels = random_pixels((4, 10, 10), np.uint8, high=2)
    raw = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    made = image(pixels, raw=raw, BitsAllocated=1, BitsStored=1, HighBit=0)
    array = frames_of(write(made, tmp_path / "a.dcm"), per_frame=True).array
    assert array.chunk_shape == (2, 10, 10)
    assert [codec["id"] for codec in array.codecs] == [
        "imagecodecs_packints",
        "imagecodecs_bitorder",
    ]


@pytest.mark.parametrize("shape", [(2, 4, 6), (3, 3, 3), (2, 3, 3)])
@pytest.mark.parametrize("signed", [False, True])
def test_frames_of_twelve_packed_bits(tmp_path, shape, signed):
    pixels = random_pixels(shape, np.uint16, high=4096)
    bits = (pixels.reshape(-1)[:, None] >> np.arange(12)) & 1
    raw = np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    made = image(
        pixels,
        raw=raw,
        BitsAllocated=12,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=int(signed),
    )
    ours = values_of(frames_of(write(made, tmp_path / "a.dcm")).array)
    true = pixels.astype(np.int32)
    if signed:
        true[true >= 2048] -= 4096
    # pydicom does not read such cells.
    np.testing.assert_array_equal(ours, true)


@pytest.mark.parametrize("syntax", [NATIVE, BIG, DEFLATED])
@pytest.mark.parametrize(
    ("dtype", "stored"), [("u2", 12), ("i2", 12), ("i2", 13), ("u1", 7), ("i4", 20)]
)
@pytest.mark.parametrize("planar", [None, 1])
def test_bits_above_the_stored_ones_do_not_count(tmp_path, syntax, dtype, stored, planar):
    shape = (2, 5, 6) if planar is None else (2, 5, 6, 3)
    dirty = random_pixels(shape, dtype)
    raw = None
    if planar == 1:
        raw = np.moveaxis(dirty, 3, 1).astype((">" if syntax == BIG else "<") + dtype).tobytes()
    elements = {} if planar is None else {"PlanarConfiguration": 1}
    made = image(dirty, syntax, raw=raw, BitsStored=stored, HighBit=stored - 1, **elements)
    path = write(made, tmp_path / "a.dcm")
    for fields in CHOICES:
        found = assert_native(path, **fields)
        assert found.array.compressor["id"] == OURS
        assert int(values_of(found.array).max()) < 2**stored
    if syntax != DEFLATED:
        trusted = frames_of(path, trust_bits=True).array
        assert trusted.compressor is None
        np.testing.assert_array_equal(values_of(trusted), dirty)


@pytest.mark.parametrize("shape", [(1, 3, 3, 3), (2, 3, 3, 3), (3, 4, 4, 3), (3, 3, 3), (2, 4, 4)])
@pytest.mark.parametrize("fields", CHOICES, ids=str)
@pytest.mark.parametrize("planar", [0, 1])
def test_bytes_written_as_big_endian_words(tmp_path, shape, fields, planar):
    pixels = random_pixels(shape, np.uint8)
    cells = np.moveaxis(pixels, 3, 1) if planar and len(shape) == 4 else pixels
    data = cells.tobytes()
    swapped = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype("<u2").tobytes()
    elements = {"PlanarConfiguration": planar} if len(shape) == 4 else {}
    path = write(image(pixels, BIG, raw=swapped, vr="OW", **elements), tmp_path / "a.dcm")
    found = assert_native(path, **fields)
    np.testing.assert_array_equal(values_of(found.array), pixels)


@pytest.mark.parametrize("syntax", [NATIVE, DEFLATED])
@pytest.mark.parametrize("fields", CHOICES, ids=str)
def test_halved_chrominance_is_expanded(tmp_path, syntax, fields):
    frames, rows, columns = 3, 4, 6
    raw = random_pixels((frames * rows * columns * 2,), np.uint8).tobytes()
    pixels = np.zeros((frames, rows, columns, 3), np.uint8)
    made = image(pixels, syntax, raw=raw, PhotometricInterpretation="YBR_FULL_422")
    found = assert_native(write(made, tmp_path / "a.dcm"), **fields)
    assert found.photometric == "YBR_FULL"


@pytest.mark.parametrize(
    ("name", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")]
)
def test_float_pixel_data(tmp_path, name, dtype):
    pixels = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(dtype)
    made = image(np.zeros((2, 5, 6), np.uint8))
    del made.PixelData
    setattr(made, name, pixels.tobytes())
    made.BitsAllocated = 8 * pixels.itemsize
    for element in ("BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, element)
    found = assert_native(write(made, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(values_of(found.array), pixels)


def test_big_endian_pixels_in_a_little_endian_data_set(tmp_path):
    # A private transfer syntax of GE's.
    pixels = random_pixels((2, 5, 6), np.int16)
    path = write(image(pixels, IMPLICIT, raw=pixels.astype(">i2").tobytes()), tmp_path / "a.dcm")
    old, new = b"UI\x12\x00" + IMPLICIT.encode() + b"\0", b"UI\x14\x001.2.840.113619.5.2\0\0"
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    array = frames_of(path).array
    assert array.dtype == ">i2"
    np.testing.assert_array_equal(values_of(array), pixels)


# Encapsulated frames


UNKNOWN = (J + "110", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.98")
"""Transfer syntaxes that pydicom does not write yet."""


def compressed(path, pixels, syntax, encode, *, fragments=1, **elements):
    frames = [bytes(encode(frame)) for frame in pixels]
    value = encapsulated(frames, fragments=fragments)
    made = image(pixels, J + "90" if syntax in UNKNOWN else syntax, raw=value, **elements)
    write(made, path)
    if syntax in UNKNOWN:
        rename(path, syntax)
    return path


def rename(path, uid):
    """Give a file of JPEG 2000 another transfer syntax."""
    old = b"UI\x16\0" + (J + "90").encode()
    new = uid.encode() + b"\0" * (len(uid) % 2)
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, b"UI" + len(new).to_bytes(2, "little") + new))


def rle(frame):
    """Encode a frame by PS3.5, annex G: a segment for each byte of each sample, highest first."""
    samples = frame[..., None] if frame.ndim == 2 else frame
    segments = []
    for i in range(samples.shape[2]):
        plane = np.ascontiguousarray(samples[..., i])
        size = plane.itemsize
        octets = (
            plane.astype(plane.dtype.newbyteorder(">")).view(np.uint8).reshape(*plane.shape, size)
        )
        for byte in range(size):
            rows = (imagecodecs.packbits_encode(row.tobytes()) for row in octets[..., byte])
            segment = b"".join(rows)
            segments.append(segment + b"\0" * (len(segment) % 2))
    starts = 64 + np.cumsum([0, *(len(segment) for segment in segments)])[:-1]
    head = np.zeros(16, "<u4")
    head[: len(segments) + 1] = [len(segments), *starts]
    return head.tobytes() + b"".join(segments)


@pytest.mark.parametrize("fragments", [1, 2])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4"])
@pytest.mark.parametrize("colour", [False, True])
def test_rle(tmp_path, dtype, colour, fragments):
    # Decoders give planes, whatever PlanarConfiguration says.
    pixels = random_pixels((3, 9, 12, 3) if colour else (3, 9, 12), dtype)
    path = compressed(tmp_path / "a.dcm", pixels, "1.2.840.10008.1.2.5", rle, fragments=fragments)
    array = frames_of(path).array
    np.testing.assert_array_equal(values_of(array), pixels)
    stock = fragments == 1 and not colour
    assert array.compressor["id"] == ("imagecodecs_dicomrle" if stock else OURS)
    if fragments == 1 and dtype[1] in "12":
        assert_native(path)


def test_a_table_that_cannot_be_checked_whole_is_no_reason_to_drop_fragments(tmp_path, monkeypatch):
    """Far away, a few of many entries are looked at, and the codec sees to the fragments."""
    pixels = random_pixels((100, 4, 4), np.uint16)
    path = compressed(tmp_path / "a.dcm", pixels, "1.2.840.10008.1.2.5", rle)
    near = frames_of(path).array
    monkeypatch.setattr(PixelBytes, "cheap", False)
    far = frames_of(path).array
    assert near.compressor["id"] == "imagecodecs_dicomrle"
    assert far.compressor["id"] == OURS
    np.testing.assert_array_equal(values_of(near), pixels)
    np.testing.assert_array_equal(values_of(far), pixels)


def test_rle_with_dirty_bits(tmp_path):
    pixels = random_pixels((2, 9, 12), np.int16)
    path = compressed(
        tmp_path / "a.dcm", pixels, "1.2.840.10008.1.2.5", rle, BitsStored=12, HighBit=11
    )
    assert_native(path)


def jpegls(frame):
    return imagecodecs.jpegls_encode(frame.view(frame.dtype.str.replace("i", "u")))


def lossless_jpeg(frame):
    return imagecodecs.jpeg8_encode(
        frame.view(frame.dtype.str.replace("i", "u")), lossless=True, predictor=1
    )


def j2k(frame):
    return imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True)


def htj2k(frame):
    return imagecodecs.htj2k_encode(frame, reversible=True)


def jpegxl(frame):
    return imagecodecs.jpegxl_encode(frame, lossless=True)


LOSSLESS = {
    "jpegls": (J + "80", jpegls, ["u1", "u2", "i2"], True),
    "jpeg": (J + "70", lossless_jpeg, ["u1", "u2", "i2"], True),
    "jpeg-any": (J + "57", lossless_jpeg, ["u2"], True),
    "j2k": (J + "90", j2k, ["u1", "u2", "i2"], True),
    "j2k-lossy": (J + "91", j2k, ["u2"], True),
    "htj2k": (J + "201", htj2k, ["u1", "u2", "i2"], True),
    "htj2k-rpcl": (J + "202", htj2k, ["u2"], True),
    "htj2k-lossy": (J + "203", htj2k, ["u2"], True),
    "jpegxl": (J + "110", jpegxl, ["u1", "u2"], False),
}


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.filterwarnings("ignore")
def test_lossless_compressions(tmp_path, name, fragments):
    syntax, encode, dtypes, known = LOSSLESS[name]
    for dtype in dtypes:
        pixels = random_pixels((2, 33, 40), dtype)
        path = compressed(tmp_path / f"{dtype}.dcm", pixels, syntax, encode, fragments=fragments)
        array = frames_of(path).array
        np.testing.assert_array_equal(values_of(array), pixels)
        assert (array.compressor["id"] == OURS) == (fragments > 1), dtype
        if known:
            assert_native(path)


@pytest.mark.parametrize("name", ["j2k", "jpegls", "htj2k", "jpegxl"])
@pytest.mark.filterwarnings("ignore")
def test_lossless_colour(tmp_path, name):
    syntax, encode, _, _ = LOSSLESS[name]
    pixels = random_pixels((2, 33, 40, 3), np.uint8)
    told = "YBR_RCT" if "j2k" in name else "RGB"
    path = compressed(tmp_path / "a.dcm", pixels, syntax, encode, PhotometricInterpretation=told)
    found = frames_of(path)
    np.testing.assert_array_equal(values_of(found.array), pixels)
    assert found.photometric == "RGB"


@pytest.mark.parametrize("fragments", [1, 2])
def test_deflated_frames(tmp_path, fragments):
    def encode(frame):
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        return squeeze.compress(frame.tobytes()) + squeeze.flush()

    pixels = random_pixels((3, 9, 11), np.uint16)
    syntax = "1.2.840.10008.1.2.8.1"
    path = compressed(tmp_path / "a.dcm", pixels, syntax, encode, fragments=fragments)
    np.testing.assert_array_equal(values_of(frames_of(path).array), pixels)


@pytest.mark.parametrize("shape", [(3, 9, 12), (3, 9, 11, 3)])
def test_encapsulated_uncompressed_frames(tmp_path, shape):
    pixels = random_pixels(shape, np.uint8)
    syntax = "1.2.840.10008.1.2.1.98"
    path = compressed(tmp_path / "a.dcm", pixels, syntax, lambda frame: frame.tobytes())
    array = frames_of(path).array
    np.testing.assert_array_equal(values_of(array), pixels)
    assert array.compressor is None


def smooth(frames=2):
    y, x = np.mgrid[:64, :48]
    plane = np.stack([y * 3, x * 5, 255 - y - x], axis=2) % 256
    return np.stack([(plane + 9 * i) % 256 for i in range(frames)]).astype(np.uint8)


@pytest.mark.parametrize(
    ("told", "marked"),
    [("YBR_FULL_422", True), ("YBR_FULL", False), ("RGB", False), ("RGB", True)],
)
@pytest.mark.filterwarnings("ignore")
def test_baseline_colour(tmp_path, told, marked):
    """A stream in RGB without a marker that says so is the trap: decoders take it for YBR."""
    pixels = smooth()
    space = "RGB" if told == "RGB" and not marked else "YCBCR"

    def encode(frame):
        data = imagecodecs.jpeg8_encode(
            frame, level=95, colorspace="RGB", outcolorspace=space, subsampling="444"
        )
        return data if marked else without_markers(data)

    path = compressed(tmp_path / "a.dcm", pixels, J + "50", encode, PhotometricInterpretation=told)
    found = frames_of(path)
    assert found.photometric == "RGB"
    ours = values_of(found.array).astype(int)
    assert np.abs(ours - pixels).mean() < 4
    native = PydicomFrames(str(path))
    for i in range(2):
        true = native.frame(i, "RGB" if told != "RGB" else told, np.dtype("u1")).astype(int)
        assert np.abs(ours[i] - true).max() <= 1


def without_markers(data):
    """Return a JPEG stream without its APP segments, and with components named 1, 2, 3."""
    out, at = bytearray(data[:2]), 2
    while data[at + 1] != 0xDA:
        size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = bytearray(data[at : at + size])
        if data[at + 1] in (0xC0, 0xC1, 0xC2, 0xC3):
            segment[10], segment[13], segment[16] = 1, 2, 3
        if not 0xE0 <= data[at + 1] <= 0xEF:
            out += segment
        at += size
    rest = bytearray(data[at:])
    rest[5], rest[7], rest[9] = 1, 2, 3
    return bytes(out + rest)


@pytest.mark.filterwarnings("ignore")
def test_lossless_jpeg_colour_is_not_converted(tmp_path):
    pixels = random_pixels((2, 20, 30, 3), np.uint8)

    def encode(frame):
        return without_markers(
            imagecodecs.jpeg8_encode(
                frame, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"
            )
        )

    try:
        encode(pixels[0])
    except RuntimeError:
        encode = imagecodecs.ljpeg_encode
    for told in ("RGB", "YBR_FULL"):
        path = compressed(
            tmp_path / f"{told}.dcm", pixels, J + "70", encode, PhotometricInterpretation=told
        )
        found = frames_of(path)
        assert found.photometric == told
        np.testing.assert_array_equal(values_of(found.array), pixels)


@pytest.mark.filterwarnings("ignore")
def test_jpeg_2000_that_does_not_know_its_sign(tmp_path):
    # 13 bits signed in the header, 13 bits unsigned in the stream.
    true = random_pixels((2, 20, 30), np.int16) >> 3
    path = compressed(
        tmp_path / "a.dcm",
        true,
        J + "90",
        lambda frame: imagecodecs.jpeg2k_encode(
            (frame & 0x1FFF).astype(np.uint16),
            level=0,
            codecformat="j2k",
            reversible=True,
            bitspersample=13,
        ),
        BitsStored=13,
        HighBit=12,
    )
    found = assert_native(path)
    np.testing.assert_array_equal(values_of(found.array), true)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("encode", "syntax"), [(jpegls, J + "80"), (lossless_jpeg, J + "70")])
def test_narrow_streams_in_wide_cells(tmp_path, encode, syntax):
    # Streams of 8 bits for cells of 16.
    pixels = random_pixels((2, 20, 30), np.uint16, high=256)
    path = compressed(
        tmp_path / "a.dcm",
        pixels,
        syntax,
        lambda frame: encode(frame.astype(np.uint8)),
        BitsStored=8,
        HighBit=7,
    )
    found = frames_of(path)
    assert found.array.dtype == "<u2"
    np.testing.assert_array_equal(values_of(found.array), pixels)


# What is refused


@pytest.mark.parametrize(
    ("uid", "code"),
    [
        (J + "100", "video"),
        (J + "102", "video"),
        (J + "107", "video"),
        (J + "103.1", "video"),
        (J + "94", "jpip"),
        (J + "204", "jpip"),
        (J + "66", "transfer-syntax"),
        (J + "92", "transfer-syntax"),
        ("1.2.3.4.5", "transfer-syntax"),
    ],
)
def test_what_has_no_frames_is_refused_by_name(tmp_path, uid, code):
    path = compressed(tmp_path / "a.dcm", smooth(1), J + "90", j2k)
    rename(path, uid)
    with pytest.raises(UnsupportedError) as raised:
        frames_of(path)
    assert raised.value.code == code
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("elements", "error", "code"),
    [
        ({"Rows": None}, FormatError, ""),
        ({"BitsAllocated": 24, "BitsStored": 24}, UnsupportedError, "pixel-layout"),
        ({"BitsStored": 17}, UnsupportedError, "pixel-layout"),
        ({"SamplesPerPixel": 2}, UnsupportedError, "pixel-layout"),
        ({"Columns": 5}, TruncatedError, ""),
        ({"NumberOfFrames": 0}, FormatError, ""),
        ({"PhotometricInterpretation": "YBR_PARTIAL_420"}, UnsupportedError, "pixel-layout"),
    ],
    ids=str,
)
def test_headers_that_contradict_themselves_are_refused(tmp_path, elements, error, code):
    path = write(image(random_pixels((1, 4, 4), np.uint16), **elements), tmp_path / "a.dcm")
    with pytest.raises(error) as raised:
        frames_of(path)
    assert getattr(raised.value, "code", "") == code


def test_streams_that_contradict_the_header_are_refused(tmp_path):
    plane = np.ascontiguousarray(smooth(1)[..., 0])
    path = compressed(tmp_path / "a.dcm", plane, J + "50", imagecodecs.jpeg8_encode, Rows=63)
    with pytest.raises(UnsupportedError, match="63, 48, 1"):
        frames_of(path)


def test_large_deflated_data_sets_are_refused(tmp_path, monkeypatch):
    from refmaker.scanners.dicom import native_frames

    monkeypatch.setattr(native_frames, "_WHOLE", 100)
    path = write(image(random_pixels((3, 6, 10), np.uint8), DEFLATED), tmp_path / "a.dcm")
    with pytest.raises(UnsupportedError) as raised:
        frames_of(path)
    assert raised.value.code == "deflated"
    assert raised.value.hint


def test_native_frames_cut_anywhere_are_refused(tmp_path):
    whole = write(image(random_pixels((2, 3, 4), np.uint16)), tmp_path / "a.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(len(whole) - 48, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(TruncatedError):
            frames_of(path)


# Stacks


@pytest.mark.parametrize("target", [None, 64, 2**20])
@pytest.mark.parametrize("planar", [None, 1])
def test_stacks_are_their_instances(tmp_path, target, planar):
    shape = (1, 6, 10) if planar is None else (1, 6, 10, 3)
    urls, truth = [], []
    for i in range(7):
        pixels = random_pixels(shape, np.int16, seed=i)
        raw = None if planar is None else np.moveaxis(pixels, 3, 1).tobytes()
        made = image(pixels, IMPLICIT if i == 3 else NATIVE, raw=raw)
        made.PatientComments = "x" * (2 * i)
        if planar:
            made.PlanarConfiguration = 1
        urls.append(str(write(made, tmp_path / f"{i}.dcm")))
        truth.append(pixels[0])
    headers = list(read_headers(urls))
    assert len({layout_key(header) for header in headers}) == 1
    array = stack(headers, ScanOptions(chunk_bytes=target)).array
    np.testing.assert_array_equal(values_of(array), truth)


def test_stacks_of_deflated_instances(tmp_path):
    urls, truth = [], []
    for i in range(4):
        pixels = random_pixels((1, 6, 10), np.int16, seed=i)
        made = image(pixels, DEFLATED)
        made.InstanceNumber = i + (100 if i == 3 else 0)
        urls.append(str(write(made, tmp_path / f"{i}.dcm")))
        truth.append(pixels[0])
    headers = list(read_headers(urls))
    array = stack(headers[:3], ScanOptions()).array
    np.testing.assert_array_equal(values_of(array), truth[:3])
    # What stands in front of the pixels is longer in the last one.
    assert layout_key(headers[3]) != layout_key(headers[0])
    with pytest.raises(MetadataError):
        stack(headers, ScanOptions())


def test_stacks_of_streams_that_differ_are_refused(tmp_path):
    wide = random_pixels((1, 20, 30), np.int16) >> 3
    urls = []
    for i, bits in enumerate((13, 16)):
        path = compressed(
            tmp_path / f"{i}.dcm",
            wide,
            J + "90",
            lambda frame, bits=bits: imagecodecs.jpeg2k_encode(
                (frame & 0x1FFF).astype(np.uint16), level=0, codecformat="j2k", bitspersample=bits
            ),
        )
        urls.append(str(path))
    with pytest.raises(UnsupportedError, match="differ"):
        stack(list(read_headers(urls)), ScanOptions())


# The samples that come with pydicom


def samples():
    from pathlib import Path

    from pydicom.data import get_testdata_file

    folders = [Path(get_testdata_file("CT_small.dcm")).parent]
    try:
        import data_store
    except ImportError:
        pass
    else:
        folders.append(Path(data_store.__file__).parent / "data")
    return sorted(path for folder in folders for path in folder.glob("*.dcm"))


UNREFERENCED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "pixel-layout",
    "MR_truncated.dcm": "TruncatedError",
    "badVR.dcm": "FormatError",
    "meta_missing_tsyntax.dcm": "FormatError",
    "nested_priv_SQ.dcm": "FormatError",
    "no_meta.dcm": "UnknownFormatError",
    "rtplan_truncated.dcm": "TruncatedError",
}
"""Why samples are refused; all that is not here is referenced, or has no pixels."""
NO_ORACLE = {"JPEG-lossy.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm", "OT-PAL-8-face.dcm"}
"""What pydicom does not decode, or not without its transfer syntax."""
LOSSY = {"JPGExtended.dcm"}


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_samples_decode_as_pydicom_decodes_them(path):
    if path.name in UNREFERENCED:
        with pytest.raises((FormatError, UnsupportedError)) as raised:
            frames_of(path)
        why = getattr(raised.value, "code", None) or type(raised.value).__name__
        assert why == UNREFERENCED[path.name]
        return
    error = refusal(lambda: frames_of(path))
    if error is not None:
        assert error.code == "no-pixels"
        assert "PixelData" not in pydicom.dcmread(path, force=True)
        return
    found = frames_of(path)
    ours = np.asarray(open_stock(Group({"image": found.array}))["image"][...])
    native = PydicomFrames(str(path))
    for i, frame in enumerate(ours):
        try:
            true = native.frame(i, found.photometric, found.array.dtype)
        except UnsupportedError:
            assert path.name in NO_ORACLE
            continue
        difference = np.abs(frame.astype(np.int64) - true.astype(np.int64)).max()
        assert difference <= (path.name in LOSSY)


def test_the_oracle_is_pydicom(tmp_path):
    pixels = random_pixels((2, 4, 4), np.uint16)
    path = write(image(pixels), tmp_path / "a.dcm")
    native = PydicomFrames(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        true = pixel_array(path)
    for i in range(2):
        np.testing.assert_array_equal(native.frame(i, "MONOCHROME2", np.dtype("<u2")), true[i])

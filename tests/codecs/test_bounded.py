"""Whatever bytes unpack to, no more comes out than was said, and nothing large is made of them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import sys
import tracemalloc
import zlib
from unittest.mock import patch

import imagecodecs
import imagecodecs.numcodecs
import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.codecs.bounded import Bounded, bounded_codecs, chunk_bytes
from refmaker.errors import CodecError

RAW = [{"id": lzma.FILTER_LZMA2, "preset": 1}]
STREAMS = {
    "zlib": numcodecs.Zlib(6),
    "gzip": numcodecs.GZip(6),
    "bz2": numcodecs.BZ2(9),
    "lzma": numcodecs.LZMA(preset=1),
    "lzma alone": numcodecs.LZMA(format=lzma.FORMAT_ALONE, preset=1),
    "lzma raw": numcodecs.LZMA(format=lzma.FORMAT_RAW, filters=RAW),
    "zstd": numcodecs.Zstd(3),
    "blosc": numcodecs.Blosc("zstd", 5),
    "lz4": numcodecs.LZ4(),
}
IMAGES = ("jpeg", "png", "jpeg2k", "webp", "jpegls")
BIG = bytes(50_000_000)


@pytest.fixture(autouse=True, scope="module")
def registered():
    imagecodecs.numcodecs.register_codecs(verbose=False)


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_zeros_without_end(name):
    encoded = bytes(STREAMS[name].encode(BIG))
    assert len(encoded) < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="decodes to"):
            Bounded(STREAMS[name], 1000).decode(encoded)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.binary(max_size=3000), few=st.integers(0, 20))
def test_what_fits_is_what_the_codec_gives(name, data, few):
    codec = STREAMS[name]
    values = data * few
    encoded = bytes(codec.encode(values)) if values else bytes(codec.encode(b"\0"))
    expected = bytes(codec.decode(encoded))
    assert bytes(Bounded(codec, len(expected)).decode(encoded)) == expected
    if expected:
        with pytest.raises(CodecError):
            Bounded(codec, len(expected) - 1).decode(encoded)


@given(
    data=st.binary(min_size=1, max_size=3000),
    few=st.integers(1, 20),
    more=st.integers(-1, 70),
    cut=st.integers(0, 8),
    wrong=st.integers(0, 8),
    behind=st.binary(max_size=3),
)
def test_the_faster_decoder_of_zlib_gives_what_the_other_gives(data, few, more, cut, wrong, behind):
    """Streams that are whole, cut, damaged, followed by something, of less or more than fits."""
    values = data * few
    encoded = bytearray(zlib.compress(values))
    if wrong:
        encoded[-wrong] ^= 1
    encoded = bytes(encoded[: len(encoded) - cut] + behind)
    found = []
    # What is loaded here decides for small streams which one it is.
    for hidden in ({}, {"imagecodecs": None}):
        with patch.dict(sys.modules, hidden):
            try:
                found.append(bytes(Bounded(numcodecs.Zlib(), len(values) + more).decode(encoded)))
            except (CodecError, zlib.error) as error:
                found.append((type(error), str(error)))
    assert found[0] == found[1]


def test_large_streams_are_decoded_by_the_faster_decoder(monkeypatch):
    asked = []
    decode = imagecodecs.deflate_decode
    monkeypatch.setattr(
        imagecodecs, "deflate_decode", lambda *a, **k: (asked.append(1), decode(*a, **k))[1]
    )
    values = np.random.default_rng(0).integers(0, 100, 200_000, "u1")
    codecs = [numcodecs.Shuffle(4), numcodecs.Zlib(1)]
    encoded = values.tobytes()
    for codec in codecs:
        encoded = codec.encode(encoded)
    bounds = bounded_codecs(codecs, values.nbytes)
    # A filter that leaves as many bytes as come lets them be decoded to where they stay.
    assert [bound.most for bound in bounds] == [values.nbytes] * 2
    for bound in reversed(bounds):
        encoded = bound.decode(encoded)
    assert bytes(encoded) == values.tobytes()
    assert asked == [1]


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_cut_off_is_an_error(name):
    values = np.random.default_rng(0).integers(0, 9, 4000).astype("u1").tobytes()
    encoded = bytes(STREAMS[name].encode(values))
    for cut in (1, 3, len(encoded) // 2):
        with pytest.raises((CodecError, RuntimeError, ValueError, lzma.LZMAError, EOFError)):
            Bounded(STREAMS[name], len(values)).decode(encoded[:-cut])


def test_streams_one_after_the_other():
    """As written by programs that append; what stands behind the last is nothing."""
    for module, codec in ((gzip, STREAMS["gzip"]), (bz2, STREAMS["bz2"]), (lzma, STREAMS["lzma"])):
        both = module.compress(b"ab") + module.compress(b"cd")
        assert bytes(Bounded(codec, 4).decode(both)) == b"abcd"
        assert bytes(Bounded(codec, 4).decode(both + bytes(4))) == b"abcd"
        with pytest.raises(CodecError):
            Bounded(codec, 3).decode(both)


@pytest.mark.parametrize("name", IMAGES)
def test_images(name):
    codec = numcodecs.get_codec({"id": f"imagecodecs_{name}"})
    encode = getattr(imagecodecs, f"{name}_encode")
    large = encode(np.zeros((3000, 3000, 3), "u1"))
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="decodes to"):
            Bounded(codec, 10_000).decode(large)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    values = np.random.default_rng(0).integers(0, 255, (37, 51, 3)).astype("u1")
    found = Bounded(codec, values.nbytes).decode(encode(values))
    assert np.asarray(found).shape == values.shape
    with pytest.raises(CodecError):
        Bounded(codec, values.nbytes - 1).decode(encode(values))


def frame(blocks, *, size=None):
    """Return a frame of Zstandard (RFC 8878, 3.1.1) of blocks that repeat a byte."""
    head = b"\x28\xb5\x2f\xfd"
    head += b"\x00\x50" if size is None else b"\xe0" + struct.pack("<Q", size)
    body = b""
    for number, length in enumerate(blocks):
        last = number == len(blocks) - 1
        body += (last | 1 << 1 | length << 3).to_bytes(3, "little") + b"\0"
    return head + body


def test_frames_that_do_not_say_their_size():
    codec = numcodecs.Zstd()
    assert bytes(Bounded(codec, 30).decode(frame([10, 20]))) == bytes(30)
    with pytest.raises(CodecError):
        Bounded(codec, 29).decode(frame([10, 20]))
    with pytest.raises(CodecError, match="decodes to"):
        Bounded(codec, 1000).decode(frame([1 << 17] * 10_000))
    with pytest.raises(CodecError, match="decodes to 1099511627776"):
        Bounded(codec, 1000).decode(frame([10], size=1 << 40))


def test_what_other_codecs_make_is_measured():
    class Codec:
        codec_id = "somebodys"

        def decode(self, data, out=None):
            return np.zeros(11, "u1")

    assert Bounded(Codec(), 11).decode(b"").size == 11
    with pytest.raises(CodecError, match="somebodys"):
        Bounded(Codec(), 10).decode(b"")


def test_filters_may_leave_more_than_the_values():
    chunk = np.arange(100, dtype="f4")
    for filters in (
        [numcodecs.AsType("f8", "f4")],
        [numcodecs.Shuffle(4)],
        [numcodecs.Fletcher32()],
        [numcodecs.Delta("f4"), numcodecs.AsType("f8", "f4"), numcodecs.Fletcher32()],
        [numcodecs.FixedScaleOffset(0, 10, "f4", "i2")],
    ):
        codecs = [*filters, numcodecs.Zlib()]
        data = chunk
        for codec in codecs:
            data = codec.encode(data)
        for codec in reversed(bounded_codecs(codecs, chunk_bytes((100,), 4))):
            data = codec.decode(data)
        np.testing.assert_array_equal(np.asarray(data).view("u1").view("f4"), chunk)

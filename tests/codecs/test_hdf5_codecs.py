"""The small HDF5 codecs: against HDF5's own filters, and against damaged input."""

import io
import json
import pickle
import struct
import zlib

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.registry import get_codec

from refmaker.codecs import CODECS, PACKAGES, package_of, register
from refmaker.codecs.bitpack import unpack_bits
from refmaker.codecs.hdf5_bits import HDF5Bits
from refmaker.codecs.hdf5_bitshuffle import HDF5Bitshuffle
from refmaker.codecs.hdf5_blosc2 import HDF5Blosc2
from refmaker.codecs.hdf5_convert import HDF5Convert
from refmaker.codecs.hdf5_lzf import HDF5Lzf
from refmaker.codecs.hdf5_masked import HDF5Masked
from refmaker.codecs.hdf5_nbit import HDF5Nbit
from refmaker.codecs.hdf5_scaleoffset import HDF5ScaleOffset
from refmaker.codecs.hdf5_stub import HDF5Filters
from refmaker.codecs.hdf5_zfp import HDF5Zfp
from refmaker.errors import CodecError, MetadataError, UnsupportedError
from refmaker.model.zarr_v2 import current_codec

register()

ENUM_DTYPES = ["<i1", "<u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", ">i8", "<u8"]


def stored(data, chunks, **options):
    """Write an array and return (pipeline, raw bytes of its only chunk, values read back)."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.create_dataset("x", data=data, chunks=chunks, **options)
    with h5py.File(image, "r") as file:
        dataset = file["x"]
        plist = dataset.id.get_create_plist()
        pipeline = [plist.get_filter(index) for index in range(plist.get_nfilters())]
        raw = dataset.id.read_direct_chunk((0,) * dataset.ndim)[1]
        return [(entry[0], entry[2]) for entry in pipeline], raw, dataset[...]


def hdf5(filter_id, values, nbytes):
    return HDF5Filters([(filter_id, values)], nbytes)


@given(
    width=st.integers(1, 64),
    count=st.integers(1, 200),
    seed=st.integers(0, 2**32 - 1),
)
def test_unpack_bits_is_the_inverse_of_writing_bits(width, count, seed):
    rng = np.random.default_rng(seed)
    values = [int(v) >> (64 - width) for v in rng.integers(0, 2**64, count, dtype="u8")]
    text = "".join(f"{value:0{width}b}" for value in values)
    packed = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    assert unpack_bits(np.frombuffer(packed, np.uint8), width, count).tolist() == values


def test_unpack_bits_of_more_than_one_block():
    packed = np.random.default_rng(0).integers(0, 256, 3 * 40_003 // 2 + 1, dtype="u1")
    bits = np.unpackbits(packed)[: 12 * 40_003].reshape(-1, 12)
    wanted = bits @ (1 << np.arange(11, -1, -1))
    assert np.array_equal(unpack_bits(packed[: -(-12 * 40_003 // 8)], 12, 40_003), wanted)


@given(data=st.data())
def test_scaleoffset_of_integers(data):
    dtype = np.dtype(data.draw(st.sampled_from(ENUM_DTYPES)))
    info = np.iinfo(dtype)
    span = data.draw(st.integers(0, 63))
    low = data.draw(st.integers(info.min, info.max))
    high = min(info.max, low + 2**span)
    values = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=40))
    fill = data.draw(st.none() | st.integers(low, high))
    bits = data.draw(st.sampled_from([0, 0, 0, 3, 7]))
    array = np.array(values, dtype)
    [(number, values)], raw, wanted = stored(array, array.shape, scaleoffset=bits, fillvalue=fill)
    assert number == 6
    assert HDF5ScaleOffset(values).decode(raw).tobytes() == wanted.tobytes()


@given(data=st.data())
def test_scaleoffset_of_floats(data):
    dtype = np.dtype(data.draw(st.sampled_from(["<f4", ">f4", "<f8", ">f8"])))
    scale = data.draw(st.sampled_from([1e-3, 1.0, 1e4]))
    fill = data.draw(st.sampled_from([None, -9999.0, 0.5]))
    values = data.draw(
        st.lists(
            st.floats(-1, 1, width=16).map(lambda v: v * scale) | st.just(fill or 0.0),
            min_size=1,
            max_size=40,
        )
    )
    array = np.array(values, dtype)
    digits = data.draw(st.integers(0, 6))
    [(number, cd)], raw, wanted = stored(array, array.shape, scaleoffset=digits, fillvalue=fill)
    assert number == 6
    assert HDF5ScaleOffset(cd).decode(raw).tobytes() == wanted.tobytes()


@given(data=st.data())
def test_scaleoffset_of_any_bytes_is_what_hdf5_makes_of_them(data):
    """Chunks that no writer makes, but HDF5 reads: every bit count, with and without fill."""
    real = data.draw(st.booleans())
    size = data.draw(st.sampled_from([4, 8] if real else [1, 2, 4, 8]))
    count = data.draw(st.integers(1, 30))
    bits = data.draw(st.integers(0, 8 * size))
    minimum = data.draw(st.binary(min_size=8, max_size=8))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    packed = rng.integers(0, 256, -(-count * bits // 8) + 1, dtype="u1").tobytes()
    if data.draw(st.booleans()):
        packed = b"\xff" * len(packed)
    if real:  # HDF5 takes care of finite minima only
        minimum = struct.pack("<f" if size == 4 else "<d", rng.normal()).ljust(8, b"\0")
    raw = struct.pack("<IB", bits, 8) + minimum + bytes(8) + packed
    digits = data.draw(st.integers(-3, 9) if real else st.integers(0, 8 * size - 1)) % 2**32
    order, fill = data.draw(st.integers(0, 1)), data.draw(st.integers(0, 1))
    signed = data.draw(st.integers(0, 1))
    values = [0 if real else 2, digits, count, int(real), size, signed, order, fill]
    values += rng.integers(0, 2**32, 2).tolist() if size == 8 else [int(rng.integers(2**31))]
    values += [0] * (20 - len(values))
    found = HDF5ScaleOffset(values).decode(raw)
    wanted = hdf5(6, values, count * size).decode(raw)
    assert found.tobytes() == wanted.tobytes()


@given(data=st.data())
def test_nbit_of_any_bytes_is_what_hdf5_makes_of_them(data):
    size = data.draw(st.integers(1, 8))
    precision = data.draw(st.integers(1, 8 * size))
    offset = data.draw(st.integers(0, 8 * size - precision))
    order = data.draw(st.integers(0, 1))
    count = data.draw(st.integers(1, 40))
    raw = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).integers(
        0, 256, -(-count * precision // 8) + 1, dtype="u1"
    )
    codec = HDF5Nbit(size, precision, count, offset, "<>"[order])
    wanted = hdf5(5, [8, 0, count, 1, size, order, precision, offset], count * size).decode(raw)
    assert codec.decode(raw).tobytes() == wanted.tobytes()


@given(data=st.data())
def test_bits_are_what_hdf5_converts(data):
    size = data.draw(st.sampled_from([1, 2, 4, 8]))
    precision = data.draw(st.integers(4 * size, 8 * size))
    offset = data.draw(st.integers(0, 8 * size - precision))
    order = data.draw(st.sampled_from("<>"))
    signed = data.draw(st.booleans())
    dtype = np.dtype(f"{order}{'i' if signed else 'u'}{size}")
    raw = data.draw(
        st.binary(min_size=size, max_size=8 * size).filter(lambda b: len(b) % size == 0)
    )
    file_type = h5py.h5t.py_create(dtype).copy()
    file_type.set_precision(precision)
    file_type.set_offset(offset)
    work = np.frombuffer(raw, np.uint8).copy()
    h5py.h5t.convert(file_type, h5py.h5t.py_create(dtype), len(raw) // size, work)
    assert HDF5Bits(dtype.str, precision, offset).decode(raw).tobytes() == work.tobytes()


def test_bits_refuses_fractions_of_elements():
    with pytest.raises(CodecError):
        HDF5Bits("<i4", 20).decode(bytes(7))


def test_convert_of_small_floats_and_three_byte_integers():
    import base64

    half = h5py.h5t.IEEE_F32LE.copy()  # bfloat16: the upper half of a float32
    half.set_fields(15, 7, 8, 0, 7)
    half.set_size(2)
    half.set_ebias(127)
    text = base64.b64encode(half.encode()).decode()
    numbers = np.array([1.5, -2.0, 3.25e10], "<f4")
    raw = (numbers.view("<u4") >> 16).astype("<u2").tobytes()
    codec = HDF5Convert(text, "<f4")
    wanted = (numbers.view("<u4") & 0xFFFF0000).view("<f4")
    assert np.array_equal(codec.decode(raw).view("<f4"), wanted)
    three = h5py.h5t.STD_I32LE.copy()
    three.set_size(3)
    codec = HDF5Convert(base64.b64encode(three.encode()).decode(), "<i4")
    raw = b"".join(value.to_bytes(3, "little", signed=True) for value in (1, -1, -(2**23)))
    assert codec.decode(raw).view("<i4").tolist() == [1, -1, -(2**23)]
    with pytest.raises(CodecError):
        codec.decode(bytes(4))
    with pytest.raises(CodecError):
        HDF5Convert(base64.b64encode(b"nonsense").decode(), "<i4").decode(bytes(3))


def test_masked_follows_the_length():
    inner = [{"id": "shuffle", "elementsize": 4}, {"id": "zlib", "level": 1}]
    plain = np.arange(64, dtype="<i4").tobytes()
    mixed = np.frombuffer(plain, "u1").reshape(-1, 4).T.tobytes()
    codec = HDF5Masked(inner, {"256": 0b10, "257": 0b11}, {"300": 256})
    assert bytes(codec.decode(zlib.compress(mixed))) == plain
    assert bytes(codec.decode(mixed)) == plain
    assert bytes(codec.decode(plain + b"!")) == plain + b"!"
    assert bytes(codec.decode(plain.ljust(300, b"\0"))) == plain
    with pytest.raises(CodecError):
        codec.decode(b"not zlib")


def test_masked_counts_the_filters_of_a_stub():
    plain = np.arange(64, dtype="<i4").tobytes()
    mixed = np.frombuffer(plain, "u1").reshape(-1, 4).T.tobytes()
    inner = [{"id": "refmaker.hdf5_filters", "filters": [[2, [4]], [1, [1]]], "nbytes": 256}]
    codec = HDF5Masked(inner, {"256": 0b10})
    assert bytes(codec.decode(zlib.compress(mixed))) == plain
    assert bytes(codec.decode(mixed)) == plain


@pytest.mark.parametrize(
    ("masks", "padded"),
    [({"x": 1}, None), ({"8": 4}, None), ({"8": 1}, {"8": 8}), ({"-8": 1}, None), ({}, {"8": 9})],
)
def test_masked_refuses_nonsense(masks, padded):
    inner = [{"id": "shuffle", "elementsize": 4}, {"id": "zlib", "level": 1}]
    with pytest.raises(MetadataError):
        HDF5Masked(inner, masks, padded)


def examples():
    """One codec of each kind with a chunk that it decodes."""
    smooth = (np.sin(np.arange(2000) / 50) * 100).astype("<i4")
    real = smooth.astype("<f4")
    made = {
        "lzf": (smooth, {"compression": "lzf"}, lambda cd: HDF5Lzf(8000)),
        "bitshuffle-lz4": (
            smooth,
            dict(hdf5plugin.Bitshuffle(nelems=128)),
            lambda cd: HDF5Bitshuffle(4, "lz4", 8000),
        ),
        "bitshuffle-zstd": (
            smooth,
            dict(hdf5plugin.Bitshuffle(cname="zstd")),
            lambda cd: HDF5Bitshuffle(4, "zstd", 8000),
        ),
        "bitshuffle": (
            smooth,
            dict(hdf5plugin.Bitshuffle(cname="none")),
            lambda cd: HDF5Bitshuffle(4, "none", 8000),
        ),
        "blosc2": (smooth, dict(hdf5plugin.Blosc2()), lambda cd: HDF5Blosc2(8000)),
        "scaleoffset": (smooth, {"scaleoffset": 0}, HDF5ScaleOffset),
        "zfp-rate": (real, dict(hdf5plugin.Zfp(rate=8)), lambda cd: HDF5Zfp(cd[1:], 8000)),
        "zfp": (real, dict(hdf5plugin.Zfp(accuracy=1e-3)), lambda cd: HDF5Zfp(cd[1:], 8000)),
        "zfp-long": (real, dict(hdf5plugin.Zfp(accuracy=0.0)), lambda cd: HDF5Zfp(cd[1:], 8000)),
    }
    for name, (data, options, build) in made.items():
        [(_, values)], raw, wanted = stored(data, data.shape, **options)
        yield name, build(values), raw, wanted.tobytes()
    packed = np.random.default_rng(0).integers(0, 256, 1500, dtype="u1").tobytes()
    nbit = HDF5Nbit(2, 12, 1000)
    yield "nbit", nbit, packed, nbit.decode(packed).tobytes()


EXAMPLES = list(examples())


@pytest.mark.parametrize(("name", "codec", "raw", "wanted"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
class TestEveryCodec:
    def test_decodes_any_buffer_and_into_one(self, name, codec, raw, wanted):
        for buffer in (raw, bytearray(raw), memoryview(raw), np.frombuffer(raw, np.uint8)):
            assert bytes(codec.decode(buffer)) == wanted
        out = np.empty(len(wanted) // 4, "<f4")
        assert codec.decode(raw, out) is out
        assert out.tobytes() == wanted
        with pytest.raises(CodecError):
            codec.decode(raw, np.empty(len(wanted) + 1, np.uint8))

    def test_config_survives_json_and_pickle(self, name, codec, raw, wanted):
        again = get_codec(json.loads(json.dumps(codec.get_config())))
        assert type(again) is type(codec)
        assert again.get_config() == codec.get_config()
        assert bytes(again.decode(raw)) == wanted
        assert pickle.loads(pickle.dumps(codec)) == codec
        assert codec.codec_id in CODECS

    def test_truncation_is_refused_or_harmless(self, name, codec, raw, wanted):
        """Only a variable-rate ZFP stream does not tell where it ends."""
        for length in {*range(0, len(raw), max(1, len(raw) // 60)), len(raw) - 1}:
            try:
                found = codec.decode(raw[:length])
            except CodecError:
                continue
            assert name in ("zfp", "zfp-long") or bytes(found) == wanted
            assert len(bytes(found)) == len(wanted)

    def test_damage_gives_an_error_or_the_right_size(self, name, codec, raw, wanted):
        rng = np.random.default_rng(7)
        for _ in range(150):
            bad = np.frombuffer(raw, np.uint8).copy()
            # Blosc2 trusts its frame header, which is checked by hand only so far.
            low = 100 if name == "blosc2" else 0
            where = rng.integers(low, bad.size, int(rng.integers(1, 6)))
            bad[where] = rng.integers(0, 256, where.size)
            try:
                found = codec.decode(bad)
            except CodecError:
                continue
            assert found.nbytes == len(wanted)

    def test_random_bytes(self, name, codec, raw, wanted):
        rng = np.random.default_rng(8)
        for length in (0, 1, 4, 11, 12, 13, 20, 21, 22, 100, len(raw)):
            try:
                found = codec.decode(rng.integers(0, 256, length, dtype="u1"))
            except CodecError:
                continue
            assert found.nbytes == len(wanted)

    def test_encoding_is_refused(self, name, codec, raw, wanted):
        with pytest.raises(UnsupportedError, match="only decodes"):
            codec.encode(raw)


@pytest.mark.parametrize(
    ("codec", "settings"),
    [
        (HDF5Bits, {"dtype": "<f4", "precision": 3}),
        (HDF5Bits, {"dtype": "<i4", "precision": 33}),
        (HDF5Bits, {"dtype": "<i4", "precision": 30, "offset": 3}),
        (HDF5Nbit, {"size": 9, "precision": 3, "count": 1}),
        (HDF5Nbit, {"size": 2, "precision": 17, "count": 1}),
        (HDF5Nbit, {"size": 2, "precision": 12, "count": 2**40}),
        (HDF5Nbit, {"size": 2, "precision": 12, "count": 1, "byteorder": "="}),
        (HDF5ScaleOffset, {"values": [2, 0, 4]}),
        (HDF5ScaleOffset, {"values": [2, 16, 4, 0, 2, 1, 0, 0]}),
        (HDF5ScaleOffset, {"values": [1, 0, 4, 1, 4, 1, 0, 0]}),
        (HDF5ScaleOffset, {"values": [2, 0, 4, 0, 3, 1, 0, 0]}),
        (HDF5ScaleOffset, {"values": [2, 0, 4, 0, 8, 1, 0, 1, 5]}),
        (HDF5Bitshuffle, {"itemsize": 0, "compression": "lz4", "nbytes": 8}),
        (HDF5Bitshuffle, {"itemsize": 4, "compression": "gzip", "nbytes": 8}),
        (HDF5Bitshuffle, {"itemsize": 4, "compression": "lz4", "nbytes": 9}),
        (HDF5Zfp, {"header": [1, 2, 3], "nbytes": 8}),
        (HDF5Zfp, {"header": [], "nbytes": 8}),
        (HDF5Zfp, {"header": [0x0570667A, 0x3F1, 0xFFF00000, 0xE0888000], "nbytes": 512}),
        (HDF5Lzf, {"nbytes": -1}),
        (HDF5Lzf, {"nbytes": 2**33}),
        (HDF5Blosc2, {"nbytes": "8"}),
        (HDF5Convert, {"type": "%", "dtype": "<i4"}),
        (HDF5Convert, {"type": "AAAA", "dtype": "U4"}),
    ],
)
def test_nonsense_settings_are_refused(codec, settings):
    with pytest.raises(MetadataError):
        codec(**settings)


def test_every_codec_of_the_table_is_there_and_has_a_package():
    for codec_id in CODECS:
        assert get_codec_class(codec_id).codec_id == current_codec({"id": codec_id})["id"]
        assert codec_id in PACKAGES
    assert package_of("zlib") == "numcodecs"
    assert package_of("imagecodecs_webp") == "imagecodecs-numcodecs"
    assert package_of("refmaker.something") == "refmaker"
    assert package_of("refmaker.hdf5_blosc2") == "blosc2"
    assert package_of("lzma") == "numcodecs"


def get_codec_class(codec_id):
    from numcodecs import registry

    return registry.codec_registry[codec_id]


def test_codecs_load_without_any_scanner_library():
    import subprocess
    import sys

    code = (
        "import sys\nfrom importlib import import_module\n"
        "import refmaker.codecs\nassert 'numpy' not in sys.modules\n"
        "for target in refmaker.codecs.CODECS.values(): import_module(target.partition(':')[0])\n"
        "assert not {'h5py', 'imagecodecs', 'blosc2', 'hdf5plugin', 'zarr'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Filter pipelines to codecs: every filter, against h5py."""

import itertools
import math

import h5py
import hdf5plugin
import numpy as np
import pytest

from refmaker.codecs import requirements
from refmaker.errors import UnsupportedError
from refmaker.scanners.hdf5.filters import (
    Filter,
    codecs_for,
    encoding_for,
    mask_policy,
    read_pipeline,
)
from tests.scanners.hdf5.hdf5_pipelines import check, decode, ids, reopened

NUMBERS = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)
SHAPE, CHUNKS = (40, 50), (16, 32)


def smooth(dtype):
    """Compressible numbers, negative ones too where the type has them."""
    shift = 120 if np.dtype(dtype).kind == "u" else 0
    return (np.sin(np.arange(math.prod(SHAPE)).reshape(SHAPE) / 300) * 100 + shift).astype(dtype)


def noise(dtype):
    """Numbers that no filter makes smaller."""
    rng = np.random.default_rng(5)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=SHAPE).astype(dtype)
    size = math.prod(SHAPE) * np.dtype(dtype).itemsize
    return rng.integers(0, 256, size, dtype="u1").view(dtype).reshape(SHAPE)


def half(dtype):
    """Some chunks constant, some noise: masks come mixed."""
    return np.where(np.arange(SHAPE[1]) < CHUNKS[1], noise(dtype), np.dtype(dtype).type(3)).astype(
        dtype
    )


INTEGERS = ["i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", ">i8", "<u8"]
FLOATS = ["<f4", ">f4", "<f8", ">f8"]
ANY = [*INTEGERS, *FLOATS, "<f2"]
LITTLE = ["<f4", "<f8"]

#: name -> (codec ids it may use, dtypes, keyword arguments of create_dataset)
FILTERS = {
    "gzip": ({"zlib"}, ANY, {"compression": "gzip"}),
    "shuffle": ({"shuffle"}, ANY, {"shuffle": True}),
    "fletcher32": ({"fletcher32"}, ANY, {"fletcher32": True}),
    "gzip-shuffle-fletcher32": (
        {"zlib", "shuffle", "fletcher32"},
        ANY,
        {"compression": 9, "shuffle": True, "fletcher32": True},
    ),
    "lzf": ({"refmaker.hdf5_lzf"}, ANY, {"compression": "lzf"}),
    "lzf-shuffle-fletcher32": (
        {"refmaker.hdf5_lzf", "shuffle", "fletcher32"},
        ANY,
        {"compression": "lzf", "shuffle": True, "fletcher32": True},
    ),
    "szip-nn": (
        {"imagecodecs_szip"},
        ANY,
        {"compression": "szip", "compression_opts": ("nn", 16)},
    ),
    "szip-ec": (
        {"imagecodecs_szip"},
        ANY,
        {"compression": "szip", "compression_opts": ("ec", 8)},
    ),
    "blosc-lz4": ({"blosc"}, ANY, dict(hdf5plugin.Blosc())),
    "blosc-zstd-bits": ({"blosc"}, ANY, dict(hdf5plugin.Blosc(cname="zstd", shuffle=2))),
    "blosc-blosclz": ({"blosc"}, ANY, dict(hdf5plugin.Blosc(cname="blosclz", shuffle=0))),
    "blosc-zlib": ({"blosc"}, ANY, dict(hdf5plugin.Blosc(cname="zlib"))),
    "blosc-lz4hc": ({"blosc"}, ANY, dict(hdf5plugin.Blosc(cname="lz4hc"))),
    "blosc2": ({"refmaker.hdf5_blosc2"}, ["<i2", ">f8"], dict(hdf5plugin.Blosc2())),
    "blosc2-zstd-bits": (
        {"refmaker.hdf5_blosc2"},
        ["u1", "<f4"],
        dict(hdf5plugin.Blosc2(cname="zstd", filters=2)),
    ),
    "lz4": ({"imagecodecs_lz4h5"}, ANY, dict(hdf5plugin.LZ4())),
    "lz4-small-blocks": ({"imagecodecs_lz4h5"}, ANY, dict(hdf5plugin.LZ4(nbytes=300))),
    "lz4-shuffle-fletcher32": (
        {"imagecodecs_lz4h5", "shuffle", "fletcher32"},
        ANY,
        {**hdf5plugin.LZ4(), "shuffle": True, "fletcher32": True},
    ),
    "bitshuffle": (
        {"refmaker.hdf5_bitshuffle"},
        ANY,
        dict(hdf5plugin.Bitshuffle(cname="none")),
    ),
    "bitshuffle-32": (
        {"refmaker.hdf5_bitshuffle"},
        ANY,
        dict(hdf5plugin.Bitshuffle(cname="none", nelems=32)),
    ),
    "bitshuffle-lz4": ({"refmaker.hdf5_bitshuffle"}, ANY, dict(hdf5plugin.Bitshuffle())),
    "bitshuffle-lz4-64": (
        {"refmaker.hdf5_bitshuffle"},
        ANY,
        dict(hdf5plugin.Bitshuffle(nelems=64)),
    ),
    "bitshuffle-zstd": (
        {"refmaker.hdf5_bitshuffle"},
        ANY,
        dict(hdf5plugin.Bitshuffle(cname="zstd")),
    ),
    "zstd": ({"zstd"}, ANY, dict(hdf5plugin.Zstd())),
    "zstd-negative-level": ({"zstd", "shuffle"}, ANY, {**hdf5plugin.Zstd(-3), "shuffle": True}),
    "bzip2": ({"bz2", "shuffle"}, ANY, {**hdf5plugin.BZip2(), "shuffle": True}),
    "zfp-reversible": ({"refmaker.hdf5_zfp"}, LITTLE, dict(hdf5plugin.Zfp(reversible=True))),
    "zfp-rate": ({"refmaker.hdf5_zfp"}, LITTLE, dict(hdf5plugin.Zfp(rate=12))),
    "zfp-accuracy": ({"refmaker.hdf5_zfp"}, LITTLE, dict(hdf5plugin.Zfp(accuracy=0.01))),
    "zfp-precision": ({"refmaker.hdf5_zfp"}, LITTLE, dict(hdf5plugin.Zfp(precision=20))),
    # These spell out their parameters in a header that does not end at a whole byte.
    "zfp-expert": (
        {"refmaker.hdf5_zfp"},
        LITTLE,
        dict(hdf5plugin.Zfp(minbits=64, maxbits=640, maxprec=20, minexp=-30)),
    ),
    "zfp-lossless": ({"refmaker.hdf5_zfp"}, LITTLE, dict(hdf5plugin.Zfp(accuracy=0.0))),
    "zfp-all-planes": ({"refmaker.hdf5_zfp"}, ["<i8", *LITTLE], dict(hdf5plugin.Zfp(precision=64))),
    "zfp-odd-rate": ({"refmaker.hdf5_zfp"}, LITTLE, dict(hdf5plugin.Zfp(rate=63.7))),
    "zfp-integers": ({"refmaker.hdf5_zfp"}, ["<i4", "<i8"], dict(hdf5plugin.Zfp(precision=20))),
    "zfp-big-endian": ({"refmaker.hdf5_filters"}, [">f4"], dict(hdf5plugin.Zfp(reversible=True))),
    "scaleoffset-auto": ({"refmaker.hdf5_scaleoffset"}, INTEGERS, {"scaleoffset": True}),
    "scaleoffset-digits": ({"refmaker.hdf5_scaleoffset"}, FLOATS, {"scaleoffset": 3}),
    "scaleoffset-5-bits": ({"refmaker.hdf5_scaleoffset"}, INTEGERS, {"scaleoffset": 5}),
    "scaleoffset-all-bits": (set(), ["i1", "u1"], {"scaleoffset": 8}),
    "scaleoffset-gzip": (
        {"refmaker.hdf5_scaleoffset", "zlib"},
        [*INTEGERS, *FLOATS],
        {"scaleoffset": 4, "compression": "gzip"},
    ),
    "scaleoffset-fill": (
        {"refmaker.hdf5_scaleoffset"},
        [*INTEGERS, *FLOATS],
        {"scaleoffset": 4, "fillvalue": 3},
    ),
    "fcidecomp": ({"imagecodecs_jpegls"}, ["u1", "<u2", "<i2"], dict(hdf5plugin.FciDecomp())),
    "htj2k": ({"imagecodecs_htj2k"}, ["u1", "<u2"], dict(hdf5plugin.Htj2k())),
    "sz": ({"refmaker.hdf5_filters"}, LITTLE, dict(hdf5plugin.SZ(absolute=0.1))),
    "sz3": ({"refmaker.hdf5_filters"}, LITTLE, dict(hdf5plugin.SZ3(absolute=0.1))),
    "sperr": ({"refmaker.hdf5_filters"}, LITTLE, dict(hdf5plugin.Sperr(rate=8))),
}
#: These encoders hang or crash on some data; what is tested here is decoding.
FRAGILE = {"sz", "sz3", "sperr"}


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_decodes_to_what_h5py_reads(name):
    allowed, dtypes, options = FILTERS[name]
    used = set()
    kinds = (smooth,) if name in FRAGILE else (smooth, noise, half)
    for dtype, kind, chunks in itertools.product(dtypes, kinds, (CHUNKS, (7, 13))):
        if chunks != CHUNKS and (name in FRAGILE or kind is not noise):
            continue  # many small chunks once: of numbers of which some are not filtered
        data = kind(dtype)
        with reopened(
            lambda file, data=data, chunks=chunks: file.create_dataset(
                "x", data=data, chunks=chunks, **options
            )
        ) as file:
            used |= ids(check(file["x"]).codecs)
    assert used == allowed


def test_compound_string_and_array_elements():
    kind = np.dtype([("a", "<i2"), ("b", ">f8"), ("c", "S3")])
    records = np.zeros(100, kind)
    records["a"] = np.arange(100)
    records["b"] = np.sqrt(np.arange(100))
    records["c"] = b"xyz"
    texts = np.array([b"%07d" % number for number in range(100)])

    def build(file):
        for name, options in {
            "gzip": {"compression": "gzip", "shuffle": True},
            "lzf": {"compression": "lzf"},
            "zstd": {**hdf5plugin.Zstd(), "shuffle": True},
            "bitshuffle": dict(hdf5plugin.Bitshuffle()),
            "blosc": dict(hdf5plugin.Blosc()),
            "blosc2": dict(hdf5plugin.Blosc2()),
        }.items():
            file.create_dataset(f"records-{name}", data=records, chunks=(33,), **options)
            file.create_dataset(f"texts-{name}", data=texts, chunks=(33,), **options)

    with reopened(build) as file:
        for name in file:
            check(file[name])


def test_array_elements_keep_the_element_size_of_shuffle():
    kind = np.dtype(("<i4", (3,)))

    def build(file):
        dataset = file.create_dataset(
            "x", (10,), dtype=kind, chunks=(4,), shuffle=True, compression=1
        )
        dataset[...] = np.arange(30).reshape(10, 3)

    with reopened(build) as file:
        dataset = file["x"]
        pipeline = read_pipeline(dataset.id.get_create_plist())
        configs = codecs_for(pipeline, dtype=kind, itemsize=12, chunk_shape=(4,))
        assert configs[0] == {"id": "shuffle", "elementsize": pipeline[0].values[0]}
        raw = dataset.id.read_direct_chunk((4,))[1]
        assert decode(configs, raw).view("<i4").tolist() == list(range(12, 24))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("size", "precision", "offset"), [(2, 12, 4), (4, 19, 0), (8, 40, 9)])
@pytest.mark.parametrize("signed", [True, False])
def test_nbit_and_bits(order, size, precision, offset, signed):
    names = {"<": "LE", ">": "BE"}
    base = getattr(h5py.h5t, f"STD_{'I' if signed else 'U'}{8 * size}{names[order]}").copy()
    base.set_precision(precision)
    base.set_offset(offset)
    low = -(2 ** (precision - 1)) if signed else 0
    data = np.random.default_rng(0).integers(low, low + 2**precision, 100)
    data[:2] = low, low + 2**precision - 1

    def build(file):
        for name, code in {"nbit": 5, "plain": None}.items():
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((30,))
            if code:
                creation.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
            space = h5py.h5s.create_simple((100,))
            h5py.Dataset(h5py.h5d.create(file.id, name.encode(), base, space, creation))[...] = data

    dtype = np.dtype(f"{order}{'i' if signed else 'u'}{size}")
    bits = {
        "id": "refmaker.hdf5_bits",
        "dtype": dtype.str,
        "precision": precision,
        "offset": offset,
    }
    with reopened(build) as file:
        for name, expected in {"nbit": ("refmaker.hdf5_nbit",), "plain": ()}.items():
            dataset = file[name]
            pipeline = read_pipeline(dataset.id.get_create_plist())
            configs = codecs_for(pipeline, dtype=dtype, itemsize=size, chunk_shape=(30,))
            assert tuple(config["id"] for config in configs) == expected
            stub = {
                "id": "refmaker.hdf5_filters",
                "filters": [[entry.id, list(entry.values)] for entry in pipeline],
                "nbytes": 30 * size,
            }
            for start in range(0, 100, 30):
                raw = dataset.id.read_direct_chunk((start,))[1]
                for route in (configs, [stub]):
                    found = decode([bits, *route], raw).view(dtype)[: 100 - start]
                    assert found.tolist() == dataset[start : start + 30].tolist()


def test_nbit_of_compounds_goes_through_hdf5():
    member = h5py.h5t.STD_I32LE.copy()
    member.set_precision(20)
    base = h5py.h5t.create(h5py.h5t.COMPOUND, 12)
    for index in range(3):
        base.insert(b"m%d" % index, 4 * index, member)
    data = np.zeros(50, [(f"m{index}", "<i4") for index in range(3)])
    for index in range(3):
        data[f"m{index}"] = np.arange(50) * (index + 1)

    def build(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((50,))
        creation.set_filter(5, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((50,))
        h5py.Dataset(h5py.h5d.create(file.id, b"x", base, space, creation))[...] = data

    with reopened(build) as file:
        dataset = file["x"]
        pipeline = read_pipeline(dataset.id.get_create_plist())
        assert len(pipeline[0].values) == pipeline[0].values[0]
        configs = codecs_for(pipeline, dtype=data.dtype, itemsize=12, chunk_shape=(50,))
        assert [config["id"] for config in configs] == ["refmaker.hdf5_filters"]
        raw = dataset.id.read_direct_chunk((0,))[1]
        assert decode(configs, raw).view(data.dtype).tolist() == data.tolist()


def test_shuffle_of_odd_lengths_goes_through_hdf5():
    """Fletcher32 before shuffle: four bytes more than whole elements."""
    data = np.arange(100, dtype="<i8")

    def build(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((33,))
        creation.set_fletcher32()
        creation.set_shuffle()
        creation.set_deflate(1)
        space = h5py.h5s.create_simple((100,))
        kind = h5py.h5t.STD_I64LE
        h5py.Dataset(h5py.h5d.create(file.id, b"x", kind, space, creation))[...] = data

    with reopened(build) as file:
        assert ids(check(file["x"]).codecs) == {"refmaker.hdf5_filters"}


def direct_file(filters, chunks, dtype="<i4", shape=(64,)):
    """Write raw chunks with masks of our own."""

    def build(file):
        dataset = file.create_dataset("x", shape, dtype, chunks=(16,), **filters)
        for start, (raw, mask) in chunks.items():
            dataset.id.write_direct_chunk((start,), raw, mask)

    return reopened(build)


def test_uniform_mask_drops_exactly_the_masked_filters():
    import zlib

    plain = np.arange(16, dtype="<i4").tobytes()
    chunks = {start: (zlib.compress(plain), 0b01) for start in (0, 16)}
    with direct_file({"shuffle": True, "compression": "gzip"}, chunks) as file:
        encoding = check(file["x"])
    assert [config["id"] for config in encoding.codecs] == ["zlib"]


def test_a_length_with_two_masks_is_inlined():
    import zlib

    plain = np.arange(16, dtype="<i4").tobytes()
    packed = zlib.compress(bytes(64)).ljust(64, b"\0")  # as long as an unfiltered chunk
    chunks = {0: (plain, 1), 16: (packed, 0), 32: (packed, 0), 48: (packed + b"\0", 0)}
    with direct_file({"compression": "gzip"}, chunks) as file:
        encoding = check(file["x"])
    assert encoding.inline.tolist() == [0]
    assert encoding.pad_to == 66
    assert encoding.codecs[0]["masks"] == {}
    assert encoding.codecs[0]["padded"] == {"66": 64}


def test_mask_policy_on_columns():
    lengths = np.array([64, 10, 12, 64, 11], np.uint64)
    nothing = mask_policy(lengths, np.zeros(5, np.uint32), 64)
    assert (nothing.uniform, nothing.masks, nothing.inline.size) == (0, {}, 0)
    assert mask_policy(lengths, np.full(5, 3, np.uint32), 64).uniform == 3
    mixed = mask_policy(lengths, np.array([1, 0, 0, 1, 0], np.uint32), 64)
    assert (mixed.uniform, mixed.masks, mixed.inline.size) == (0, {64: 1}, 0)
    clash = mask_policy(lengths, np.array([1, 0, 0, 0, 2], np.uint32), 64)
    assert clash.inline.size == 1
    assert clash.inline[0] in (0, 3)
    many = np.arange(10_000, dtype=np.uint64)
    with pytest.raises(UnsupportedError) as caught:
        mask_policy(many, (many % 2).astype(np.uint32) + 1, 64)
    assert caught.value.code == "filter-mask-conflict"


def test_partial_edge_chunks_without_filters():
    """The caller gives edge chunks a full mask: their own is 0 (H5Pset_chunk_opts)."""
    pipeline = (Filter(2, 0, (4,), "shuffle"), Filter(1, 1, (4,), "deflate"))
    encoding = encoding_for(
        pipeline,
        np.array([30, 64, 31], np.uint64),
        np.array([0, 0xFFFFFFFF, 0], np.uint32),
        dtype=np.dtype("<i4"),
        itemsize=4,
        chunk_shape=(16,),
    )
    assert encoding.codecs[0]["masks"] == {"64": 3}
    raw = np.arange(16, dtype="<i4").tobytes()
    assert decode(encoding.codecs, raw).tobytes() == raw


def test_masks_count_filters_not_codecs():
    """An identity filter has no codec: the bits of later filters move down."""
    pipeline = (
        Filter(32022, 1, (1, 2), "BitGroom"),
        Filter(2, 1, (4,), ""),
        Filter(1, 1, (4,), ""),
    )
    for extra, wanted in (((), {"64": 0b10}), ((Filter(32024, 1, (1,), "SZ3"),), {"64": 0b10})):
        encoding = encoding_for(
            (*pipeline, *extra),
            np.array([30, 64], np.uint64),
            np.array([0, 0b100], np.uint32),
            dtype=np.dtype("<i4"),
            itemsize=4,
            chunk_shape=(16,),
        )
        assert encoding.codecs[0]["masks"] == wanted


@pytest.mark.parametrize(
    ("filter_id", "name", "code", "words"),
    [
        (305, "lzo", "filter-unknown", ("LZO", "305", "HDF5_PLUGIN_PATH", "hdf5plugin")),
        (312, "mystery", "filter-unknown", ("mystery", "312", "HDF5_PLUGIN_PATH")),
        (32019, "", "filter-unknown", ("JPEG", "32019", "HDF5_PLUGIN_PATH")),
        (257, "", "filter-unknown", ("without a registered name", "257")),
    ],
)
def test_filters_that_nothing_decodes_are_refused(filter_id, name, code, words):
    with pytest.raises(UnsupportedError) as caught:
        codecs_for(
            (Filter(filter_id, 1, (1, 2), name),),
            dtype=np.dtype("<i4"),
            itemsize=4,
            chunk_shape=(8,),
        )
    assert caught.value.code == code
    assert all(word in str(caught.value) for word in words)


def test_quantisation_is_nothing_to_undo():
    pipeline = (
        Filter(32022, 1, (1,), ""),
        Filter(32023, 1, (1,), ""),
        Filter(2, 0, (4,), ""),
        Filter(1, 0, (4,), ""),
    )
    configs = codecs_for(pipeline, dtype=np.dtype("<f4"), itemsize=4, chunk_shape=(8,))
    assert [config["id"] for config in configs] == ["shuffle", "zlib"]


def test_b3d_goes_to_its_decoder_or_is_refused():
    values = (0, 1, 65535, 0, 0, 24, 1, 8, 8, 1, 1)
    options = {"dtype": np.dtype("<u2"), "itemsize": 2, "chunk_shape": (1, 8, 8)}
    configs = codecs_for((Filter(32016, 1, values, "B3D"),), **options)
    assert configs == ({"id": "refmaker.b3d", "cd_values": list(values)},)
    for broken in ((0, 1, 65535, 0, 0, 24, 99, 8, 8, 1, 1), ()):
        with pytest.raises(UnsupportedError):
            codecs_for((Filter(32016, 1, broken, "B3D"),), **options)


def test_snappy_in_blosc_is_not_left_to_the_stock_codec():
    values = (2, 2, 4, 64, 5, 1, 3)
    configs = codecs_for(
        (Filter(32001, 1, values, "blosc"),), dtype=np.dtype("<i4"), itemsize=4, chunk_shape=(16,)
    )
    assert configs[0]["id"] == "refmaker.hdf5_filters"


def test_requirements_name_every_package():
    inner = {"id": "refmaker.hdf5_filters", "filters": [[32024, [1]]], "nbytes": 8}
    masked = {"id": "refmaker.hdf5_masked", "filters": [inner], "masks": {}}
    assert requirements([masked]) == ("h5py", "hdf5plugin", "refmaker")
    assert requirements([{"id": "zlib"}, {"id": "imagecodecs_lz4h5"}]) == (
        "imagecodecs-numcodecs",
        "numcodecs",
    )

"""B3D: the vendor's chunks, round trips, the arithmetic, the interface and what it refuses."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction

import numcodecs.registry
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refmaker.codecs.b3d import B3D
from refmaker.codecs.b3d_huffman import WordStream
from refmaker.codecs.b3d_image import (
    Camera,
    fused_multiply_add,
    restore_pixels,
    undo_prediction,
)
from refmaker.errors import CodecError, MetadataError, UnsupportedError
from tests.codecs import b3d_encoder as b3d
from tests.codecs import b3d_vectors as vectors

# Places of the mode, the tile size, the version and the type in the client data values.
MODE, TILE, VERSION, TYPE = 1, 5, 6, 10


def check(path):
    encoded, values, expected = vectors.vector(path)
    decoded = B3D(values).decode(encoded)
    got = np.frombuffer(decoded, expected.dtype).reshape(expected.shape)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("path", vectors.named(vectors.SHIPPED))
def test_shipped_chunk(path):
    check(path)


def test_shipped_chunks_are_there():
    assert len(vectors.SHIPPED) == 19


@pytest.mark.parametrize("path", vectors.further(vectors.FURTHER))
def test_further_chunk(path):
    check(path)


@pytest.mark.skipif(not vectors.SAMPLE.exists(), reason=vectors.WHY)
def test_sample_file():
    import h5py

    with h5py.File(vectors.SAMPLE) as file:
        for name, dataset in file["b3d"].items():
            codec = B3D(dataset.id.get_create_plist().get_filter(0)[2])
            got = np.zeros(dataset.shape, dataset.dtype)
            chunks = dataset.id.get_num_chunks()
            for index in range(chunks):
                offset = dataset.id.get_chunk_info(index).chunk_offset
                mask, raw = dataset.id.read_direct_chunk(offset)
                assert mask == 0
                chunk = np.frombuffer(codec.decode(raw), dataset.dtype).reshape(dataset.chunks)
                place = tuple(map(slice, offset, np.add(offset, dataset.chunks)))
                part = got[place]
                part[...] = chunk[tuple(map(slice, part.shape))]
            assert chunks > 1
            np.testing.assert_array_equal(got, file["expected"][name][...])


# --- round trips through the tests' own encoder


@st.composite
def images(draw):
    """2-D and 3-D images of the four types, with few or many distinct values."""
    dtype = np.dtype(draw(st.sampled_from(["uint8", "uint16", "int8", "int16"])))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=20))
    info = np.iinfo(dtype)
    low = draw(st.integers(info.min, info.max))
    spread = draw(st.sampled_from([0, 1, 5, 300, 1 << 16]))
    seed = draw(st.integers(0, 1 << 32))
    numbers = np.random.default_rng(seed).integers(low, low + spread, shape, endpoint=True)
    holes = np.random.default_rng(seed + 1).random(shape) < draw(st.sampled_from([0, 0.5, 0.99, 1]))
    return np.where(holes, 0, numbers).astype(dtype)


@given(images(), st.sampled_from([1, 2, 3, 7, 11, 17, 50]), st.integers(1, 25))
def test_lossless_round_trip(image, mode, tile):
    values = b3d.parameters(image, mode=mode, tile=tile)
    codec = B3D(values)
    assert codec.nbytes == image.nbytes
    assert codec.decode(b3d.encode(image, values)) == image.tobytes()


@pytest.mark.parametrize("shape", [(300, 257), (3, 129, 200), (1, 4097), (4097, 1)])
@pytest.mark.parametrize("tile", [1, 24, 64, 5000])
def test_lossless_round_trip_of_larger_images(shape, tile):
    image = np.random.default_rng(3).geometric(0.01, shape).astype(np.uint16)
    values = b3d.parameters(image, tile=tile)
    assert B3D(values).decode(b3d.encode(image, values)) == image.tobytes()


def test_long_runs_of_zeros_and_none_after_the_last_value():
    image = np.zeros((1, 5000), np.uint16)
    image[0, np.cumsum([0, 1, 254, 255, 256, 257, 511, 512, 513, 1025])] = 7
    values = b3d.parameters(image, mode=3)
    assert B3D(values).decode(b3d.encode(image, values)) == image.tobytes()


@pytest.mark.parametrize("lengths", [{}, {0: 15, 1: 17, 2: 17}], ids=["of 16 bits", "of 15 to 17"])
def test_codes_for_all_65536_symbols(lengths):
    # The number of symbols wraps in its 16 bits, and so does that of codes of 16 bits.
    symbols = np.random.default_rng(5).permutation(1 << 16).astype(np.uint16)
    chunk = b3d.container(
        symbols, np.zeros_like(symbols), dict.fromkeys(range(1 << 16), 16) | lengths
    )
    image = ((symbols >> 1) ^ -(symbols & 1)).reshape(256, 256)
    assert B3D(b3d.parameters(image, mode=3)).decode(chunk) == image.tobytes()


@pytest.mark.parametrize("longest", [1, 2, 11, 12, 13, 14, 20, 31])
def test_codes_of_any_length(longest):
    # One code of each length but the longest, of which there are two.
    lengths = {7 * length: length for length in range(1, longest + 1)} | {3: longest}
    symbols = np.random.default_rng(6).choice(list(lengths), 1000).astype(np.uint16)
    encoded = b3d.container(symbols, np.zeros_like(symbols), lengths)
    image = ((symbols >> 1) ^ -(symbols & 1)).reshape(4, 250)
    assert B3D(b3d.parameters(image, mode=3)).decode(encoded) == image.tobytes()


@pytest.mark.parametrize("count", [1, 127, 128, 129, 255, 256, 4096 * 128, 4096 * 128 + 1])
def test_blocks_that_are_not_full(count):
    symbols = (np.arange(count) % 5 + 1).astype(np.uint16)
    encoded = b3d.container(symbols, np.zeros_like(symbols))
    image = ((symbols >> 1) ^ -(symbols & 1)).reshape(1, -1)
    assert B3D(b3d.parameters(image, mode=3)).decode(encoded) == image.tobytes()


def test_tables_of_an_all_zero_chunk_are_ignored():
    image = np.zeros((8, 9), np.uint16)
    codec = B3D(b3d.parameters(image))
    empty = b3d.number(0)
    leftovers = [
        b3d.table([1, 2, 2], [5, 6, 7]),
        b3d.table([0], [40000]),
        b3d.table([0], [0]),
        b3d.table([], []),
    ]
    for values in leftovers:
        for zeros in leftovers:
            # In a table of runs, a width of 0 is that of the symbol 0.
            if zeros is leftovers[1]:
                continue
            chunk = b3d.number(0) + values + empty + zeros + empty
            assert codec.decode(chunk) == image.tobytes()
            # One word more could be the symbol of a table whose width is ambiguous.
            with pytest.raises(CodecError, match=" left"):
                codec.decode(chunk + 2 * empty)


def test_all_zero_chunk_of_a_lossy_mode_is_the_background():
    image = np.zeros((4, 5), np.uint16)
    chunk = b3d.encode_residuals(image.view(np.int16))
    values = b3d.parameters(image, mode=1, step=1000, background=130, noise=1600)
    assert np.frombuffer(B3D(values).decode(chunk), np.uint16).tolist() == [130] * 20


@pytest.mark.parametrize("tile", [1, 2, 7, 24, 100])
@pytest.mark.parametrize("shape", [(40, 51), (1, 30), (30, 1), (2, 3)])
def test_float_predictor_adds_up_what_the_encoder_knew(shape, tile):
    roots = np.random.default_rng(9).uniform(0, 900, shape).astype(np.float32)
    residuals, known = b3d.predict_and_quantise(roots, tile)
    got = undo_prediction(residuals.astype(np.float32), tile)
    np.testing.assert_array_equal(got, known)
    assert np.abs(got - roots).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("mode", [1, 2])
def test_lossy_round_trip_stays_within_the_step(mode):
    image = np.random.default_rng(4).poisson(400, (70, 90)).astype(np.uint16) + 100
    values = b3d.parameters(image, mode=mode, step=500, conversion=2184, background=100, noise=1600)
    decoded = B3D(values).decode(b3d.encode(image, values))
    error = np.frombuffer(decoded, np.uint16).reshape(image.shape).astype(int) - image
    noise = np.sqrt((image - 100.0) * 2.184 + (2.184 * 1.6) ** 2)
    assert np.abs(error).max() > 0
    assert (np.abs(error) <= 0.25 * noise + 1).all()


# --- arithmetic


def nearest_float32(exact):
    """Round a fraction to float32, half to even, by exact comparison."""
    near = np.float32(float(exact))
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    odd = [int(np.float32(value).view(np.uint32) & 1) for value in around]
    distance = [abs(Fraction(float(value)) - exact) for value in around]
    return around[min(range(3), key=lambda i: (distance[i], odd[i]))]


float32s = st.floats(min_value=2.0**-20, max_value=2.0**20, width=32)


@given(float32s, float32s, float32s)
def test_fused_multiply_add_rounds_once(factor, scale, addend):
    got = fused_multiply_add(np.array([factor], np.float32), np.float32(scale), np.float32(addend))
    assert got[0] == nearest_float32(Fraction(factor) * Fraction(scale) + Fraction(addend))


def test_fused_multiply_add_where_float64_is_not_enough():
    # The sum is just off the middle of two float32, by less than a float64 can tell.
    scale, addend = np.float32(1 + 2.0**-23), np.float32(2**30 + 128)
    factors = np.array([64, -64], np.float32) * np.float32(1 - 2.0**-23)
    got = fused_multiply_add(factors, scale, addend)
    assert got.tolist() == [2**30 + 128, 2**30 + 128]
    twice = (factors.astype(np.float64) * np.float64(scale) + np.float64(addend)).astype(np.float32)
    assert twice.tolist() == [2**30 + 256, 2**30]


def camera(mode, step=1.0, conversion=1.0, background=0.0, noise=0.0):
    return Camera(mode, *map(np.float32, (step, conversion, background, noise)))


def test_rounding_wrapping_and_saturation():
    values = np.array([0, 1, 256, 65535], np.uint16)
    assert restore_pixels(values, camera(17)).tolist() == [0, 1, 0, 0]  # 65535**2 in float32
    values = np.array([3.0, -3.0], np.float32)
    assert restore_pixels(values, camera(1)).tolist() == [2, 0]  # 2.25; below the noise
    assert restore_pixels(values, camera(7, background=0.5)).tolist() == [10, 10]
    assert restore_pixels(values, camera(7, step=1e6)).tolist() == [65535, 65535]
    assert restore_pixels(values, camera(7, step=1e25)).tolist() == [65535, 65535]


def test_bias_of_mode_3_stops_at_zero():
    values = np.array([0.0, 20.0], np.float32)
    assert restore_pixels(values, camera(1, step=3)).tolist() == [0, 900]
    assert restore_pixels(values, camera(3, step=3)).tolist() == [0, 899]  # 900 - 9 / 12
    assert restore_pixels(values, camera(3, step=3, background=1)).tolist() == [0, 900]


# --- the codec's interface


def sample(**changes):
    image = np.arange(60, dtype=np.uint16).reshape(6, 10)
    return image, b3d.parameters(image, **changes)


def test_configuration_round_trips():
    codec = B3D(tuple(np.uint32(value) for value in sample()[1]))
    config = json.loads(json.dumps(codec.get_config()))
    assert config == {"id": "refmaker.b3d", "cd_values": sample()[1]}
    del config["id"]
    assert B3D.from_config(config) == codec
    assert pickle.loads(pickle.dumps(codec)) == codec


def test_output_buffer():
    image, values = sample()
    chunk = b3d.encode(image, values)
    out = np.zeros_like(image)
    assert B3D(values).decode(memoryview(chunk), out) is out
    np.testing.assert_array_equal(out, image)
    blank = b3d.encode(np.zeros_like(image), values)
    B3D(values).decode(bytearray(blank), out)
    assert not out.any()
    with pytest.raises(CodecError, match="output is 118 bytes, expected 120"):
        B3D(values).decode(chunk, bytearray(118))


def test_zarr_reads_an_array():
    image, values = sample()
    numcodecs.registry.register_codec(B3D)
    metadata = {
        "zarr_format": 2,
        "shape": [6, 20],
        "chunks": [6, 10],
        "dtype": "<u2",
        "fill_value": None,
        "order": "C",
        "filters": None,
        "compressor": {"id": "refmaker.b3d", "cd_values": values},
    }
    import zarr

    prototype = zarr.core.buffer.default_buffer_prototype()
    documents = {".zarray": json.dumps(metadata).encode()}
    documents |= {f"0.{index}": b3d.encode(image + index, values) for index in range(2)}
    store = zarr.storage.MemoryStore(
        {key: prototype.buffer.from_bytes(value) for key, value in documents.items()}
    )
    array = zarr.open_array(store, mode="r", zarr_format=2)
    np.testing.assert_array_equal(array[...], np.hstack([image, image + 1]))


def test_encoding_is_refused():
    with pytest.raises(UnsupportedError) as caught:
        B3D(sample()[1]).encode(b"")
    assert caught.value.code == "codec-decode-only"


@pytest.mark.parametrize(
    ("index", "value", "step", "code"),
    [
        (VERSION, 0, 0, "b3d-version"),
        (VERSION, 2, 0, "b3d-version"),
        (TYPE, 2, 0, "b3d-type"),
        (TYPE, 3, 0, "b3d-type"),
        (TYPE, 6, 1000, "b3d-type"),
        *[(MODE, mode, 0, "b3d-mode") for mode in (0, 9, 27, 37, 100, 101)],
        *[(MODE, mode, 1000, "b3d-mode") for mode in (0, 4, 8, 9, 27, 37, 100, 101)],
    ],
)
def test_what_is_not_known_is_refused_by_name(index, value, step, code):
    values = sample(step=step)[1]
    values[index] = value
    with pytest.raises(UnsupportedError, match=f"B3D: .* {value}") as caught:
        B3D(values)
    assert caught.value.code == code


@pytest.mark.parametrize("count", [0, 10, 12])
def test_other_numbers_of_values_are_refused(count):
    with pytest.raises(UnsupportedError, match=f"{count} client data values"):
        B3D([1] * count)


@pytest.mark.parametrize(
    "changes",
    [
        {0: -1},
        {0: 1 << 32},
        {2: "1000"},
        {2: 1.0},
        {TILE: 0},
        {0: 1000, 2: 0},
        {7: 0},
        {9: 0},
        {7: 1 << 15, 8: 1 << 15},
        {7: (1 << 32) - 1, 8: (1 << 32) - 1, 9: (1 << 32) - 1},
    ],
)
def test_impossible_values_are_refused(changes):
    values = sample()[1]
    for index, value in changes.items():
        values[index] = value
    with pytest.raises(MetadataError):
        B3D(values)


@given(st.lists(st.tuples(st.integers(0, (1 << 16) - 1), st.integers(0, 16)), max_size=40))
def test_fields_read_what_was_written(pairs):
    fields = [(value & ((1 << width) - 1), width) for value, width in pairs]
    values = np.array([value for value, _ in fields], np.uint64)
    widths = np.array([width for _, width in fields], int)
    stream = WordStream(np.frombuffer(b3d.pack(b3d.join_bits(values, widths)), np.uint8))
    assert [stream.field(width) for width in widths.tolist()] == values.tolist()
    stream.align()
    assert stream.remaining == 0

"""Codecs of HDF4: known values, other implementations, and damaged chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import get_codec

from refmaker.codecs import CODECS, register
from refmaker.codecs.hdf4_nbit import HDF4Nbit
from refmaker.codecs.hdf4_rle import HDF4RLE
from refmaker.codecs.hdf4_skphuff import HDF4SkippingHuffman
from refmaker.codecs.hdf4_szip import HDF4Szip
from refmaker.errors import CodecError, MetadataError, RefmakerError

register()


def encoded_rle(runs, least_run, least_mix):
    """Return runs (length, byte) and mixed bytes as they are stored, and what they stand for."""
    packed, plain = bytearray(), bytearray()
    for one in runs:
        if isinstance(one, bytes):
            packed += bytes([len(one) - least_mix]) + one
            plain += one
        else:
            count, value = one
            packed += bytes([0x80 | (count - least_run), value])
            plain += bytes([value]) * count
    return bytes(packed), bytes(plain)


MIXED = st.binary(min_size=1, max_size=127)
RUNS = st.lists(st.one_of(MIXED, st.tuples(st.integers(3, 127), st.integers(0, 255))))


@given(RUNS)
def test_run_lengths(runs):
    for least_run, least_mix in ((3, 1), (0, 0)):
        packed, plain = encoded_rle(runs, least_run, least_mix)
        codec = HDF4RLE(len(plain), least_run, least_mix)
        assert codec.decode(packed).tobytes() == plain
        assert codec.decode(packed + b"behind it").tobytes() == plain


@pytest.mark.parametrize("packed", [b"", b"\x05abc", b"\x80", b"\xff", b"\x00"])
def test_run_lengths_that_end_too_early(packed):
    with pytest.raises(CodecError, match="do not hold 10"):
        HDF4RLE(10).decode(packed)


def splayed(plain, lanes):
    """Return bytes as codes of splay trees, after Jones; written for these tests."""
    trees = [{"up": {n: n // 2 for n in range(1, 512)}, "left": {n: 2 * n for n in range(256)},
              "right": {n: 2 * n + 1 for n in range(256)}} for _ in range(lanes)]  # fmt: skip
    bits = []
    for at, value in enumerate(plain):
        tree = trees[at % lanes]
        up, left, right = tree["up"], tree["left"], tree["right"]
        code, node = [], value + 256
        while node != 0:
            code.append(int(right[up[node]] == node))
            node = up[node]
        bits += reversed(code)
        node = value + 256
        while node != 0 and up[node] != 0:
            parent = up[node]
            top = up[parent]
            # A node and the one beside its parent change places.
            if left[top] == parent:
                other, right[top] = right[top], node
            else:
                other, left[top] = left[top], node
            if left[parent] == node:
                left[parent] = other
            else:
                right[parent] = other
            up[node], up[other] = top, parent
            node = top
    return np.packbits(np.array(bits, np.uint8)).tobytes()


@given(st.binary(max_size=300), st.sampled_from([1, 2, 4, 8]))
def test_skipping_huffman(plain, lanes):
    codec = HDF4SkippingHuffman(len(plain), lanes)
    assert codec.decode(splayed(plain, lanes)).tobytes() == plain


def test_skipping_huffman_that_ends_too_early():
    packed = splayed(bytes(range(200)), 2)
    with pytest.raises(CodecError, match="do not hold"):
        HDF4SkippingHuffman(200, 2).decode(packed[:50])
    with pytest.raises(CodecError, match="do not hold"):
        HDF4SkippingHuffman(2**31, 2).decode(packed)


@pytest.mark.parametrize(
    ("start", "bits", "sign", "ones", "expected"),
    [
        (6, 4, False, False, [0b00111000, 0b01111000, 0b01000000]),
        (6, 4, True, False, [0b00111000, 0b11111000, 0b11000000]),
        (6, 4, False, True, [0b10111111, 0b11111111, 0b11000111]),
        # Signs go above the bits that are stored, whatever those are filled with.
        (6, 4, True, True, [0b00111111, 0b11111111, 0b11000111]),
    ],
)
def test_n_bit(start, bits, sign, ones, expected):
    packed = np.packbits([0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]).tobytes()
    codec = HDF4Nbit("|u1", start, bits, 3, sign=sign, ones=ones)
    assert codec.decode(packed).tolist() == expected


def test_n_bit_in_either_order_of_bytes():
    packed = bytes([0x12, 0x30])
    for kind in (">i2", "<i2"):
        found = HDF4Nbit(kind, 11, 12, 1).decode(packed).view(kind)
        assert found.tolist() == [0x123]


def test_n_bit_that_ends_too_early():
    with pytest.raises(CodecError, match="at least 3 are needed"):
        HDF4Nbit(">i2", 11, 12, 2).decode(b"\0\0")


LIES = [b"", b"\1\0\0\0\4abc", b"\0\0\0\0\7abc", b"\0\xff\xff\xff\xffabc", b"\1\0\0\0\2abc"]


@pytest.mark.parametrize("packed", LIES)
def test_szip_with_a_mark_that_lies(packed):
    with pytest.raises(CodecError):
        HDF4Szip(4, 0x10000 | 141, 8, 32, 100).decode(packed)


CONFIGS = [
    {"id": "refmaker.hdf4_rle", "size": 5000},
    {"id": "refmaker.hdf4_skphuff", "size": 5000, "lanes": 2},
    {"id": "refmaker.hdf4_nbit", "dtype": ">i2", "start": 11, "bits": 12, "count": 2500},
    {"id": "refmaker.hdf4_szip", "size": 5000, "options_mask": 141, "pixels_per_block": 8,
     "bits_per_pixel": 16, "pixels_per_scanline": 64},
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["id"])
def test_noise_decodes_to_so_much_or_is_refused(config):
    codec = get_codec(dict(config))
    chance = np.random.default_rng(0)
    for length in (0, 1, 7, 100, 2000, 5000):
        try:
            found = codec.decode(chance.bytes(length))
        except RefmakerError:
            continue
        assert np.asarray(found).nbytes == 5000


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["id"])
def test_configurations_are_checked_and_survive(config):
    assert config["id"] in CODECS
    codec = get_codec(dict(config))
    again = get_codec(codec.get_config())
    assert again.get_config() == codec.get_config()
    for name, value in config.items():
        if isinstance(value, int):
            with pytest.raises(MetadataError):
                get_codec({**config, name: -1})
            with pytest.raises(MetadataError):
                get_codec({**config, name: 2**40})

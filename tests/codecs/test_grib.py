"""The codec ``refmaker.grib``: every packing equals ecCodes, to the last bit."""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numcodecs.registry
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.codecs import grib_eccodes
from refmaker.codecs.grib import GRIB
from refmaker.codecs.grib_scanning import arrange
from refmaker.errors import MissingDependencyError, UnsupportedError
from tests.codecs import grib_messages as grib

WIDTHS = (0, 1, 4, 7, 8, 9, 10, 11, 12, 13, 16, 17, 20, 24, 25, 31, 32, 40, 57)
RANDOM = np.random.default_rng(20)
FIELD = 280 + 5 * RANDOM.normal(size=(37, 53)).cumsum(1)
GAPS = np.where(RANDOM.random(FIELD.shape) < 0.3, np.nan, FIELD)


def check(data, shape=FIELD.shape):
    expected = grib.native(data)
    decoded = GRIB("<f8", shape).decode(data)
    assert decoded.dtype == np.float64
    assert decoded.shape == tuple(shape)
    assert decoded.tobytes() == expected.tobytes() or _same(decoded, expected)
    single = GRIB("<f4", shape).decode(data)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single.ravel(), expected.astype("f4"))
    return decoded


def _same(decoded, expected):
    # NaN have many bit patterns; everything else has to agree in all bits.
    gone = np.isnan(expected)
    return (np.isnan(decoded.ravel()) == gone).all() and (
        decoded.ravel()[~gone].tobytes() == expected[~gone].tobytes()
    )


@pytest.mark.parametrize("field", [FIELD, GAPS], ids=["full", "bitmap"])
@pytest.mark.parametrize("decimal", [None, 2, -3])
@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("bits", WIDTHS)
def test_simple_packing(field, decimal, edition, bits):
    data = grib.message(field, "grid_simple", bits, edition=edition, decimal=decimal)
    assert grib.native(data, "packingType") == ("grid_simple",)
    decoded = check(data)
    assert (np.isnan(decoded) == np.isnan(field)).all()


PACKINGS = [
    *(("grid_complex", bits) for bits in (1, 7, 12, 16, 24)),
    *(("grid_complex_spatial_differencing", bits) for bits in (1, 7, 12, 16, 24)),
    ("grid_ieee", 32),
    ("grid_ieee", 64),
    *(("grid_jpeg", bits) for bits in (1, 8, 12, 16, 24)),
    *(("grid_png", bits) for bits in (1, 2, 4, 8, 16, 24, 32)),
    *(("grid_ccsds", bits) for bits in (1, 7, 8, 9, 12, 16, 17, 24, 25, 31, 32)),
    ("grid_simple_log_preprocessing", 16),
]


@pytest.mark.parametrize("field", [FIELD, GAPS], ids=["full", "bitmap"])
@pytest.mark.parametrize("decimal", [None, 2])
@pytest.mark.parametrize(("packing", "bits"), PACKINGS)
def test_packings_of_edition_2(field, decimal, packing, bits):
    if packing == "grid_simple_log_preprocessing":
        field = FIELD  # writing a bitmap with it ends ecCodes
    keys = {}
    if packing == "grid_ieee":
        keys, size = {"packingType": packing, "precision": bits // 32}, None
    else:
        size = bits
    data = grib.message(field, packing, size, decimal=decimal, keys=keys)
    assert grib.native(data, "packingType") == (packing,)
    check(data)


def test_second_order_packing_of_edition_1():
    data = grib.message(FIELD, "grid_second_order", 12, edition=1)
    assert grib.native(data, "packingType")[0].startswith("grid_second_order")
    check(data)


@pytest.mark.parametrize("packing", ["grid_complex", "grid_complex_spatial_differencing"])
@pytest.mark.parametrize("field", [FIELD, GAPS], ids=["full", "bitmap"])
@pytest.mark.parametrize("bits", [1, 12, 24])
def test_complex_packing_without_eccodes(monkeypatch, packing, field, bits):
    data = grib.message(field, packing, bits, decimal=1)
    monkeypatch.setattr(grib_eccodes, "available", lambda: False)
    check(data)


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("decimal", [0, 3, -2])
def test_constant_fields(edition, decimal):
    data = bytearray(grib.message(np.full((4, 5), 271.25), edition=edition))
    # The reference value alone counts, whatever the decimal scale factor says.
    at = 34 if edition == 1 else data.index(grib.sections(data)[3]) + 17
    data[at : at + 2] = grib.signed(decimal, 2)
    assert grib.native(data, "decimalScaleFactor", "bitsPerValue") == (decimal, 0)
    assert (check(bytes(data), (4, 5)) == 271.25).all()


@pytest.mark.parametrize("edition", [1, 2])
def test_no_value_at_all(edition):
    gone = np.full((4, 5), np.nan)
    gone[0, 0] = 1
    data = grib.message(gone, edition=edition)
    np.testing.assert_array_equal(check(data, (4, 5)), gone)


def test_9999_is_a_value():
    field = np.full((3, 4), 9999.0)
    field[0] = 1.0
    for packing in ("grid_simple", "grid_ccsds", "grid_ieee"):
        decoded = GRIB("<f8", (3, 4)).decode(grib.message(field, packing, 16))
        assert not np.isnan(decoded).any()
        assert decoded[1, 0] == pytest.approx(9999, abs=1)


@st.composite
def complex_fields(draw):
    """Integers, which are missing, order of differences, management, lengths of groups."""
    count = draw(st.integers(3, 120))
    low = draw(st.integers(-2000, 2000))
    spread = draw(st.sampled_from([0, 1, 7, 1000, 10**6]))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    integers = seed.integers(max(0, low), max(0, low) + spread, count, endpoint=True)
    management = draw(st.integers(0, 2))
    share = draw(st.sampled_from([0, 0.2, 0.9]))
    missing = (
        (seed.random(count) < share)
        * seed.integers(1, management, count, endpoint=True)
        * (management > 0)
        if management
        else np.zeros(count, int)
    )
    order = draw(st.integers(0, 2))
    missing[:order] = 0
    lengths = []
    while sum(lengths) < count:
        lengths.append(min(draw(st.integers(1, 40)), count - sum(lengths)))
    return integers, missing, order, management, lengths


@given(complex_fields())
def test_groups_written_by_hand(case):
    integers, missing, order, management, lengths = case
    packing, data = grib.complex_sections(
        integers, missing, order=order, management=management, lengths=lengths
    )
    chunk = grib.template_message(integers.size, packing, data)
    # R + X 2^E with R = 1.5, E = -2, then D = 1.
    expected = np.where(missing > 0, np.nan, (integers * 0.25 + 1.5) * (1.0 / 10))
    np.testing.assert_array_equal(GRIB("<f8", [integers.size]).decode(chunk), expected)
    np.testing.assert_array_equal(grib.native(chunk), expected)


@st.composite
def any_groups(draw):
    """Groups of any references, widths and codes, of which each can mark missing values."""
    bits = draw(st.sampled_from([0, 0, 1, 2, 5, 11]))
    increment = draw(st.sampled_from([1, 1, 2, 3]))
    short = draw(st.integers(0, 4))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    groups = []
    for _ in range(draw(st.integers(1, 12))):
        width = draw(st.sampled_from([0, 0, 1, 2, 7]))
        codes = seed.integers(0, 2**width, short + increment * draw(st.integers(0, 6)))
        # All ones and one less are what marks.
        codes = np.where(seed.random(codes.size) < 0.3, max(0, 2**width - 2), codes)
        ones = 2**bits - 1
        reference = draw(st.sampled_from([0, ones, max(0, ones - 1), ones // 2]))
        groups.append((reference, width, codes))
    groups.append((0, 3, np.arange(6)))
    return groups, bits, (short, increment)


@given(any_groups(), st.integers(0, 2))
def test_any_groups_without_differences(case, management):
    groups, bits, spare = case
    packing, data = grib.group_sections(
        groups, reference_bits=bits, management=management, spare=spare
    )
    count = sum(len(codes) for *_, codes in groups)
    check(grib.template_message(count, packing, data), (count,))


@given(any_groups(), st.integers(1, 2), st.integers(0, 2), st.integers(-3000, 3000))
def test_any_groups_with_differences(case, order, management, least):
    groups, bits, spare = case
    first = [least // 3, least // 2][:order]
    groups = [(0, 3, np.arange(spare[0] + 3 * spare[1]) % 3), *groups]
    packing, data = grib.group_sections(
        groups, reference_bits=bits, order=order, management=management, spare=spare,
        first=[*first, least],
    )  # fmt: skip
    count = sum(len(codes) for *_, codes in groups)
    check(grib.template_message(count, packing, data), (count,))


@pytest.mark.parametrize("management", [1, 2])
@pytest.mark.parametrize("width", [1, 4])
def test_references_of_no_bits(management, width):
    # As NDFD writes fire outlooks: a group of width 0 is missing, others hold small integers.
    codes = np.arange(40) % max(1, 2**width - management)
    packing, data = grib.group_sections(
        [(0, 0, np.zeros(50, int)), (0, width, codes), (0, 0, np.zeros(9, int))],
        reference_bits=0, management=management,
    )  # fmt: skip
    decoded = check(grib.template_message(99, packing, data), (99,))
    assert np.isnan(decoded).sum() == 59 + 40 * (management >= 2**width)


@given(st.integers(1, 64), st.integers(1, 70), st.integers(-40, 40), st.integers(-6, 6), st.data())
def test_simple_packing_written_by_hand(width, count, binary, decimal, data):
    integers = data.draw(st.lists(st.integers(0, (1 << width) - 1), min_size=count, max_size=count))
    body = np.array([count], ">u4").tobytes() + b"\0\0" + np.array([-3.5], ">f4").tobytes()
    body += grib.signed(binary, 2) + grib.signed(decimal, 2) + bytes([width, 0])
    chunk = grib.template_message(
        count, grib.section(5, body), grib.section(7, grib.packed(integers, width))
    )
    factor = 1.0
    for _ in range(abs(decimal)):
        factor = factor / 10 if decimal > 0 else factor * 10
    expected = [(float(value) * 2.0**binary - 3.5) * factor for value in integers]
    assert GRIB("<f8", [count]).decode(chunk).tolist() == expected
    # With more bits ecCodes itself loses the first ones, now and then.
    if width <= 57:
        check(chunk, (count,))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_of_any_depth(depth):
    integers = RANDOM.integers(0, 1 << depth, (9, 13))
    rows = b"".join(b"\0" + grib.packed(row, depth) for row in integers)
    image = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", 13, 9, depth, 0, 0, 0, 0)
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(name + body))
        image += struct.pack(">I", len(body)) + name + body + checksum
    packing = struct.pack(">IHfHHBB", 117, 41, 10.0, 0, 0, depth, 0)
    data = grib.template_message(117, grib.section(5, packing), grib.section(7, image))
    found = GRIB("<f8", (9, 13)).decode(data)
    np.testing.assert_array_equal(found, integers + 10.0)


def test_arrangement_by_scanning_mode():
    rows = np.arange(12.0).reshape(3, 4)
    turned = rows.copy()
    turned[1] = turned[1, ::-1]
    upright = rows.T.copy()
    upright[1::2] = upright[1::2, ::-1]
    for values, scanning in [
        (rows, 0),
        (rows, 0xC0),
        (turned, 0x10),
        (rows.T, 0x20),
        (upright, 0x30),
    ]:
        np.testing.assert_array_equal(arrange(values.ravel(), (1, 3, 4), scanning)[0], rows)
        data = grib.message(values.reshape(3, 4), "grid_ieee")
        np.testing.assert_array_equal(GRIB("<f8", [3, 4], scanning).decode(data), rows)


def test_configuration():
    codec = numcodecs.registry.get_codec(
        {"id": "refmaker.grib", "dtype": "<f4", "shape": [37, 53], "scanning": 16}
    )
    assert json.loads(json.dumps(codec.get_config())) == codec.get_config()
    assert pickle.loads(pickle.dumps(codec)).get_config() == codec.get_config()
    with pytest.raises(UnsupportedError):
        codec.encode(b"")


def test_into_a_buffer_and_from_any_buffer():
    data = grib.message(FIELD, bits=16)
    out = np.empty(FIELD.shape)
    assert GRIB("<f8", FIELD.shape).decode(memoryview(data), out) is out
    np.testing.assert_array_equal(out.ravel(), grib.native(data))


def test_threads():
    messages = [grib.message(FIELD, name, 12) for name, _ in PACKINGS[::6]] * 8
    codec = GRIB("<f8", FIELD.shape)
    expected = [codec.decode(data) for data in messages]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            for found, wanted in zip(pool.map(codec.decode, messages), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_a_lock_where_eccodes_has_no_threads(monkeypatch):
    import eccodes

    monkeypatch.setattr(eccodes, "codes_get_features", lambda *_: "AEC PNG")
    grib_eccodes.guard.cache_clear()
    try:
        assert grib_eccodes.guard() is grib_eccodes._LOCK
        check(grib.message(FIELD, "grid_second_order", 12, edition=1))
    finally:
        grib_eccodes.guard.cache_clear()


def run_length(levels):
    """Write template 5.200: here each value is a level of its own, and level 0 is missing."""
    packing = struct.pack(">IHBHHB3H", len(levels), 200, 8, 3, 3, 1, 5, 0, 25)
    return grib.template_message(
        len(levels), grib.section(5, packing), grib.section(7, bytes(levels))
    )


def test_run_length_packing():
    found = check(run_length([1, 2, 3, 0, 3]), (5,))
    np.testing.assert_array_equal(found, [0.5, 0, 2.5, np.nan, 2.5])


def test_without_eccodes_the_template_is_named(monkeypatch):
    data = run_length([1, 2, 3])
    monkeypatch.setattr(grib_eccodes, "available", lambda: False)
    with pytest.raises(MissingDependencyError, match=r"template 5\.200.*refmaker\[grib\]"):
        GRIB("<f8", [3]).decode(data)


def test_a_template_that_nothing_knows():
    data = bytearray(grib.message(FIELD, bits=16))
    at = data.index(grib.sections(data)[3]) + 9
    data[at : at + 2] = b"\x7f\x01"
    with pytest.raises((UnsupportedError, ValueError), match=r"template 5\.32513"):
        GRIB("<f8", FIELD.shape).decode(bytes(data))

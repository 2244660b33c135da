"""Every class of datatype, equal to h5py or refused by its code."""

from __future__ import annotations

import ctypes

import h5py
import numpy as np
import pytest

from refmaker.model.report import Outcome

RNG = np.random.default_rng(9)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def noise(dtype, shape=(40, 30)):
    dtype = np.dtype(dtype)
    raw = RNG.integers(0, 256, int(np.prod(shape)) * dtype.itemsize, np.uint8)
    return raw.view(dtype).reshape(shape)


NUMBERS = [
    f"{order}{kind}" for order in "<>" for kind in
    ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
]  # fmt: skip


@pytest.mark.parametrize("layout", ["contiguous", "chunked", "filtered", "small"])
def test_numbers_of_both_orders(check, path, layout):
    options = {
        "contiguous": {}, "chunked": {"chunks": (7, 9)}, "small": {},
        "filtered": {"chunks": (7, 9), "compression": "gzip", "shuffle": True, "fletcher32": True},
    }[layout]  # fmt: skip
    shape = (3, 2) if layout == "small" else (40, 30)
    with h5py.File(path, "w") as f:
        for name in NUMBERS:
            f.create_dataset(name, data=noise(name, shape), **options)
    found = check(path)
    arrays = dict(found.group.arrays())
    for name in NUMBERS:
        assert arrays[name].dtype == np.dtype(name)


def low(file, name, kind, data, memory=None, chunks=None, setup=None):
    """Create a dataset of any HDF5 type."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunks:
        plist.set_chunk(chunks)
    if setup:
        setup(plist)
    space = h5py.h5s.create_simple(data.shape)
    made = h5py.h5d.create(file.id, name.encode(), kind, space, plist)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data, memory)
    return made


def nbit(library, plist):
    assert library.H5Pset_nbit(ctypes.c_int64(plist.id)) >= 0


def integer(base, precision, offset, *, order=None, size=None):
    kind = base.copy()
    if size:
        kind.set_size(size)
    kind.set_precision(precision)
    kind.set_offset(offset)
    if order is not None:
        kind.set_order(order)
    return kind


@pytest.mark.parametrize("order", [h5py.h5t.ORDER_LE, h5py.h5t.ORDER_BE])
@pytest.mark.parametrize(("precision", "offset"), [(12, 0), (12, 4), (9, 7), (9, 3), (16, 0)])
@pytest.mark.parametrize("layout", ["small", "contiguous", "filtered", "nbit", "chunked"])
def test_odd_precision(check, hdf5, path, order, precision, offset, layout):
    shape = (4,) if layout == "small" else (50, 20)
    chunks = None if layout in ("small", "contiguous") else (16, 8)
    setup = {"filtered": lambda p: p.set_deflate(4), "nbit": lambda p: nbit(hdf5, p)}.get(layout)
    with h5py.File(path, "w") as f:
        for name, base, limit in (
            ("signed", h5py.h5t.STD_I16LE, 2 ** (precision - 1)),
            ("unsigned", h5py.h5t.STD_U16LE, 2**precision),
        ):
            kind = integer(base, precision, offset, order=order)
            start = -limit if name == "signed" else 0
            data = RNG.integers(start, limit, shape).astype("i4")
            low(f, name, kind, data, chunks=chunks, setup=setup)
    check(path)


@pytest.mark.parametrize("size", [3, 5, 6, 7])
def test_odd_sizes(check, path, size):
    with h5py.File(path, "w") as f:
        kind = integer(h5py.h5t.STD_I64LE, 8 * size, 0)
        kind.set_size(size)
        data = RNG.integers(-(2 ** (8 * size - 1)), 2 ** (8 * size - 1), (50, 20))
        low(f, "contiguous", kind, data)
        low(f, "chunked", kind, data, chunks=(16, 8), setup=lambda p: p.set_deflate(1))
        low(f, "small", kind, data[:2])
    check(path)


def test_huge_integers_are_refused(check, path):
    with h5py.File(path, "w") as f:
        kind = h5py.h5t.STD_I64LE.copy()
        kind.set_size(16)
        h5py.h5d.create(f.id, b"wide", kind, h5py.h5s.create_simple((3,)))
    check(path, {"/wide": "dtype-integer"})


def test_long_double_is_refused(check, path):
    with h5py.File(path, "w") as f:
        f["ld"] = np.arange(300, dtype=np.longdouble)
        f["fine"] = np.arange(300)
    check(path, {"/ld": "dtype-float"})


def bfloat16():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


def test_odd_floats(check, hdf5, path):
    data = np.round(RNG.normal(size=(60, 20)), 1).astype("f8")
    with h5py.File(path, "w") as f:
        for name, options in {"plain": {}, "chunked": {"chunks": (16, 8)}}.items():
            low(f, name, bfloat16(), data, **options)
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(26, 20, 6, 7, 13)
        kind.set_offset(7)
        kind.set_precision(20)
        kind.set_ebias(31)
        low(f, "nbit", kind, data, chunks=(16, 8), setup=lambda p: nbit(hdf5, p))
    check(path)


def test_bool_and_enumerations(check, path):
    kind = h5py.enum_dtype({"RED": 0, "GREEN": 1, "dark blue": 42}, basetype=">i2")
    same = h5py.enum_dtype({"FALSE": 0, "TRUE": 1, "MAYBE": 2}, basetype="i1")
    with h5py.File(path, "w") as f:
        f["bool"] = RNG.random((40, 30)) > 0.5
        f["scalar"] = True
        f.create_dataset("enum", data=RNG.choice([0, 1, 42], (40, 30)), dtype=kind)
        f.create_dataset("three", data=RNG.choice([0, 1, 2], (40, 30)), dtype=same, chunks=(8, 8))
    found = check(path)
    arrays = dict(found.group.arrays())
    assert arrays["bool"].dtype == bool
    names = arrays["enum"].attributes["flag_meanings"].split()
    codes = arrays["enum"].attributes["flag_values"]
    assert dict(zip(names, codes, strict=True)) == {"RED": 0, "GREEN": 1, "dark_blue": 42}
    assert arrays["three"].dtype == np.int8


def test_bit_fields(check, path):
    with h5py.File(path, "w") as f:
        for size, kind in {
            1: h5py.h5t.STD_B8LE, 2: h5py.h5t.STD_B16BE, 4: h5py.h5t.STD_B32LE,
            8: h5py.h5t.STD_B64BE,
        }.items():  # fmt: skip
            order = ">" if size in (2, 8) else "<"
            data = noise(f"{order}u{size}")
            low(f, f"b{size}", kind, data, memory=kind, chunks=(8, 8))
    check(path)


def test_partial_bit_fields(check, hdf5, path):
    with h5py.File(path, "w") as f:
        kind = h5py.h5t.STD_B16LE.copy()
        assert hdf5.H5Tset_precision(ctypes.c_int64(kind.id), ctypes.c_size_t(9)) >= 0
        assert hdf5.H5Tset_offset(ctypes.c_int64(kind.id), ctypes.c_size_t(3)) >= 0
        low(f, "part", kind, noise("u2"), memory=kind)
    check(path)


def test_opaque(check, path):
    with h5py.File(path, "w") as f:
        f["v"] = noise("V5", (30,))
        f.create_dataset("tagged", data=noise("V3", (500,)), chunks=(100,), compression="gzip")
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, 7)
        kind.set_tag(b"something")
        low(f, "other", kind, noise("V7", (300,)), memory=kind)
    check(path)


@pytest.mark.parametrize("unit", ["s", "ns", "D", "us"])
def test_dates(check, path, unit):
    times = np.arange(1000, dtype="i8").view(f"M8[{unit}]")
    with h5py.File(path, "w") as f:
        f["time"] = times.astype(h5py.opaque_dtype(times.dtype))
        span = times - times[:1]
        f["span"] = span.astype(h5py.opaque_dtype(span.dtype))
    found = check(path)
    np.testing.assert_array_equal(found["time"], times)


COMPOUNDS = {
    "packed": [("a", "<i2"), ("b", ">f8"), ("c", "S3")],
    "nested": [("p", [("x", "<f4"), ("y", [("z", "u1"), ("w", ">i8")])]), ("q", "<i4")],
    "array": [("a", "<i4", (3,)), ("b", "<f8", (2, 2)), ("c", "i1")],
    "complex": [("z", "<c8"), ("n", "<i4")],
    "enum": [("ok", "?"), ("n", "<i4")],
}


@pytest.mark.parametrize("name", COMPOUNDS)
@pytest.mark.parametrize("layout", ["contiguous", "chunked", "small"])
def test_compounds(check, path, name, layout):
    dtype = np.dtype(COMPOUNDS[name])
    data = noise(dtype, (3,) if layout == "small" else (200,))
    if name == "enum":
        data["ok"] = data["n"] > 0
    options = {"chunks": (64,), "compression": "gzip", "shuffle": True}
    with h5py.File(path, "w") as f:
        f.create_dataset("d", data=data, **(options if layout == "chunked" else {}))
    check(path)


def test_padded_compounds(check, path):
    dtype = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "<i2")], align=True)
    spread = np.dtype({"names": ["b", "a"], "formats": ["<f4", "u1"], "offsets": [9, 3],
                       "itemsize": 20})  # fmt: skip
    with h5py.File(path, "w") as f:
        f.create_dataset("aligned", data=noise(dtype, (200,)))
        f.create_dataset("spread", data=noise(spread, (200,)), chunks=(64,), compression="gzip")
        f.create_dataset("scalar", data=noise(dtype, (1,))[0])
        f.create_dataset("small", data=noise(spread, (2,)))
    check(path)


def test_compounds_that_cannot_be(check, path):
    with h5py.File(path, "w") as f:
        f.create_dataset("long", (3,), [("l", np.longdouble), ("n", "i4")])
        f.create_dataset("clash", (3,), [("a.b", "i4"), ("a", [("b", "i4")])])
    check(path, {"/long": "dtype-float", "/clash": "dtype-compound"})


def test_compound_never_written(check, path):
    dtype = np.dtype([("a", "<i2"), ("b", "<f8")])
    with h5py.File(path, "w") as f:
        f.create_dataset("zero", (300,), dtype, chunks=(64,))
        d = f.create_dataset("part", (300,), dtype, chunks=(64,))
        d[:100] = noise(dtype, (100,))
        fill = np.array((7, 2.5), dtype)
        d = f.create_dataset("filled", (300,), dtype, chunks=(64,), fillvalue=fill)
        d[:100] = noise(dtype, (100,))
        d = f.create_dataset("whole", (300,), dtype, chunks=(100,), fillvalue=fill)
        d[...] = noise(dtype, (300,))
        f.create_dataset("none", (300,), dtype, fillvalue=fill)
    check(path)


def test_array_types(check, path):
    with h5py.File(path, "w") as f:
        for name, inner, options in (
            ("plain", ("<i4", (3,)), {}),
            ("deep", (">f8", (2, 5)), {"chunks": (16,)}),
            (
                "filtered",
                ("<f4", (4, 3)),
                {"chunks": (16,), "compression": "gzip", "shuffle": True},
            ),
            ("small", ("u1", (2,)), {}),
        ):
            shape = (3,) if name == "small" else (100,)
            dtype = np.dtype(inner)
            d = f.create_dataset(name, shape, dtype, **options)
            d.id.write(h5py.h5s.ALL, h5py.h5s.ALL, noise(inner[0], (*shape, *inner[1])),
                       h5py.h5t.py_create(dtype))  # fmt: skip
        f.create_dataset("never", (100,), np.dtype(("<i4", (3,))), chunks=(10,))
    found = check(path)
    assert dict(found.group.arrays())["deep"].shape == (100, 2, 5)


def test_references(check, path):
    with h5py.File(path, "w") as f:
        f["g/a"] = np.arange(5)
        f["b"] = np.arange(5)
        refs = f.create_dataset("refs", (2, 3), h5py.ref_dtype)
        refs[0, 0], refs[0, 1], refs[1, 2] = f["g/a"].ref, f["g"].ref, f["b"].ref
        f["one"] = f["/"].ref
        chunked = f.create_dataset("chunked", (9,), h5py.ref_dtype, chunks=(4,))
        chunked[5] = f["b"].ref
    found = check(path)
    assert found["refs"].tolist() == [["/g/a", "/g", ""], ["", "", "/b"]]
    assert found.outcomes["/refs"] == Outcome.INLINED


def test_region_references_are_refused(check, path):
    with h5py.File(path, "w") as f:
        f["a"] = np.arange(5)
        f.create_dataset("regions", (2,), h5py.regionref_dtype)[0] = f["a"].regionref[1:3]
    check(path, {"/regions": "dtype-reference"})


def test_sequences_become_columns(check, path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("ragged", (3,), h5py.vlen_dtype("i4"))
        d[0] = [1, 2, 3]
        f.create_dataset("arrays", (3,), np.dtype((h5py.string_dtype(), (2,))))
        f["fine"] = 3
    check(path)


def test_time_class_is_refused(check, path):
    with h5py.File(path, "w") as f:
        h5py.h5d.create(f.id, b"t", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((3,)))
    check(path, {"/t": "dtype-time"})


def test_special_floats_keep_their_bits(check, path):
    bits = np.array([0x7FC00001, 0xFFC00000, 0x7F800001, 0x80000000, 1, 0x7F800000], "<u4")
    with h5py.File(path, "w") as f:
        f["small"] = bits.view("<f4")
        f["large"] = np.tile(bits, 500).view("<f4")
        f.create_dataset("big", data=np.tile(bits, 500).view("<f4").astype(">f4"), chunks=(64,))
    check(path)

"""Where the elements of a dataset lie: every layout, chunk index and link to nothing."""

from __future__ import annotations

import ctypes

import h5py
import numpy as np
import pytest

from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions

LIBVERS = ["earliest", "v108", "v110", "v112", "v114", "latest"]
RNG = np.random.default_rng(5)


def values(*shape, dtype="f4"):
    return (RNG.random(shape) * 1000).astype(dtype)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def compact(file, name, data):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape) if data.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(data.dtype, logical=True)
    made = h5py.h5d.create(file.id, name.encode(), kind, space, plist)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


@pytest.mark.parametrize("libver", LIBVERS)
def test_layouts_of_every_version(check, path, libver):
    with h5py.File(path, "w", libver=(libver, "latest" if libver == "earliest" else libver)) as f:
        f["contiguous"] = values(40, 30)
        f["scalar"] = np.float64(2.5)
        f["empty"] = np.zeros((0, 4))
        compact(f, "compact", values(30, 3))
        f.create_dataset("single", data=values(40, 30), chunks=(40, 30))
        f.create_dataset("single_gzip", data=values(40, 30), chunks=(40, 30), compression="gzip")
        f.create_dataset("fixed", data=values(40, 30), chunks=(7, 9))
        f.create_dataset("fixed_gzip", data=values(40, 30), chunks=(7, 9), compression="gzip")
        f.create_dataset("extensible", data=values(90, 30), chunks=(7, 9), maxshape=(None, 30))
        f.create_dataset("tree", data=values(40, 30), chunks=(7, 9), maxshape=(None, None))
        f.create_dataset("all", data=values(40, 30), chunks=(8, 9), shuffle=True, fletcher32=True,
                         compression="gzip", maxshape=(None, None))  # fmt: skip
    found = check(path)
    kept = {Outcome.REFERENCED, Outcome.INLINED}
    assert all(outcome in kept for at, outcome in found.outcomes.items() if at != "/")


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("block", [512, 2048, 2**20])
def test_user_block(check, path, libver, block):
    with h5py.File(path, "w", userblock_size=block, libver=libver) as f:
        f["contiguous"] = values(40, 30)
        f.create_dataset("fixed", data=values(40, 30), chunks=(4, 3))
        f.create_dataset("tree", data=values(40, 30), chunks=(7, 9), maxshape=(None, None))
        f["text"] = ["a", "bc"]
        f.create_group("group")["alias"] = f["fixed"]
    with path.open("r+b") as raw:
        raw.write(b"#!/bin/sh\n" + bytes(block - 10))
    # Behind a larger block nobody looks for the signature, unless told what the file is.
    check(path, scanner=None if block <= 2048 else "hdf5")


def test_compact_is_inlined(check, path):
    with h5py.File(path, "w") as f:
        compact(f, "small", values(4))
        compact(f, "large", values(60, 250))
        compact(f, "scalar", np.array(3, "i2"))
        compact(f, "none", values(0))
    found = check(path)
    assert {found.outcomes[f"/{n}"] for n in ("small", "large", "scalar")} == {Outcome.INLINED}


def test_early_allocation_without_filters_is_implicit(check, path):
    with h5py.File(path, "w", libver="latest") as f:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((7, 9))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_value(np.array(-7, "f4"))
        space = h5py.h5s.create_simple((40, 30))
        made = h5py.h5d.create(f.id, b"implicit", h5py.h5t.IEEE_F32LE, space, plist)
        h5py.Dataset(made)[3:20, 4:9] = 1
    check(path)


def test_never_written(check, path):
    with h5py.File(path, "w", libver="latest") as f:
        f.create_dataset("contiguous", (30, 40), "f8")
        f.create_dataset("filled", (30, 40), "f8", fillvalue=-1.5)
        f.create_dataset("chunked", (30, 40), "i4", chunks=(4, 4))
        f.create_dataset("extensible", (30, 40), "i4", chunks=(4, 4), maxshape=(None, 40))
        f.create_dataset("tree", (30, 40), "i4", chunks=(4, 4), maxshape=(None, None))
        f.create_dataset("tiny", (3,), "i4", fillvalue=7)
        f.create_dataset("gzip", (30, 40), ">i4", chunks=(4, 4), compression="gzip", fillvalue=300)
    found = check(path)
    assert found.outcomes["/contiguous"] == Outcome.REFERENCED
    assert dict(found.group.arrays())["chunked"].chunks.absent == 80


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_sparse(check, path, libver):
    with h5py.File(path, "w", libver=libver) as f:
        for name, maxshape in {"f": None, "e": (None, 90), "t": (None, None)}.items():
            for fill in (None, 3):
                d = f.create_dataset(f"{name}{fill}", (80, 90), "i2", chunks=(8, 9),
                                     maxshape=maxshape, fillvalue=fill)  # fmt: skip
                d[20:22, 80:] = 5
                d[79, 0] = 6
    check(path)


def test_chunks_larger_than_the_array(check, path):
    with h5py.File(path, "w") as f:
        f.create_dataset("one", data=values(5), chunks=(512,), maxshape=(None,))
        f.create_dataset("gzip", data=values(300, 2), chunks=(512, 8), maxshape=(None, None),
                         compression="gzip", shuffle=True)  # fmt: skip
        f.create_dataset("none", (0, 3), "f4", chunks=(512, 8), maxshape=(None, None))
    found = check(path)
    assert dict(found.group.arrays())["gzip"].chunk_shape == (512, 8)


def test_shrunk_and_grown_again(check, path):
    with h5py.File(path, "w", libver="latest") as f:
        for name, maxshape in {"e": (None, 30), "t": (None, None)}.items():
            d = f.create_dataset(name, data=values(60, 30), chunks=(7, 9), maxshape=maxshape)
            d.resize((20, 30))
            d.resize((31, 30))
        d = f.create_dataset("less", data=values(60, 30), chunks=(7, 9), maxshape=(90, 30))
        d.resize((11, 30))
    check(path)


def test_zero_length_dimensions(check, path):
    with h5py.File(path, "w") as f:
        f["a"] = np.zeros(0, "i4")
        f["b"] = np.zeros((3, 0, 2), "f4")
        f.create_dataset("c", (0, 5), "u1", chunks=(4, 5), maxshape=(None, 5), compression="gzip")
        f.create_dataset("text", (0,), h5py.string_dtype())
    check(path)


def test_null_dataspace_is_attributes_alone(check, path):
    with h5py.File(path, "w") as f:
        f["nothing"] = h5py.Empty("f4")
        f["nothing"].attrs["units"] = "K"
        f["something"] = 1
    found = check(path)
    assert found.outcomes["/nothing"] == Outcome.METADATA
    assert found.stock["nothing"].attrs["units"] == "K"


@pytest.mark.parametrize("rank", [1, 2, 5, 32])
def test_ranks(check, path, rank):
    shape = (2,) * min(rank, 10) + (1,) * (rank - 10)
    with h5py.File(path, "w") as f:
        f["contiguous"] = values(*shape)
        f.create_dataset("chunked", data=values(*shape), chunks=tuple(min(2, n) for n in shape))
    check(path)


def test_filter_masks(check, path):
    with h5py.File(path, "w") as f:
        data = values(64, 8)
        for name, masks in {"mixed": (0, 1), "all": (1, 1)}.items():
            d = f.create_dataset(name, (64, 8), "f4", chunks=(8, 8), compression="gzip")
            for i in range(8):
                part = data[8 * i : 8 * i + 8]
                if masks[i % 2]:
                    d.id.write_direct_chunk((8 * i, 0), part.tobytes(), filter_mask=1)
                else:
                    d[8 * i : 8 * i + 8] = part
        # One filter of two left out, so that the lengths say nothing.
        d = f.create_dataset("lengths", (64, 8), "f4", chunks=(8, 8), shuffle=True, fletcher32=True)
        for i in range(8):
            part = data[8 * i : 8 * i + 8]
            if i % 2:
                raw = np.ascontiguousarray(part).tobytes()
                d.id.write_direct_chunk((8 * i, 0), raw, filter_mask=3)
            else:
                d[8 * i : 8 * i + 8] = part
    check(path)


def test_masks_that_lengths_do_not_tell(check, path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("conflict", (64, 8), "f4", chunks=(8, 8), shuffle=True)
        d[...] = values(64, 8)
        d.id.write_direct_chunk((16, 0), values(8, 8).tobytes(), filter_mask=1)
        b = f.create_dataset("big", (64, 8), ">i8", chunks=(8, 8), shuffle=True)
        b[...] = values(64, 8)
        b.id.write_direct_chunk((16, 0), values(8, 8, dtype=">i8").tobytes(), filter_mask=1)
    check(path)


@pytest.mark.parametrize("shape", [(20, 20), (16, 20), (16, 16)])
def test_unfiltered_partial_edges(check, hdf5, path, shape):
    with h5py.File(path, "w", libver="latest") as f:
        for name, maxshape in {"f": shape, "e": (None, shape[1]), "t": (None, None)}.items():
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((8, 8))
            plist.set_deflate(4)
            assert hdf5.H5Pset_chunk_opts(ctypes.c_int64(plist.id), 2) >= 0
            limits = tuple(h5py.h5s.UNLIMITED if n is None else n for n in maxshape)
            space = h5py.h5s.create_simple(shape, limits)
            made = h5py.h5d.create(f.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plist)
            h5py.Dataset(made)[...] = values(*shape)
    check(path)


def test_contiguous_is_split_on_request(path):
    data = values(1000, 30)
    with h5py.File(path, "w") as f:
        f["a"] = data
    for target in (None, 120, 1000, 2**20):
        group, _ = scan(path, options=ScanOptions(chunk_bytes=target))
        array = dict(group.arrays())["a"]
        nbytes = np.prod(array.chunk_shape) * 4
        assert nbytes == data.nbytes if target is None else nbytes <= max(target, 4)


def test_open_in_the_same_process(path):
    with h5py.File(path, "w") as f:
        f["a"] = values(40)
    with h5py.File(path) as f:
        group, _ = scan(path)
        assert f["a"].shape == dict(group.arrays())["a"].shape

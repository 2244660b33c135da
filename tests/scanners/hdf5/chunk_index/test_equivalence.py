"""The columns are what h5py lists, for all kinds of index."""

from __future__ import annotations

import ctypes
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import UnsupportedError
from refmaker.scanners.hdf5 import batched_reads
from refmaker.scanners.hdf5.batched_reads import run_readers
from refmaker.scanners.hdf5.chunk_index import (
    chunk_index_reader,
    chunk_iter_is_wrong,
    read_chunk_index,
)
from refmaker.scanners.hdf5.layout import Storage, layout_reader
from tests.corpora import CORPUS

LIBVERS = ["earliest", "v108", "v110", "v112", "v114", "latest"]
SHAPES = {
    "one": ((5, 5), (5, 5), None),
    "fixed": ((50, 37), (5, 4), None),
    "paged": ((1100, 2), (1, 1), None),
    "grows": ((50, 37), (5, 4), (80, 60)),
    "first": ((300, 7), (1, 3), (None, 7)),
    "second": ((7, 200), (3, 1), (20, None)),
    "middle": ((7, 5, 30), (3, 1, 2), (20, None, 40)),
    "two": ((60, 50), (2, 3), (None, None)),
    "line": ((3000,), (2,), (None,)),
    "five": ((3, 4, 5, 2, 3), (1, 2, 3, 1, 2), None),
    "empty": ((0, 4), (2, 2), (None, 4)),
    "larger": ((3, 3), (8, 8), (None, None)),
}


def call(function, plist, value):
    """Call a property function that h5py does not wrap, in the library that h5py uses."""
    [library] = {
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "/libhdf5-" in line and "h5py" in line
    }
    entry = getattr(ctypes.CDLL(library), function)
    entry.argtypes = [ctypes.c_int64, ctypes.c_uint]
    assert entry(plist.id, value) >= 0


def bounds(libver):
    return ("earliest", "v108") if libver == "earliest" else (libver, libver)


def fill(file, rng, compression):
    """Every shape: full, with few chunks, with none, and shrunk."""
    for name, (shape, chunks, maxshape) in SHAPES.items():
        options = {"chunks": chunks, "maxshape": maxshape, "compression": compression}
        full = file.create_dataset(f"{name}-full", shape, "i2", **options)
        full[...] = rng.integers(1, 1000, shape)
        file.create_dataset(f"{name}-none", shape, "i2", **options)
        if 0 not in shape:
            few = file.create_dataset(f"{name}-few", shape, "i2", fillvalue=-7, **options)
            for _ in range(7):
                few[tuple(int(rng.integers(size)) for size in shape)] = 1
        if maxshape:
            shrunk = file.create_dataset(f"{name}-shrunk", shape, "i2", **options)
            shrunk[...] = rng.integers(1, 1000, shape)
            shrunk.resize([size // 2 for size in shape])
            grown = file.create_dataset(f"{name}-regrown", shape, "i2", **options)
            grown[...] = rng.integers(1, 1000, shape)
            grown.resize([size // 2 for size in shape])
            grown.resize(shape)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("userblock", [0, 1024])
@pytest.mark.parametrize("libver", LIBVERS)
def test_all_shapes(tmp_path, tools, libver, userblock, compression):
    path = tmp_path / "shapes.h5"
    rng = np.random.default_rng(1)
    with h5py.File(path, "w", libver=bounds(libver), userblock_size=userblock) as file:
        fill(file, rng, compression)
    kinds = set(tools.check(path))
    if libver in ("earliest", "v108"):
        assert kinds == {"BTREE1"}
    else:
        assert kinds == {"SINGLE", "FIXED_ARRAY", "EXTENSIBLE_ARRAY", "BTREE2"}


@pytest.mark.parametrize("libver", ["v110", "latest"])
def test_implicit(tmp_path, tools, libver):
    path = tmp_path / "implicit.h5"
    with h5py.File(path, "w", libver=bounds(libver), userblock_size=512) as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((5, 4))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        for name, most in ((b"tight", (50, 37)), (b"loose", (80, 60))):
            space = h5py.h5s.create_simple((50, 37), most)
            h5py.h5d.create(file.id, name, h5py.h5t.STD_I16LE, space, plist)
            file[name][...] = np.arange(50 * 37).reshape(50, 37)
    assert tools.check(path) == ["IMPLICIT", "IMPLICIT"]


@pytest.mark.parametrize("libver", ["earliest", "v108"])
@pytest.mark.parametrize("half", [2, 5, 100])
def test_btree1_of_any_fan_out(tmp_path, tools, libver, half):
    path = tmp_path / "k.h5"
    plist = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    call("H5Pset_istore_k", plist, half)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    low = h5py.h5f.LIBVER_EARLIEST if libver == "earliest" else h5py.h5f.LIBVER_V18
    access.set_libver_bounds(low, h5py.h5f.LIBVER_V18)
    with h5py.File(h5py.h5f.create(bytes(path), fapl=access, fcpl=plist)) as file:
        whole = file.create_dataset("x", (40, 15), "i4", chunks=(1, 2))
        whole[...] = np.arange(600).reshape(40, 15)
        scattered = file.create_dataset("y", (300, 300), "i1", chunks=(3, 3))
        for at in np.random.default_rng(0).integers(300, size=(300, 2)).tolist():
            scattered[tuple(at)] = 1
        emptied = file.create_dataset("z", (400,), "i1", chunks=(1,), maxshape=(None,))
        emptied[...] = 1
        emptied.resize((0,))
        emptied.resize((400,))
    assert set(tools.check(path)) == {"BTREE1"}
    assert tools.superblock(tools.Bytes(path.read_bytes())).chunk_k == half


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_filter_masks(tmp_path, tools, libver):
    path = tmp_path / "masks.h5"
    with h5py.File(path, "w", libver=bounds(libver)) as file:
        for name, maxshape in (("a", None), ("b", (None, 8)), ("c", (None, None))):
            dataset = file.create_dataset(
                name, (8, 8), "u1", chunks=(2, 2), maxshape=maxshape, compression="gzip"
            )
            dataset[...] = np.arange(64).reshape(8, 8)
            for i, at in enumerate(tools.grid_positions((8, 8), (2, 2))):
                if i % 3 == 0:
                    dataset.id.write_direct_chunk(at, bytes([i] * 4), filter_mask=1)
        single = file.create_dataset("d", (4,), "u1", chunks=(4,), compression="gzip")
        single.id.write_direct_chunk((0,), b"abcd", filter_mask=1)
    tools.check(path)
    [columns] = tools.columns(path, ["c"])
    assert columns.mask.tolist() == [1, 0, 0] * 5 + [1]


@pytest.mark.parametrize("libver", ["v110", "latest"])
def test_unfiltered_edges(tmp_path, tools, libver):
    path = tmp_path / "edges.h5"
    with h5py.File(path, "w", libver=bounds(libver)) as file:
        for name, most in ((b"a", (50, 37)), (b"b", (h5py.h5s.UNLIMITED, 37))):
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((8, 8))
            plist.set_deflate(4)
            call("H5Pset_chunk_opts", plist, 2)
            space = h5py.h5s.create_simple((50, 37), most)
            h5py.h5d.create(file.id, name, h5py.h5t.STD_I16LE, space, plist)
            file[name][...] = np.arange(50 * 37).reshape(50, 37)
    with h5py.File(path) as file:
        addresses = [file.id.links.get_info(name).u for name in (b"a", b"b")]
        expected = [tools.chunk_iter(file[name]) for name in "ab"]
    layouts = tools.layouts(tools.Bytes(path.read_bytes()), addresses)
    assert [layout.unfiltered_edges for layout in layouts] == [True, True]
    columns = tools.columns(path, ["a", "b"])
    assert [tools.rows(part) for part in columns] == expected
    edge = columns[0].length[-1]
    assert edge == 128  # the unfiltered chunk
    assert (columns[0].length[:4] < 128).all()


@pytest.mark.parametrize("batch", [1, 5000])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_batches(tmp_path, tools, libver, batch, monkeypatch):
    """However finely the levels are divided, the result is the same."""
    path = tmp_path / "batches.h5"
    with h5py.File(path, "w", libver=bounds(libver)) as file:
        fill(file, np.random.default_rng(2), None)
    monkeypatch.setattr(batched_reads, "BATCH_BYTES", batch)
    monkeypatch.setattr("refmaker.scanners.hdf5.chunk_index.extensible_array.BATCH_BYTES", batch)
    tools.check(path)


@pytest.mark.parametrize(("maxshape", "kind"), [(None, 3), ((None,), 4)])
def test_pages_that_were_never_written(tmp_path, tools, maxshape, kind):
    """Large arrays have pages, and bitmaps of those that count."""
    path = tmp_path / "pages.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for name, compression in (("x", None), ("y", "gzip")):
            dataset = file.create_dataset(
                name, (600_001,), "u1", chunks=(1,), maxshape=maxshape, compression=compression
            )
            places = np.random.default_rng(3).integers(600_000, size=150).tolist()
            for place in [0, 5, 21, 131_060, 600_000, *places]:
                dataset[place] = 1 + place % 250
    columns = tools.columns(path, ["x", "y"])
    with h5py.File(path) as file:
        for name, part in zip("xy", columns, strict=True):
            assert tools.rows(part) == tools.chunk_iter(file[name])
            assert (part.index == np.unique([0, 5, 21, 131_060, 600_000, *places])).all()
        source = tools.Bytes(path.read_bytes())
        addresses = [file.id.links.get_info(name).u for name in (b"x", b"y")]
    assert [layout.index for layout in tools.layouts(source, addresses)] == [kind, kind]


def test_prepended_bytes(tmp_path, tools):
    """A superblock that lies elsewhere than it says: its place is the base address."""
    path, moved = tmp_path / "a.h5", tmp_path / "b.h5"
    for libver in ("earliest", "latest"):
        with h5py.File(path, "w", libver=libver) as file:
            fill(file, np.random.default_rng(4), "gzip")
        moved.write_bytes(b"#" * 2048 + path.read_bytes())
        tools.check(moved)


dimension = st.integers(1, 12)


@st.composite
def datasets(draw):
    rank = draw(st.integers(1, 5))
    shape = draw(st.lists(dimension, min_size=rank, max_size=rank))
    chunks = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank))
    extra = st.one_of(st.none(), st.integers(0, 9))
    more = draw(st.lists(extra, min_size=rank, max_size=rank))
    maxshape = [None if add is None else size + add for size, add in zip(shape, more, strict=True)]
    for axis, most in enumerate(maxshape):
        if most is not None:
            chunks[axis] = min(chunks[axis], most)
    corner = st.tuples(*(st.integers(0, size - 1) for size in shape))
    points = draw(st.lists(corner, max_size=25))
    return shape, chunks, maxshape, points


@given(
    many=st.lists(datasets(), min_size=1, max_size=4),
    how=st.tuples(st.sampled_from(LIBVERS), st.sampled_from([None, "gzip"]), st.booleans()),
)
def test_random_datasets(tmp_path, tools, many, how):
    libver, compression, shrink = how
    path = tmp_path / "random.h5"
    with h5py.File(path, "w", libver=bounds(libver)) as file:
        for number, (shape, chunks, maxshape, points) in enumerate(many):
            dataset = file.create_dataset(
                f"d{number}",
                shape,
                ">u2",
                chunks=tuple(chunks),
                maxshape=maxshape,
                compression=compression,
            )
            if not points:
                dataset[...] = np.arange(dataset.size).reshape(shape)
            for value, point in enumerate(points):
                dataset[point] = value + 1
            if shrink:
                dataset.resize([-(-size // 2) for size in shape])
    tools.check(path)


def test_levels_of_many_datasets_are_fetched_together(tmp_path, tools):
    path = tmp_path / "many.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        for number in range(50):
            file.create_dataset(f"d{number}", (200,), "i4", chunks=(1,))[...] = number
    with h5py.File(path) as file:
        addresses = [file.id.links.get_info(name.encode()).u for name in file]
    source = tools.Bytes(path.read_bytes())
    superblock = tools.superblock(source)
    source.calls = 0
    layouts = run_readers([layout_reader(at, superblock) for at in addresses], source.read_blocks)
    assert source.calls == 1
    readers = [chunk_index_reader(layout, superblock, (200,), (200,)) for layout in layouts]
    assert all(len(columns) == 200 for columns in run_readers(readers, source.read_blocks))
    assert source.calls == 3  # two levels


def test_one_bad_index_costs_no_other(tmp_path, tools):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        for number in range(5):
            file.create_dataset(f"d{number}", (200,), "i4", chunks=(1,))[...] = number
        addresses = [file.id.links.get_info(name.encode()).u for name in file]
    data = bytearray(path.read_bytes())
    layouts = tools.layouts(tools.Bytes(bytes(data)), addresses)
    data[layouts[2].address + 5] = 77
    source = tools.Bytes(bytes(data))
    superblock = tools.superblock(source)
    found = run_readers(
        [chunk_index_reader(layout, superblock, (200,), (200,)) for layout in layouts],
        source.read_blocks,
    )
    assert [isinstance(part, ValueError) for part in found] == [False, False, True, False, False]
    assert found[2].offset is not None
    with pytest.raises(ValueError, match=r"sibling|level"):
        read_chunk_index(layouts[2], superblock, (200,), (200,), source.read_blocks)


def test_what_has_no_chunks_is_refused(tmp_path, tools):
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(10)
        address = file.id.links.get_info(b"x").u
    source = tools.Bytes(path.read_bytes())
    [layout] = tools.layouts(source, [address])
    with pytest.raises(UnsupportedError):
        read_chunk_index(layout, tools.superblock(source), (10,), (10,), source.read_blocks)


@pytest.mark.skipif(not (CORPUS / "hdf5").is_dir(), reason="the corpus is not here")
def test_corpus(tools):
    """On real files every layout and every index is read, and equals h5py's."""
    counts = {"datasets": 0, "chunked": 0}
    for path in sorted((CORPUS / "hdf5").rglob("*")):
        if path.is_file() and path.stat().st_size:
            compare_file(path, tools, counts)
    assert counts["datasets"] > 500
    assert counts["chunked"] > 100


def hard_linked_datasets(group, seen):
    try:
        names = list(group)
    except (KeyError, RuntimeError):
        return
    for name in names:
        try:
            link = group.id.links.get_info(name.encode("utf-8", "surrogateescape"))
            if link.type != h5py.h5l.TYPE_HARD or link.u in seen:
                continue
            seen.add(link.u)
            member = group[name]
        except (KeyError, OSError, RuntimeError, TypeError, ValueError):
            continue  # files that are broken on purpose
        if isinstance(member, h5py.Group):
            yield from hard_linked_datasets(member, seen)
        elif isinstance(member, h5py.Dataset):
            yield link.u, member


def compare_file(path, tools, counts):
    try:
        file = h5py.File(path)
    except OSError:
        return
    with file:
        found = list(hard_linked_datasets(file, set()))
        source = tools.Bytes(path.read_bytes())
        superblock = tools.superblock(source)
        layouts = run_readers(
            [layout_reader(at, superblock) for at, _ in found], source.read_blocks
        )
        for (_, dataset), layout in zip(found, layouts, strict=True):
            assert not isinstance(layout, Exception), (path.name, dataset.name, layout)
            counts["datasets"] += 1
            assert layout.storage.value == dataset.id.get_create_plist().get_layout()
            if layout.storage is Storage.CONTIGUOUS:
                assert layout.address == dataset.id.get_offset(), (path.name, dataset.name)
            if layout.storage is not Storage.CHUNKED:
                continue
            try:
                theirs = tools.chunk_iter(dataset)
            except RuntimeError:
                with pytest.raises(ValueError, match="past the end"):
                    read_chunk_index(
                        layout, superblock, dataset.shape, dataset.maxshape, source.read_blocks
                    )
                continue
            counts["chunked"] += 1
            columns = read_chunk_index(
                layout, superblock, dataset.shape, dataset.maxshape, source.read_blocks
            )
            mine = tools.rows(columns)
            if chunk_iter_is_wrong(layout, dataset.maxshape):
                # One of these files was even written with other positions than HDF5 reads it
                # with: the values that HDF5 reads are what counts.
                if not dataset.id.get_create_plist().get_nfilters():
                    values = tools.values(path, dataset, columns)
                    np.testing.assert_array_equal(values, dataset[...], err_msg=str(path))
            else:
                assert mine == theirs, (path.name, dataset.name)

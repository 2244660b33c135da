"""Corrupt indexes: an error that says where, or a sound result; bounded in any case."""

from __future__ import annotations

import random
import tracemalloc

import h5py
import numpy as np
import pytest

from refmaker.errors import FormatError, RefmakerError, UnsupportedError
from refmaker.scanners.hdf5.batched_reads import run_readers
from refmaker.scanners.hdf5.chunk_index import chunk_index_reader
from refmaker.scanners.hdf5.layout import layout_reader

KINDS = {
    "btree1": ((40, 20), (1, 1), None, None, "earliest"),
    "btree1-filtered": ((300,), (1,), (None,), "gzip", "earliest"),
    "single": ((4, 4), (4, 4), None, "gzip", "latest"),
    "fixed": ((30, 20), (1, 1), None, None, "latest"),
    "fixed-paged": ((2500,), (1,), None, "gzip", "latest"),
    "extensible": ((700,), (1,), (None,), None, "latest"),
    "extensible-filtered": ((3, 400), (1, 1), (3, None), "gzip", "v110"),
    "btree2": ((60, 20), (1, 1), (None, None), None, "latest"),
    "btree2-filtered": ((30, 30), (1, 1), (None, None), "gzip", "v110"),
}
SPECIAL = [
    0,
    1,
    0xFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    1 << 62,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
]
CHECKS = [
    "refmaker.scanners.hdf5.object_header.check_blocks",
    *(
        f"refmaker.scanners.hdf5.chunk_index.{module}.check_blocks"
        for module in ("fixed_array", "extensible_array", "btree2", "nodes")
    ),
]


class Case:
    """One dataset in one file, and its true columns."""

    def __init__(self, path, tools, kind):
        shape, chunks, maxshape, compression, libver = KINDS[kind]
        with h5py.File(path, "w", libver=(libver, libver) if libver == "v110" else libver) as file:
            dataset = file.create_dataset(
                "x", shape, "u2", chunks=chunks, maxshape=maxshape, compression=compression
            )
            dataset[...] = np.random.default_rng(5).integers(1, 9, shape)
            self.address = file.id.links.get_info(b"x").u
            self.shape, self.maxshape = dataset.shape, dataset.maxshape
        self.tools = tools
        self.data = path.read_bytes()
        self.source = tools.Bytes(self.data)
        self.superblock = tools.superblock(self.source)
        [self.layout] = tools.layouts(self.source, [self.address])
        self.asked = []
        self.truth = tools.rows(self.read(self.data, self.asked))

    def read(self, data, asked=None):
        """Layout and index of some bytes: columns or the error."""
        source = self.tools.Bytes(data)

        def read_blocks(offsets, length):
            if asked is not None:
                asked.extend((at, length) for at in offsets.tolist())
            return source.read_blocks(offsets, length)

        [layout] = run_readers([layout_reader(self.address, self.superblock)], read_blocks)
        if isinstance(layout, Exception):
            return layout
        reader = chunk_index_reader(layout, self.superblock, self.shape, self.maxshape)
        [found] = run_readers([reader], read_blocks)
        self.nbytes, self.calls = source.nbytes, source.calls
        return found

    def mutate(self, rng):
        """Damage some bytes of the structures that are read."""
        data = bytearray(self.data)
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            at, length = rng.choice(self.asked)
            # The beginnings of blocks hold what is most telling.
            place = at + (
                rng.randrange(min(length, 64)) if rng.random() < 0.5 else rng.randrange(length)
            )
            how = rng.randrange(4)
            if how == 0:
                data[place] ^= 1 << rng.randrange(8)
            elif how == 1:
                data[place] = rng.randrange(256)
            elif how == 2:
                data[place : place + 8] = rng.choice(SPECIAL).to_bytes(8, "little")
            else:
                other, _ = rng.choice(self.asked)
                data[place : place + 8] = other.to_bytes(8, "little")
        return bytes(data[: len(self.data)])

    def check(self, found, *, exact):
        """An error that refmaker raises on purpose, or sound columns."""
        if isinstance(found, Exception):
            assert isinstance(found, RefmakerError), repr(found)
            return
        rows = self.tools.rows(found)
        if exact:
            assert rows == self.truth
        assert (found.index[1:] > found.index[:-1]).all()
        assert not len(found) or int(found.index[-1]) < np.prod(self.shape)
        assert all(at > 0 and size and at + size <= len(self.data) for _, at, size, _ in rows)


@pytest.fixture(scope="module", params=KINDS)
def case(request, tmp_path_factory, tools):
    return Case(tmp_path_factory.mktemp("hostile") / "x.h5", tools, request.param)


def sweep(case, count, seed, *, exact):
    rng = random.Random(seed)
    errors = 0
    for _ in range(count):
        found = case.read(case.mutate(rng))
        case.check(found, exact=exact)
        errors += isinstance(found, Exception)
        assert case.nbytes <= 8 * len(case.data) + 4096
        assert case.calls <= 200
    return errors


def has_checksums(case):
    return case.layout.version >= 4


def test_damage(case):
    """Checksums, where the format has them, leave no wrong answer."""
    errors = sweep(case, 120, 1, exact=has_checksums(case))
    assert errors > 20


def test_damage_with_valid_checksums(case, monkeypatch):
    """The guards behind the checksums, for files that were made to deceive."""
    for name in CHECKS:
        monkeypatch.setattr(name, lambda *args: None)
    assert sweep(case, 250, 2, exact=False) > 20


@pytest.mark.slow  # 21,600 damaged files over all cases
@pytest.mark.parametrize("checksums", [True, False])
def test_long_sweep(case, checksums, monkeypatch):
    if not checksums:
        for name in CHECKS:
            monkeypatch.setattr(name, lambda *args: None)
    sweep(case, 1200, 3, exact=checksums and has_checksums(case))


def test_truncation(case):
    """Whatever is cut off, blocks past the end are an error of that reader."""
    for end in range(case.superblock.base + 64, len(case.data), max(1, len(case.data) // 60)):
        found = case.read(case.data[:end])
        needed = max(at + length for at, length in case.asked)
        if end < needed:
            assert isinstance(found, FormatError), end
        else:
            case.check(found, exact=True)


def test_memory_is_bounded(case, monkeypatch):
    """Counts in the file do not decide how much is allocated."""
    for name in CHECKS:
        monkeypatch.setattr(name, lambda *args: None)
    rng = random.Random(4)
    variants = [case.mutate(rng) for _ in range(60)]
    case.read(variants[0])  # what is imported and compiled once is no cost of a file
    tracemalloc.start()
    try:
        peaks = []
        for data in variants:
            # Of one file: errors of earlier ones are collected when Python sees fit.
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            case.read(data)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert max(peaks) < 1_000_000 + 20 * len(case.data)


def patched(case, at, value):
    data = bytearray(case.data)
    data[at : at + len(value)] = value
    return case.read(bytes(data))


@pytest.fixture
def btree1(tmp_path, tools):
    return Case(tmp_path / "x.h5", tools, "btree1")


def test_btree1_level_that_never_ends(btree1):
    """A node that is its own child: levels must fall, so it cannot go round."""
    root = btree1.layout.address
    assert isinstance(patched(btree1, root + 24 + 32, root.to_bytes(8, "little")), FormatError)


def test_btree1_two_children_are_one(btree1):
    root = btree1.layout.address
    entry = 8 + 3 * 8 + 8
    child = btree1.data[root + 24 + entry - 8 : root + 24 + entry]
    found = patched(btree1, root + 24 + 2 * entry - 8, child)
    assert isinstance(found, FormatError)
    assert "overlap" in str(found)


def test_btree1_more_children_than_room(btree1):
    root = btree1.layout.address
    found = patched(btree1, root + 6, b"\xff\xff")
    assert isinstance(found, FormatError)
    assert found.offset == root


def leaf_entry(case, field):
    """Where a field of the first entry of the first leaf lies."""
    root = case.layout.address
    leaf = int.from_bytes(case.data[root + 24 + 32 : root + 24 + 40], "little")
    return leaf + 24 + field


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, b"\0\0\0\0", "0 bytes"),
        (0, b"\xff\xff\xff\x7f", "past the end"),
        (8, b"\1\0\0\0\0\1\0\0", "outside the dataset"),
        (24, b"\1", "inside an element"),
        (8, (1).to_bytes(8, "little"), "twice"),
        (32, b"\xff" * 8, "past the end"),
        (32, b"\0\0\0\0\0\0\0\x10", "past the end"),
    ],
)
def test_btree1_bad_entries(btree1, field, value, message):
    found = patched(btree1, leaf_entry(btree1, field), value)
    assert isinstance(found, FormatError)
    assert message in str(found)
    assert found.offset is not None


def test_btree1_chunk_off_the_grid(tmp_path, tools):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (100,), "u1", chunks=(4,))[...] = 1
        address = file.id.links.get_info(b"x").u
    data = bytearray(path.read_bytes())
    source = tools.Bytes(bytes(data))
    [layout] = tools.layouts(source, [address])
    data[layout.address + 24 + 8] = 2
    source = tools.Bytes(bytes(data))
    reader = chunk_index_reader(layout, tools.superblock(source), (100,), (100,))
    [found] = run_readers([reader], source.read_blocks)
    assert isinstance(found, FormatError)
    assert "off the grid" in str(found)


@pytest.mark.parametrize("kind", ["fixed", "extensible", "btree2"])
def test_unknown_versions_are_unsupported(tmp_path, tools, kind, monkeypatch):
    case = Case(tmp_path / "x.h5", tools, kind)
    for name in CHECKS:
        monkeypatch.setattr(name, lambda *args: None)
    found = patched(case, case.layout.address + 4, b"\1")
    assert isinstance(found, UnsupportedError)
    assert found.code == "hdf5-index-version"


@pytest.mark.parametrize("kind", ["fixed", "extensible", "btree2"])
def test_wrong_checksum(tmp_path, tools, kind):
    case = Case(tmp_path / "x.h5", tools, kind)
    for at, length in case.asked[1:]:
        # The last byte is part of a checksum, or behind it where a node is not full.
        found = patched(case, at + 6, bytes([case.data[at + 6] ^ 1]))
        assert isinstance(found, FormatError), (at, length)
        assert found.offset is not None


@pytest.mark.parametrize(
    ("shape", "maxshape", "error"),
    [
        ((1 << 62, 1 << 62), (None, None), UnsupportedError),
        ((40,), (40,), FormatError),
        ((40, 20), (10, 20), FormatError),
    ],
)
def test_shapes_that_do_not_fit(btree1, shape, maxshape, error):
    reader = chunk_index_reader(btree1.layout, btree1.superblock, shape, maxshape)
    [found] = run_readers([reader], btree1.source.read_blocks)
    assert isinstance(found, error)


@pytest.mark.parametrize(
    ("kind", "shape", "maxshape"),
    [
        ("single", (8, 8), (8, 8)),
        ("fixed", (30, 20), (None, 20)),
        ("fixed", (30, 20), (31, 20)),
        ("extensible", (700,), (700,)),
        ("btree2", (30, 20), (30, 20)),
    ],
)
def test_index_and_shape_disagree(tmp_path, tools, kind, shape, maxshape):
    case = Case(tmp_path / "x.h5", tools, kind)
    reader = chunk_index_reader(case.layout, case.superblock, shape, maxshape)
    [found] = run_readers([reader], case.source.read_blocks)
    assert isinstance(found, FormatError)

"""Readers over bytes in memory, and what h5py says about the same datasets."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from refmaker.errors import TruncatedError
from refmaker.scanners.hdf5.batched_reads import run_readers
from refmaker.scanners.hdf5.chunk_index import (
    ChunkIndexEntries,
    chunk_index_reader,
    chunk_iter_is_wrong,
)
from refmaker.scanners.hdf5.layout import DataLayoutMessage, layout_reader
from refmaker.scanners.hdf5.superblock import Superblock, superblock_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Bytes:
    """A file in memory, read by blocks; counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = np.frombuffer(data, dtype=np.uint8)
        self.calls = 0
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self.data)

    def read_blocks(self, offsets, length):
        if len(offsets) and int(offsets.max()) + length > len(self.data):
            raise TruncatedError("past the end", offset=int(offsets.max()))
        self.calls += 1
        self.nbytes += len(offsets) * length
        if not length:
            return np.empty((len(offsets), 0), dtype=np.uint8)
        return np.lib.stride_tricks.sliding_window_view(self.data, length)[offsets.astype(int)]


class Tools:
    """The helpers, as one fixture: test modules cannot import each other."""

    Bytes = Bytes

    @staticmethod
    def superblock(source: Bytes) -> Superblock:
        [found] = run_readers([superblock_reader(len(source))], source.read_blocks)
        if isinstance(found, Exception):
            raise found
        return found

    @classmethod
    def layouts(cls, source: Bytes, addresses: Sequence[int]) -> list[DataLayoutMessage]:
        superblock = cls.superblock(source)
        found = run_readers([layout_reader(at, superblock) for at in addresses], source.read_blocks)
        for layout in found:
            if isinstance(layout, Exception):
                raise layout
        return found

    @classmethod
    def columns(cls, path: Path, names: Sequence[str]) -> list[ChunkIndexEntries]:
        """Read the chunk indexes of some datasets of a file together."""
        source = Bytes(path.read_bytes())
        with h5py.File(path) as file:
            addresses = [h5py.h5o.get_info(file[name].id).addr for name in names]
            shapes = [(file[name].shape, file[name].maxshape) for name in names]
        superblock = cls.superblock(source)
        layouts = cls.layouts(source, addresses)
        readers = [
            chunk_index_reader(layout, superblock, *shape)
            for layout, shape in zip(layouts, shapes, strict=True)
        ]
        found = run_readers(readers, source.read_blocks)
        for columns in found:
            if isinstance(columns, Exception):
                raise columns
        return found

    @staticmethod
    def rows(columns: ChunkIndexEntries) -> list[tuple[int, int, int, int]]:
        return list(
            zip(
                columns.index.tolist(),
                columns.offset.tolist(),
                columns.length.tolist(),
                columns.mask.tolist(),
                strict=True,
            )
        )

    @staticmethod
    def chunk_iter(dataset: h5py.Dataset) -> list[tuple[int, int, int, int]]:
        """The same rows by h5py."""
        found: list = []
        # chunk_iter stops at the first callback that returns anything.
        dataset.id.chunk_iter(found.append)
        grid = [
            -(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)
        ]
        rows = []
        for info in found:
            flat = 0
            for at, chunk, count in zip(info.chunk_offset, dataset.chunks, grid, strict=True):
                flat = flat * count + at // chunk
            rows.append((flat, info.byte_offset, info.size, info.filter_mask))
        return sorted(rows)

    @staticmethod
    def values(path: Path, dataset: h5py.Dataset, columns: ChunkIndexEntries) -> np.ndarray:
        """Put a dataset together from its chunks, without h5py."""
        data = path.read_bytes()
        grid = [
            -(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True)
        ]
        whole = np.full(
            [count * chunk for count, chunk in zip(grid, dataset.chunks, strict=True)],
            dataset.fillvalue,
            dataset.dtype,
        )
        for index, offset, length, mask in Tools.rows(columns):
            raw = data[offset : offset + length]
            if dataset.compression == "gzip" and not mask & 1:
                raw = zlib.decompress(raw)
            place = tuple(
                slice(int(at) * chunk, (int(at) + 1) * chunk)
                for at, chunk in zip(np.unravel_index(index, grid), dataset.chunks, strict=True)
            )
            whole[place] = np.frombuffer(raw, dataset.dtype).reshape(dataset.chunks)
        return whole[tuple(slice(0, size) for size in dataset.shape)]

    @classmethod
    def check(cls, path: Path) -> list[str]:
        """Compare all chunked datasets of a file with h5py; returns their index kinds."""
        with h5py.File(path) as file:
            names = [name for name in file if file[name].chunks]
            source = Bytes(path.read_bytes())
            layouts = cls.layouts(
                source, [file.id.links.get_info(name.encode()).u for name in names]
            )
            for name, layout, columns in zip(names, layouts, cls.columns(path, names), strict=True):
                dataset = file[name]
                assert layout.chunk == dataset.chunks
                assert layout.element_size == dataset.dtype.itemsize
                assert columns.index.dtype == columns.offset.dtype == np.uint64
                assert columns.length.dtype == np.uint64
                assert columns.mask.dtype == np.uint32
                mine, theirs = cls.rows(columns), cls.chunk_iter(dataset)
                if chunk_iter_is_wrong(layout, dataset.maxshape):
                    # The same chunks; where they belong is shown by the values below.
                    assert sorted(row[1:] for row in mine) == sorted(row[1:] for row in theirs)
                else:
                    assert mine == theirs, name
                values = cls.values(path, dataset, columns)
                np.testing.assert_array_equal(values, dataset[...], err_msg=name)
            return [layout.index.name for layout in layouts]

    @staticmethod
    def grid_positions(shape: Sequence[int], chunks: Sequence[int]):
        """Origins of all chunks of a grid."""
        return itertools.product(
            *(range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True))
        )


@pytest.fixture(scope="session")
def tools() -> type[Tools]:
    return Tools

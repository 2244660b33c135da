"""Arrays of a store with their chunks: files, parts of an archive, or parts of shards."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import (
    FormatError,
    LimitError,
    MissingTargetError,
    UnsupportedError,
)
from refmaker.io.many_files import FileRange
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.scanners.zarr.chunk_keys import keys_v2, keys_v3
from refmaker.scanning.key_store import Places, StoredChunks, flat_numbers
from refmaker.storage.tree import array_of, strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport
    from refmaker.scanners.zarr.hierarchy import Node
    from refmaker.scanners.zarr.shards import Sharding
    from refmaker.scanning.chunk_keys import ChunkKeys
    from refmaker.scanning.key_store import KeyStore
    from refmaker.scanning.options import ScanOptions

__all__ = ["ArrayBuilder"]

_DOCUMENTS = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"})
_ASSUMED_MOST = 1 << 22
"""Chunks of an array that are taken to be there unseen."""
_TEXTS = "vlen-utf8"


class ArrayBuilder:
    """Makes arrays of the nodes of a store.

    Parameters
    ----------
    store : KeyStore
        The store.
    report : ScanReport
        Is told of files that are chunks, and of those that are none.
    options : ScanOptions
        ``inline_budget`` bounds what is inlined for fill values.
    assume : bool
        Whether chunks are taken to be there where the store lists nothing.

    """

    def __init__(
        self, store: KeyStore, report: ScanReport, options: ScanOptions, *, assume: bool
    ) -> None:
        self._store, self._report, self._options = store, report, options
        self._assume = assume
        self._chunks = StoredChunks(store, report, _DOCUMENTS)

    def array(self, node: Node) -> Array:
        """Return the array of a node.

        Raises
        ------
        MetadataError
            If its documents are damaged.
        FormatError
            If a chunk has no bytes, or the index of a shard is damaged.
        UnsupportedError
            If version 2 cannot say the same, or the chunks cannot be told.
        """
        if node.version == 2:
            array = array_of(node.document, node.attributes)
            _check_objects(array)
            keys = keys_v2(node.document, len(array.shape))
            return replace(array, chunks=self._table(node.path, keys, array.chunks.grid))
        return self._array_v3(node)

    def _array_v3(self, node: Node) -> Array:
        """Return the array of a node of version 3."""
        from refmaker.model.zarr_v3_reader import array_from_document_v3
        from refmaker.scanners.zarr.shards import shardings_of

        document = node.document
        shardings = shardings_of(document)
        array = array_from_document_v3(shardings[-1].document if shardings else document)
        array = replace(array, attributes=strict(array.attributes))
        keys = keys_v3(document, len(array.shape))
        if shardings:
            table = self._inner_table(node.path, keys, array.shape, shardings)
        else:
            table = self._table(node.path, keys, array.chunks.grid)
        found = replace(array, chunks=table)

        def warn(text: str) -> None:
            self._report.warn(f"/{node.path}: {text}")

        return settle_fill(found, self._options.inline_budget, warn)

    def _table(self, path: str, keys: ChunkKeys, grid: tuple[int, ...]) -> ChunkTable:
        """Return the table of chunks that are values of keys."""
        if self._store.listing is None:
            return self._assumed(path, keys, grid)
        at, places = self._chunks.placed(path, keys, grid)
        index = flat_numbers(at, grid)
        return ChunkTable.from_columns(grid, tuple(places.urls), **places.columns(), index=index)

    def _assumed(self, path: str, keys: ChunkKeys, grid: tuple[int, ...]) -> ChunkTable:
        """Return a table of all chunks of the grid, each a file that nobody has looked at."""
        urls = self._assumed_urls(path, keys, grid)
        none = np.zeros(len(urls), np.int64)
        self._report.warn(
            f"/{path}: its chunks are taken to be there; reading one that is not is an error"
        )
        columns = Places(urls, none, none, whole=True).columns()
        return ChunkTable.from_columns(grid, tuple(urls), **columns)

    def _assumed_urls(self, path: str, keys: ChunkKeys, grid: tuple[int, ...]) -> list[str]:
        if not self._assume:
            raise UnsupportedError(
                "the store cannot list its chunks",
                code="zarr-listing",
                hint="`settings={'zarr-chunks': 'assume'}` takes all of them to be there",
            )
        if math.prod(grid) > _ASSUMED_MOST:
            raise LimitError(f"a grid of {grid} chunks in a store that lists nothing")
        folder = f"{path}/" if path else ""
        return [self._store.url(folder + keys.key(at)) for at in np.ndindex(*grid)]

    def _inner_table(
        self, path: str, keys: ChunkKeys, shape: Sequence[int], shardings: Sequence[Sharding]
    ) -> ChunkTable:
        """Return the table of the inner chunks of shards, of the innermost ones."""
        from refmaker.scanners.zarr.shards import shards_in

        outer, *within = shardings
        grid = chunk_grid(shape, outer.shards)
        if self._store.listing is None:
            table = self._assumed_inner(path, keys, grid, shape, outer)
        else:
            table = self._indexed(shape, outer, *self._chunks.placed(path, keys, grid))
        for sharding in within:
            table = self._indexed(shape, sharding, *shards_in(table))
        return table

    def _indexed(
        self, shape: Sequence[int], sharding: Sharding, at: NDArray[np.int64], places: Places
    ) -> ChunkTable:
        """Return the table of the inner chunks of shards whose places are known."""
        size = sharding.index_bytes
        short = np.flatnonzero(places.length < size)
        if short.size:
            raise FormatError(
                f"a shard of {int(places.length[short[0]])} bytes, whose index has {size}",
                url=places.url(int(short[0])),
            )
        starts = places.offset + (places.length - size if sharding.at_end else 0)
        ranges = [
            FileRange(places.url(number), start, start + size)
            for number, start in enumerate(starts.tolist())
        ]
        indices = []
        for data in self._store.read(ranges):
            if not isinstance(data, bytes):
                raise data
            indices.append(data)
        from refmaker.scanners.zarr.shards import inner_table

        return inner_table(sharding, shape, at, places, indices, places.length)

    def _assumed_inner(
        self,
        path: str,
        keys: ChunkKeys,
        grid: tuple[int, ...],
        shape: Sequence[int],
        sharding: Sharding,
    ) -> ChunkTable:
        """Return the table of inner chunks of shards that are asked for one by one."""
        urls = self._assumed_urls(path, keys, grid)
        size = sharding.index_bytes
        if sharding.at_end:
            ranges = [FileRange(url, -size) for url in urls]
        else:
            ranges = [FileRange(url, 0, size) for url in urls]
        found = self._store.read(ranges)
        there, indices = [], []
        for number, data in enumerate(found):
            if isinstance(data, bytes):
                there.append(number)
                indices.append(data)
            elif not isinstance(data, MissingTargetError | FileNotFoundError):
                raise data
        at = (
            np.stack(np.unravel_index(np.array(there, np.int64), grid), axis=-1)
            if grid
            else (np.zeros((len(there), 0), np.int64))
        )
        none = np.zeros(len(there), np.int64)
        places = Places([urls[number] for number in there], none, none, whole=True)
        # How long these are nobody has said: what an index names is compared when it is read.
        sizes = np.full(len(there), 2**62)
        from refmaker.scanners.zarr.shards import inner_table

        return inner_table(sharding, shape, at, places, indices, sizes)


def _check_objects(array: Array) -> None:
    """Refuse objects but texts: other encodings of them run code, or none of Zarr's reads them."""
    if not array.dtype.hasobject:
        return
    first = array.filters[0].get("id") if array.filters else None
    if array.dtype.names is not None or first != _TEXTS:
        raise UnsupportedError(
            f"objects that are encoded by {first!r}, not by {_TEXTS!r}", code="zarr-objects"
        )

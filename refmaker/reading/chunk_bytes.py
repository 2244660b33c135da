"""The encoded bytes of all chunks of arrays, and arrays that keep them themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.editing.places import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refmaker.reading.reader import Reader
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["fetch_chunks", "load"]

_KEY = "values"
_BATCH = 64
"""Chunks that are asked for together."""
_BUDGET = 16 * 1024**2


def load(
    refs: ReferenceSet,
    names: str | Iterable[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    inline_budget: int = _BUDGET,
) -> ReferenceSet:
    """Return the set with the chunks of some arrays in the set itself, encoded as they are.

    Small arrays then need no request when they are read, and `ReferenceSet.isel` cuts them
    anywhere.

    Parameters
    ----------
    refs : ReferenceSet
        The set.
    names : str or iterable of str
        Paths of arrays; of a group, all arrays below it.
    storage_options : mapping, optional
        Passed to fsspec for the files.
    inline_budget : int
        Bytes that may be fetched in all.

    Returns
    -------
    ReferenceSet

    Raises
    ------
    MetadataError
        If there is no such array or group.
    LimitError
        If the chunks are larger than the budget.
    SourceError
        If a chunk cannot be read.

    Examples
    --------
    >>> refs = refmaker.scan("examples/air.nc", inline_threshold=0)
    >>> refs.report.having("inlined"), refs["lat"].chunks.referenced
    ([], 1)
    >>> refmaker.load(refs, "lat")["lat"].chunks.referenced
    0
    """
    wanted = [names] if isinstance(names, str) else list(names)
    nodes = dict(refs.group.walk())
    for name in (name.strip("/") for name in wanted):
        if name not in nodes:
            raise unknown(name, [path for path in nodes if path])
    chosen = {
        path: array
        for path, array in refs.group.arrays()
        if any(f"{path}/".startswith(f"{name.strip('/')}/".lstrip("/")) for name in wanted)
    }
    needed = sum(_size(refs, path, array) for path, array in chosen.items())
    if needed > inline_budget:
        raise LimitError(
            f"{', '.join(wanted)}: {needed:,} bytes, more than the {inline_budget:,} that are kept",
            hint=f"allow it (`inline_budget={needed}`)",
        )
    found = fetch_chunks([(refs, array, storage_options) for array in chosen.values()])
    inlined = {
        path: replace(array, chunks=ChunkTable.inline(array.chunks.grid, chunks))
        for (path, array), chunks in zip(chosen.items(), found, strict=True)
    }
    return replace(refs, group=refs.group.map_paths(inlined.get))


def _size(refs: ReferenceSet, path: str, array: Array) -> int:
    """Return the bytes of an array's chunks."""
    table = array.chunks
    whole = (table.offset == 0) & (table.length == 0)
    if bool(whole.any()):
        number = np.zeros(table.referenced, np.int64) if table.url is None else table.url
        for which in np.unique(number[whole]).tolist():
            if table.urls[which] not in refs.report.sources:
                raise MetadataError(
                    "a chunk is a whole file whose size is not known", url=table.urls[which],
                    path=path,
                )  # fmt: skip
        sizes = [
            refs.report.sources[url].size if url in refs.report.sources else 0 for url in table.urls
        ]
        return int(table.length.sum()) + int(np.asarray(sizes)[number[whole]].sum())
    return int(table.length.sum())


def fetch_chunks(
    items: Sequence[tuple[ReferenceSet, Array, Mapping[str, Any] | None]],
) -> list[dict[int, bytes]]:
    """Return the encoded bytes of every chunk of some arrays, by number.

    Parameters
    ----------
    items : sequence of (ReferenceSet, Array, mapping or None)
        A set, one of its arrays, and options that are passed to fsspec for its files. Requests
        of all of them are sent together.

    Raises
    ------
    SourceError
        If a chunk cannot be read.
    PolicyError
        If a set names what it may not.
    """
    from fsspec.asyn import get_loop, sync

    from refmaker.reading.reader import Options, Reader
    from refmaker.storage.reference_index import ReferenceIndex

    readers: list[Reader | None] = []
    for refs, array, storage_options in items:
        if not array.chunks.referenced:
            readers.append(None)
            continue
        known = refs.report.sources
        sources = {url: known[url].as_dict() for url in array.chunks.urls if url in known}
        references = ReferenceIndex.of_group(Group({_KEY: _places(array)}), {"sources": sources})
        options = Options(storage_options=dict(storage_options or {}))
        readers.append(Reader(references, None, options, policy=refs.policy))
    # In fsspec's own loop: whoever calls may have one running, as notebooks do.
    arrays = [array for _, array, _ in items]
    done: list[dict[int, bytes]] = sync(get_loop(), _fetch_all, readers, arrays)
    return done


def _places(array: Array) -> Array:
    """Return an array of the same chunks and codecs, whatever the lengths of its chunks."""
    grid = array.chunks.grid
    return Array(
        grid, (1,) * len(grid), array.dtype, array.chunks, filters=array.filters,
        compressor=array.compressor,
    )  # fmt: skip


async def _fetch_all(
    readers: Sequence[Reader | None], arrays: Sequence[Array]
) -> list[dict[int, bytes]]:
    import asyncio

    return list(await asyncio.gather(*map(_fetch_one, readers, arrays)))


async def _fetch_one(reader: Reader | None, array: Array) -> dict[int, bytes]:
    table = array.chunks
    found = dict(table.inlined)
    if reader is None:
        return found
    numbers = table.numbers().astype(np.int64)
    at = np.unravel_index(numbers, table.grid) if table.grid else ()
    columns = [column.tolist() for column in at]
    keys = [".".join(map(str, parts)) for parts in zip(*columns, strict=True)] or ["0"]
    for start in range(0, len(keys), _BATCH):
        part = keys[start : start + _BATCH]
        items = [(f"{_KEY}/{key}", None, None) for key in part]
        for number, data in zip(
            numbers[start : start + _BATCH].tolist(), await reader.read_many(items), strict=True
        ):
            if isinstance(data, Exception):
                raise data
            if data is not None:
                found[number] = bytes(data)
    return found

"""Checksums cut off the ends of chunks, for readers that do not decode them.

HDF5's filter Fletcher32 appends 4 bytes to what the filters before it made (HDF5 file format
specification, version 3, section IV.A.2.l). Where it was the last, the range without them is the
chunk without the filter; where it was not, they lie inside of compressed bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refmaker.model import ChunkTable

if TYPE_CHECKING:
    from refmaker.model import Array, Group

__all__ = ["without_checksums"]

_BYTES = 4


def without_checksums(group: Group) -> tuple[Group, list[str]]:
    """Return a group whose chunks end before their checksums, and the arrays that had any."""
    cut = {id(array): path for path, array in group.arrays() if _ends_with_checksum(array)}
    changed = group.map_arrays(lambda array: _cut(array) if id(array) in cut else array)
    return changed, list(cut.values())


def _ends_with_checksum(array: Array) -> bool:
    table = array.chunks
    last = array.codecs[-1].get("id") if array.codecs else None
    short = bool((table.length <= _BYTES).any()) or any(
        len(data) <= _BYTES for data in table.inlined.values()
    )
    return last == "fletcher32" and not short


def _cut(array: Array) -> Array:
    table = array.chunks
    chunks = ChunkTable.from_columns(
        table.grid,
        table.urls,
        offset=table.offset,
        length=table.length - table.length.dtype.type(_BYTES),
        index=table.index,
        url=table.url,
        inlined={number: data[:-_BYTES] for number, data in table.inlined.items()},
    )
    return replace(array, chunks=chunks, filters=array.codecs[:-1], compressor=None)

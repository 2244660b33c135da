"""References said in full, for readers that do not know what is left out.

Stock fsspec takes ``[url]`` for a whole file, which others do not, and a scalar whose one chunk
is absent for its fill value, which costs VirtualiZarr the whole set.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.fill_value import with_absent_written
from refmaker.model import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model import Array, Group
    from refmaker.model.report import Fingerprint

__all__ = ["explicit"]

_SCALAR = 1 << 16
"""Bytes of a scalar that is written out."""


def explicit(group: Group, sources: Mapping[str, Fingerprint]) -> Group:
    """Return a group whose whole files have sizes, and whose scalars have chunks.

    Parameters
    ----------
    sources : mapping of str to Fingerprint
        Sizes of files. An array keeps its whole files where one of them is not known here.
    """
    sizes = {url: known.size for url, known in sources.items()}
    changed = {}
    for path, array in group.arrays():
        found = _with_chunk(_with_sizes(array, sizes))
        if found is not array:
            changed[path] = found
    return group.map_paths(changed.get) if changed else group


def _with_sizes(array: Array, sizes: Mapping[str, int]) -> Array:
    table = array.chunks
    whole = (table.offset == 0) & (table.length == 0)
    if not bool(whole.any()):
        return array
    known = np.array([sizes.get(url, 0) for url in table.urls], np.uint64)
    length = np.where(whole, known[0 if table.url is None else table.url], table.length)
    if not bool(length[whole].all()):
        return array
    columns = ChunkTable.from_columns(
        table.grid,
        table.urls,
        offset=table.offset,
        length=length,
        index=table.index,
        url=table.url,
        inlined=table.inlined,
    )
    return replace(array, chunks=columns)


def _with_chunk(array: Array) -> Array:
    if array.shape or array.chunks.present:
        return array
    return with_absent_written(array, _SCALAR) or array

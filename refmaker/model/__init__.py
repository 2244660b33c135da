"""The reference set in memory: plain values of Python and numpy.

``tree``
    `Group` and `Array`: the tree of a reference set.
``chunk_table``
    `ChunkTable`: where an array's chunks lie, as columns.
``contiguous``
    Uncompressed data split or joined into chunks without moving a byte.
``dtypes``
    Data types and fill values as Zarr spells them.
``attribute_types``
    Number types of attributes, which JSON does not tell.
``record_dtypes``
    Dtypes of records that Zarr flattens.
``inline``
    Arrays whose values are kept in the set itself.
``origin``
    Where an edited array stands in the file that it comes from.
``editing``
    A set edited as xarray would edit the dataset.
``zarr_v2``, ``zarr_v3``
    Metadata documents of Zarr, from groups and arrays; ``zarr_v3_reader`` is the way back.
``report``
    What became of every object of a file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.model.chunk_table import ChunkTable as ChunkTable
    from refmaker.model.chunk_table import Reference as Reference
    from refmaker.model.tree import Array as Array
    from refmaker.model.tree import Group as Group
    from refmaker.model.tree import chunk_grid as chunk_grid

__all__ = ["Array", "ChunkTable", "Group", "Reference", "chunk_grid"]

_TREE = frozenset({"Array", "Group", "chunk_grid"})


def __getattr__(name: str) -> Any:
    """Import what is asked for: reports need no numpy, and so neither do commands' options."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "refmaker.model.tree" if name in _TREE else "refmaker.model.chunk_table"
    return globals().setdefault(name, getattr(import_module(module), name))

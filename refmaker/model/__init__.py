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
``zarr_v2``, ``zarr_v3``
    Metadata documents of Zarr, from groups and arrays.
``report``
    What became of every object of a file.
"""

from refmaker.model.chunk_table import ChunkTable, Reference
from refmaker.model.tree import Array, Group, chunk_grid

__all__ = ["Array", "ChunkTable", "Group", "Reference", "chunk_grid"]

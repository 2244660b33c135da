"""Chunk indexes of HDF5, read as columns with numpy instead of chunk by chunk.

HDF5 keeps the places of a dataset's chunks in one of six kinds of index. h5py lists
them by calling back once per chunk, at microseconds each; here a whole level of an
index is viewed as one structured array, some twenty times faster, and the levels of
many datasets' indexes are fetched together (:mod:`refmaker.scanners.hdf5.batched_reads`).

==================  ==================  =====================================
index               module              structures
==================  ==================  =====================================
version 1 B-tree    `btree1`            TREE
single, implicit    `arithmetic`        none
fixed array         `fixed_array`       FAHD, FADB, pages
extensible array    `extensible_array`  EAHD, EAIB, EASB, EADB, pages
version 2 B-tree    `btree2`            BTHD, BTIN, BTLF
==================  ==================  =====================================

The order of work: :func:`~refmaker.scanners.hdf5.superblock.superblock_reader` once a
file, :func:`~refmaker.scanners.hdf5.layout.layout_reader` for each dataset's object
header, :func:`chunk_index_reader` for each layout; each step's readers are given to
:func:`~refmaker.scanners.hdf5.batched_reads.run_readers` together.

Nothing here trusts the file: versions and signatures are known ones or refused,
checksums are verified where the format has them, all counts and addresses are
compared with the size of the file and of the dataset. What does not fit raises, and
the caller asks ``chunk_iter`` of h5py instead, unless :func:`chunk_iter_is_wrong`.
"""

from __future__ import annotations

from refmaker.scanners.hdf5.chunk_index.columns import ChunkIndexEntries
from refmaker.scanners.hdf5.chunk_index.dispatch import (
    chunk_index_reader,
    chunk_iter_is_wrong,
    read_chunk_index,
)

__all__ = ["ChunkIndexEntries", "chunk_index_reader", "chunk_iter_is_wrong", "read_chunk_index"]

"""How the chunks of a store's arrays are called.

Implements the chunk keys of the Zarr storage specification, version 2, and the chunk key encodings
``default`` and ``v2`` of the Zarr core specification, version 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import MetadataError
from refmaker.scanning.chunk_keys import ChunkKeys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["keys_v2", "keys_v3"]


def keys_v2(document: Mapping[str, Any], rank: int) -> ChunkKeys:
    """Return how the chunks of a version 2 array are called.

    Raises
    ------
    MetadataError
        If its separator is neither a dot nor a slash.
    """
    separator = document.get("dimension_separator", ".")
    if separator not in (".", "/"):
        raise MetadataError(f"the dimension separator {separator!r}")
    return ChunkKeys(rank, separator)


def keys_v3(document: Mapping[str, Any], rank: int) -> ChunkKeys:
    """Return how the chunks of a version 3 array are called.

    Raises
    ------
    MetadataError, UnsupportedError
        As `refmaker.model.zarr_v3_reader.key_encoding_v3` does.
    """
    from refmaker.model.zarr_v3_reader import key_encoding_v3

    encoding = key_encoding_v3(document)
    prefix = encoding.prefix and encoding.prefix + encoding.separator
    return ChunkKeys(rank, encoding.separator, prefix, encoding.key(()))

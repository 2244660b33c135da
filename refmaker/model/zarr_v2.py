"""Zarr version 2 metadata documents of arrays and groups, as plain dicts, and back.

Implements the Zarr storage specification, version 2: ``.zarray``, ``.zattrs`` and
``.zgroup``, with the xarray convention ``_ARRAY_DIMENSIONS``. Missing values are spelled as
`refmaker.model.missing_values` says; the last codec stands in ``compressor`` where it is one that
other readers look for there, and not among the filters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.dtypes import (
    dtype_from_document,
    encode_dtype,
    encode_fill_value,
    fill_from_document,
    json_number,
)
from refmaker.model.missing_values import FILL, missing_from_document, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "COMPRESSORS",
    "DIMENSIONS",
    "UNLIMITED",
    "array_document",
    "array_from_documents",
    "attributes_document",
    "current_codec",
    "documents",
    "dtype_from_document",
    "dumps",
    "encode_dtype",
    "encode_fill_value",
    "fill_from_document",
    "json_number",
    "placed_codecs",
]

DIMENSIONS = "_ARRAY_DIMENSIONS"
"""Attribute of an array that names its dimensions; xarray's convention."""
UNLIMITED = "_nc_unlimited_dimensions"
"""Attribute of a group that lists its unlimited dimensions; xarray hides attributes ``_nc*``."""
COMPRESSORS = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})
"""Codecs that GDAL and TensorStore take as compressor only, or not as dependably as filter."""
_FORMER = {"refmaker.fits_column": "refmaker.table_column"}
"""Ids of codecs until 0.1, which sets of that time hold, and those of today."""
_RANK_LIMIT = 32
"""Dimensions of an array; what numpy 1 allows, and more than HDF5 and its like have."""


def dumps(document: Any) -> str:
    """Return compact, strictly valid JSON.

    Raises
    ------
    MetadataError
        If a value has no place in JSON, such as a bare NaN.
    """
    try:
        text = _ENCODER.encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise MetadataError(f"not expressible in JSON: {error}") from error
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair, as Python keeps undecodable bytes of a name, has no UTF-8.
        return json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def placed_codecs(
    array: Array,
) -> tuple[tuple[Mapping[str, Any], ...], Mapping[str, Any] | None]:
    """Return filters and compressor as a document holds them."""
    filters, compressor = array.filters, array.compressor
    if compressor is None and filters and filters[-1].get("id") in COMPRESSORS:
        return filters[:-1], filters[-1]
    return filters, compressor


def array_document(array: Array) -> dict[str, Any]:
    """Return the ``.zarray`` document.

    Raises
    ------
    UnsupportedError
        If chunks are of different lengths; code ``zarr2-uneven``.
    """
    if array.edges is not None:
        raise UnsupportedError(
            "Zarr version 2 has no chunks of different lengths",
            code="zarr2-uneven",
            hint="write Zarr version 3 (`zarr_format=3`), as JSON or Icechunk",
        )
    filters, compressor = placed_codecs(array)
    return {
        "zarr_format": 2,
        "shape": [int(extent) for extent in array.shape],
        "chunks": [int(extent) for extent in array.chunk_shape],
        "dtype": encode_dtype(array.dtype),
        "compressor": None if compressor is None else dict(compressor),
        "fill_value": encode_fill_value(spelled(array).fill_value, array.dtype),
        "order": array.order,
        "filters": [dict(codec) for codec in filters] or None,
        "dimension_separator": ".",
    }


def attributes_document(node: Array | Group) -> dict[str, Any]:
    """Return the ``.zattrs`` document."""
    document = dict(spelled(node).attributes if isinstance(node, Array) else node.attributes)
    if isinstance(node, Array) and node.dimension_names is not None:
        document[DIMENSIONS] = list(node.dimension_names)
    return document


def documents(group: Group) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key and content of every metadata document below a root group."""
    for path, node in group.walk():
        prefix = f"{path}/" if path else ""
        if isinstance(node, Array):
            yield f"{prefix}.zarray", array_document(node)
        else:
            yield f"{prefix}.zgroup", {"zarr_format": 2}
        yield f"{prefix}.zattrs", attributes_document(node)


def array_from_documents(
    zarray: Mapping[str, Any], zattrs: Mapping[str, Any], chunks: ChunkTable | None = None
) -> Array:
    """Return the array that two documents describe.

    Parameters
    ----------
    chunks : ChunkTable, optional
        Its chunks; none at all by default.

    Raises
    ------
    MetadataError
        If the documents are not those of a Zarr version 2 array.
    """
    for key in ("zarr_format", "shape", "chunks", "dtype"):
        if key not in zarray:
            raise MetadataError(f"not a Zarr version 2 array: {key!r} is missing")
    if zarray["zarr_format"] != 2:
        raise MetadataError(f"Zarr format {zarray['zarr_format']!r}, expected 2")
    shape, chunk_shape = _shapes(zarray)
    dtype = dtype_from_document(zarray["dtype"])
    filters, compressor = zarray.get("filters") or [], zarray.get("compressor")
    if not isinstance(filters, list) or not all(_is_codec(codec) for codec in filters):
        raise MetadataError("'filters' is not a list of codecs")
    if compressor is not None and not _is_codec(compressor):
        raise MetadataError("'compressor' is not a codec")
    attributes = dict(zattrs)
    names = attributes.get(DIMENSIONS)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        del attributes[DIMENSIONS]
    elif names is not None:
        raise MetadataError(f"{DIMENSIONS!r} is not a list of names")
    if FILL in attributes:
        attributes[FILL] = missing_from_document(attributes[FILL], dtype)
    return Array(
        shape,
        chunk_shape,
        dtype,
        ChunkTable.empty(chunk_grid(shape, chunk_shape)) if chunks is None else chunks,
        fill_value=fill_from_document(zarray.get("fill_value"), dtype),
        order=zarray.get("order", "C"),
        filters=tuple(map(current_codec, filters)),
        compressor=None if compressor is None else current_codec(compressor),
        dimension_names=None if names is None else tuple(names),
        attributes=attributes,
    )


def current_codec(codec: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a codec by the id that it has today."""
    name = _FORMER.get(codec["id"])
    return codec if name is None else {**codec, "id": name}


def _shapes(zarray: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of an array and of its chunks."""
    shape, chunks = _extents(zarray, "shape"), _extents(zarray, "chunks")
    if len(shape) != len(chunks) or any(n and not c for n, c in zip(shape, chunks, strict=True)):
        raise MetadataError(f"shape {shape} in chunks of {chunks}")
    # VirtualiZarr writes that empty arrays have chunks of nothing.
    return shape, tuple(size or 1 for size in chunks)


def _extents(zarray: Mapping[str, Any], key: str) -> tuple[int, ...]:
    value = zarray[key]
    if not isinstance(value, list) or not all(
        isinstance(extent, int) and not isinstance(extent, bool) and 0 <= extent < 2**63
        for extent in value
    ):
        raise MetadataError(f"{key!r} is not a list of extents")
    if len(value) > _RANK_LIMIT:
        raise MetadataError(f"{len(value)} dimensions, at most {_RANK_LIMIT} are possible")
    return tuple(value)


def _is_codec(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("id"), str)

"""Zarr version 2 metadata documents of arrays and groups, as plain dicts, and back.

Implements the Zarr storage specification, version 2: ``.zarray``, ``.zattrs`` and
``.zgroup``, with the xarray convention ``_ARRAY_DIMENSIONS``.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group, chunk_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "DIMENSIONS",
    "UNLIMITED",
    "array_document",
    "array_from_documents",
    "attributes_document",
    "documents",
    "dtype_document",
    "dtype_from_document",
    "dumps",
    "fill_document",
    "fill_from_document",
    "json_number",
]

DIMENSIONS = "_ARRAY_DIMENSIONS"
"""Attribute of an array that names its dimensions; xarray's convention."""
UNLIMITED = "_nc_unlimited_dimensions"
"""Attribute of a group that lists its unlimited dimensions; xarray hides attributes ``_nc*``."""
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(document: Any) -> str:
    """Return compact, strictly valid JSON.

    Raises
    ------
    MetadataError
        If a value has no place in JSON, such as a bare NaN.
    """
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise MetadataError(f"not expressible in JSON: {error}") from error


def dtype_document(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as in ``.zarray``: a string, or a list of fields."""
    if dtype.names is not None:
        fields = []
        for name in dtype.names:
            kind = dtype.fields[name][0]  # type: ignore[index]
            if kind.subdtype is not None:
                fields.append([name, dtype_document(kind.subdtype[0]), list(kind.subdtype[1])])
            else:
                fields.append([name, dtype_document(kind)])
        return fields
    return "|O" if dtype.kind == "O" else dtype.str


def dtype_from_document(document: Any) -> np.dtype[Any]:
    """Return the dtype that a ``.zarray`` names.

    Raises
    ------
    MetadataError
        If it names none.
    """
    try:
        if isinstance(document, str):
            return np.dtype(document)
        fields: list[Any] = []
        for name, kind, *shape in document:
            fields.append((name, dtype_from_document(kind), *(tuple(part) for part in shape)))
        return np.dtype(fields)
    except (TypeError, ValueError) as error:
        raise MetadataError(f"{document!r} is not a dtype") from error


def json_number(value: float) -> Any:
    """Return a float as JSON can hold it; NaN and infinities become the strings of Zarr."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def fill_document(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a fill value as in ``.zarray``.

    Parameters
    ----------
    value : object
        A scalar of the dtype, or None.
    dtype : numpy.dtype
        The array's element type.
    """
    if value is None:
        return None
    if dtype.kind == "O":
        return str(value)
    scalar = np.asarray(value, dtype=dtype)[()]
    if dtype.kind in "SV":
        return base64.b64encode(np.asarray(scalar, dtype).tobytes()).decode("ascii")
    if dtype.kind == "c":
        return [json_number(float(scalar.real)), json_number(float(scalar.imag))]
    if dtype.kind == "f":
        return json_number(float(scalar))
    if dtype.kind == "b":
        return bool(scalar)
    if dtype.kind in "mM":
        return int(scalar.view("i8"))
    return str(scalar) if dtype.kind == "U" else int(scalar)


def fill_from_document(document: Any, dtype: np.dtype[Any]) -> Any:
    """Return the scalar that a ``.zarray``'s fill value means, or None.

    Raises
    ------
    MetadataError
        If it is no value of the dtype.
    """
    if document is None:
        return None
    try:
        if dtype.kind == "O":
            return str(document)
        if dtype.kind in "SV":
            raw = base64.b64decode(document, validate=True)
            return np.frombuffer(raw.ljust(dtype.itemsize, b"\0"), dtype, count=1)[0]
        if dtype.kind == "c" and isinstance(document, list):
            real, imaginary = (_SPECIAL.get(part, part) for part in document)
            return dtype.type(complex(real, imaginary))
        if dtype.kind == "f":
            return dtype.type(_SPECIAL.get(document, document))
        if dtype.kind in "mM":
            return np.asarray(document, "i8").view(dtype)[()]
        return np.asarray(document).astype(dtype)[()]
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"{document!r} is not a fill value of {dtype}") from error


def array_document(array: Array) -> dict[str, Any]:
    """Return the ``.zarray`` document."""
    return {
        "zarr_format": 2,
        "shape": list(array.shape),
        "chunks": list(array.chunk_shape),
        "dtype": dtype_document(array.dtype),
        "compressor": None if array.compressor is None else dict(array.compressor),
        "fill_value": fill_document(array.fill_value, array.dtype),
        "order": array.order,
        "filters": [dict(codec) for codec in array.filters] or None,
        "dimension_separator": ".",
    }


def attributes_document(node: Array | Group) -> dict[str, Any]:
    """Return the ``.zattrs`` document."""
    document = dict(node.attributes)
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
    zarray, zattrs : mapping
        The documents.
    chunks : ChunkTable, optional
        Its chunks; none at all by default.

    Raises
    ------
    MetadataError
        If the documents are not those of a Zarr version 2 array.
    """
    try:
        if zarray["zarr_format"] != 2:
            raise MetadataError(f"Zarr format {zarray['zarr_format']!r}, expected 2")
        shape = tuple(int(extent) for extent in zarray["shape"])
        chunk_shape = tuple(int(extent) for extent in zarray["chunks"])
        dtype = dtype_from_document(zarray["dtype"])
        order, compressor = zarray.get("order", "C"), zarray.get("compressor")
        filters, fill = tuple(zarray.get("filters") or ()), zarray.get("fill_value")
    except (KeyError, TypeError, ValueError) as error:
        raise MetadataError(f"not a Zarr version 2 array: {error!r}") from error
    attributes = dict(zattrs)
    names = attributes.pop(DIMENSIONS, None)
    return Array(
        shape,
        chunk_shape,
        dtype,
        ChunkTable.empty(chunk_grid(shape, chunk_shape)) if chunks is None else chunks,
        fill_value=fill_from_document(fill, dtype),
        order=order,
        filters=filters,
        compressor=compressor,
        dimension_names=None if names is None else tuple(names),
        attributes=attributes,
    )

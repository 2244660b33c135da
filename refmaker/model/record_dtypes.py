"""Dtypes of records as their files have them, beside the flat ones that Zarr can express.

Zarr has neither records in records nor arrays in them, nor gaps. An array of such records has a
flat dtype of the same bytes, and this attribute tells what they are to be seen as. Its name begins
so that xarray hides it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model.dtypes import dtype_from_document

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RECORD", "record_document", "record_from_document"]

RECORD = "_nc_record"
"""Attribute that holds the dtype of an array's records."""
_DEEPEST = 16
_FIELDS_MOST = 4096


def record_document(dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return a structured dtype in JSON terms: names, formats, offsets and size, as numpy has it.

    A format is a type string, a list of one and the shape of an array of it, or again such a
    mapping.
    """
    fields = [dtype.fields[name] for name in dtype.names or ()]  # type: ignore[index]
    return {
        "names": list(dtype.names or ()),
        "formats": [_format(field[0]) for field in fields],
        "offsets": [int(field[1]) for field in fields],
        "itemsize": dtype.itemsize,
    }


def _format(dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_format(base), list(shape)]
    return dtype.str if dtype.names is None else record_document(dtype)


def record_from_document(document: Any, flat: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that an attribute describes.

    Parameters
    ----------
    document : object
        What `record_document` made.
    flat : numpy.dtype
        The dtype of the Zarr array.

    Raises
    ------
    MetadataError
        If it is none, or not one of the same size without objects.
    """
    try:
        dtype = _record(document, 0)
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise MetadataError(f"the attribute {RECORD!r} describes no records") from error
    if dtype.itemsize != flat.itemsize or dtype.hasobject or flat.hasobject:
        raise MetadataError(f"the attribute {RECORD!r} does not fit the type {flat}")
    return dtype


def _record(document: Mapping[str, Any], depth: int) -> np.dtype[Any]:
    if depth > _DEEPEST or len(document["names"]) > _FIELDS_MOST:
        raise ValueError("too deep, or too many fields")
    return np.dtype(
        {
            "names": [str(name) for name in document["names"]],
            "formats": [_element(part, depth) for part in document["formats"]],
            "offsets": [int(offset) for offset in document["offsets"]],
            "itemsize": int(document["itemsize"]),
        }
    )


def _element(document: Any, depth: int) -> np.dtype[Any]:
    if isinstance(document, dict):
        return _record(document, depth + 1)
    if isinstance(document, list):
        base, shape = document
        extents = tuple(int(extent) for extent in shape)
        if math.prod(extents) > 2**31:
            raise ValueError("a large array")
        return np.dtype((_element(base, depth + 1), extents))
    return dtype_from_document(document)

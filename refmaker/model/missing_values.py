"""Values that mark missing data: the one spelling that all readers decode, and the way back.

CF marks missing data by the attribute ``_FillValue``, Zarr says by ``fill_value`` what absent
chunks read as. xarray takes the second for the first in Zarr version 2, and knows only the first,
in a spelling of its own, in version 3, by whose rules VirtualiZarr reads version 2 as well; GDAL
takes its nodata from the second. What all of them understand:

==============================  ===================  =======================================
elements                        ``fill_value``       ``_FillValue``
==============================  ===================  =======================================
floats, NaN                     ``"NaN"``            none
floats, another number          the number           its 8 bytes as a double, little, base64
integers                        the number           the number
the mark is not the fill value  as it is             the number: version 3 refuses it aloud
==============================  ===================  =======================================

Other elements keep what they have. In memory ``_FillValue`` is a number, or the text of one that
JSON has not.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model.dtypes import fill_from_document, json_number

if TYPE_CHECKING:
    from refmaker.model.tree import Array

__all__ = [
    "FILL",
    "declared",
    "missing_document",
    "missing_from_document",
    "number_of",
    "settled",
    "spelled",
    "with_declared_fill",
]

FILL = "_FillValue"
_DOUBLE = 12
"""Characters of 8 bytes in base64."""


def missing_document(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a missing value as the attribute ``_FillValue`` spells it.

    Parameters
    ----------
    dtype : numpy.dtype
        Of kind b, i, u or f.
    """
    if dtype.kind == "f":
        return base64.b64encode(struct.pack("<d", float(value))).decode("ascii")
    return bool(value) if dtype.kind == "b" else int(value)


def number_of(value: Any) -> Any:
    """Return the number that a text in JSON stands for; all that is none as it is."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    if not isinstance(value, str) or value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if len(value) != _DOUBLE:
        return value
    try:
        return struct.unpack("<d", base64.b64decode(value, validate=True))[0]
    except (ValueError, struct.error):
        return value


def missing_from_document(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return ``_FillValue`` in JSON's own terms, however it is spelled.

    Parameters
    ----------
    value : object
        The attribute. What is no number of 8 bytes in base64 is returned as it is.
    dtype : numpy.dtype
        Type of the elements; only of floats the attribute is encoded.
    """
    if dtype.kind != "f" or not isinstance(value, str):
        return value
    number = number_of(value)
    return json_number(number) if isinstance(number, float) else value


def with_declared_fill(array: Array) -> Array:
    """Return an array with its declared missing value as fill value, where that changes nothing.

    It changes nothing where no chunk is absent. Some writers leave the fill value out there, and
    what they wrote is the same as what says it twice.
    """
    if array.fill_value is not None or array.dtype.kind not in "iuf" or array.chunks.absent:
        return array
    value = declared(array)
    return array if value is None else replace(array, fill_value=value)


def settled(array: Array) -> Array:
    """Return an array that says its missing value in both places, where one value is meant.

    Returns
    -------
    Array
        With numbers in both; without the attribute where the fill value is NaN.
    """
    array = with_declared_fill(array)
    fill = array.fill_value
    if fill is None or array.dtype.kind not in "iuf":
        return array
    # Where there is a fill value, readers of version 2 do not look at the attribute.
    value = declared(array, exact=False)
    if FILL in array.attributes and (value is None or not _equal(value, fill)):
        return array
    attributes = dict(array.attributes)
    if array.dtype.kind != "f":
        attributes[FILL] = int(fill)
    elif np.isnan(fill):
        attributes.pop(FILL, None)
    elif float(fill) == fill:
        attributes[FILL] = json_number(float(fill))
    return array if attributes == array.attributes else replace(array, attributes=attributes)


def spelled(array: Array) -> Array:
    """Return an array as documents of Zarr version 2 are to describe it; see the table above."""
    array = settled(array)
    value = declared(array) if array.dtype.kind == "f" else None
    if value is None or array.fill_value is None or not _equal(value, array.fill_value):
        return array
    attributes = {**array.attributes, FILL: missing_document(value, array.dtype)}
    return replace(array, attributes=attributes)


def declared(array: Array, *, exact: bool = True) -> Any:
    """Return ``_FillValue`` as a scalar of the dtype; None if there is none that is exactly one.

    Parameters
    ----------
    array : Array
        Of kind i, u or f.
    exact : bool
        Whether a number between those of the type is none, as no element has it.
    """
    value = missing_from_document(array.attributes.get(FILL), array.dtype)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, bool | list | dict):
        return None
    if isinstance(value, str) and array.dtype.kind != "f":
        return None
    try:
        with np.errstate(over="ignore"):
            scalar = fill_from_document(value, array.dtype)
    except MetadataError:
        return None
    number = number_of(value) if isinstance(value, str) else value
    # Python compares numbers exactly; numpy would round one to the type of the other.
    if not exact and array.dtype.kind == "f" and not isinstance(number, str):
        return scalar
    same = not isinstance(number, str) and (number == scalar.item() or bool(np.isnan(scalar)))
    return scalar if same else None


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (np.isnan(one) and np.isnan(other)))

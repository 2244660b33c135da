"""How stored values are to be taken, by attributes (CF conventions, sections 2.5.1 and 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.attributes import is_number, number_in
from refmaker.model.missing_values import FILL, missing_from_document, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model.tree import Array

__all__ = ["missing_values", "valid_range"]


def valid_range(attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the least and the greatest stored value that is valid, None where none is told."""
    both = attributes.get("valid_range")
    if isinstance(both, list | tuple) and len(both) == 2 and all(map(is_number, both)):
        return both[0], both[1]
    return number_in(attributes, "valid_min"), number_in(attributes, "valid_max")


def missing_values(array: Array, *, fill: bool) -> list[Any]:
    """Return the stored values that stand for missing ones.

    Parameters
    ----------
    array : Array
        Of any type; of one that is not of numbers, what the attributes have.
    fill : bool
        Whether what absent chunks read as is one, too, as readers of Zarr version 2 take it.

    Returns
    -------
    list
        Of floats as their type rounds them, of integers as told: what is to be taken as unsigned
        may have a signed one. Of ``_FillValue``, of ``missing_value``, then the fill value.
    """
    numeric = array.dtype.kind in "iuf"
    told = [one for name in (FILL, "missing_value") for one in _each(array.attributes.get(name))]
    told = [missing_from_document(one, array.dtype) for one in told]
    if numeric:
        told = [number for one in told if is_number(number := _number(one))]
        if fill and array.fill_value is not None and not np.isnan(array.fill_value):
            told.append(np.asarray(array.fill_value).item())
    if array.dtype.kind == "f":
        told = [_rounded(one, array.dtype) for one in told]
    return [one for at, one in enumerate(told) if one is not None and one not in told[:at]]


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _rounded(value: Any, dtype: np.dtype[Any]) -> float | None:
    try:
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    except OverflowError:  # an integer beyond all floats
        return None


def _number(value: Any) -> Any:
    """Return the number that a text of JSON stands for; of others, whole ones stay exact."""
    return value if isinstance(value, int) else number_of(value)

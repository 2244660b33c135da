"""How stored values are to be taken, by attributes (CF conventions, sections 2.5.1 and 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.attributes import is_number, number_in
from refmaker.model.missing_values import FILL, missing_from_document, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model.tree import Array

__all__ = ["is_missing", "missing_values", "reinterpreted", "valid_range"]


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


def reinterpreted(stored: NDArray[Any], attributes: Mapping[str, Any]) -> NDArray[Any]:
    """Return integers as their attribute ``_Unsigned`` says they are meant, in native order."""
    kind = {"true": "u", "false": "i"}.get(str(attributes.get("_Unsigned", "")).lower())
    if stored.dtype.kind not in "iu" or kind in (None, stored.dtype.kind):
        return stored
    return stored.astype(stored.dtype.newbyteorder("=")).view(f"{kind}{stored.dtype.itemsize}")


def is_missing(stored: NDArray[Any], array: Array, *, fill: bool) -> NDArray[np.bool]:
    """Tell which stored values are missing or not valid (CF conventions, section 2.5.1).

    A valid range is one of stored values, but of packed integers one of floats is one of unpacked
    values (NetCDF Users' Guide, appendix A).

    Parameters
    ----------
    stored : ndarray
        Of kind i, u or f.
    array : Array
        Where they are from.
    fill : bool
        As for `missing_values`.
    """
    meant = reinterpreted(stored, array.attributes)
    found = np.zeros(stored.shape, bool)
    for value in missing_values(array, fill=fill):
        # Of what is to be taken as unsigned, some writers give the missing value signed.
        found |= (meant == value) | (stored == value)
    ends = valid_range(array.attributes)
    factor, offset = (number_in(array.attributes, key) for key in ("scale_factor", "add_offset"))
    packed = stored.dtype.kind in "iu" and (factor is not None or offset is not None)
    if packed and any(isinstance(end, float) for end in ends):
        meant = meant * (1.0 if factor is None else factor) + (offset or 0.0)
    low, high = (_as_stored(end, meant.dtype) for end in ends)
    if low is not None:
        found |= meant < low
    if high is not None:
        found |= meant > high
    return found


def _as_stored(end: Any, dtype: np.dtype[Any]) -> Any:
    """Return an end of a valid range as it is in a type: rounded, or without a sign."""
    if dtype.kind == "f" and end is not None:
        return _rounded(end, dtype)
    return end + (1 << 8 * dtype.itemsize) if dtype.kind == "u" and end and end < 0 else end


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

"""Number types of attributes, which JSON does not tell, and missing values that mark nothing.

A ``scale_factor`` that is a float of 4 bytes decodes to such floats, one of 8 bytes to others.
The types are recorded as NCZarr does, in the attribute ``_nczarr_attr``: xarray hides attributes
whose names begin so, and other readers pass over them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "MISSING",
    "TYPES",
    "impossible_missing",
    "merge_types",
    "number_type",
    "typed_attributes",
    "with_types",
]

TYPES = "_nczarr_attr"
"""Attribute that holds the types of the others; NCZarr's convention."""
MISSING = ("_FillValue", "missing_value")
_KNOWN = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)) | {"f4", "f8"}
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number_type(dtype: np.dtype[Any], value: Any) -> str | None:
    """Return what is recorded of an attribute's type; None where JSON tells as much.

    Parameters
    ----------
    value : object
        The value in JSON terms; where it holds text such as ``"NaN"`` only the type tells that
        it is a number.
    """
    code = dtype.str[1:]
    if code not in _KNOWN or (code == "i8" or (code == "f8" and not _has_text(value))):
        return None
    return f"{'|' if code[1] == '1' else '<'}{code}"


def _has_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and any(map(_has_text, value)))


def with_types(attributes: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Return attributes with a record of their types; the same ones if there is nothing to tell."""
    known = {name: code for name, code in types.items() if name in attributes}
    return {**attributes, TYPES: {"types": known}} if known else dict(attributes)


def _types(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    record = attributes.get(TYPES)
    types = record.get("types") if isinstance(record, dict) else None
    return types if isinstance(types, dict) else {}


def merge_types(nodes: Sequence[Mapping[str, Any]], kept: Mapping[str, Any]) -> dict[str, str]:
    """Return the types on which the attributes of several nodes agree.

    Parameters
    ----------
    kept : mapping
        The attributes of what is made of them.
    """
    found: dict[str, str] = {}
    for name in kept:
        types = {str(_types(node).get(name)) for node in nodes if name in node}
        if len(types) == 1 and types != {"None"}:
            found[name] = types.pop()
    return found


def typed_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with the types that are recorded of them, as numpy scalars and arrays.

    One element alone becomes a scalar, as in all readers of netCDF. Attributes that were given
    other values since, which do not fit the type, are returned as they are.
    """
    types = _types(attributes)
    found = {name: value for name, value in attributes.items() if name != TYPES}
    for name, code in types.items():
        if name in found and isinstance(code, str) and code[1:] in _KNOWN:
            value = _typed(found[name], np.dtype(code))
            found[name] = found[name] if value is None else value
    return found


def _typed(value: Any, dtype: np.dtype[Any]) -> Any:
    plain = _numbers(value)
    try:
        # Large integers beside small ones would become floats.
        loose = np.asarray(plain, object) if dtype.kind in "iu" else np.asarray(plain)
        numbers = {type(number) for number in loose.flat} if loose.dtype.hasobject else {int}
        if loose.dtype.kind not in "iufO" or not numbers <= {int, float}:
            return None
        with np.errstate(over="ignore"):
            exact = loose.astype(dtype)
    except (ValueError, TypeError, OverflowError):
        return None
    same = np.array_equal(exact, loose, equal_nan=loose.dtype.kind == "f")
    if not same:
        return None
    return exact.reshape(())[()] if exact.size == 1 else exact


def _numbers(value: Any) -> Any:
    """Return JSON's spelling of numbers as numbers."""
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return _SPECIAL.get(value, value) if isinstance(value, str) else value


def impossible_missing(attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the marks of missing values that no element can have, by attribute.

    Text or a number behind the type's limits marks nothing; readers of references would make
    floats of integers for the sake of it, and cannot write it back.

    Parameters
    ----------
    attributes : mapping
        Those of a variable, in JSON terms.
    dtype : numpy.dtype
        Type of its elements.
    """
    if dtype.kind not in "iuf":
        return {}
    found = {}
    for name in MISSING:
        value = attributes.get(name)
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        if values and not any(_possible(one, dtype, attributes) for one in values):
            found[name] = value
    return found


def _possible(value: Any, dtype: np.dtype[Any], attributes: Mapping[str, Any]) -> bool:
    value = _SPECIAL.get(value, value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if dtype.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    if "_Unsigned" in attributes:
        # The bits count: they may be meant as those of the other kind of integer.
        low, high = -(1 << (8 * dtype.itemsize - 1)), (1 << (8 * dtype.itemsize)) - 1
    return math.isfinite(value) and low <= value <= high
